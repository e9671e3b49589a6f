"""Slack's side of what people press: who may, what is offered, and how they are answered."""

from collections.abc import Mapping, Sequence

import aiohttp

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.incidents.actions import Action, snoozed_until_ms
from versus_py.incidents.model import Actor, Incident
from versus_py.targets.interactive import FormPress, Loop, Permission, Press, Take, WaysIn
from versus_py.targets.slack.allowed import Allowed
from versus_py.targets.slack.api import Refused, SlackApi
from versus_py.targets.slack.forms import form
from versus_py.targets.slack.mrkdwn import date, escape, link
from versus_py.targets.slack.people import People
from versus_py.targets.slack.plain import plain
from versus_py.targets.slack.requests import SlackRequests
from versus_py.targets.slack.socket_mode import SocketMode

TAKE_WITHIN_S = 2.5
"""Slack waits 3 seconds for its answer: docs.slack.dev/interactivity/handling-user-interaction."""

NAMED_MAX = 10
"""The most users and groups that are named as those who may act."""


class SlackMarkup:
    """mrkdwn."""

    def bold(self, text: str) -> str:
        return f"*{escape(text)}*"

    def link(self, url: str, label: str) -> str:
        return link(url, label)

    def date(self, at_ms: int) -> str:
        return date(at_ms)


class SlackInteractive:
    """By Socket Mode where `alert.slack.app_token` is set, else by requests that Slack signs.

    *policies* are the names of those that an incident may be routed to.
    """

    take_within_s = TAKE_WITHIN_S
    markup = SlackMarkup()

    def __init__(
        self,
        config: SlackConfig,
        api: SlackApi,
        session: aiohttp.ClientSession,
        clock: Clock,
        allowed: Allowed | None = None,
        *,
        policies: Sequence[str] = (),
    ) -> None:
        self._config = config
        self._policies = policies
        self._api = api
        self._session = session
        self._clock = clock
        self._allowed = allowed or Allowed(config, api)
        self._people = People(api)

    def ways_in(self, take: Take) -> WaysIn:
        config, secret = self._config, self._config.signing_secret.get_secret_value()
        loops: dict[str, Loop] = {}
        if config.app_token.get_secret_value():
            loops["socket mode"] = SocketMode(config, take, self._session).run
        requests = SlackRequests(secret, take, self._api.clock, takes_replies=config.take_replies) if secret else None
        return WaysIn(requests, loops)

    def permission(self, press: Press) -> Permission:
        return self._allowed.permission(press.user_id)

    def who_may(self) -> str:
        return who_may(self._config)

    def is_offered(self, action: Action) -> bool:
        is_on: bool = getattr(self._config.actions, action)
        return is_on

    def plain(self, text: str, names: Mapping[str, str]) -> str:
        return plain(text, names)

    def snoozed_until_ms(self, choice: str, now_ms: int) -> int:
        return snoozed_until_ms(choice, self._config.snooze.timezone, now_ms)

    async def open_form(self, press: FormPress, incident: Incident) -> None:
        """Within the 3 seconds that Slack allows from the press on; else the person is told to press again."""
        view = form(press.action, incident, press.where["channel"], self._policies)
        try:
            await self._api.post("views.open", trigger_id=press.where["trigger_id"], view=view)
        except Refused as exc:
            await self.answer(
                press, f"Nothing was changed: the form did not open ({exc.code}). Press the button again."
            )

    async def answer(self, press: Press, text: str) -> None:
        """Not by response_url: no URL that a request names is fetched."""
        await self._api.post("chat.postEphemeral", channel=press.where["channel"], user=press.user_id, text=text)

    async def describe(self, actor: Actor) -> tuple[Actor, int]:
        return await self._people.describe(actor)

    async def keep_members(self) -> None:
        await self._allowed.run()


def who_may(config: SlackConfig) -> str:
    """Those who may act, a few of them by name."""
    users = [f"<@{user}>" for user in config.allowed_users]
    named = users + [f"<!subteam^{group}>" for group in config.allowed_groups]
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    return ", ".join(named[:NAMED_MAX]) + more
