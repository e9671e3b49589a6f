"""The model. The keys are those of Versus Incident's configuration; our own additions are optional."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from versus_py.templating import TemplateFailed, TemplateText

MAX_WAIT_MINUTES = 7 * 24 * 60
"""The longest wait before an escalation, for the configuration and for overrides."""

CREDENTIALS = {"username", "password", "auth", "client_certificate", "client_key"}
"""The keys of an instance that are taken together: whoever sets one of them shares none."""

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


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = _split_url(value.get_secret_value())
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be the URL of an HTTP proxy, http://host:port or http://user:password@host:port")
    return value


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


def _written_out(value: Any) -> Any:
    """YAML's true and false as ServiceNow writes them."""
    return str(value).lower() if isinstance(value, bool) else value


def _template(value: str) -> str:
    try:
        TemplateText(value, "template")
    except TemplateFailed as exc:
        raise ValueError(f"must be a Jinja2 template; {str(exc).removeprefix('template: ')}") from None
    return value


def _field_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError("must be the name of a column, such as short_description")
    if value in {"correlation_id", "number"} or value.startswith("sys_"):
        raise ValueError("must be another column: this one is not for templates to write")
    return value


Secret = Annotated[SecretStr, BeforeValidator(_quoted)]
Number = BeforeValidator(_no_boolean)
Text = Annotated[str, BeforeValidator(_written_out)]
Template = Annotated[Text, AfterValidator(_template)]
Fields = dict[Annotated[str, AfterValidator(_field_name)], Template]
State = Annotated[str, Field(pattern=r"^-?[A-Za-z0-9_]{1,40}$")]

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


class ServiceNowAuth(_Part):
    """How to log in."""

    type: Literal["basic", "oauth_password", "oauth_client_credentials", "api_key"] = "basic"
    """basic and oauth_password use username and password; the OAuth types fetch tokens from /oauth_token.do."""
    client_id: str = ""
    """The OAuth client."""
    client_secret: Secret = SecretStr("")
    """Its secret."""
    scope: str = ""
    """The OAuth scope, where the client asks for one."""
    api_key: Secret = SecretStr("")
    """The key for type api_key, sent as x-sn-apikey."""


class ServiceNowStates(_Part):
    """The numbers of a record's states; what is none of these is over for good, as Closed and Canceled are."""

    new: State = "1"
    """A new record; only from here is it moved on when somebody acknowledges."""
    acknowledged: State = "2"
    """What it is moved to when somebody acknowledges after the escalation, and when it is reopened."""
    open: tuple[State, ...] = ("3",)
    """Further states in which people are still at work, such as On Hold."""
    resolved: State = "6"
    """What it is moved to when the incident is resolved."""


class ServiceNowInstance(_Part):
    """One instance, and how records are written there."""

    instance_url: HttpUrl | None = None
    """The instance, such as https://dev12345.service-now.com."""
    username: str = ""
    """The integration user."""
    password: Secret = SecretStr("")
    """Its password."""
    auth: ServiceNowAuth = ServiceNowAuth()
    """How to log in."""
    table: str = Field("incident", pattern=r"^[a-z][a-z0-9_]*$")
    """The table that records are created in."""
    lifecycle: Literal["incident", "plain"] = "incident"
    """plain: for a table without state, work_notes and close_code; only what fields, … say is written."""
    states: ServiceNowStates = ServiceNowStates()
    """The numbers of a record's states."""
    fields: Fields = {}
    """Column -> template, for new records; without any, short_description is "Incident <id>"."""
    update_fields: Fields = {}
    """Column -> template, written again when the alerts change and on_update is fields."""
    resolve_fields: Fields = {}
    """Column -> template, written with the resolve; close_code and close_notes have defaults of their own."""
    severities: dict[str, dict[str, Text]] = {}
    """Severity -> values that templates see as by_severity; the row `default` is for every other severity."""
    references: dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]] = {
        "assigned_to": "sys_user.email",
        "assignment_group": "sys_user_group.name",
        "caller_id": "sys_user.email",
        "cmdb_ci": "cmdb_ci.name",
    }
    """Column that holds a reference -> table.column in which what a template says is looked up."""
    on_update: Literal["note", "fields", "nothing"] = "note"
    """When alerts join or leave: append a work note; write update_fields as well; or do nothing."""
    on_resolve: Literal["resolve", "note", "nothing"] = "resolve"
    """When the incident is resolved: resolve the record; only append a work note; or do nothing."""
    proxy: Annotated[SecretStr, AfterValidator(_proxy_url)] | None = None
    """The HTTP proxy on the way to the instance, http://host:port."""
    ca_file: Path | None = None
    """A file with the certificate authorities to trust (PEM), instead of the system's."""
    client_certificate: Path | None = None
    """A client certificate (PEM), where the instance asks for one."""
    client_key: Path | None = None
    """Its key, when that is not in the same file."""
    timeout_seconds: Annotated[float, Number] = Field(15, ge=1, le=40, allow_inf_nan=False)
    """How long one request may take."""


