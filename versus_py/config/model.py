"""The model. The keys are those of Versus Incident's configuration; our own additions are optional."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, create_model, model_validator

from versus_py.config.heartbeats import ExpectedHeartbeat
from versus_py.config.intake import IntakeConfig
from versus_py.config.parts import (
    LOOPBACK,
    QUERY_PARAMETERS,
    SECRET_MIN,
    ChannelPart,
    HttpUrl,
    HttpUrls,
    Minutes,
    Number,
    Part,
    Port,
    ProviderPart,
    RouteTo,
    Secret,
    Secrets,
    SystemPart,
    Template,
    split_url,
)
from versus_py.config.policies import PolicyConfig, StepConfig, policy_warnings, system_and_place
from versus_py.config.routes import Route
from versus_py.config.severities import OptionalSeverity, SeverityMap
from versus_py.config.time_intervals import NamedIntervals, interval_warnings
from versus_py.config.ui import UiConfig
from versus_py.errors import ConfigError
from versus_py.incidents.heartbeats import TARGET
from versus_py.incidents.matchers import Matcher
from versus_py.incidents.partitions import DEFAULT, MOST
from versus_py.templating import uses

M = TypeVar("M", bound=Part)

_PROVIDER = "Where incidents escalate to."

SHADOW_RETENTION_DAYS = 31.0
"""How long a shadow keeps incidents after their end, for the report."""

_FIRST_WITH_ROUTES = "slack"
"""The channel whose routes stood at the channel before there were others."""


def _redis_url(value: SecretStr) -> SecretStr:
    parts = split_url(value.get_secret_value())
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must start with redis://, rediss:// or unix://")
    if parts.scheme != "unix" and not re.fullmatch(r"/?\d*", parts.path):
        raise ValueError("must end in the number of a database, such as /0")
    if parts.query:
        raise ValueError("must not have a query: the other keys of redis say what is to be said")
    return value


def _redis_host(value: str | None) -> str | None:
    is_address = value is not None and value.count(":") > 1  # of IPv6
    if value and (re.search(r"[/@\[\]\s]", value) or (":" in value and not is_address)):
        raise ValueError("must be a host's name or address alone: the port is redis.port, and a URL goes to redis.url")
    return value


def _heartbeat_url(value: SecretStr) -> SecretStr:
    parts = split_url(value.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL that starts with https:// or http://")
    return value


class AlertConfig(Part):
    """How incidents are announced. The channels are added when the model is built."""

    CHANNELS: ClassVar[tuple[str, ...]] = ()
    """Their names."""

    debug_body: bool = False
    """Log every body that is posted."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def parts(self) -> Mapping[str, ChannelPart]:
        """The channels by their names, whether or not they are enabled."""
        return {name: getattr(self, name) for name in self.CHANNELS}

    @property
    def enabled(self) -> Mapping[str, ChannelPart]:
        """Those that incidents are posted to."""
        return {name: it for name, it in self.parts.items() if it.enable}


