"""What the parts of the configuration have in common: how they read values, and the kinds of values."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from urllib.parse import SplitResult, quote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from versus_py.templating import TemplateFailed, TemplateText

if TYPE_CHECKING:
    from versus_py.config.model import Config

MAX_WAIT_MINUTES = 7 * 24 * 60
"""The longest wait before an escalation, for the configuration and for overrides."""

_UNITS_MS = {
    "y": 365 * 24 * 3_600_000,
    "w": 7 * 24 * 3_600_000,
    "d": 24 * 3_600_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
"""Those of Prometheus' durations, each at most once and in this order."""

_DURATION = re.compile("".join(f"(?:([0-9]{{1,12}}){unit})?" for unit in _UNITS_MS), re.ASCII)

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def split_url(value: str) -> SplitResult:
    """Raises ValueError, without the value in it."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL; its host or port cannot be read") from None
    return parts


def _http_url(value: str) -> str:
    """A base URL without its trailing slash."""
    parts = split_url(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be a URL that starts with https:// or http://")
    if parts.username or parts.password:
        raise ValueError("must not carry credentials: they have keys of their own")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    return value.rstrip("/")


def _no_boolean(value: Any) -> Any:
    """YAML reads yes and on as booleans, which pydantic would count as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _secret(value: Any) -> Any:
    """YAML reads 0123 as 83 and 1.10 as 1.1: what looks like a number is no secret as it was written."""
    if isinstance(value, int | float):
        raise ValueError("must be text: put it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    if isinstance(value, str) and value.isspace():
        raise ValueError("is blank")
    return value


def _written_out(value: Any) -> Any:
    """YAML's true and false as ServiceNow writes them."""
    return str(value).lower() if isinstance(value, bool) else value


def _template(value: str) -> str:
    try:
        TemplateText(value, "template")
    except TemplateFailed as exc:
        raise ValueError(f"must be a Jinja2 template; {str(exc).removeprefix('template: ')}") from None
    return value


def duration_ms(text: str) -> int:
    """A duration as Prometheus and Alertmanager write it, in milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch("0s" if text == "0" else text)
    if found is None or not text:
        raise ValueError("must be a duration of whole numbers with units, such as 90s, 10m, 1h30m or 1d")
    return sum(int(count) * unit_ms for count, unit_ms in zip(found.groups("0"), _UNITS_MS.values(), strict=True))


def _duration(value: str) -> str:
    if duration_ms(value) > MAX_WAIT_MINUTES * 60_000:
        raise ValueError("must be at most 7d")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone such as UTC or Europe/Berlin") from None
    return value


def some(said: str) -> AfterValidator:
    """For lists that must not be empty; *said* goes on after "must".

    min_length would report a list whose items are all mistaken, too.
    """

    def checked(values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError(f"must {said}")
        return values

    return AfterValidator(checked)


def in_form(pattern: str, said: str) -> tuple[AfterValidator, FieldInfo]:
    """As Field(pattern=…), which would tell people a regular expression; *said* goes on after "must be"."""

    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {said}")
        return value

    return AfterValidator(checked), Field(json_schema_extra={"pattern": f"^({pattern})$"})


def _without_blanks(value: Any) -> Any:
    """A reference to a variable that is not set leaves a blank behind, which is no secret."""
    return [item for item in value if not isinstance(item, str) or item.strip()] if isinstance(value, list) else value


def _separate(value: Any) -> Any:
    """One text may hold several, as an environment variable does."""
    if not isinstance(value, str | list | tuple):
        raise ValueError("must be a URL, several with commas between them, or a list")  # noqa: TRY004 - for pydantic
    return _without_blanks([it.strip() for it in value.split(",")] if isinstance(value, str) else value)


def _once_each(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value))


QUERY_PARAMETERS = ("incident_per", "oncall_enable", "oncall_wait_minutes", "policy", "severity", "source")
"""Those of every configuration; systems add their OVERRIDE."""


def percent_encoded(text: str) -> str:
    """*text* as a URL has to have it: what is not ASCII is encoded, and everything else is left as it is."""
    return "".join(letter if letter.isascii() else quote(letter) for letter in text)


SECRET_MIN = 16
"""Secrets of our own, with fewer characters than this, can be guessed."""

Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_without_blanks)]
Text = Annotated[str, BeforeValidator(_written_out, json_schema_input_type=str | float | bool)]
Template = Annotated[Text, AfterValidator(_template)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
HttpUrls = Annotated[
    tuple[HttpUrl, ...],
    BeforeValidator(_separate, json_schema_input_type=str | list[str]),
    AfterValidator(_once_each),
]
"""A URL, several with commas between them, or a list."""
Number = BeforeValidator(_no_boolean)
Minutes = Annotated[float, Number, Field(ge=0, le=MAX_WAIT_MINUTES, allow_inf_nan=False)]
Port = Annotated[int, Number, Field(ge=1, le=65535)]
Duration = Annotated[str, AfterValidator(_duration)]
"""A text that `duration_ms` reads, of 7 days at most."""
TimeZone = Annotated[str, AfterValidator(_timezone)]


class Part(BaseModel):
    """A part of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )

    EXAMPLE: ClassVar[str] = ""
    """What to write where something else stands in its place, on one line; "": some of its keys are named."""
    URLS_WITH_PASSWORD: ClassVar[tuple[str, ...]] = ()
    """Keys of secrets that are URLs, of which only the password is not to be shown."""


