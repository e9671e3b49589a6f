"""Applying what happens to incidents: read, decide, save, and again when another replica was faster."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct

from versus_py.clock import Clock
from versus_py.engine.lately import Lately
from versus_py.engine.reporting import Reporting
from versus_py.errors import StoreFull, StoreUnavailable, Unreadable
from versus_py.incidents import repeats, transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.heartbeats import fall_silent, is_heartbeat
from versus_py.incidents.identity import is_the_same, shares_an_alert
from versus_py.incidents.listings import omits_what_fires
from versus_py.incidents.model import (
    Actor,
    Event,
    Incident,
    IncidentId,
    Notification,
    Outcome,
    PolicyFor,
    Status,
    incident_id,
)
from versus_py.incidents.payloads import pack
from versus_py.incidents.policies import Policy
from versus_py.incidents.repeats import Again
from versus_py.incidents.rounds import PolicyOf, as_before
from versus_py.incidents.transitions import Change
from versus_py.store import ALERTS_ASKED_MAX, Names, Store
from versus_py.targets import Called
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

Decision = Callable[[Incident, int], Change | None]
"""What becomes of an incident at some time; None when nothing does."""

BATCH = 100
"""The most incidents that one round trip to Redis carries; a script for each blocks it only for so long."""

RETRIES_MAX = 2000
"""The most failures that one request has tried again, so that it is answered in seconds."""

RETRIED_TOGETHER = 50

REMEMBERED_MAX = 4096
"""The most dedup keys that are remembered to name an incident."""

MAX_CONFLICTS = 50
"""How often one change is decided again before it counts as failed; each time somebody else got through."""


AFTER_A_LOSS = (
    "If the incident was open then, it does not escalate, and nobody waits for an acknowledgment. If its alert still "
    "fires, the incident comes back with the next notification."
)
"""What it means to people that Redis lost its data."""


NOT_READ = (
    "This incident is stored in a way that this version of the server cannot read: a newer version wrote it, or it is "
    "damaged. Look at what it is about yourself, and tell who runs the server."
)
"""What people are told who act on an incident that cannot be read."""


class Accepted(Struct, frozen=True):
    """What became of a notification; *incident* is None when it was a resolve of nothing known."""

    outcome: Outcome
    incident: Incident | None
    again: Again | None = None  # what the same does once more; None: that is to be decided then


class Refused(Struct, frozen=True):
    """A notification that could not be written down, although others were: it has to be sent again."""

    error: str


class PartlyAccepted(StoreUnavailable):
    """Some of the notifications were written down, and some not: *results* has one for each, in their order."""

    def __init__(self, results: Sequence[Accepted | Refused]) -> None:
        refused = [it.error for it in results if isinstance(it, Refused)]
        super().__init__(f"{len(refused)} of {len(results)} were not written down: {refused[0]}")
        self.results = tuple(results)


@dataclass(slots=True, eq=False)
class _Arrivals:
    """What came for one dedup key, in order, and what became of it so far."""

    dedup_key: str
    notifications: list[Notification]
    accepted: list[Accepted] = field(default_factory=list)
    may_be_new: bool = True  # none of its names was found to lead to anything
    named: str = ""  # what the key names
    found: tuple[IncidentId, ...] = ()  # all that it may be about, where some of its alerts are not in what is named
    others: set[IncidentId] = field(default_factory=set)  # found by some name, and gone, or about something else
    error: StoreUnavailable | Unreadable | None = None  # why what is pending cannot be written down

    @property
    def pending(self) -> list[Notification]:
        return self.notifications[len(self.accepted) :]

    @property
    def is_done(self) -> bool:
        return self.error is not None or not self.pending

    @property
    def results(self) -> list[Accepted | Refused]:
        return [*self.accepted, *(Refused(str(self.error)) for _ in self.pending)]

    @property
    def next(self) -> Notification:
        return self.pending[0]


@dataclass(slots=True)
class _Step:
    """An incident that is there, and what becomes of it."""

    before: Incident
    change: Change | None = None
    is_saved: bool = False

    @property
    def is_done(self) -> bool:
        return self.change is None or self.is_saved

    @property
    def incident(self) -> Incident:
        return self.change.incident if self.change else self.before


class Lifecycle:
    """The incidents, and what may happen to them. Every method raises StoreUnavailable.

    *called* tells what people call a target, *policy_of* what the configuration says of an incident by now.
    *installation* is part of the ids of new incidents.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        metrics: Metrics | None = None,
        *,
        called: Called = str,
        policy_of: PolicyOf = as_before,
        installation: str = "",
    ) -> None:
        self._called = called
        self.policy_of = policy_of
        """What the configuration says of an incident by now, for decisions that begin a round."""
        self._installation = installation
        self._reporting = Reporting(store, clock)
        self._store = store
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._lately = Lately[str, None](REMEMBERED_MAX)  # dedup keys that name an incident
        self._locks: WeakValueDictionary[IncidentId, asyncio.Lock] = WeakValueDictionary()

    async def accept(
        self, notifications: Sequence[Notification], policy_for: PolicyFor, warnings: Sequence[str] = ()
    ) -> list[Accepted]:
        """Write down what *notifications* say, in their order; when this returns, it survives a crash.

        *policy_for* and *warnings* are those of the request, and hold for the incidents that this creates. Many are
        written by few round trips. When it raises, some may have been written: the same again is seen as a repeat.
        One that cannot be written down keeps no other from it: then PartlyAccepted tells the outcome of each.
        """
        by_key: dict[str, _Arrivals] = {}
        keys = []
        await self._reporting.note(notifications)
        for it in notifications:
            key = it.dedup_key or f"{it.source}\n{uuid4()}"
            arrivals = by_key.setdefault(key, _Arrivals(key, []))
            arrivals.notifications.append(replace(it, warnings=(*warnings, *it.warnings)) if warnings else it)
            keys.append(key)
        for _ in range(MAX_CONFLICTS):
            pending = [arrivals for arrivals in by_key.values() if not arrivals.is_done]
            if not pending:
                return _results(by_key, keys)
            for start in range(0, len(pending), BATCH):
                await self._accept_some(pending[start : start + BATCH], policy_for)
        raise StoreUnavailable(f"the incident of dedup key {pending[0].dedup_key!r} keeps changing")

    async def repeat(self, again: Again) -> bool:
        """Count what came *again*, as sure as `accept` writes. False where it has to be accepted as if it were new."""
        now_ms = self._clock.now_ms()
        return now_ms < again.until_ms and await self._store.count(again, now_ms=now_ms)

    def write_again(self) -> None:
        """Redis has lost its data: what this process knows of senders is written down once more."""
        self._reporting.write_again()

    async def lost_at_ms(self, incident_id: IncidentId) -> int | None:
        """When Redis last lost data that an unknown incident may have been part of; None when it never did."""
        return await self._store.lost_at_ms(incident_id)

    async def act(
        self, incident_id: IncidentId, decide: Decision, request_id: str = ""
    ) -> tuple[Incident | None, bool]:
        """What a person does: the incident as it is now, and whether this changed it; None when it is unknown.

        A request with an id has its effect once, also when it is sent again at the same time.
        """

        def decided(incident: Incident, now_ms: int) -> Change | None:
            if request_id and request_id in incident.handled:
                return None
            return transitions.once(decide(incident, now_ms), request_id)

        incident, change = await self._apply(incident_id, decided, durably=True)
        if change is None:
            await self._store.settle([incident_id])  # what this answer tells may be news to Redis too
        return incident, change is not None and not change.is_renewal

    async def begin(self, change: Change) -> IncidentId | None:
        """Write down an incident that does not come from alerts; which one is there already, None when it was not."""
        [existing] = await self._store.create([(change, "")], now_ms=self._clock.now_ms())
        if existing and await self._store.get(IncidentId(existing.split()[0])) is None:  # only its name is left
            [existing] = await self._store.create([(change, existing)], now_ms=self._clock.now_ms())
        if not existing:
            _log_change(change)
            return None
        return IncidentId(existing.split()[0])

    async def incident_at(self, system: str, locator: str) -> IncidentId | None:
        """The incident whose message or record *system* calls so; None when there is none. Raises Unreadable."""
        return await self._store.incident_at(system, locator)

    async def acknowledge(self, incident_id: IncidentId, by: Actor) -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call acknowledged it; None when it is unknown."""
        return await self.act(incident_id, lambda it, now_ms: transitions.acknowledge(it, by, now_ms))

    async def resolve(self, incident_id: IncidentId, by: Actor, comment: str = "") -> tuple[Incident | None, bool]:
        """The incident as it is now, and whether this call resolved it; None when it is unknown."""
        return await self.act(incident_id, lambda it, now_ms: transitions.resolve(it, by, now_ms, comment))

    async def identify(self, incident_id: IncidentId, actor: Actor) -> None:
        """Say by name who has been known by an id only."""
        await self._apply(incident_id, lambda it, now_ms: transitions.identify(it, actor, now_ms))

    async def end_snooze(self, read: Incident) -> Incident | None:
        """The incident as it is now, its snooze taken back if that is over."""
        return await self._moved_on(read, lambda it, now_ms, _: transitions.end_snooze(it, now_ms))

    async def end_acknowledgment(self, read: Incident) -> Incident | None:
        """The incident as it is now, waiting again if its acknowledgment has ended."""
        return await self._moved_on(read, transitions.end_acknowledgment)

    async def notice_news(self, read: Incident) -> Incident | None:
        """The incident as it is now, waiting again if it fires for a reason that nobody knows."""
        return await self._moved_on(read, transitions.notice_news)

    async def begin_step(self, read: Incident) -> Incident | None:
        """The incident as it is now, with the steps begun that are due, if nobody acknowledged."""
        if is_heartbeat(read.id):
            return await self._moved_on(read, lambda it, now_ms, _: fall_silent(it, now_ms))
        return await self._moved_on(read, transitions.begin_step)

    async def _moved_on(
        self, read: Incident, decide: Callable[[Incident, int, PolicyOf], Change | None]
    ) -> Incident | None:
        """The incident after what time has brought. It is *read* again only when it has changed since."""
        incident, _ = await self._apply(read.id, lambda it, now_ms: decide(it, now_ms, self.policy_of), read=read)
        return incident

    async def end_quietly(self, asked: Incident, by: str) -> Incident | None:
        """The incident as it is now: resolved, if it still is what *by* was asked about."""
        incident, _ = await self._apply(
            asked.id, lambda it, now_ms: transitions.end_quietly(it, asked, Actor(by), now_ms)
        )
        return incident

    async def suppress(self, asked: Incident, by: str, until_ms: int | None) -> Incident | None:
        """The incident as it is now: its escalation put off, if it still is what was asked about."""
        incident, _ = await self._apply(
            asked.id, lambda it, now_ms: transitions.suppress(it, asked, by, until_ms, now_ms)
        )
        return incident

    async def give_up(
        self, incident_id: IncidentId, channel: str, error: str, event: Event = Event.GIVEN_UP
    ) -> tuple[Incident | None, bool]:
        """Tell the record that a channel is not tried any more, and end the wait when nobody can acknowledge.

        With Event.REFUSED the same of one that refuses our credentials, and is tried again in minutes.

        The incident as it is now, and whether this changed it.
        """
        what = f"{self._called(channel)}: {error}"
        incident, change = await self._apply(
            incident_id, lambda it, now_ms: transitions.give_up(it, channel, what, now_ms, event)
        )
        return incident, change is not None

    async def retry(self, incident_id: IncidentId, by: Actor, target: str = "") -> tuple[Incident | None, bool]:
        """Try again what was given up, or what refuses our credentials; None when the incident is unknown.

        All of it, or the one *target*. Returns the incident as it is now, and whether there was any.
        """
        incident, is_retried = await self.act(
            incident_id, lambda it, now_ms: transitions.retry(it, by, now_ms, target=target, name_of=self._called)
        )
        if incident is None:
            return None, is_retried
        if not is_retried:  # it may have been given up while it could not be read
            failed = await self._store.failed_targets(incident_id)
            unknown = [it for it in failed if it not in incident.retried and target in {"", it}]
            for it in unknown:
                await self._store.arm(incident_id, it, now_ms=self._clock.now_ms())
            is_retried = bool(unknown)
        for it in incident.refused:
            if target in {"", it}:
                await self._store.refusals.hurry_one(incident_id, it, now_ms=self._clock.now_ms())
        return incident, is_retried

    async def retry_all(self, by: Actor) -> tuple[int, bool]:
        """The same for every incident: of how many, and whether there are more than this tried at once."""
        cursor, number = None, await self._store.refusals.hurry_all(now_ms=self._clock.now_ms())
        for _ in range(RETRIES_MAX // RETRIED_TOGETHER):
            page = await self._store.given_up(limit=RETRIED_TOGETHER, cursor=cursor)
            ids = {it.incident.id for it in page.found}
            number += sum(await asyncio.gather(*(self._is_retried(it, by) for it in ids)))
            for unread in page.unread:
                await self._store.arm(unread.incident_id, unread.target, now_ms=self._clock.now_ms())
            number += len({it.incident_id for it in page.unread} - ids)
            cursor = page.cursor
            if cursor is None:
                return number, False
        return number, True

    async def _is_retried(self, incident_id: IncidentId, by: Actor) -> bool:
        try:
            _, is_retried = await self.retry(incident_id, by)
        except Unreadable as exc:
            log.error("incident.unreadable", incident=incident_id, error=str(exc))  # noqa: TRY400
            return False
        return is_retried

    async def _accept_some(self, pending: Sequence[_Arrivals], policy_for: PolicyFor) -> None:
        """One step for each: an incident created, known ones changed, or nothing, when somebody else was faster."""
        if len(pending) == 1 and await self._is_created_at_once(pending[0], policy_for):
            return
        known = await self._known(pending)
        unknown = [arrivals for arrivals, ids in known.items() if not ids]
        for arrivals in unknown:
            while arrivals.pending and not arrivals.next.is_firing:  # a resolve of nothing known is done with
                arrivals.accepted.append(Accepted(Outcome.IGNORED, None))
        try:
            known |= await self._created([it for it in unknown if it.pending], policy_for)
        except StoreUnavailable as exc:  # it may be full: what is known already is written down all the same
            for arrivals in unknown:
                arrivals.error = exc
        known = {arrivals: ids for arrivals, ids in known.items() if ids}
        if not known:
            return
        async with AsyncExitStack() as locks:
            for incident_id in sorted({it for ids in known.values() for it in ids}):  # in one order everywhere, so
                await locks.enter_async_context(self._lock(incident_id))  # that nobody waits in a circle
            await self._observed(known, policy_for)

    async def _is_created_at_once(self, arrivals: _Arrivals, policy_for: PolicyFor) -> bool:
        """Create an incident that is probably new without looking for it first, and say whether it was new.

        Only where it is alone in its request: of several, each may be about what those before it created or ended.
        """
        names = self._names_if_new(arrivals)
        if names is None or not self._store.can_create_new:
            return False
        now_ms = self._clock.now_ms()
        change = self._triggered(arrivals, policy_for, now_ms)
        try:
            arrivals.may_be_new = await self._store.create_new(change, names, now_ms=now_ms)
        except StoreFull:  # it refuses what is new, but not an update, should the incident be known
            return False
        if arrivals.may_be_new:
            self._note_created(arrivals, change)
        return arrivals.may_be_new

    def _names_if_new(self, arrivals: _Arrivals) -> Names | None:
        """All by which it may be known, where it is new most likely, and its alerts can be named with it."""
        notification, *more = arrivals.notifications
        is_known = not arrivals.may_be_new or arrivals.dedup_key in self._lately
        if more or is_known or not notification.is_firing:
            return None
        names = self._names(arrivals) or Names()
        are_named = len(names.alerts) == len(notification.alerts) or not notification.group
        return names if are_named and len(names.alerts) <= ALERTS_ASKED_MAX else None

    async def _known(self, pending: Sequence[_Arrivals]) -> dict[_Arrivals, tuple[IncidentId, ...]]:
        """The incidents that each is about, as far as their names tell: by the key, else by what else it may have."""
        origins = self._reporting.unknown([it.next for it in pending])
        # Of what is new most likely, all names are asked for at once: that saves a round trip.
        asked = {it: names for it in pending if it.dedup_key not in self._lately and (names := self._names(it))}
        named, report, found = await self._store.find([it.dedup_key for it in pending], origins, [*asked.values()])
        older = dict(zip(asked, found, strict=True))
        self._reporting.learn(origins, report)
        known: dict[_Arrivals, tuple[IncidentId, ...]] = {}
        for arrivals, text in zip(pending, named, strict=True):
            arrivals.named = text
            every = dict.fromkeys((*map(IncidentId, text.split()), *arrivals.found))
            known[arrivals] = tuple(it for it in every if it not in arrivals.others)
        unnamed = [arrivals for arrivals, ids in known.items() if not ids]
        missing = {it: names for it in unnamed if it not in older and (names := self._names(it))}
        if missing:
            older |= zip(missing, await self._store.find_older([*missing.values()]), strict=True)
        for arrivals in unnamed:
            known[arrivals] = tuple(it for it in older.get(arrivals, ()) if it not in arrivals.others)
        for arrivals, ids in known.items():
            if ids:
                self._lately.note(arrivals.dedup_key, None)
        return known

    def _names(self, arrivals: _Arrivals) -> Names | None:
        """By what else an incident may be known; None where nothing else tells."""
        notification = arrivals.next
        if notification.dedup_key is None or notification.is_keyed:
            return None
        start_ms = transitions.episode_start_ms(notification)
        older = [key for it in arrivals.pending for key in it.older_keys]
        keys = tuple(dict.fromkeys(key for key in older if key != arrivals.dedup_key))
        by_key = (arrivals.dedup_key, *keys) if self._installation else keys
        ids = () if start_ms is None else tuple(incident_id(key, start_ms) for key in by_key)
        began = tuple(_began([notification]).values())
        return Names(keys, ids, began) if keys or ids or began else None

    async def _created(
        self, firing: Sequence[_Arrivals], policy_for: PolicyFor
    ) -> dict[_Arrivals, tuple[IncidentId, ...]]:
        """Create an incident for each; what exists already is returned."""
        now_ms = self._clock.now_ms()
        changes = [self._triggered(it, policy_for, now_ms) for it in firing]
        existing = await self._store.create(
            [(change, arrivals.named) for change, arrivals in zip(changes, firing, strict=True)], now_ms=now_ms
        )
        for change, arrivals, there in zip(changes, firing, existing, strict=True):
            if not there:
                self._note_created(arrivals, change)
        pairs = zip(firing, existing, strict=True)
        return {arrivals: tuple(map(IncidentId, there.split())) for arrivals, there in pairs}

    def _triggered(self, arrivals: _Arrivals, policy_for: PolicyFor, now_ms: int) -> Change:
        """The incident that the next of *arrivals* would create."""
        notification = arrivals.next
        policy = policy_for(notification, now_ms)
        change = transitions.trigger(
            notification, policy, dedup_key=arrivals.dedup_key, now_ms=now_ms, installation=self._installation
        )
        return _with_payload(change, notification)

    def _note_created(self, arrivals: _Arrivals, change: Change) -> None:
        _log_change(change)
        self._lately.note(arrivals.dedup_key, None)
        arrivals.accepted.append(Accepted(Outcome.CREATED, change.incident))

    async def _observed(self, known: Mapping[_Arrivals, tuple[IncidentId, ...]], policy_for: PolicyFor) -> None:
        """Apply what is pending to incidents that exist, all of one incident in one save."""
        now_ms = self._clock.now_ms()
        ids = tuple(dict.fromkeys(it for found in known.values() for it in found))
        found = dict(zip(ids, await self._store.get_each(ids), strict=True))
        steps = {incident_id: _Step(it) for incident_id, it in found.items() if isinstance(it, Incident)}
        unread = {incident_id: it for incident_id, it in found.items() if isinstance(it, Unreadable)}
        await self._look_elsewhere(known, steps)
        outcomes: dict[_Arrivals, list[tuple[Outcome, IncidentId]]] = {}
        for arrivals, named in known.items():
            if {*arrivals.found} - {*named} - arrivals.others:
                continue  # once more, with all of them
            mine = [
                steps[it] for it in named if it in steps and _is_about(steps[it].before, arrivals, policy_for, now_ms)
            ]
            arrivals.others |= {*named} - {it.before.id for it in mine}
            if not mine:
                arrivals.error = next((unread[it] for it in named if it in unread), None)
            else:
                for it in arrivals.pending:
                    if any(omits_what_fires(step.before.alerts, it) for step in mine):
                        await self._reporting.note_omission(it)
                outcomes[arrivals] = [
                    self._applied(self._reporting.marked(it), mine, arrivals.dedup_key, policy_for(it, now_ms), now_ms)
                    for it in arrivals.pending
                ]
        await self._store.settle([it for it, step in steps.items() if step.change is None])
        await self._save([step for step in steps.values() if step.change is not None], now_ms)
        for arrivals, results in outcomes.items():
            if all(steps[it].is_done for it in known[arrivals] if it in steps):
                again = _again(arrivals, steps, now_ms) if len(known) == 1 else None
                arrivals.accepted += [Accepted(outcome, _as_saved(steps[it]), again) for outcome, it in results]

    async def _look_elsewhere(
        self, known: Mapping[_Arrivals, tuple[IncidentId, ...]], steps: Mapping[IncidentId, _Step]
    ) -> None:
        """Find what holds the alerts that are new to the incidents found: of groups that become one, each has its own.

        Such a group need not be listed as a whole at first. One that fires anew may do so in another incident.
        """
        new: dict[_Arrivals, Names] = {}
        for arrivals, ids in known.items():
            alerts = [alert for it in ids if it in steps for alert in steps[it].before.alerts]
            held = {(alert.fingerprint, on.starts_at_ms) for alert in alerts for on in alert.listings.values()}
            began = _began(arrivals.pending)
            if missing := tuple(alert for alert in began.values() if alert not in held):
                new[arrivals] = Names(alerts=missing)
        if new:
            for arrivals, ids in zip(new, await self._store.find_older([*new.values()]), strict=True):
                arrivals.found = (*known[arrivals], *ids)

    def _applied(
        self, notification: Notification, mine: Sequence[_Step], dedup_key: str, policy: Policy, now_ms: int
    ) -> tuple[Outcome, IncidentId]:
        """What *notification* does to the incidents that it is about: the outcome for the first that it changes."""
        results: list[tuple[Outcome, IncidentId]] = []
        for step, part in _parts(notification, mine):
            later = self._decided(step.incident, part, policy, now_ms)
            results.append((later.outcome if later else Outcome.IGNORED, step.before.id))
            if later is None:
                continue
            later = _with_payload(replace(later, incident=transitions.named(later.incident, dedup_key)), part)
            step.change = step.change.then(later) if step.change else replace(later, before=step.before)
        changed = (it for it in results if it[0] is not Outcome.IGNORED)
        return next(changed, results[0])

    def _decided(self, incident: Incident, notification: Notification, policy: Policy, now_ms: int) -> Change | None:
        """What its sender asks for, and then what it says of the alerts."""
        if notification.asks is None:
            return transitions.observe(incident, notification, now_ms, policy, self.policy_of)
        by = Actor(notification.sender or notification.source)
        done = transitions.fulfil(incident, notification.asks, by, now_ms)
        if not notification.alerts:
            return done
        later = transitions.observe(done.incident if done else incident, notification, now_ms, policy, self.policy_of)
        return done.then(later) if done and later else later or done

    async def _save(self, changed: Sequence[_Step], now_ms: int) -> None:
        changes = [step.change for step in changed if step.change is not None]
        for step, change, is_saved in zip(
            changed, changes, await self._store.save(changes, now_ms=now_ms), strict=True
        ):
            step.is_saved = is_saved
            if is_saved:
                _log_change(change)
                self._metrics.observe_change(step.before, change.incident, now_ms)

    async def _apply(
        self, incident_id: IncidentId, decide: Decision, *, durably: bool = False, read: Incident | None = None
    ) -> tuple[Incident | None, Change | None]:
        """The incident afterwards and the change, which is None when there was nothing to change.

        *durably* when somebody is told; what only a worker goes by would be found out again. *read* is the incident
        where that was read just now.
        """
        # Those of one process take turns, so that a storm on one incident is no contest; other replicas conflict.
        async with self._lock(incident_id):
            return await self._decide_and_save(incident_id, decide, durably=durably, read=read)

    def _lock(self, incident_id: IncidentId) -> asyncio.Lock:
        return self._locks.setdefault(incident_id, asyncio.Lock())

    async def _decide_and_save(
        self, incident_id: IncidentId, decide: Decision, *, durably: bool, read: Incident | None
    ) -> tuple[Incident | None, Change | None]:
        incident = read
        for _ in range(MAX_CONFLICTS):
            incident = incident or await self._store.get(incident_id)
            if incident is None:
                return None, None
            now_ms = self._clock.now_ms()
            change = decide(incident, now_ms)
            if change is None:
                return incident, None
            change = replace(change, before=incident)
            [is_saved] = await self._store.save([change], now_ms=now_ms, durably=durably)
            if is_saved:
                _log_change(change)
                self._metrics.observe_change(incident, change.incident, now_ms)
                return replace(change.incident, version=incident.version + 1), change
            incident = None
        raise StoreUnavailable(f"incident {incident_id} keeps changing")


def _results(by_key: Mapping[str, _Arrivals], keys: Sequence[str]) -> list[Accepted]:
    """In the order of *keys*. Raises what kept the first one from being written down, or PartlyAccepted."""
    each = {key: iter(arrivals.results) for key, arrivals in by_key.items()}
    results = [next(each[key]) for key in keys]
    accepted = [it for it in results if isinstance(it, Accepted)]
    if len(accepted) == len(results):
        return accepted
    if accepted:
        raise PartlyAccepted(results)
    raise next(it.error for it in by_key.values() if it.error is not None)


def _is_about(incident: Incident, arrivals: _Arrivals, policy_for: PolicyFor, now_ms: int) -> bool:
    """Whether an incident is the one that is meant, which its own key tells, and another name does not alone.

    One alert may go to two receivers, each of which tells other people: these are two incidents.
    """
    notification = arrivals.next
    if incident.id in arrivals.named.split() or incident.dedup_key == arrivals.dedup_key:
        return True
    if {incident.dedup_key, *incident.aliases} & {arrivals.dedup_key, *notification.older_keys}:
        return is_the_same(incident, notification)
    is_same_receiver = incident.receiver == notification.receiver
    tells_the_same = is_same_receiver or incident.policy.places == policy_for(notification, now_ms).places
    return tells_the_same and any(shares_an_alert(incident, it) for it in arrivals.pending)


def _began(notifications: Sequence[Notification]) -> dict[str, tuple[str, int]]:
    """The alerts of lists, each as the index has it, by their fingerprints."""
    alerts = [alert for it in notifications if it.group and not it.is_keyed for alert in it.alerts]
    return {it.fingerprint: (it.fingerprint, it.starts_at_ms) for it in alerts if it.starts_at_ms is not None}


def _parts(notification: Notification, mine: Sequence[_Step]) -> list[tuple[_Step, Notification]]:
    """What *notification* says to each: of several, to each about the alerts that it has; the first has what is new."""
    if len(mine) == 1:
        return [(mine[0], notification)]
    held = [(step, alert) for step in mine for alert in step.incident.alerts]
    held.sort(key=lambda it: (it[0].incident.status is not Status.RESOLVED, it[1].is_firing))
    holders = {alert.fingerprint: step for step, alert in held}  # the last one counts: open, and there it fires
    first = next((it for it in mine if it.incident.status is not Status.RESOLVED), mine[0])
    parts = []
    for step in mine:
        alerts = tuple(it for it in notification.alerts if holders.get(it.fingerprint, first) is step)
        if alerts or step.incident.status is not Status.RESOLVED:  # it hears also what is left out
            title = notification.title if alerts == notification.alerts else step.incident.title
            parts.append((step, replace(notification, alerts=alerts, title=title)))
    return parts


def _with_payload(change: Change, notification: Notification) -> Change:
    """With the body that it comes of, where that is to be kept, and is another than the one that is."""
    if notification.payload is None:
        return change
    digest, packed = pack(notification.payload, change.incident.payload_digest)
    return replace(change, incident=replace(change.incident, payload_digest=digest), payload=packed)


def _again(arrivals: _Arrivals, steps: Mapping[IncidentId, _Step], now_ms: int) -> Again | None:
    """What the one notification of *arrivals* does once more; None where that is not about one incident by its key."""
    step = steps.get(IncidentId(arrivals.named))
    if step is None or step.change is None or len(steps) > 1 or len(arrivals.notifications) > 1:
        return None
    is_named = step.before.dedup_key == arrivals.dedup_key
    return repeats.again(step.change, arrivals.notifications[0], now_ms) if is_named else None


def _as_saved(step: _Step) -> Incident:
    return step.before if step.change is None else replace(step.incident, version=step.before.version + 1)


def _log_change(change: Change) -> None:
    for entry in change.entries:
        said = {"detail": entry.detail, "by": str(entry.by or "")}
        log.info(
            "incident.changed",
            incident=change.incident.id,
            what=entry.event.value,
            **{name: value for name, value in said.items() if value},
        )