class OncallFallback(Part):
    """Where incidents escalate to as well when the first place fails; one place."""

    SYSTEMS: ClassVar[Mapping[str, str]] = {}
    """Key that names a place -> the system that it is one of. Filled when the model is built, as the keys are."""

    after_minutes: Minutes = 15
    """How long the first place may fail; one that refuses for good is not waited for."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def places(self) -> Mapping[str, str]:
        """Key -> place, of those that are set."""
        return {key: getattr(self, key) for key in self.SYSTEMS if getattr(self, key)}

    @property
    def system(self) -> str | None:
        """The system that it is in; None when there is none."""
        return next((self.SYSTEMS[key] for key in self.places), None)

    @property
    def destination(self) -> str:
        return next(iter(self.places.values()), "")

    @property
    def target(self) -> str | None:
        """The name of the target that this is; None when there is none."""
        return f"{self.system}:{self.destination}" if self.system else None

    def problems(self, config: "Config") -> Iterator[str]:
        """What does not go together."""
        if len(self.places) > 1:
            first, second, *_ = self.places
            yield f"oncall.fallback.{first}: is set together with {second}; allowed is one of them"
        parts = config.systems
        for key, place in self.places.items():
            yield from parts[self.SYSTEMS[key]].fallback_problems(config, place)
        for name, part in parts.items():
            for key in part.FALLBACK_KEYS:
                if getattr(self, key) and name not in {self.SYSTEMS[it] for it in self.places}:
                    yield f"oncall.fallback.{key}: needs oncall.fallback.{part.OVERRIDE}"


class OncallConfig(Part):
    """What happens to incidents that nobody acknowledges. The providers are added when the model is built."""

    PROVIDERS: ClassVar[tuple[str, ...]] = ()
    """Their names."""

    enable: bool = False
    """Escalate every incident that is not acknowledged in time."""
    initialized_only: bool = False
    """Prepare escalation, but use it only for requests with oncall_enable=true. `enable: true` wins over it."""
    wait_minutes: Minutes = 3
    """How long people have to acknowledge; 0 escalates at once."""
    provider: str = Field("", description=_PROVIDER)
    fallback: OncallFallback = OncallFallback()
    """Where incidents escalate to as well when that fails."""
    retry_for_hours: Annotated[float, Number] = Field(24, gt=0, le=24 * 7, allow_inf_nan=False)
    """How long a failing target is tried before it is given up."""
    ack_timeout_minutes: Minutes = 0
    """How long an acknowledgment lasts while the alert still fires: then the wait starts again; 0: for ever."""
    reopen_minutes: Minutes = 5
    """A resolved incident that fires again within this time is reopened instead of a new one."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    @property
    def parts(self) -> Mapping[str, ProviderPart]:
        """The providers by their names."""
        return {name: getattr(self, name) for name in self.PROVIDERS}

    @property
    def is_prepared(self) -> bool:
        """Whether a request may escalate at all."""
        return self.enable or self.initialized_only

    @property
    def by_default(self) -> bool:
        """Whether a request that does not say so escalates."""
        return self.enable


def _address(value: str) -> str:
    """host:port, or [host]:port for an IPv6 address."""
    parts = split_url(f"//{value}")
    if not parts.hostname or parts.port is None or parts.netloc != value or parts.username is not None:
        raise ValueError("must be a host and its port, such as redis-1:26379")
    return value


Address = Annotated[str, AfterValidator(_address)]


class SentinelConfig(Part):
    """Sentinels that know which Redis is the primary; user, password and TLS of that one are those of redis."""

    hosts: tuple[Address, ...] = ()
    """The sentinels, each as host:port."""
    master_name: str = "mymaster"
    """What the sentinels call the primary and its replicas."""
    username: str | None = None
    """The user at the sentinels, where they have access control lists."""
    password: Secret = SecretStr("")
    """The password at the sentinels."""


class ClusterConfig(Part):
    """A Redis Cluster."""

    hosts: tuple[Address, ...] = ()
    """Some of its nodes, each as host:port; the others are found by them."""