class RouteTo(Part):
    """Where a route leads in one channel: its part of an item of `routes`, by the channel's name."""

    @property
    def destination(self) -> str:
        """As the channel's query override would name it; "" leaves the default."""
        return ""

    @property
    def mentions(self) -> str:
        """Who is mentioned, in the channel's markup; "" leaves it to the severity."""
        return ""

    def warnings(self, path: str) -> Iterator[str]:  # noqa: ARG002 - for those that have something to say
        """What works, but is hardly what was meant, in what stands at *path*."""
        yield from ()


class SystemPart(Part):
    """The part of one remote system: below `alert` for a channel, below `oncall` for a provider, by its NAME."""

    NAME: ClassVar[str]
    """In settings, targets, metrics and keys: lower case, no colon."""
    TITLE: ClassVar[str]
    """As people write it."""
    SECTION: ClassVar[Literal["alert", "oncall"]]
    OVERRIDE: ClassVar[str] = ""
    """The query parameter that names another destination, and the key of oncall.fallback that escalates there."""
    LIMITED_BY: ClassVar[Literal["channels", "instances"]]
    """Which list of a sender's limits says what that may be."""
    PATHS: ClassVar[tuple[str, ...]] = ()
    """Keys that hold the path of a file, which is looked for beside the configuration too."""
    PLACES: ClassVar[str] = ""
    """The key below which places have names; "" where they have none."""
    FALLBACK_PLACE: ClassVar[str] = ""
    """What OVERRIDE is as a key of oncall.fallback, in a sentence."""
    FALLBACK_KEYS: ClassVar[Mapping[str, Any]] = {}
    """Further keys of oncall.fallback, each with its type and default, as pydantic's create_model takes them."""

    max_concurrent: Annotated[int, Number] = Field(32, ge=1, le=500)
    """The most deliveries at once, to each instance if there are several; fewer while it is slow or overloaded."""

    def stand_in(self, key: str, found: Path | None) -> tuple[Path, str] | None:  # noqa: ARG002
        """A file of the package in place of the one that *key* names, and why; *found* is None where there is none."""
        return None

    def problem_with(self, destination: str) -> str:
        """What would be allowed in place of *destination*; "" when it is good."""
        return "" if destination.strip() else "the name of one"

    @property
    def named_policies(self) -> frozenset[str]:
        """The policies that it leads to by name."""
        return frozenset()

    def naming_problems(self, config: "Config") -> Iterator[str]:  # noqa: ARG002
        """What names a policy or a target that there is not. Asked once those are known."""
        yield from ()

    def problems_while_off(self, config: "Config") -> Iterator[str]:  # noqa: ARG002
        """What is set although the configuration does not use the system, and would be thought to count."""
        yield from ()

    @property
    def places(self) -> Mapping[str, str]:
        """The places that have a name -> what OVERRIDE calls them."""
        return {}

    def place_problem(self, place: str) -> str:
        """What would be allowed in place of *place*, after the colon in a step of a policy; "" when it is good."""
        return self.problem_with(place) if self.OVERRIDE else "nothing, as it has no places"

    def needed_to_notify(self, config: "Config") -> str:  # noqa: ARG002
        """What has to be set before a step of a policy can notify it; "" when it is."""
        return ""

    def problems(self, config: "Config") -> Iterator[str]:  # noqa: ARG002
        """What is missing or does not go together, `key: what`. Asked for a system that is in use."""
        yield from ()

    def fallback_problems(self, config: "Config", destination: str) -> Iterator[str]:  # noqa: ARG002
        """The same of oncall.fallback, where it leads to *destination*."""
        allowed = self.problem_with(destination)
        if allowed:
            yield f"oncall.fallback.{self.OVERRIDE}: is {destination!r}; allowed: {allowed}"

    def warnings(self, config: "Config") -> Iterator[str]:  # noqa: ARG002
        """What works, but is hardly what was meant."""
        yield from ()

    def templates(self) -> Iterator[str]:
        """The texts of its templates, as far as they can be read now."""
        yield from ()

    def masked(self) -> dict[str, Any]:
        """What is shown in place of, or beside, what the model shows by itself."""
        return {}


