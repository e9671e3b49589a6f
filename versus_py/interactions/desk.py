"""Where presses and replies are taken: permission, the change, and what is said afterwards."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import structlog

from versus_py.engine.choices import Choices, UnknownChoice
from versus_py.engine.lifecycle import NOT_READ, Decision, Lifecycle
from versus_py.engine.storms import StormAcknowledgment, Tally
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents import transitions, triage
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.incidents.transitions import Change
from versus_py.interactions.answers import (
    CANNOT_TELL,
    UNKNOWN_STORM,
    Standing,
    only_some_may,
    switched_off,
    unknown_choice,
)
from versus_py.interactions.follow_ups import FollowUps
from versus_py.interactions.people import Directory
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests
from versus_py.targets.interactive import (
    FormPress,
    IncidentPress,
    Interaction,
    Interactive,
    Permission,
    Press,
    Reply,
    StormPress,
)

log = structlog.get_logger()

AT_ONCE_SHARE = 0.5
"""How much of a system's deadline acknowledging a storm may take: the batch that is begun last has to end too."""

MENTIONS_MAX = 10
"""The most people of a comment that are shown by their names; others by their ids."""

REST_WITHIN_S = 20.0
"""How long the rest may take."""


class Desk:
    """Takes presses and replies of all *channels*, by their names. `run` does what need not be done at once.

    While somebody waits, only Redis is called. *called* tells what people call a target.
    """

    def __init__(
        self,
        channels: Mapping[str, Interactive],
        *,
        lifecycle: Lifecycle,
        storms: StormAcknowledgment,
        people: KnownPeople,
        requests: TakenRequests,
        called: Callable[[str], str],
        choices: Choices | None = None,
        follow_ups: FollowUps | None = None,
    ) -> None:
        self._channels = channels
        self._lifecycle = lifecycle
        self._storms = storms
        self._people = people
        self._requests = requests
        self._called = called
        self._choices = choices or Choices(called=called)
        self._follow_ups = follow_ups or FollowUps()

    async def take(self, interactions: Sequence[Interaction]) -> None:
        """When this returns, what they ask for has happened, or the person will hear why not.

        Raises StoreUnavailable, also when Redis takes too long: then nothing is known to have happened. The same
        interaction has its effect once, however often it is taken.
        """
        within_s = min((self._channels[it.system].take_within_s for it in interactions), default=0)
        try:
            async with asyncio.timeout(within_s):
                for it in interactions:
                    await self._take(it)
        except TimeoutError:
            raise StoreUnavailable(f"Redis did not answer within {within_s:g} s") from None

    async def run(self, stop: asyncio.Event) -> None:
        """Say what is to be said, ask who people are, and who is in the groups that may act, until *stop*."""
        async with asyncio.TaskGroup() as loops:
            loading = [loops.create_task(it.keep_members()) for it in self._channels.values()]
            await self._follow_ups.run(stop)
            for task in loading:
                task.cancel()

    async def _take(self, interaction: Interaction) -> None:
        if await self._requests.has(interaction.request_id):
            return
        if isinstance(interaction, Reply):
            await self._comment(interaction)
        elif isinstance(interaction, Press):
            await self._take_press(interaction)
        await self._requests.add(interaction.request_id)  # last, so that what failed can be sent again

    async def _comment(self, reply: Reply) -> None:
        """What is written in the thread of an incident's message is a comment on it; nobody is answered."""
        try:
            incident_id = await self._lifecycle.incident_at(reply.system, reply.locator)
            if incident_id is None:
                return
            by = await self._people.get(reply.system, reply.user_id)
            text = self._channels[reply.system].plain(reply.text, await self._names(reply))
            if not text:
                return
            decision = partial(_comment, reply, text, by or reply.actor)
            _, is_changed = await self._lifecycle.act(incident_id, decision, reply.request_id)
        except Unreadable as exc:
            log.error("incident.unreadable", action="comment", user=reply.user_id, error=str(exc))  # noqa: TRY400
            return
        about = {"action": "comment", "user": reply.user_id, "incident": incident_id}
        log.info("interaction.taken", **about, is_changed=is_changed)
        if by is None:
            self._follow_ups.add("who that is", lambda: self._identify(reply, [incident_id]), incident=incident_id)

    async def _names(self, reply: Reply) -> dict[str, str]:
        """Of the people that it mentions, those whom somebody has asked for before."""
        wanted = dict.fromkeys(reply.mentioned[:MENTIONS_MAX])
        people = {user_id: await self._people.get(reply.system, user_id) for user_id in wanted}
        return {user_id: person.name for user_id, person in people.items() if person is not None}

    async def _take_press(self, press: Press) -> None:
        refusal = self._refusal(press)
        if refusal:
            log.info("interaction.refused", **_named(press), reason=refusal)
            self._say(press, refusal)
        elif isinstance(press, StormPress):
            await self._acknowledge_all(press)
        elif isinstance(press, IncidentPress):
            await self._act(press)
        elif isinstance(press, FormPress):
            await self._open_form(press)

    def _refusal(self, press: Press) -> str:
        """What to tell somebody who may not do that; "" when they may."""
        channel = self._channels[press.system]
        match channel.permission(press):
            case Permission.NO:
                return only_some_may(channel.who_may())
            case Permission.UNKNOWN:
                return CANNOT_TELL
            case Permission.YES:
                title = self._called(press.system)
                return "" if channel.is_offered(press.action) else switched_off(press.action, title)

    async def _acknowledge_all(self, press: StormPress) -> None:
        """As many as the system's deadline allows; the rest follows, and then the person hears what was done."""
        by = await self._people.get(press.system, press.user_id) or press.actor
        within_s = self._channels[press.system].take_within_s * AT_ONCE_SHARE
        tally = await self._acknowledge_some(press, by, within_s)
        if tally is not None and tally.left:
            self._follow_ups.add("the rest of a storm", lambda: self._acknowledge_rest(press, by), storm=press.storm_id)
            return
        self._tell(press, tally)

    async def _acknowledge_rest(self, press: StormPress, by: Actor) -> None:
        self._tell(press, await self._acknowledge_some(press, by, REST_WITHIN_S))

    async def _acknowledge_some(self, press: StormPress, by: Actor, within_s: float) -> Tally | None:
        return await self._storms.acknowledge(
            press.place, press.storm_id, by, within_s=within_s, request_id=press.request_id
        )

    def _tell(self, press: StormPress, tally: Tally | None) -> None:
        """What became of a storm; and have those acknowledged by an id say the person's name."""
        self._say(press, UNKNOWN_STORM if tally is None else tally.text(self._channels[press.system].markup.bold))
        if tally is not None and tally.acknowledged:
            self._follow_ups.add("who that is", lambda: self._identify(press, tally.acknowledged))

    async def _act(self, press: IncidentPress) -> None:
        known = await self._people.get(press.system, press.user_id)
        try:
            decision = self._decision(press, known or press.actor)
        except UnknownChoice as exc:
            self._say(press, unknown_choice(str(exc)))
            return
        try:
            incident, is_changed = await self._lifecycle.act(press.incident_id, decision, press.request_id)
        except Unreadable as exc:
            self._say_unreadable(press, exc)
            return
        log.info("interaction.taken", **_named(press), is_changed=is_changed)
        is_replay = incident is not None and press.request_id in incident.handled
        if not is_changed and not is_replay:
            await self._say_standing(press, incident)
        if known is None and incident is not None:
            about = press.incident_id
            self._follow_ups.add("who that is", lambda: self._identify(press, [about]), incident=about)

    async def _open_form(self, press: FormPress) -> None:
        """At once, as systems allow seconds for it; for what is resolved, the person hears how it stands instead."""
        try:
            incident, _ = await self._lifecycle.act(press.incident_id, _nothing)
        except Unreadable as exc:
            self._say_unreadable(press, exc)
            return
        if incident is None or incident.status is Status.RESOLVED:
            await self._say_standing(press, incident)
            return
        channel = self._channels[press.system]
        self._follow_ups.add("a form", lambda: channel.open_form(press, incident), **_about(press))

    async def _say_standing(self, press: IncidentPress | FormPress, incident: Incident | None) -> None:
        standing = Standing(self._channels[press.system].markup, self._called)
        if incident is None:
            said = standing.unknown(await self._lifecycle.lost_at_ms(press.incident_id))
        else:
            said = standing.how_it_stands(press.action, incident, press.actor)
        self._say(press, said)

    def _say_unreadable(self, press: Press, exc: Unreadable) -> None:
        log.error("incident.unreadable", **_named(press), error=str(exc))
        self._say(press, f"Nothing was changed: {NOT_READ[0].lower()}{NOT_READ[1:]}")

    def _decision(self, press: IncidentPress, by: Actor) -> Decision:
        def snooze(incident: Incident, now_ms: int) -> Change | None:
            until_ms = self._channels[press.system].snoozed_until_ms(press.choice, now_ms)
            return transitions.snooze(incident, until_ms, by, now_ms)

        match press.action:
            case Action.ACKNOWLEDGE:
                return lambda incident, now_ms: transitions.acknowledge(incident, by, now_ms)
            case Action.UNACKNOWLEDGE:
                return lambda incident, now_ms: transitions.unacknowledge(
                    incident, by, now_ms, self._lifecycle.policy_of
                )
            case Action.RESOLVE:
                return lambda incident, now_ms: transitions.resolve(incident, by, now_ms, press.comment)
            case Action.ESCALATE:
                return lambda incident, now_ms: transitions.escalate(incident, by, now_ms, self._lifecycle.policy_of)
            case Action.SNOOZE:
                return snooze
            case Action.SEVERITY | Action.ROUTE:
                return self._triage(press, by)

    def _triage(self, press: IncidentPress, by: Actor) -> Decision:
        """Raises UnknownChoice."""
        policy_of = self._lifecycle.policy_of
        if press.action is Action.SEVERITY:
            severity = self._choices.severity(press.choice)
            return lambda incident, now_ms: triage.set_severity(incident, severity, by, now_ms, policy_of)
        to = self._choices.route(press.choice, press.place and f"{press.system}:{press.place}")
        return lambda incident, now_ms: triage.route(incident, to, by, now_ms, policy_of)

    def _say(self, press: Press, text: str) -> None:
        """To the one who pressed, and nobody else."""
        what = f"an answer to {press.user_id}"
        channel = self._channels[press.system]
        self._follow_ups.add(what, lambda: channel.answer(press, text), **_about(press))

    async def _identify(self, done: Interaction, incident_ids: Sequence[IncidentId]) -> None:
        person = await Directory(done.system, self._people, self._channels[done.system]).find(done.actor)
        for incident_id in incident_ids:
            await self._lifecycle.identify(incident_id, person)


def _comment(reply: Reply, text: str, by: Actor, incident: Incident, now_ms: int) -> Change | None:
    """The decision of a reply, beside what is given with each."""
    said_at = incident.target_at(reply.system, reply.locator) or ""
    return transitions.comment(incident, text, by, now_ms, said_at=said_at, locator=reply.locator)


def _nothing(_incident: Incident, _now_ms: int) -> None:
    """A decision that only looks."""


def _named(press: Press) -> dict[str, str]:
    return {"action": press.action, "user": press.user_id, **_about(press)}


def _about(press: Press) -> dict[str, str]:
    match press:
        case IncidentPress() | FormPress():
            return {"incident": press.incident_id}
        case StormPress():
            return {"storm": press.storm_id}
        case _:
            return {}