class RedisConfig(Part):
    """Where incidents are kept. When it names no server, an embedded Valkey server keeps them in data_dir."""

    URLS_WITH_PASSWORD = ("url",)

    url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    """redis://, rediss:// or unix://; instead of the keys below."""
    host: Annotated[str | None, AfterValidator(_redis_host)] = None
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
    tls_ca_file: Path | None = None
    """The certificates of authorities that are trusted beside the system's, as PEM."""
    tls_cert_file: Path | None = None
    """The certificate that Redis is shown, as PEM, where it asks for one."""
    tls_key_file: Path | None = None
    """The key of that certificate; without one, it is in the same file."""
    sentinel: SentinelConfig = SentinelConfig()
    """Sentinels to ask for the primary."""
    cluster: ClusterConfig = ClusterConfig()
    """A Redis Cluster."""
    partitions: Annotated[int, Number] = Field(DEFAULT, ge=1, le=MOST)
    """How many parts incidents are spread over, for the nodes of a cluster; fixed at the first start."""
    durability: Literal["memory", "fsync", "replicated"] = "memory"
    """How sure Redis is of an alert or a change before it is answered: has it in memory, on disk, or on replicas."""
    replicas: Annotated[int, Number] = Field(1, ge=1, le=10)
    """On how many replicas a change is, with durability replicated."""

    @property
    def is_embedded(self) -> bool:
        return not any((self.url, self.host, self.sentinel.hosts, self.cluster.hosts))

    @property
    def uses_tls(self) -> bool:
        return self.tls if self.url is None else self.url.get_secret_value().startswith("rediss://")

    @property
    def tls_files(self) -> Mapping[str, Path]:
        """Key -> file, of those that are set."""
        names = ("tls_ca_file", "tls_cert_file", "tls_key_file")
        return {name: path for name in names if (path := getattr(self, name)) is not None}

    def tls_problems(self) -> Iterator[str]:
        """What is wrong with these files, where TLS is used."""
        for name, path in self.tls_files.items() if self.uses_tls else ():
            if not path.is_file():
                yield f"redis.{name}: no file {str(path)!r}"
        if self.uses_tls and self.tls_key_file is not None and self.tls_cert_file is None:
            yield "redis.tls_key_file: is set without redis.tls_cert_file, the certificate that it belongs to"


class AlertmanagerAuth(Part):
    """How to log in to Alertmanager; nothing, when it asks for nothing."""

    username: str = ""
    """The user, for Basic authentication."""
    password: Secret = SecretStr("")
    """The user's password."""
    bearer_token: Secret = SecretStr("")
    """The token, for a proxy in front that wants one."""


class AlertmanagerConfig(Part):
    """The Alertmanagers to ask, before a record is created, whether its alerts still fire and are not silenced."""

    url: HttpUrls = ()
    """The Alertmanagers that send to this server, each peer of a cluster: a URL, several with commas, or a list."""
    auth: AlertmanagerAuth = AlertmanagerAuth()
    """How to log in to each of them."""

    @property
    def urls(self) -> tuple[str, ...]:
        """Each once; empty when none is asked."""
        return self.url


class SourceConfig(Part):
    """One source."""

    severity: OptionalSeverity = ""
    """The severity of alerts that come without one, such as warning."""


class MonascaConfig(SourceConfig):
    """Monasca's webhook notifications."""

    undetermined: Literal["ignore", "fire", "resolve"] = "ignore"
    """What an alarm in state UNDETERMINED, for lack of measurements, does."""


class SentryConfig(SourceConfig):
    """Webhooks of Sentry's integration platform."""

    client_secret: Secret = SecretStr("")
    """The integration's client secret; with one, only payloads that are signed with it are accepted."""


class CloudWatchConfig(SourceConfig):
    """CloudWatch alarms over SNS."""

    topics: tuple[str, ...] = ()
    """The ARNs of the topics that are accepted, and whose subscriptions are confirmed."""


class SourcesConfig(Part):
    """Where alerts come from, as far as there is something to set."""

    alertmanager: SourceConfig = SourceConfig()
    """Alertmanager."""
    grafana: SourceConfig = SourceConfig()
    """Grafana."""
    monasca: MonascaConfig = MonascaConfig()
    """Monasca."""
    sentry: SentryConfig = SentryConfig()
    """Sentry."""
    cloudwatch: CloudWatchConfig = CloudWatchConfig()
    """CloudWatch."""
    pagerduty: SourceConfig = SourceConfig()
    """Senders of PagerDuty's events."""
    opsgenie: SourceConfig = SourceConfig()
    """Senders of Opsgenie and Jira Service Management."""
    fluentbit: SourceConfig = SourceConfig()
    """Fluent Bit."""
    generic: SourceConfig = SourceConfig()
    """Any other JSON object."""

    def of(self, name: str) -> SourceConfig:
        """The settings of the source called *name*; nothing is set for one that is not known here."""
        found = getattr(self, name, None)
        return found if isinstance(found, SourceConfig) else SourceConfig()


