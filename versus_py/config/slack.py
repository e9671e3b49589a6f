"""Where alerts are posted, and who may do what there: alert.slack."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from versus_py.config.parts import (
    LOOPBACK,
    MAX_WAIT_MINUTES,
    ChannelPart,
    HttpUrl,
    Number,
    Part,
    RouteTo,
    Secret,
    TimeZone,
    in_form,
)
from versus_py.config.routes import Matching
from versus_py.config.severities import row_warnings
from versus_py.config.versus_incident.template import is_shipped_template
from versus_py.incidents.severity import row_for
from versus_py.shipped import SLACK_TEMPLATE, shipped

if TYPE_CHECKING:
    from versus_py.config.model import Config

_CHANNEL = re.compile(r"#?[A-Za-z0-9._-]{1,80}")


def _mention(value: str) -> str:
    if not re.fullmatch(r"(<(!(here|channel|everyone|subteam\^S[A-Z0-9]+)|@[UW][A-Z0-9]+)> ?)+", value):
        raise ValueError("must be Slack's form of a mention, such as <!subteam^S0123456789>, <@U0123456789> or <!here>")
    return value.strip()


def _mention_or_none(value: str) -> str:
    """Not a union with Literal[""], which would tell one mistake once for each of its members."""
    return _mention(value) if value else value


def is_channel_id(value: str) -> bool:
    return re.fullmatch(r"[CGD][A-Z0-9]+", value) is not None


TimeOfDay = Annotated[
    str,
    *in_form("([01][0-9]|2[0-3]):[0-5][0-9]", 'a time of day from 00:00 to 23:59, such as "09:00"'),
]
Mention = Annotated[str, AfterValidator(_mention)]
OptionalMention = Annotated[str, AfterValidator(_mention_or_none)]
UserId = Annotated[str, *in_form("[UW][A-Z0-9]+", "a user's id, such as U0123456789, and not a name")]
GroupId = Annotated[str, *in_form("S[A-Z0-9]+", "a user group's id, such as S0123456789, and not a name")]

ChannelName = Annotated[
    str, *in_form("[a-z0-9][a-z0-9._-]{0,79}", "a name of lower-case letters, digits, dots, hyphens and underscores")
]
ChannelId = Annotated[str, *in_form("[CGD][A-Z0-9]+", "a channel's id, such as C0123456789, and not a name")]

NO_CHANNEL_ID = "does not look like an id, such as C0123456789; a name may not work"


SIMULATED_SIGNING_SECRET = "slack-signing-secret"  # noqa: S105 - everybody's
"""What `versus simulate slack` signs with by itself."""


class MessageProperties(Part):
    """How the Slack message looks."""

    button_text: str = Field("Acknowledge Alert", min_length=1, max_length=75)
    """The label of the acknowledge button; Slack's limit is 75 characters."""
    button_style: Literal["primary", "danger", "default"] = "primary"
    """The button's colour: green, red, or none."""
    disable_button: bool = False
    """Put the link to acknowledge into the text instead of a button."""


class SlackActions(Part):
    """What people may do with buttons; each can be switched off."""

    acknowledge: bool = True
    """Take the incident, so that it does not escalate."""
    unacknowledge: bool = True
    """Give it back: the wait starts again."""
    resolve: bool = True
    """Say that it is over."""
    escalate: bool = True
    """Escalate at once."""
    snooze: bool = True
    """Be left alone for a while; the rest of the wait goes on afterwards."""
    severity: bool = True
    """Say how grave it is."""
    route: bool = True
    """Have others deal with it, by another policy or in another channel."""


class SlackSnooze(Part):
    """The choices of the snooze button."""

    minutes: tuple[Annotated[int, Number, Field(ge=1, le=MAX_WAIT_MINUTES)], ...] = Field((15, 60), max_length=10)
    """For so many minutes."""
    until: tuple[TimeOfDay, ...] = Field(("09:00",), max_length=10)
    """Until the next time that it is so late."""
    timezone: TimeZone = "UTC"
    """Where it is so late, such as Europe/Berlin."""


class SlackStorm(Part):
    """What happens when more new incidents come than a channel takes."""

    threshold: Annotated[int, Number] = Field(20, ge=1, le=1000)
    """How many messages may wait for a channel; one message, edited in place, stands for what comes beyond that."""


class SlackRouteTo(RouteTo):
    """Where a route leads in Slack."""

    channel_id: str = ""
    """The channel; without one, the default channel."""
    mention: OptionalMention = ""
    """Who is mentioned, instead of what alert.slack.mention says."""

    @property
    def destination(self) -> str:
        return self.channel_id

    @property
    def mentions(self) -> str:
        return self.mention

    def warnings(self, path: str) -> Iterator[str]:
        if self.channel_id and not is_channel_id(self.channel_id):
            yield f"{path}.channel_id {NO_CHANNEL_ID}"


