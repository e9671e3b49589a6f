"""Ways to break the engine on purpose, to see that the checker notices. Each changes one thing, in one process."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any

from versus_py import clock
from versus_py.clock import SharedClock
from versus_py.engine.breaker import Breakers, HeldBack
from versus_py.engine.credentials import Credentials, StillRefused
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.queue import Place
from versus_py.engine.worker import Worker
from versus_py.errors import Permanent
from versus_py.incidents import listings, transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Alert, Delivery, Incident, IncidentId, Notification, Status
from versus_py.incidents.rounds import PolicyOf, as_before
from versus_py.incidents.transitions import Change
from versus_py.sources import alertmanager
from versus_py.store import Due, Markers, Names, Store, Timers, calls, keys, names
from versus_py.store.calls import answered
from versus_py.store.journal import Acceptance, RedisJournal
from versus_py.targets.servicenow import target as servicenow
from versus_py.targets.servicenow.connection import Answer
from versus_py.targets.servicenow.instance import Instance
from versus_py.targets.slack.api import Refused
from versus_py.targets.slack.history import History
from versus_py.targets.slack.message import Message
from versus_py.targets.slack.target import SlackTarget
from versus_py.targets.slack.wire import Wire


def _forget_every_third() -> None:
    """What was accepted is not written down."""
    create, create_new = Store.create, Store.create_new

    async def forgetful(self: Store, changes: Sequence[tuple[Change, str]], *, now_ms: int) -> Any:
        kept = [it for it in changes if it[0].incident.created_at_ms % 3]
        await create(self, kept, now_ms=now_ms)
        return ["" for _ in changes]

    async def forgetful_of_new(self: Store, change: Change, known_by: Names, *, now_ms: int) -> bool:
        return not change.incident.created_at_ms % 3 or await create_new(self, change, known_by, now_ms=now_ms)

    Store.create = forgetful  # type: ignore[method-assign]  # that is the sabotage
    Store.create_new = forgetful_of_new  # type: ignore[method-assign]


def _drop_timers() -> None:
    """Nobody is reminded that a wait ends."""
    create, create_new = Store.create, Store.create_new

    def timeless(change: Change) -> Change:
        return replace(change, timers=_without(change.timers, change.incident.policy.oncall))

    async def forgetful(self: Store, changes: Sequence[tuple[Change, str]], *, now_ms: int) -> Any:
        return await create(self, [(timeless(it), id_) for it, id_ in changes], now_ms=now_ms)

    async def forgetful_of_new(self: Store, change: Change, known_by: Names, *, now_ms: int) -> bool:
        return await create_new(self, timeless(change), known_by, now_ms=now_ms)

    Store.create = forgetful  # type: ignore[method-assign]  # that is the sabotage
    Store.create_new = forgetful_of_new  # type: ignore[method-assign]


def _without(timers: Mapping[str, int | None], target: str | None) -> dict[str, int | None]:
    return {name: due_ms for name, due_ms in timers.items() if name != target}


def _do_not_look_at_acknowledgments() -> None:
    """An acknowledgment is kept and shown, and the record made all the same."""
    acknowledge = transitions.acknowledge

    def blind(incident: Incident, by: Actor, now_ms: int) -> Change | None:
        change = acknowledge(incident, by, now_ms)
        return change and replace(change, timers={**change.timers, incident.policy.oncall or "": now_ms})

    def wants_record(incident: Incident, name: str) -> bool:
        return incident.status is not Status.RESOLVED

    transitions.acknowledge = blind
    servicenow._wants_record = wants_record
    Incident.wants = wants_record  # type: ignore[assignment, method-assign]  # that is the sabotage


def _forget_acknowledgments() -> None:
    """Whoever acknowledges hears that it is done, and nothing is."""

    async def forgetful(self: Lifecycle, incident_id: IncidentId, by: Actor) -> tuple[Incident | None, bool]:
        return await self._store.get(incident_id), True

    Lifecycle.acknowledge = forgetful  # type: ignore[method-assign]  # that is the sabotage


def _do_not_search() -> None:
    """A record is created without looking whether an attempt before has made it."""

    async def blind(*_: Any, **__: Any) -> None:
        return None

    Instance.search = blind  # type: ignore[method-assign]  # that is the sabotage


def _forget_resolves() -> None:
    """A record is left open when its incident is over."""
    sync = servicenow.ServiceNowTarget.sync

    async def forgetful(self: servicenow.ServiceNowTarget, incident: Incident, *, attempt: int) -> Any:
        if incident.status is Status.RESOLVED:
            return incident.delivery(servicenow.NAME)
        return await sync(self, incident, attempt=attempt)

    servicenow.ServiceNowTarget.sync = forgetful  # type: ignore[method-assign]  # that is the sabotage


def _do_not_edit() -> None:
    """Messages stay as they were posted."""

    async def idle(*_: Any, **__: Any) -> None:
        return None

    Wire.edit = idle  # type: ignore[method-assign]  # that is the sabotage


def _do_not_look_for_messages() -> None:
    """A message is posted again without looking whether an attempt before has posted it."""

    async def blind(*_: Any, **__: Any) -> None:
        return None

    History.find = blind  # type: ignore[method-assign]  # that is the sabotage


def _be_early() -> None:
    """The clock is two seconds behind: what is promised as the end of a wait is too early."""
    now_ms = SharedClock.now_ms
    SharedClock.now_ms = lambda self: now_ms(self) - 2000  # type: ignore[method-assign]  # that is the sabotage


def _hurry() -> None:
    """Escalates two seconds before what was promised."""
    look, claim, begin = Timers.look, Timers.claim, transitions.begin_step

    async def look_early(self: Timers, *, now_ms: int, **more: Any) -> Any:
        found = await look(self, now_ms=now_ms + 2000, **more)
        return replace(found, next_ms=found.next_ms and found.next_ms - 2000)

    async def claim_early(self: Timers, timers: Sequence[Due], *, now_ms: int, **more: Any) -> Any:
        return await claim(self, timers, now_ms=now_ms + 2000, **more)

    Timers.look = look_early  # type: ignore[method-assign]  # that is the sabotage
    Timers.claim = claim_early  # type: ignore[method-assign]  # that is the sabotage

    def begin_early(incident: Incident, now_ms: int, policy_of: PolicyOf = as_before) -> Change | None:
        return begin(incident, now_ms + 2000, policy_of)

    transitions.begin_step = begin_early


def _forget_snoozes() -> None:
    """Whoever snoozes hears that it is done, and nothing is."""
    transitions.snooze = lambda *_: None


def _keep_what_is_given_back() -> None:
    """The same with those who give back."""
    transitions.unacknowledge = lambda *_: None


def _lose_journal_lines() -> None:
    """Of every third request, the last line of the journal is taken out again."""
    add, numbers = RedisJournal.add, count(1)

    async def forgetful(self: RedisJournal, accepted: Sequence[Acceptance]) -> None:
        await add(self, accepted)
        if next(numbers) % 3 == 0:
            await answered(self._redis.rpop(keys.JOURNAL))

    RedisJournal.add = forgetful  # type: ignore[method-assign]  # that is the sabotage


def _forget_who_lists() -> None:
    """What one sender says is over is over for all."""
    listings._speaks_for = lambda *_: True


def _keep_quiet_about_what_joins() -> None:
    """Whoever has acknowledged has acknowledged whatever comes."""
    transitions._news_behind = lambda incident: ""


def _forget_older_names() -> None:
    """A group is what its groupKey says, and nothing else tells it."""

    read = alertmanager._list

    def by_key(alerts: tuple[Alert, ...], source: str, **said: Any) -> Notification:
        return read(alerts, source, **(said | {"name": said["group_key"]}))

    alertmanager._list = by_key
    names._ids = lambda wanted, answered: [() for _ in wanted]
    Store.can_create_new = property(lambda _: False)  # type: ignore[assignment, method-assign]  # that is the sabotage


def _acknowledge_for_ever() -> None:
    """No acknowledgment ends."""
    Incident.ack_ends_at_ms = property(lambda _: None)  # type: ignore[assignment, method-assign]  # that is the sabotage


def _refuse_what_finishes() -> None:
    """A full Redis refuses every script, also those that finish what was accepted."""
    calls._ALSO_WHEN_FULL = "#!lua\n"


def _believe_every_clock() -> None:
    """Whatever Redis says of the time is so."""
    clock.JUMP_MS = 1 << 62


def _give_up_when_refused() -> None:
    """Refused credentials are a refusal as any other."""

    async def give_up(_: Credentials, *about: str) -> StillRefused:
        raise Permanent(about[-1])

    Credentials._refuse = give_up  # type: ignore[assignment, method-assign]  # that is the sabotage


def _say_nothing_of_a_loss() -> None:
    """An empty Redis is as good as any."""

    async def blind(*_: Any, **__: Any) -> None:
        return None

    Markers.look = blind  # type: ignore[method-assign]  # that is the sabotage


def _keep_quiet_about_refused_edits() -> None:
    """What Slack does not let be edited stays as it is, and that is that."""

    async def content(
        _: SlackTarget, __: Incident, before: Delivery, message: Message, ___: Refused, *, is_unsure: bool
    ) -> Delivery:
        del is_unsure
        return replace(before, reference={**before.reference, "digest": message.digest})

    SlackTarget._after_refused_edit = content  # type: ignore[assignment, method-assign]  # that is the sabotage


def _probe_with_what_fails() -> None:
    """A record that is refused counts as an outage, and only those that were refused probe whether it is over."""
    enter = Breakers._enter

    def only_the_failing(self: Breakers, circuit: Any, who: str) -> bool:
        if circuit.is_open and who not in circuit.failing:
            raise HeldBack(self._clock.now_ms() + 1000, circuit.error)
        circuit.untried.clear()
        return enter(self, circuit, who)

    Breakers._enter = only_the_failing  # type: ignore[method-assign]  # that is the sabotage
    Answer.raise_if_the_record_failed = lambda _: None  # type: ignore[assignment, method-assign]


def _share_one_queue() -> None:
    """Everything waits for the same two slots, wherever it goes."""
    Worker._place = lambda *_: Place("")  # type: ignore[method-assign]  # that is the sabotage
    Worker._most_of = lambda *_: 2  # type: ignore[method-assign]


SABOTAGES: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "forget every third": _forget_every_third,
        "drop timers": _drop_timers,
        "do not look at acknowledgments": _do_not_look_at_acknowledgments,
        "forget acknowledgments": _forget_acknowledgments,
        "do not search": _do_not_search,
        "forget resolves": _forget_resolves,
        "do not edit": _do_not_edit,
        "do not look for messages": _do_not_look_for_messages,
        "be early": _be_early,
        "hurry": _hurry,
        "forget snoozes": _forget_snoozes,
        "keep what is given back": _keep_what_is_given_back,
        "lose journal lines": _lose_journal_lines,
        "forget who lists": _forget_who_lists,
        "keep quiet about what joins": _keep_quiet_about_what_joins,
        "forget older names": _forget_older_names,
        "acknowledge for ever": _acknowledge_for_ever,
        "probe with what fails": _probe_with_what_fails,
        "share one queue": _share_one_queue,
        "refuse what finishes": _refuse_what_finishes,
        "say nothing of a loss": _say_nothing_of_a_loss,
        "keep quiet about refused edits": _keep_quiet_about_refused_edits,
        "believe every clock": _believe_every_clock,
        "give up when refused": _give_up_when_refused,
    }
)