class AckConfig(Part):
    """The signed links that acknowledge."""

    signing_key: Secret = SecretStr("")
    """The key; without one it is generated once and kept in Redis."""
    previous_signing_keys: Secrets = ()
    """Keys whose links are still good; nothing is signed with them any more."""


class MetricsConfig(Part):
    """What Prometheus scrapes. `versus serve` answers GET /metrics on its own port."""

    port: Port | None = None
    """The port on which `versus worker` answers /metrics, /healthz and /readyz; without one it answers nowhere."""


class JournalConfig(Part):
    """A journal of what was accepted, for `versus audit`."""

    keep: Literal["none", "redis", "file"] = "none"
    """Where it is kept: in Redis, one for all replicas, or in a file of this process; none keeps none."""
    file: Path | None = None
    """The file; without one, journal.jsonl in data_dir."""


class HeartbeatConfig(Part):
    """A sign of life to a service that raises the alarm when it stays away."""

    url: Annotated[SecretStr, AfterValidator(_heartbeat_url)] | None = None
    """The address to GET; whoever knows it can forge the sign, so it is a secret."""
    every_seconds: Annotated[float, Number] = Field(60.0, ge=1, le=3600, allow_inf_nan=False)
    """How often."""


class LogConfig(Part):
    """The log, on standard error."""

    format: Literal["auto", "console", "json"] = "auto"
    """For people or for machines; auto chooses people on a terminal."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""


@dataclass(frozen=True, slots=True)
class RouteLeads:
    """What a route says, whichever way it was written."""

    matchers: tuple[Matcher, ...]
    wait_minutes: float | None
    leads_to: Mapping[str, RouteTo]  # by channel

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether incidents with these *labels* go by it."""
        return all(it.matches(labels) for it in self.matchers)