class ChannelPart(SystemPart):
    """A channel: told at once."""

    SECTION = "alert"
    LIMITED_BY = "channels"
    ROUTE: ClassVar[type[RouteTo] | None] = None
    """What an item of `routes` may say of it."""

    enable: bool = False
    """Post incidents to it."""

    def needed_to_notify(self, config: "Config") -> str:  # noqa: ARG002
        return "" if self.enable else f"alert.{self.NAME}.enable: true"

    def mention_for(self, severity: str) -> str:  # noqa: ARG002
        """Who is mentioned where neither a step nor a route says; "" for nobody."""
        return ""

    def mention_problem(self, mention: str) -> str:  # noqa: ARG002
        """What is wrong with *mention*, in a sentence; "" when it is one."""
        return ""

    def fallback_problems(self, config: "Config", destination: str) -> Iterator[str]:
        if not self.enable:
            yield f"oncall.fallback.{self.OVERRIDE}: needs alert.{self.NAME}.enable: true"
        yield from super().fallback_problems(config, destination)

    @property
    def default_destination(self) -> str:
        """Where incidents go that name no other place, as OVERRIDE would name it; "" where it has no name."""
        return ""

    @property
    def is_restricted(self) -> bool:
        """Whether only some may act: then links, which do not tell who opens them, acknowledge nothing."""
        return False

    @property
    def offers_acknowledge(self) -> bool:
        """Whether messages offer to acknowledge at all."""
        return True


class ProviderPart(SystemPart):
    """An on-call provider: called when nobody acknowledged."""

    SECTION = "oncall"
    LIMITED_BY = "instances"

    def needed_to_notify(self, config: "Config") -> str:
        return "" if config.oncall.is_prepared else "oncall.enable: true or oncall.initialized_only: true"

    def ticket_escalation(self, place: str | None) -> tuple[str, ...]:  # noqa: ARG002
        """What happens to a ticket that comes from *place* when nobody acknowledges it, see `config.tickets`.

        With RAISE where tickets there may be made more urgent, also by the steps of a policy.
        """
        return ()

    @property
    def ticket_targets(self) -> tuple[str, ...]:
        """The targets whose tickets come in, and those that are told of these, as steps of policies name them."""
        return ()

    @property
    def ticket_channels(self) -> tuple[str, ...]:
        """The channels that its tickets are led to, as `config.tickets.channel_of` takes them."""
        return ()

    def field_problem(self, column: str, place: str | None) -> str:  # noqa: ARG002
        """What is wrong with writing *column* at *place*, None being the default one; "" when that is good."""
        return ""