def _url_alone(value: Any) -> Any:
    return {"instance_url": value} if isinstance(value, str) else value


OtherInstance = Annotated[
    ServiceNowInstance, BeforeValidator(_url_alone, json_schema_input_type=str | ServiceNowInstance)
]


class ServiceNowConfig(ServiceNowInstance):
    """Where unacknowledged incidents become records."""

    other_instance_urls: dict[str, OtherInstance] = {}
    """Further instances by name, for the override servicenow_other_instance: a URL, or a mapping with keys as above."""
    allow_insecure_http: bool = False
    """Allow http:// to a host that is not this machine: the credentials travel in the clear."""

    def instances(self) -> Mapping[str | None, ServiceNowInstance]:
        """Every instance by name, the default one by None.

        What another instance does not say is as with the default one; but one that has credentials of its own gets
        none of the default's.
        """
        return {None: self} | {name: self._completed(other) for name, other in self.other_instance_urls.items()}

    def _completed(self, other: ServiceNowInstance) -> ServiceNowInstance:
        own = other.model_fields_set
        if own & CREDENTIALS:
            own = own | CREDENTIALS
        shared = {name: getattr(self, name) for name in ServiceNowInstance.model_fields if name not in own}
        own_states = {name: getattr(other.states, name) for name in other.states.model_fields_set}
        return other.model_copy(update=shared | {"states": self.states.model_copy(update=own_states)})


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


class AlertmanagerAuth(_Part):
    """How to log in to Alertmanager; nothing, when it asks for nothing."""

    username: str = ""
    """The user, for Basic authentication."""
    password: Secret = SecretStr("")
    """The user's password."""
    bearer_token: Secret = SecretStr("")
    """The token, for a proxy in front that wants one."""


class AlertmanagerConfig(_Part):
    """The Alertmanager to ask, before a record is created, whether its alerts still fire and are not silenced."""

    url: HttpUrl | None = None
    """The Alertmanager that sends to this server (any peer of its cluster); without one, nobody is asked."""
    auth: AlertmanagerAuth = AlertmanagerAuth()
    """How to log in."""


class MonascaConfig(_Part):
    """Monasca's webhook notifications."""

    undetermined: Literal["ignore", "fire", "resolve"] = "ignore"
    """What an alarm in state UNDETERMINED, for lack of measurements, does."""


class SentryConfig(_Part):
    """Webhooks of Sentry's integration platform."""

    client_secret: Secret = SecretStr("")
    """The integration's client secret; with one, only payloads that are signed with it are accepted."""


class CloudWatchConfig(_Part):
    """CloudWatch alarms over SNS."""

    topics: tuple[str, ...] = ()
    """The ARNs of the topics that are accepted, and whose subscriptions are confirmed."""


class SourcesConfig(_Part):
    """Where alerts come from, as far as there is something to set."""

    monasca: MonascaConfig = MonascaConfig()
    """Monasca."""
    sentry: SentryConfig = SentryConfig()
    """Sentry."""
    cloudwatch: CloudWatchConfig = CloudWatchConfig()
    """CloudWatch."""


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
    incident_per: Literal["group", "alert"] = "group"
    """What becomes one incident: all that a payload says (Alertmanager's notification group), or each of its alerts."""
    dedup_key: Template | None = None
    """A template for what payloads of one incident have in common; without one, each source's own identity."""
    sources: SourcesConfig = SourcesConfig()
    """Where alerts come from."""
    alert: AlertConfig = AlertConfig()
    """How incidents are announced."""
    oncall: OncallConfig = OncallConfig()
    """What happens to incidents that nobody acknowledges."""
    alertmanager: AlertmanagerConfig = AlertmanagerConfig()
    """The Alertmanager to ask before a record is created."""
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
        for name, secret in _secrets_in(self):
            value = secret.get_secret_value()
            hidden = urlsplit(value).password if name in _URLS else value
            if hidden:
                yield hidden

    def masked(self) -> dict[str, Any]:
        """As plain data, without secrets."""
        data = self.model_dump(mode="json")
        others = self.oncall.servicenow.instances()
        data["oncall"]["servicenow"]["other_instance_urls"] = {
            name: other.model_dump(mode="json", exclude_defaults=True) for name, other in others.items() if name
        }
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
        servicenow = self.oncall.servicenow
        if self.oncall.is_prepared and servicenow.on_update == "fields" and not servicenow.update_fields:
            yield "oncall.servicenow.on_update is fields, but update_fields is empty: only work notes are written"
        written = {column for it in servicenow.instances().values() for column in (*it.fields, *it.update_fields)}
        if self.oncall.is_prepared and "priority" in written:
            yield "oncall.servicenow.fields.priority is computed by ServiceNow: set impact and urgency instead"
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


_URLS = {"url", "proxy"}  # of which only the password is secret


def _secrets_in(value: Any, name: str = "") -> Iterator[tuple[str, SecretStr]]:
    """Every secret in a part of the configuration, however deep, with its key."""
    if isinstance(value, SecretStr):
        yield name, value
    elif isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _secrets_in(getattr(value, key), key)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item, name)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":**********@")).geturl()