class Config(Part):
    """The whole configuration. `config_model` adds the parts of systems: this class alone knows none."""

    name: str = "versus"
    """What this installation is called in what it writes."""
    host: str = "0.0.0.0"  # noqa: S104 - Versus Incident's default: Alertmanager is on another host
    """The address to listen on."""
    port: Port = 3000
    """The port to listen on."""
    public_host: HttpUrl | None = None
    """The base URL under which people's browsers reach this server, for links to acknowledge."""
    gateway_secret: Secret = SecretStr("")
    """The secret of the reading and acting API (header X-Gateway-Secret).

    Without one it takes a generated secret; where public_host is this machine or not set, it answers this machine only.
    """
    previous_gateway_secrets: Secrets = ()
    """Secrets that are still taken while those who use the API change over to a new one."""
    processes: Annotated[int, Number] = Field(1, ge=1, le=64)
    """How many processes `versus serve` runs on the port; each has a worker, and limits of its own."""
    max_body_bytes: Annotated[int, Number] = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """The largest payload that is accepted."""
    max_connections: Annotated[int, Number] = Field(1000, ge=10, le=100_000)
    """The most connections of callers; for one more, the one is closed that has been idle for longest."""
    data_dir: Path = Path("data")
    """Where the embedded Valkey server keeps its files, and where journal.file is unless it says otherwise."""
    retention_days: Annotated[float, Number] = Field(7, ge=1, le=365, allow_inf_nan=False)
    """How long an incident is kept after its end; one that is open is kept for as long as it is."""
    keep_payload: bool = True
    """Keep the last body of each incident with it, without secrets."""
    installation: str | None = Field(None, max_length=200)
    """Tells this installation from others that write to the same places; by default host and path of public_host."""
    incident_per: Literal["group", "alert"] = "group"
    """What becomes one incident: all that a payload says (Alertmanager's notification group), or each of its alerts."""
    dedup_key: Template | None = None
    """A template for what payloads of one incident have in common; without one, each source's own identity."""
    severity_map: SeverityMap = {}
    """Severity of your own, in any case -> the known one that alerts with it get: {sev-urgent: critical}."""
    intake: IntakeConfig = IntakeConfig()
    """Who may post alerts, and how much of it is taken at once."""
    sources: SourcesConfig = SourcesConfig()
    """Where alerts come from."""
    routes: tuple[Route, ...] = ()
    """Where incidents with certain labels go; the first that matches counts."""
    time_intervals: tuple[NamedIntervals, ...] = ()
    """Time intervals that policies name, as in Alertmanager's configuration."""
    policies: tuple[PolicyConfig, ...] = ()
    """The steps that incidents go through; the first that matches counts, and without one the keys of oncall do."""
    heartbeats: tuple[ExpectedHeartbeat, ...] = ()
    """Signals that must keep coming, and whose silence is an incident."""
    alert: AlertConfig = AlertConfig()
    """How incidents are announced."""
    oncall: OncallConfig = OncallConfig()
    """What happens to incidents that nobody acknowledges."""
    alertmanager: AlertmanagerConfig = AlertmanagerConfig()
    """The Alertmanagers to ask before a record is created."""
    redis: RedisConfig = RedisConfig()
    """Where incidents are kept."""
    ack: AckConfig = AckConfig()
    """The signed links that acknowledge."""
    journal: JournalConfig = JournalConfig()
    """A journal of what was accepted."""
    ui: UiConfig = UiConfig()
    """The web UI."""
    metrics: MetricsConfig = MetricsConfig()
    """What Prometheus scrapes."""
    heartbeat: HeartbeatConfig = HeartbeatConfig()
    """A sign of life to a service outside."""
    log: LogConfig = LogConfig()
    """The log."""

    _notices: tuple[str, ...] = PrivateAttr(())
    _origins: Mapping[str, str] = PrivateAttr({})
    _is_shadow: bool = PrivateAttr(False)

    @model_validator(mode="after")
    def _look_up_hours(self) -> Self:
        named = {it.name: it.compiled for it in self.time_intervals}
        for policy in self.policies:
            policy.keep_hours(named)
        return self

    def noting(self, notices: Sequence[str], origins: Mapping[str, str]) -> Self:
        """This configuration, with what its file said that has no place in the model: see `warnings` and `origins`."""
        self._notices, self._origins = tuple(notices), dict(origins)
        return self

    def as_shadow(self) -> Self:
        """This configuration for a server that posts and creates nothing, and keeps to a folder of its own."""
        own = {
            "redis": RedisConfig(),
            "processes": 1,
            "data_dir": self.data_dir / "shadow",
            "journal": JournalConfig(keep="redis"),
            "heartbeat": HeartbeatConfig(),
            "retention_days": max(self.retention_days, SHADOW_RETENTION_DAYS),
        }
        shadow = self.model_copy(update=own)
        shadow._is_shadow = True  # noqa: SLF001 - of this class
        return shadow

    @property
    def is_shadow(self) -> bool:
        """Whether nothing may be posted or created: see `as_shadow`."""
        return self._is_shadow

    @property
    def origins(self) -> Mapping[str, str]:
        """Keys whose values come from outside the file -> from where."""
        return self._origins

    @property
    def link_base(self) -> str:
        """The start of every link that people get."""
        if self.public_host is not None:
            return self.public_host
        host = "localhost" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def generates_gateway_secret(self) -> bool:
        """Whether the API takes a generated secret: none is set, and people reach this server from elsewhere.

        A reverse proxy on this machine may then pass on requests from anywhere that look like those of a local program.
        """
        return not self.gateway_secret.get_secret_value() and self._is_reached_from_elsewhere

    @property
    def _is_reached_from_elsewhere(self) -> bool:
        return urlsplit(self.link_base).hostname not in LOOPBACK

    @property
    def installation_name(self) -> str:
        """Part of the ids of new incidents. "" for one on this machine alone, whose ids are as they always were."""
        if self.installation is not None:
            return self.installation
        parts = urlsplit(self.public_host or "")
        is_elsewhere = parts.hostname is not None and parts.hostname not in LOOPBACK
        return f"{parts.netloc}{parts.path}".rstrip("/") if is_elsewhere else ""

    @property
    def journal_file(self) -> Path:
        """Where the journal is, if it is in a file."""
        return self.journal.file or self.data_dir / "journal.jsonl"

    @property
    def systems(self) -> Mapping[str, SystemPart]:
        """The parts of all systems by their names: channels, then providers."""
        return {**self.alert.parts, **self.oncall.parts}

    def systems_in_use(self) -> Iterator[SystemPart]:
        """Enabled channels; where requests may escalate, the provider, those of the fallback, policies and tickets."""
        yield from self.alert.enabled.values()
        if self.oncall.is_prepared:
            named = {system_and_place(target)[0] for target in self.policy_targets()}
            used = {self.oncall.provider, self.oncall.fallback.system, *named}
            yield from (it for name, it in self.oncall.parts.items() if name in used)

    def policy_steps(self) -> Iterator[tuple[str, StepConfig]]:
        """The steps of all policies, after their paths."""
        for index, policy in enumerate(self.policies):
            for at, step in enumerate(policy.steps):
                yield f"policies.{index}.steps.{at}", step

    def policy_targets(self) -> tuple[str, ...]:
        """The targets that policies name, and those of tickets, each once."""
        named = [target for policy in self.policies for target in policy.targets]
        tickets = [target for part in self.oncall.parts.values() for target in part.ticket_targets]
        return tuple(dict.fromkeys((*named, *(tickets if self.oncall.is_prepared else ()))))

    def places(self, system: str) -> Mapping[str, str]:
        """Target -> channel, instance of every place of *system* that policies or the fallback name."""
        fallback, named = self.oncall.fallback, self.systems[system].places
        found = {fallback.target: fallback.destination} if fallback.system == system and fallback.target else {}
        for target in self.policy_targets():
            name, place = system_and_place(target)
            if name == system and place is not None:
                found[target] = named.get(place, place)
        return found

    @property
    def shows_payload(self) -> bool:
        """Whether a template of a system in use shows the body that an incident came with."""
        texts = [text for part in self.systems_in_use() for text in part.templates()]
        texts += [text for _, step in self.policy_steps() for text in step.fields.values()]
        return any(uses(text, name) for text in texts for name in ("payload", "content"))

    def route_leads(self) -> tuple[RouteLeads, ...]:
        """The routes; also those that stand at the channel that first had some."""
        older = getattr(getattr(self.alert, _FIRST_WITH_ROUTES, None), "routes", ())
        found = [RouteLeads(it.parsed, it.wait_minutes, it.leads_to) for it in self.routes]
        if self.alert.enabled.get(_FIRST_WITH_ROUTES) is not None:
            found += [RouteLeads(it.parsed, it.wait_minutes, {_FIRST_WITH_ROUTES: it.leads_to}) for it in older]
        return tuple(found)

    def route_problems(self) -> Iterator[str]:
        """Of two lists, nobody could tell which route comes first."""
        if self.routes and getattr(getattr(self.alert, _FIRST_WITH_ROUTES, None), "routes", ()):
            yield f"alert.{_FIRST_WITH_ROUTES}.routes: is set together with routes; write them all below routes"

    def process_problems(self) -> Iterator[str]:
        """What several processes cannot have together."""
        if self.processes > 1 and self.journal.keep == "file":
            yield f"journal.keep: is file with processes: {self.processes}, which cannot share a file; allowed is redis"

    def secrets(self) -> Iterator[str]:
        """Every secret that is set, to be kept out of logs.

        Not what is the name of a setting or of a system too, such as redis: masked, it would make every text about it
        unreadable, and it could be guessed all the same.
        """
        names = set(_names_in(self))
        for is_url, secret in _secrets_in(self):
            value = secret.get_secret_value()
            hidden = urlsplit(value).password if is_url else value
            if hidden and hidden.lower() not in names:
                yield hidden

    def masked(self) -> dict[str, Any]:
        """As plain data, without secrets."""
        data = self.model_dump(mode="json", by_alias=True)
        for name, part in self.systems.items():
            data[part.SECTION][name] |= part.masked()
        if self.redis.url is not None:
            data["redis"]["url"] = _without_password(self.redis.url.get_secret_value())
        return data

    def warnings(self) -> Iterator[str]:
        """What works, but is hardly what was meant."""
        yield from self._notices
        for part in self.systems.values():
            yield from part.warnings(self)
        for index, route in enumerate(self.routes):
            yield from route.warnings(f"routes.{index}")
        yield from interval_warnings(self.time_intervals)
        yield from policy_warnings(self)
        if not self.alert.enabled:
            keys = " and ".join(f"alert.{name}.enable" for name in self.alert.CHANNELS)
            verb = "is" if len(self.alert.CHANNELS) == 1 else "are"
            yield f"{keys} {verb} false: nobody is told about an incident before it escalates"
        if not self.oncall.is_prepared:
            yield "oncall.enable is false: no on-call provider is ever called"
        if self.public_host is None and self.alert.enabled and self.oncall.is_prepared:
            yield f"public_host is not set: links to acknowledge point at {self.link_base}"
        yield from self._insecure()
        yield from self._without_effect()

    def _insecure(self) -> Iterator[str]:
        """What lets somebody in who should not be."""
        for name, secret in (("gateway_secret", self.gateway_secret), ("ack.signing_key", self.ack.signing_key)):
            if 0 < len(secret.get_secret_value()) < SECRET_MIN:
                yield f"{name} has fewer than {SECRET_MIN} characters, which can be guessed"
        if self.generates_gateway_secret:
            yield (
                f"gateway_secret is not set, and people reach this server at {self.link_base}: "
                "the API takes a generated secret, which `versus gateway-secret` shows"
            )
        is_reachable = self.host not in LOOPBACK or self._is_reached_from_elsewhere  # through a proxy on this machine
        yield from self.intake.warnings(is_reachable=is_reachable)
        yield from self.ui.warnings(self)
        for name in self.redis.tls_files if not self.redis.uses_tls else ():
            yield f"redis.{name} has no effect without redis.tls: true"
        if self.redis.insecure_skip_verify and self.redis.uses_tls:
            yield "redis.insecure_skip_verify is true: the certificate of Redis is not verified"
        elif self.redis.insecure_skip_verify and not self.redis.is_embedded:
            yield (
                "redis.insecure_skip_verify has no effect without redis.tls: true; Redis is asked without TLS, "
                "which Versus Incident uses unless redis.tls is false"
            )

    def _without_effect(self) -> Iterator[str]:
        """What is set, and does nothing without something else."""
        fallback, heartbeat = self.oncall.fallback, self.heartbeat
        if self.oncall.enable and self.oncall.initialized_only:
            yield "oncall.initialized_only has no effect with oncall.enable: true: all incidents escalate"
        if heartbeat.url is None and "every_seconds" in heartbeat.model_fields_set:
            yield "heartbeat.every_seconds has no effect without heartbeat.url"
        if self.journal.keep != "file" and self.journal.file is not None:
            yield "journal.file has no effect without journal.keep: file"
        if self.redis.durability != "replicated" and "replicas" in self.redis.model_fields_set:
            yield "redis.replicas has no effect without redis.durability: replicated"
        if fallback.target is None and "after_minutes" in fallback.model_fields_set:
            yield f"oncall.fallback.after_minutes has no effect without {' or '.join(fallback.SYSTEMS)} beside it"
        if self.shows_payload and not self.keep_payload:
            yield "keep_payload is false: a template shows payload or content, which are empty then"
        if self.ack.previous_signing_keys and not self.ack.signing_key.get_secret_value():
            yield "ack.previous_signing_keys is set without ack.signing_key: links are signed with a generated key"

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """For editors, of the file as it is written: a reference may stand for any value."""
        schema = cls.model_json_schema()
        for part in (schema, *schema["$defs"].values()):
            for name, field in part.get("properties", {}).items():
                if "$ref" not in field:
                    kept = {key: field.pop(key) for key in ("description", "default") if key in field}
                    part["properties"][name] = {
                        "anyOf": [field, {"type": ["string", "null"], "pattern": r"\$\{"}],
                        **kept,
                    }
        return schema


