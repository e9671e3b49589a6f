"""The model. The keys are those of Versus Incident's configuration; our own additions are optional."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

MAX_WAIT_MINUTES = 7 * 24 * 60
"""The longest wait before an escalation, for the configuration and for overrides."""

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _split_url(value: str) -> SplitResult:
    """Raises ValueError, without the value in it."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL; its host or port cannot be read") from None
    return parts


def _http_url(value: str) -> str:
    """A base URL without its trailing slash."""
    parts = _split_url(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be a URL that starts with https:// or http://")
    if parts.username or parts.password:
        raise ValueError("must not carry credentials: they have keys of their own")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    return value.rstrip("/")


HttpUrl = Annotated[str, AfterValidator(_http_url)]


def _redis_url(value: SecretStr) -> SecretStr:
    parts = _split_url(value.get_secret_value())
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://, rediss:// or unix://")
    if parts.scheme != "unix" and not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError("must end in the number of a database, such as /0")
    if parts.query:
        raise ValueError("must not have a query: the other keys of redis say what is to be said")
    return value


def _no_boolean(value: Any) -> Any:
    """YAML reads yes and on as booleans, which pydantic would count as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _quoted(value: Any) -> Any:
    """YAML reads 0123 as 83 and 1.10 as 1.1: what looks like a number is no secret as it was written."""
    if isinstance(value, int | float):
        raise ValueError("must be text: put it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


Secret = Annotated[SecretStr, BeforeValidator(_quoted)]
Number = BeforeValidator(_no_boolean)


Minutes = Annotated[float, Number, Field(ge=0, le=MAX_WAIT_MINUTES, allow_inf_nan=False)]
Port = Annotated[int, Number, Field(ge=1, le=65535)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )


class MessageProperties(_Part):
    """How the Slack message looks."""

    button_text: str = Field("Acknowledge Alert", min_length=1, max_length=75)
    """The label of the acknowledge button; Slack's limit is 75 characters."""
    button_style: Literal["primary", "danger", "default"] = "primary"
    """The button's colour: green, red, or none."""
    disable_button: bool = False
    """Put the link to acknowledge into the text instead of a button."""


class SlackConfig(_Part):
    """Where alerts are posted."""

    enable: bool = False
    """Post incidents to Slack."""
    token: Secret = SecretStr("")
    """The bot token, xoxb-…, with the scope chat:write."""
    channel_id: str = ""
    """The channel for everything that names no other, such as C0123456789."""
    template_path: Path | None = None
    """A Jinja2 template for the message's body; without one, a plain built-in body."""
    message_properties: MessageProperties = MessageProperties()
    """How the message looks."""
    api_url: HttpUrl = "https://slack.com/api"
    """Slack's Web API, or a stand-in for it."""


class AlertConfig(_Part):
    """How incidents are announced."""

    debug_body: bool = False
    """Log every body that is posted."""
    slack: SlackConfig = SlackConfig()
    """Slack."""


class ServiceNowConfig(_Part):
    """Where unacknowledged incidents become records."""

    instance_url: HttpUrl | None = None
    """The instance, such as https://dev12345.service-now.com."""
    username: str = ""
    """The integration user."""
    password: Secret = SecretStr("")
    """Its password."""
    table: str = Field("incident", pattern=r"^[a-z][a-z0-9_]*$")
    """The table that records are created in."""
    other_instance_urls: dict[str, HttpUrl] = {}
    """Further instances by name, for the override servicenow_other_instance; they share the credentials."""
    allow_insecure_http: bool = False
    """Allow http:// to a host that is not this machine: the credentials travel in the clear."""


class OncallConfig(_Part):
    """What happens to incidents that nobody acknowledges."""

    enable: bool = False
    """Escalate every incident that is not acknowledged in time."""
    initialized_only: bool = False
    """Prepare escalation, but use it only for requests with oncall_enable=true."""
    wait_minutes: Minutes = 3
    """How long people have to acknowledge; 0 escalates at once."""
    provider: Literal["servicenow"] = "servicenow"
    """Where incidents escalate to."""
    servicenow: ServiceNowConfig = ServiceNowConfig()
    """ServiceNow."""
    retry_for_hours: Annotated[float, Number] = Field(24, gt=0, le=24 * 7, allow_inf_nan=False)
    """How long a failing target is tried before it is given up."""
    reopen_minutes: Minutes = 5
    """A resolved incident that fires again within this time is reopened instead of a new one."""

    @property
    def is_prepared(self) -> bool:
        """Whether a request may escalate at all."""
        return self.enable or self.initialized_only

    @property
    def by_default(self) -> bool:
        """Whether a request that does not say so escalates."""
        return self.enable and not self.initialized_only


class RedisConfig(_Part):
    """Where incidents are kept. Without host and url, an embedded Valkey server keeps them in data_dir."""

    url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    """redis://, rediss:// or unix://; instead of the keys below."""
    host: str | None = None
    """Redis' host name."""
    port: Port = 6379
    """Redis' port."""
    username: str | None = None
    """The user, where Redis has access control lists."""
    password: Secret = SecretStr("")
    """The password."""
    db: Annotated[int, Number] = Field(0, ge=0)
    """The database number."""
    tls: bool = False
    """Connect with TLS."""
    insecure_skip_verify: bool = False
    """Do not verify the certificate; for development only."""

    @property
    def is_embedded(self) -> bool:
        return self.url is None and self.host is None


class AckConfig(_Part):
    """The signed links that acknowledge."""

    signing_key: Secret = SecretStr("")
    """The key; without one it is generated once and kept in Redis."""


class LogConfig(_Part):
    """The log, on standard error."""

    format: Literal["auto", "console", "json"] = "auto"
    """For people or for machines; auto looks whether a person is watching."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""


class Config(_Part):
    """The whole configuration."""

    name: str = "versus"
    """What this installation is called in what it writes."""
    host: str = "0.0.0.0"  # noqa: S104 - Versus Incident's default: Alertmanager is on another host
    """The address to listen on."""
    port: Port = 3000
    """The port to listen on."""
    public_host: HttpUrl | None = None
    """The base URL under which people's browsers reach this server, for links to acknowledge."""
    gateway_secret: Secret = SecretStr("")
    """The secret of the reading and acting API (header X-Gateway-Secret); without one it answers this machine only."""
    max_body_bytes: Annotated[int, Number] = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """The largest payload that is accepted."""
    data_dir: Path = Path("data")
    """Where the embedded Valkey server keeps its files."""
    retention_days: Annotated[float, Number] = Field(7, ge=1, le=365, allow_inf_nan=False)
    """How long an incident is kept after it last changed."""
    alert: AlertConfig = AlertConfig()
    """How incidents are announced."""
    oncall: OncallConfig = OncallConfig()
    """What happens to incidents that nobody acknowledges."""
    redis: RedisConfig = RedisConfig()
    """Where incidents are kept."""
    ack: AckConfig = AckConfig()
    """The signed links that acknowledge."""
    log: LogConfig = LogConfig()
    """The log."""

    @property
    def link_base(self) -> str:
        """The start of every link that people get."""
        if self.public_host is not None:
            return self.public_host
        host = "localhost" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"

    def secrets(self) -> Iterator[str]:
        """Every secret that is set, to be kept out of logs."""
        values = [
            self.gateway_secret,
            self.alert.slack.token,
            self.oncall.servicenow.password,
            self.redis.password,
            self.ack.signing_key,
        ]
        if self.redis.url is not None:
            values.append(SecretStr(urlsplit(self.redis.url.get_secret_value()).password or ""))
        yield from (value.get_secret_value() for value in values if value.get_secret_value())

    def masked(self) -> dict[str, Any]:
        """As plain data, without secrets."""
        data = self.model_dump(mode="json")
        if self.redis.url is not None:
            data["redis"]["url"] = _without_password(self.redis.url.get_secret_value())
        return data

    def warnings(self) -> Iterator[str]:
        """What works, but is hardly what was meant."""
        if not self.alert.slack.enable:
            yield "alert.slack.enable is false: nobody is told about an incident before it escalates"
        if self.alert.slack.enable and not self.alert.slack.token.get_secret_value().startswith("xoxb-"):
            yield "alert.slack.token does not start with xoxb-, as bot tokens do"
        if self.alert.slack.enable and not re.fullmatch(r"[CGD][A-Z0-9]+", self.alert.slack.channel_id):
            yield "alert.slack.channel_id does not look like an id, such as C0123456789; a name may not work"
        if not self.oncall.is_prepared:
            yield "oncall.enable is false: no incident ever escalates"
        if self.public_host is None and self.alert.slack.enable and self.oncall.is_prepared:
            yield f"public_host is not set: links to acknowledge point at {self.link_base}"
        api = urlsplit(self.alert.slack.api_url)
        if self.alert.slack.enable and api.scheme == "http" and api.hostname not in LOOPBACK:
            yield "alert.slack.api_url starts with http://: the token travels in the clear"
        if self.redis.insecure_skip_verify and self._redis_uses_tls:
            yield "redis.insecure_skip_verify is true: the certificate of Redis is not verified"

    @property
    def _redis_uses_tls(self) -> bool:
        url = "" if self.redis.url is None else self.redis.url.get_secret_value()
        return self.redis.tls or url.startswith("rediss://")

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """For editors, of the file as it is written: a reference may stand for any value."""
        schema = cls.model_json_schema()
        for part in (schema, *schema["$defs"].values()):
            for name, field in part["properties"].items():
                if "$ref" not in field:
                    kept = {key: field.pop(key) for key in ("description", "default") if key in field}
                    part["properties"][name] = {
                        "anyOf": [field, {"type": ["string", "null"], "pattern": r"\$\{"}],
                        **kept,
                    }
        return schema


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":**********@")).geturl()
