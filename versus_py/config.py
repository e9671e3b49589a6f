"""The configuration: the model, the YAML file with its `${…}` references, and what can be wrong with them.

The keys are those of Versus Incident's configuration; our own additions are optional.
"""

import copy
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from versus_py.errors import ConfigError

MAX_WAIT_MINUTES = 7 * 24 * 60
"""The longest wait before an escalation, for the configuration and for overrides."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SECRET_KEYS = {"token", "password", "gateway_secret", "signing_key"}
_SHOWN_VALUE_MAX = 80


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
    host: str = "0.0.0.0"  # noqa: S104 - the customer's default: Alertmanager is on another host
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
        if self.alert.slack.enable and api.scheme == "http" and api.hostname not in _LOOPBACK:
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

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the file at *path*. Raises ConfigError with every problem there is."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise ConfigError([f"cannot read {path}: {reason}"]) from None
        return cls.parse(text, environ, folder=path.parent)

    @classmethod
    def parse(cls, text: str, environ: Mapping[str, str] = os.environ, *, folder: Path | None = None) -> Self:
        """Read the YAML *text*; relative template paths are looked up below *folder* too."""
        references = _References(environ)
        raw, problems = _load_yaml(text)
        try:
            data = references.resolve(raw)
        except RecursionError:
            raise ConfigError(["an alias in it refers to itself"]) from None
        problems += references.problems
        try:
            config = cls.model_validate(data)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_context=True)
            problems += [_problem(error) for error in errors]
            # What is missing elsewhere is a problem of its own: look at the rest without the mistakes.
            config = cls.model_validate(_without(data, errors))
        config, found = config._with_template(folder)  # noqa: SLF001 - of this very class
        problems += found
        mistaken = {problem.partition(":")[0] for problem in problems}
        problems += [problem for problem in config._incomplete() if problem.partition(":")[0] not in mistaken]  # noqa: SLF001
        if problems:
            raise ConfigError(problems)
        return config

    def _with_template(self, folder: Path | None) -> tuple[Self, list[str]]:
        """The template's path as found: from here, beside the configuration, or beside the configuration's folder."""
        path = self.alert.slack.template_path
        if path is None or not self.alert.slack.enable:
            return self, []
        candidates = [path] if folder is None else [path, folder / path, folder.parent / path]
        for candidate in candidates:
            if candidate.is_file():
                slack = self.alert.slack.model_copy(update={"template_path": candidate})
                alert = self.alert.model_copy(update={"slack": slack})
                return self.model_copy(update={"alert": alert}), []
        looked_in = ", ".join(dict.fromkeys(str(candidate.resolve()) for candidate in candidates))
        return self, [f"alert.slack.template_path: no file {str(path)!r}; looked for {looked_in}"]

    def _incomplete(self) -> Iterator[str]:
        """What is missing or does not go together."""
        slack, oncall, redis = self.alert.slack, self.oncall, self.redis
        if slack.enable:
            if not slack.token.get_secret_value():
                yield "alert.slack.token: is required when alert.slack.enable is true; it starts with xoxb-"
            if not slack.channel_id:
                yield "alert.slack.channel_id: is required when alert.slack.enable is true, such as C0123456789"
        if oncall.is_prepared:
            yield from _incomplete_servicenow(oncall.servicenow)
        if oncall.retry_for_hours > self.retention_days * 24:
            yield (
                f"oncall.retry_for_hours: is {oncall.retry_for_hours:g}, longer than retention_days "
                f"({self.retention_days:g}) keeps what is retried"
            )
        beside_url = {"host": redis.host, "username": redis.username, "password": redis.password.get_secret_value()}
        both = [name for name, value in beside_url.items() if value]
        if redis.url is not None and both:
            yield f"redis.url: is set together with redis.{both[0]}; allowed is one of them"


def _incomplete_servicenow(servicenow: ServiceNowConfig) -> Iterator[str]:
    when = "is required when oncall.enable or oncall.initialized_only is true"
    if servicenow.instance_url is None:
        yield f"oncall.servicenow.instance_url: {when}, such as https://dev12345.service-now.com"
    if not servicenow.username:
        yield f"oncall.servicenow.username: {when}"
    elif ":" in servicenow.username:
        yield "oncall.servicenow.username: has a colon in it, which Basic authentication cannot send"
    if not servicenow.password.get_secret_value():
        yield f"oncall.servicenow.password: {when}"
    urls = {"instance_url": servicenow.instance_url or ""}
    urls |= {f"other_instance_urls.{name}": url for name, url in servicenow.other_instance_urls.items()}
    for key, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not servicenow.allow_insecure_http:
            yield (
                f"oncall.servicenow.{key}: is {url!r}; allowed is https://, or http:// to this machine, or set "
                "oncall.servicenow.allow_insecure_http: true to send the credentials in the clear"
            )


class _References:
    """Replaces `${VAR}`, `${VAR:-default}` and `${file:/path}` in strings; `$${` stands for a plain `${`.

    A value that comes out empty counts as not set: in a file that refers to the environment, an unset variable
    means "leave it at the default".
    """

    _PATTERN = re.compile(r"\$(\$?)\{([^}]*)\}")
    _FILE_MAX_BYTES = 64 * 1024

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def resolve(self, data: Any, path: str = "") -> Any:
        if isinstance(data, dict):
            resolved = {str(key): self.resolve(value, f"{path}.{key}".lstrip(".")) for key, value in data.items()}
            return {key: value for key, value in resolved.items() if value is not None and value != ""}
        if isinstance(data, list):
            return [self.resolve(value, f"{path}.{index}") for index, value in enumerate(data)]
        if isinstance(data, str):
            return self._PATTERN.sub(lambda match: self._replacement(match, path), data)
        return data

    def _replacement(self, match: re.Match[str], path: str) -> str:
        if match[1]:
            return f"${{{match[2]}}}"
        if match[2].startswith("file:"):
            return self._content(Path(match[2].removeprefix("file:")), path)
        name, has_default, default = match[2].partition(":-")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            self.problems.append(
                f"{path}: ${{{match[2]}}} is no reference; allowed are ${{VAR}}, ${{VAR:-default}}, ${{file:/path}}"
            )
            return ""
        value = self._environ.get(name, "")
        return value or (default if has_default else "")

    def _content(self, file: Path, path: str) -> str:
        try:
            with file.open("rb") as opened:
                return opened.read(self._FILE_MAX_BYTES).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            self.problems.append(f"{path}: cannot read {file}: {reason}")
            return ""


class _UniqueKeyLoader(yaml.SafeLoader):
    """Notes duplicate keys, of which PyYAML would silently keep the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    line = key_node.start_mark.line + 1
                    self.problems.append(
                        f"{key_node.value}: stands twice in one mapping, the second time in line {line}"
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def _load_yaml(text: str) -> tuple[dict[str, Any], list[str]]:
    """The file's data, and what is wrong with it as YAML. Raises ConfigError when there is no data at all."""
    try:
        loader = _UniqueKeyLoader(text)
        data = loader.get_single_data()
        loader.dispose()
    except yaml.MarkedYAMLError as exc:  # its text would show the line, and with it perhaps a secret
        where = f" in line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise ConfigError([f"this is not YAML{where}: {exc.problem}"]) from None
    except yaml.YAMLError:
        raise ConfigError(["this is not YAML: it has characters that must not be in it"]) from None
    except RecursionError:
        raise ConfigError(["this is nested too deeply"]) from None
    if not isinstance(data or {}, dict):
        raise ConfigError([f"the file holds a {type(data).__name__}, not keys with values"])
    return data or {}, loader.problems


def _problem(error: ErrorDetails) -> str:
    """One sentence: the key, the value unless it is secret, what is allowed."""
    keys = [str(key) for key in error["loc"]]
    path = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = sorted(_known_keys(keys[:-1]))
        close = get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
        return f"{path}: is not a known key; {hint}"
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{path}: is {_shown(keys, error)}; {message}"


def _shown(keys: list[str], error: ErrorDetails) -> str:
    """The value in a problem: not when it is secret, nor when it stands where a part with secrets belongs."""
    value = error["input"]
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    has_credentials = isinstance(value, str) and "@" in value
    if _SECRET_KEYS & set(keys) or error["type"] == "model_type" or has_credentials or keys == ["redis", "url"]:
        return "a value that is not shown"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_VALUE_MAX else f"{shown[:_SHOWN_VALUE_MAX]}…"


def _known_keys(path: list[str]) -> set[str]:
    """The keys of the part of the model at *path*."""
    part: type[BaseModel] = Config
    for key in path:
        field = part.model_fields.get(key)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return set()
        part = field.annotation
    return set(part.model_fields)


def _without(data: dict[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """*data* without the values that are mistaken, so that their defaults stand in."""
    rest = copy.deepcopy(data)
    for error in errors:
        *parents, last = error["loc"]
        node: Any = rest
        for key in parents:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return rest


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":**********@")).geturl()