def config_model(systems: Sequence[type[SystemPart]]) -> type[Config]:
    """The model with the parts of *systems*: each below alert or oncall, in routes and in oncall.fallback.

    Raises ConfigError when two of them have the same name, or one has that of a setting.
    """
    _raise_if_taken(systems)
    channels = [it for it in systems if issubclass(it, ChannelPart)]
    providers = [it for it in systems if issubclass(it, ProviderPart)]
    fallback = _fallback_model(systems)
    names = tuple(it.NAME for it in providers)
    oncall = _model(
        OncallConfig,
        provider=(Literal[names] if names else str, Field(names[0] if names else "", description=_PROVIDER)),
        fallback=(fallback, Field(fallback(), description=OncallConfig.model_fields["fallback"].description)),
        **{it.NAME: (it, Field(it(), description=f"{it.TITLE}.")) for it in providers},
    )
    alert = _model(AlertConfig, **{it.NAME: (it, Field(it(), description=f"{it.TITLE}.")) for it in channels})
    alert.CHANNELS, oncall.PROVIDERS = tuple(it.NAME for it in channels), names
    leads = {it.NAME: (it.ROUTE | None, Field(None, description=f"In {it.TITLE}.")) for it in channels if it.ROUTE}
    route = _model(Route, **leads)
    fields = Config.model_fields
    return _model(
        Config,
        alert=(alert, Field(alert(), description=fields["alert"].description)),
        oncall=(oncall, Field(oncall(), description=fields["oncall"].description)),
        routes=(tuple[route, ...], Field((), description=fields["routes"].description)),  # type: ignore[valid-type]
    )


