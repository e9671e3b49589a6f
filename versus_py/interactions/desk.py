"""Where presses are taken: permission, the change, and what is said afterwards."""

import asyncio
from collections.abc import Sequence

import structlog

from versus_py.config import SlackConfig
from versus_py.engine.lifecycle import Decision, Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, Incident
from versus_py.incidents.transitions import Change
from versus_py.interactions.allowed import Allowed, Permission
from versus_py.interactions.answers import CANNOT_TELL, how_it_stands, only_some_may, switched_off
from versus_py.interactions.follow_ups import FollowUps
from versus_py.interactions.people import Directory
from versus_py.interactions.press import Press
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests
from versus_py.targets.slack.actions import Action, snoozed_until_ms
from versus_py.targets.slack.api import SlackApi

log = structlog.get_logger()

TAKE_WITHIN_S = 2.5
"""Slack waits 3 seconds for its answer: docs.slack.dev/interactivity/handling-user-interaction."""


class Desk:
    """Takes presses. While Slack waits, only Redis is called; `run` does the rest."""

    def __init__(
        self,
        config: SlackConfig,
        *,
        lifecycle: Lifecycle,
        people: KnownPeople,
        requests: TakenRequests,
        api: SlackApi,
        allowed: Allowed | None = None,
        follow_ups: FollowUps | None = None,
        take_within_s: float = TAKE_WITHIN_S,
    ) -> None:
        self._config = config
        self._lifecycle = lifecycle
        self._people = people
        self._requests = requests
        self._api = api
        self._allowed = allowed or Allowed(config, api)
        self._directory = Directory(people, api)
        self._follow_ups = follow_ups or FollowUps()
        self._take_within_s = take_within_s

    async def take(self, presses: Sequence[Press]) -> None:
        """When this returns, what they ask for has happened, or the person will hear why not.

        Raises StoreUnavailable, also when Redis takes too long: then nothing is known to have happened. The same
        press has its effect once, however often it is taken.
        """
        try:
            async with asyncio.timeout(self._take_within_s):
                for press in presses:
                    await self._take(press)
        except TimeoutError:
            raise StoreUnavailable(f"Redis did not answer within {self._take_within_s:g} s") from None

    async def run(self, stop: asyncio.Event) -> None:
        """Say what is to be said, ask who people are, and who is in the groups that may act, until *stop*."""
        async with asyncio.TaskGroup() as loops:
            loading = loops.create_task(self._allowed.run())
            await self._follow_ups.run(stop)
            loading.cancel()

    async def _take(self, press: Press) -> None:
        if await self._requests.has(press.request_id):
            return
        refusal = self._refusal(press)
        if refusal:
            log.info("interaction.refused", **_named(press), reason=refusal)
            self._say(press, refusal)
        else:
            await self._act(press)
        await self._requests.add(press.request_id)  # last, so that what failed can be sent again

    def _refusal(self, press: Press) -> str:
        """What to tell somebody who may not do that; "" when they may."""
        match self._allowed.permission(press.user_id):
            case Permission.NO:
                return only_some_may(self._config)
            case Permission.UNKNOWN:
                return CANNOT_TELL
            case Permission.YES:
                is_on: bool = getattr(self._config.actions, press.action)
                return "" if is_on else switched_off(press.action)

    async def _act(self, press: Press) -> None:
        known = await self._people.get(press.user_id)
        decision = self._decision(press, known or press.actor)
        incident, is_changed = await self._lifecycle.act(press.incident_id, decision, press.request_id)
        log.info("interaction.taken", **_named(press), is_changed=is_changed)
        is_replay = incident is not None and press.request_id in incident.handled
        if not is_changed and not is_replay:
            self._say(press, how_it_stands(press.action, incident, press.user_id))
        if known is None and incident is not None:
            self._follow_ups.add("who that is", lambda: self._identify(press), incident=press.incident_id)

    def _decision(self, press: Press, by: Actor) -> Decision:
        def snooze(incident: Incident, now_ms: int) -> Change | None:
            until_ms = snoozed_until_ms(press.choice, self._config.snooze, now_ms)
            return transitions.snooze(incident, until_ms, by, now_ms)

        match press.action:
            case Action.ACKNOWLEDGE:
                return lambda incident, now_ms: transitions.acknowledge(incident, by, now_ms)
            case Action.UNACKNOWLEDGE:
                return lambda incident, now_ms: transitions.unacknowledge(incident, by, now_ms)
            case Action.RESOLVE:
                return lambda incident, now_ms: transitions.resolve(incident, by, now_ms)
            case Action.ESCALATE:
                return lambda incident, now_ms: transitions.escalate(incident, by, now_ms)
            case Action.SNOOZE:
                return snooze

    def _say(self, press: Press, text: str) -> None:
        """To the one who pressed, and nobody else. Not by response_url: no URL that a request names is fetched."""

        async def post() -> None:
            await self._api.post("chat.postEphemeral", channel=press.channel, user=press.user_id, text=text)

        what = f"an answer to {press.user_id} in {press.channel}"
        self._follow_ups.add(what, post, incident=press.incident_id)

    async def _identify(self, press: Press) -> None:
        person = await self._directory.find(press.actor)
        await self._lifecycle.identify(press.incident_id, person)


def _named(press: Press) -> dict[str, str]:
    return {"action": press.action, "incident": press.incident_id, "user": press.user_id}