class SlackRoute(Matching):
    """An item of `routes` as it was written before other channels had routes too."""

    channel_id: str = ""
    """The channel; without one, the default channel."""
    mention: OptionalMention = ""
    """Who is mentioned, instead of what alert.slack.mention says."""

    @property
    def leads_to(self) -> SlackRouteTo:
        return SlackRouteTo(channel_id=self.channel_id, mention=self.mention)

    def warnings(self, path: str) -> Iterator[str]:
        """What works, but is hardly what was meant, in the route at *path*."""
        if self.channel_id and not is_channel_id(self.channel_id):
            yield f"{path}.channel_id {NO_CHANNEL_ID}"
        if not self.channel_id and not self.mention and self.wait_minutes is None:
            yield f"{path} changes nothing: it has no channel_id, no mention and no wait_minutes"


class SlackConfig(ChannelPart):
    """Where alerts are posted."""

    NAME = "slack"
    TITLE = "Slack"
    OVERRIDE = "slack_channel_id"
    FALLBACK_PLACE = "A Slack channel."
    FALLBACK_KEYS = {
        "mention": (
            OptionalMention,
            Field("", description="Who is mentioned in that channel, such as <!subteam^S0123456789>."),
        )
    }
    ROUTE = SlackRouteTo
    PATHS = ("template_path",)
    PLACES = "channels"

    enable: bool = False
    """Post incidents to Slack."""
    token: Secret = SecretStr("")
    """The bot token, xoxb-…, with the scope chat:write."""
    channel_id: str = ""
    """The channel for everything that names no other, such as C0123456789."""
    channels: dict[ChannelName, ChannelId] = {}
    """Name -> channel, for steps of policies that notify slack:NAME."""
    template_path: Path | None = None
    """A Jinja2 template for the message's body; without one, a plain built-in body."""
    signing_secret: Secret = SecretStr("")
    """The app's signing secret; with it, buttons work by requests of Slack to {public_host}/api/slack/interactions."""
    app_token: Secret = SecretStr("")
    """The app-level token, xapp-…, with the scope connections:write; with it, buttons work by Socket Mode."""
    take_replies: bool = True
    """Take replies in an incident's thread as comments; needs signing_secret or app_token, and the app's bot events."""
    allowed_users: tuple[UserId, ...] = ()
    """The users who may press buttons; without any here and in allowed_groups, everybody in the channel may."""
    allowed_groups: tuple[GroupId, ...] = ()
    """The user groups whose members may; needs the scope usergroups:read."""
    actions: SlackActions = SlackActions()
    """What the buttons are."""
    snooze: SlackSnooze = SlackSnooze()
    """The choices of the snooze button."""
    mention: dict[str, Mention] = {}
    """Severity -> who is mentioned when an incident is posted and when it escalates, such as <!subteam^S0123456789>."""
    broadcast_on_escalate: bool = False
    """Post an escalation to the channel too, not only to the thread."""
    storm: SlackStorm = SlackStorm()
    """What happens when more new incidents come than a channel takes."""
    routes: tuple[SlackRoute, ...] = ()
    """The routes as they were written before other channels had some: use routes at the top instead."""
    message_properties: MessageProperties = MessageProperties()
    """How the message looks."""
    api_url: HttpUrl = "https://slack.com/api"
    """Slack's Web API, or a stand-in for it."""

    def stand_in(self, key: str, found: Path | None) -> tuple[Path, str] | None:  # noqa: ARG002
        if found is None:
            if self.template_path is None or self.template_path.name != SLACK_TEMPLATE:
                return None
            return shipped(SLACK_TEMPLATE), f"no file {str(self.template_path)!r}; the template of the package is used"
        with suppress(OSError, UnicodeDecodeError):
            if is_shipped_template(found.read_text(encoding="utf-8")):
                return shipped(SLACK_TEMPLATE), (
                    f"{str(found)!r} is the template of Versus Incident, unchanged, which is written for Go; "
                    "the template of the package is used in its place"
                )
        return None

    def problem_with(self, destination: str) -> str:
        return "" if _CHANNEL.fullmatch(destination) else "a channel's id such as C0123456789"

    @property
    def places(self) -> Mapping[str, str]:
        return self.channels

    def place_problem(self, place: str) -> str:
        if place in self.channels:
            return ""
        if place == self.channel_id:
            return f"any channel but this one, alert.slack.channel_id, which is the target {self.NAME}"
        name = next((name for name, channel in self.channels.items() if channel == place), None)
        if name is not None:
            return f"{name}, which names this channel in alert.slack.channels"
        names = ", ".join(self.channels) or "none so far"
        said = f"a name of alert.slack.channels ({names}), or a channel's id such as C0123456789"
        return "" if is_channel_id(place) else said

    def mention_for(self, severity: str) -> str:
        return row_for(self.mention, severity) or ""

    def mention_problem(self, mention: str) -> str:
        try:
            _mention(mention)
        except ValueError as exc:
            return str(exc)
        return ""

    def templates(self) -> Iterator[str]:
        if self.template_path is not None:
            with suppress(OSError, UnicodeDecodeError):
                yield self.template_path.read_text(encoding="utf-8")

    def problems(self, config: "Config") -> Iterator[str]:  # noqa: ARG002 - others need the rest
        if not self.token.get_secret_value():
            yield "alert.slack.token: is required when alert.slack.enable is true; it starts with xoxb-"
        if not self.channel_id:
            yield "alert.slack.channel_id: is required when alert.slack.enable is true, such as C0123456789"
        taken = {self.channel_id: "channel_id"}
        for name, channel in self.channels.items():
            other = taken.setdefault(channel, f"channels.{name}")
            if other != f"channels.{name}":
                yield f"alert.slack.channels.{name}: is {channel!r}, as alert.slack.{other} is"
        if self.is_restricted and not self.is_interactive:
            name = "allowed_users" if self.allowed_users else "allowed_groups"
            yield (
                f"alert.slack.{name}: needs alert.slack.signing_secret or app_token: who opens a link is not known, "
                "only who presses a button"
            )

    def fallback_problems(self, config: "Config", destination: str) -> Iterator[str]:  # noqa: ARG002
        if not self.enable:
            yield "oncall.fallback.slack_channel_id: needs alert.slack.enable: true"
        if destination == self.channel_id:
            taken = "alert.slack.channel_id, which has it already"
            yield f"oncall.fallback.slack_channel_id: is {taken}; name another channel"

    def warnings(self, config: "Config") -> Iterator[str]:
        """What works, but is hardly what was meant."""
        fallback_channel = getattr(config.oncall.fallback, self.OVERRIDE)
        if fallback_channel and not is_channel_id(fallback_channel):
            yield f"oncall.fallback.slack_channel_id {NO_CHANNEL_ID}"
        if self.enable:
            yield from self._warnings_when_enabled(config)

    def _warnings_when_enabled(self, config: "Config") -> Iterator[str]:
        if not self.token.get_secret_value().startswith("xoxb-"):
            yield "alert.slack.token does not start with xoxb-, as bot tokens do"
        if self.app_token.get_secret_value() and not self.app_token.get_secret_value().startswith("xapp-"):
            yield "alert.slack.app_token does not start with xapp-, as app-level tokens do"
        yield from self._warnings_about_requests()
        if not is_channel_id(self.channel_id):
            yield f"alert.slack.channel_id {NO_CHANNEL_ID}"
        yield from row_warnings("alert.slack.mention", self.mention, config)
        for index, route in enumerate(self.routes):
            yield from route.warnings(f"alert.slack.routes.{index}")
        api = urlsplit(self.api_url)
        if api.scheme == "http" and api.hostname not in LOOPBACK:
            yield "alert.slack.api_url starts with http://: the token travels in the clear"

        in_the_way = self.in_the_way_of_requests(config.public_host)
        if in_the_way is not None:
            yield in_the_way

    def _warnings_about_requests(self) -> Iterator[str]:
        secret = self.signing_secret.get_secret_value()
        if secret.startswith(("xapp-", "xoxb-")):
            yield (
                f"alert.slack.signing_secret starts with {secret[:5]}, as tokens do: the signing secret is in "
                "the app's Basic Information, App Credentials"
            )
        elif secret and not re.fullmatch("[0-9a-f]{32}", secret) and not self._is_simulated:
            yield "alert.slack.signing_secret does not look like one, which has 32 digits, 0 to 9 and a to f"
        if secret and self.uses_socket_mode:
            yield (
                "alert.slack.signing_secret and app_token are both set: Slack uses Socket Mode then, and sends no "
                "requests; set one of them"
            )

    def in_the_way_of_requests(self, public_host: str | None) -> str | None:
        """Why what people press cannot come as requests to *public_host*; None when they can, or are not meant to."""
        if self.uses_socket_mode or not self.signing_secret.get_secret_value():
            return None
        if public_host is None:
            why = "public_host is not set, but alert.slack.signing_secret is: Slack has to reach this server"
            return None if self._is_simulated else why
        url = urlsplit(public_host)
        if url.scheme != "https" and url.hostname not in LOOPBACK:  # a simulator on this machine sends to http:// too
            return f"public_host is {public_host}, but alert.slack.signing_secret is set: Slack sends to https:// only"
        return None

    @property
    def _is_simulated(self) -> bool:
        """Whether it is `versus simulate slack` on this machine, with the secret that this has by itself."""
        is_here = urlsplit(self.api_url).hostname in LOOPBACK
        return is_here and self.signing_secret.get_secret_value() == SIMULATED_SIGNING_SECRET

    @property
    def uses_socket_mode(self) -> bool:
        """Whether presses come by Socket Mode; Slack sends no requests then."""
        return bool(self.app_token.get_secret_value())

    @property
    def is_interactive(self) -> bool:
        """Whether buttons tell us who pressed them; else they are links."""
        return self.uses_socket_mode or bool(self.signing_secret.get_secret_value())

    @property
    def takes_replies(self) -> bool:
        """Whether what people write in threads comes here, and is taken."""
        return self.take_replies and self.is_interactive

    @property
    def default_destination(self) -> str:
        return self.channel_id

    @property
    def offers_acknowledge(self) -> bool:
        return self.actions.acknowledge

    @property
    def is_restricted(self) -> bool:
        """Whether only some may act."""
        return bool(self.allowed_users or self.allowed_groups)