def _fallback_model(systems: Sequence[type[SystemPart]]) -> type[OncallFallback]:
    keys: dict[str, Any] = {}
    for it in systems:
        if it.OVERRIDE:
            keys[it.OVERRIDE] = (str, Field("", description=it.FALLBACK_PLACE or f"A place in {it.TITLE}."))
        keys |= it.FALLBACK_KEYS
    model = _model(OncallFallback, **keys)
    model.SYSTEMS = {it.OVERRIDE: it.NAME for it in systems if it.OVERRIDE}
    return model


def _raise_if_taken(systems: Sequence[type[SystemPart]]) -> None:
    """A name stands for one thing only: as a target, a key, a query parameter, and an attribute of the model."""
    models = (AlertConfig, OncallConfig, Route)
    names = {TARGET, *(name for it in models for name in (*dir(it), *it.model_fields))}
    keys = {*dir(OncallFallback), *OncallFallback.model_fields, *QUERY_PARAMETERS}
    for it in systems:
        if it.NAME in names:
            raise ConfigError([f"{it.SECTION}.{it.NAME}: two systems have this name, or it is that of a setting"])
        names.add(it.NAME)
        for key in (*([it.OVERRIDE] if it.OVERRIDE else []), *it.FALLBACK_KEYS):
            if key in keys:
                raise ConfigError([f"oncall.fallback.{key}: two systems have this key, or it is that of a setting"])
            keys.add(key)


def _model(base: type[M], **fields: Any) -> type[M]:
    """*base* with more fields, under the same name."""
    return create_model(base.__name__, __base__=base, __module__=__name__, __doc__=base.__doc__, **fields)


def _secrets_in(value: Any, *, is_url: bool = False) -> Iterator[tuple[bool, SecretStr]]:
    """Every secret in a part of the configuration, however deep; before it, whether only its password is secret."""
    if isinstance(value, SecretStr):
        yield is_url, value
    elif isinstance(value, Part):
        for key in type(value).model_fields:
            yield from _secrets_in(getattr(value, key), is_url=key in value.URLS_WITH_PASSWORD)
    elif isinstance(value, Mapping | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _secrets_in(item, is_url=is_url)


def _names_in(part: Part) -> Iterator[str]:
    """The names of all settings of a part of the configuration, however deep."""
    for key in type(part).model_fields:
        yield key
        value = getattr(part, key)
        if isinstance(value, Part):
            yield from _names_in(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":**********@")).geturl()
