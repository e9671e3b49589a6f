"""Reading the YAML file with its `${…}` references, and telling everything that is wrong with it at once."""

import copy
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from versus_py.config.model import Config, OncallConfig, RedisConfig
from versus_py.config.parts import LOOPBACK
from versus_py.config.servicenow import CREDENTIALS, ServiceNowConfig, ServiceNowInstance
from versus_py.config.slack import SlackConfig
from versus_py.errors import ConfigError

_SECRET_KEYS = {
    "api_key",
    "app_token",
    "bearer_token",
    "client_secret",
    "gateway_secret",
    "password",
    "previous_gateway_secrets",
    "previous_signing_keys",
    "previous_tokens",
    "proxy",
    "signing_key",
    "signing_secret",
    "token",
}
_SHOWN_VALUE_MAX = 80
_HIDDEN = "a value that is not shown"
_SECRET_URLS = {("redis", "url"), ("heartbeat", "url")}
_WHEN = "is required when oncall.enable or oncall.initialized_only is true"


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the file at *path*. Raises ConfigError with every problem there is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"cannot read {path}: {reason}"]) from None
    return parse_config(text, environ, folder=path.parent)


def parse_config(text: str, environ: Mapping[str, str] = os.environ, *, folder: Path | None = None) -> Config:
    """Read the YAML *text*; relative template paths are looked up below *folder* too."""
    references = _References(environ)
    raw, problems = _load_yaml(text)
    try:
        data = references.resolve(raw)
    except RecursionError:
        raise ConfigError(["an alias in it refers to itself"]) from None
    problems += references.problems
    config, found = _validated(data)
    problems += found
    config, found = _with_template(config, folder)
    problems += found
    mistaken = {problem.partition(":")[0] for problem in problems}
    problems += [problem for problem in _incomplete(config) if problem.partition(":")[0] not in mistaken]
    if problems:
        raise ConfigError([_with_reference(problem, references.unset) for problem in problems])
    return config


def _with_reference(problem: str, unset: Mapping[str, str]) -> str:
    """With the name of the variable that was meant to give the value, where that is why it is missing."""
    variable = unset.get(problem.partition(":")[0])
    return problem if variable is None else f"{problem} (${{{variable}}} is not set)"


def _validated(data: dict[str, Any]) -> tuple[Config, list[str]]:
    """The model, and what is wrong; mistaken values are at their defaults, so that the rest can be looked at too."""
    try:
        return Config.model_validate(data), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=True)
    problems = [_problem(error) for error in errors]
    try:
        return Config.model_validate(_without(data, errors)), problems
    except ValidationError:
        raise ConfigError(problems) from None


def _with_template(config: Config, folder: Path | None) -> tuple[Config, list[str]]:
    """The template's path as found: from here, beside the configuration, or beside the configuration's folder."""
    path = config.alert.slack.template_path
    if path is None or not config.alert.slack.enable:
        return config, []
    candidates = [path] if folder is None else [path, folder / path, folder.parent / path]
    for candidate in candidates:
        if candidate.is_file():
            slack = config.alert.slack.model_copy(update={"template_path": candidate})
            alert = config.alert.model_copy(update={"slack": slack})
            return config.model_copy(update={"alert": alert}), []
    looked_in = ", ".join(dict.fromkeys(str(candidate.resolve()) for candidate in candidates))
    return config, [f"alert.slack.template_path: no file {str(path)!r}; looked for {looked_in}"]


def _incomplete(config: Config) -> Iterator[str]:
    """What is missing or does not go together."""
    oncall = config.oncall
    if config.alert.slack.enable:
        yield from _incomplete_slack(config.alert.slack)
    if oncall.is_prepared:
        yield from _incomplete_servicenow(oncall.servicenow)
        yield from _incomplete_fallback(oncall, config.alert.slack)
    yield from _incomplete_redis(config.redis)
    if config.previous_gateway_secrets and not config.gateway_secret.get_secret_value():
        yield "previous_gateway_secrets: is set without gateway_secret, the one that counts from now on"
    yield from config.intake.problems(oncall.servicenow.other_instance_urls)
    if ":" in config.alertmanager.auth.username:
        yield "alertmanager.auth.username: has a colon in it, which Basic authentication cannot send"
    if oncall.retry_for_hours > config.retention_days * 24:
        yield (
            f"oncall.retry_for_hours: is {oncall.retry_for_hours:g}, longer than retention_days "
            f"({config.retention_days:g}) keeps what is retried"
        )


def _incomplete_slack(slack: SlackConfig) -> Iterator[str]:
    if not slack.token.get_secret_value():
        yield "alert.slack.token: is required when alert.slack.enable is true; it starts with xoxb-"
    if not slack.channel_id:
        yield "alert.slack.channel_id: is required when alert.slack.enable is true, such as C0123456789"
    if slack.is_restricted and not slack.is_interactive:
        name = "allowed_users" if slack.allowed_users else "allowed_groups"
        yield (
            f"alert.slack.{name}: needs alert.slack.signing_secret or app_token: who opens a link is not known, "
            "only who presses a button"
        )


def _incomplete_redis(redis: RedisConfig) -> Iterator[str]:
    ways = {
        "url": redis.url,
        "host": redis.host,
        "sentinel.hosts": redis.sentinel.hosts,
        "cluster.hosts": redis.cluster.hosts,
    }
    beside_url = {"username": redis.username, "password": redis.password.get_secret_value()} if redis.url else {}
    both = [name for name, value in (ways | beside_url).items() if value]
    if len(both) > 1:
        yield f"redis.{both[0]}: is set together with redis.{both[1]}; allowed is one of them"
    if redis.cluster.hosts and redis.db:
        yield f"redis.db: is {redis.db}, but a cluster has no other database than 0"
    if redis.is_embedded and redis.durability == "replicated":
        yield "redis.durability: is replicated, but the embedded Valkey server has no replicas; use fsync"


def _incomplete_fallback(oncall: OncallConfig, slack: SlackConfig) -> Iterator[str]:
    fallback, path = oncall.fallback, "oncall.fallback"
    instance, channel = fallback.servicenow_other_instance, fallback.slack_channel_id
    names = oncall.servicenow.other_instance_urls
    if instance and channel:
        yield f"{path}.slack_channel_id: is set together with servicenow_other_instance; allowed is one of them"
    if instance and instance not in names:
        known = ", ".join(names) or "none"
        yield f"{path}.servicenow_other_instance: is {instance!r}; other_instance_urls has {known}"
    if channel and not slack.enable:
        yield f"{path}.slack_channel_id: needs alert.slack.enable: true"
    if channel and channel == slack.channel_id:
        yield f"{path}.slack_channel_id: is alert.slack.channel_id, which has it already; name another channel"
    if fallback.mention and not channel:
        yield f"{path}.mention: needs {path}.slack_channel_id"


def _incomplete_servicenow(servicenow: ServiceNowConfig) -> Iterator[str]:
    said: set[str] = set()
    for name, instance in servicenow.instances().items():
        path = "oncall.servicenow" if name is None else f"oncall.servicenow.other_instance_urls.{name}"
        own = instance.model_fields_set if name is None else servicenow.other_instance_urls[name].model_fields_set
        for key, problem in _incomplete_instance(instance):
            is_shared = name is not None and key not in own and not (own & CREDENTIALS)
            if not (is_shared and key in said):  # told once, where it is set
                yield f"{path}.{key}: {problem}"
                said.add(key)
        url = instance.instance_url or ""
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and not servicenow.allow_insecure_http:
            yield (
                f"{path}.instance_url: is {url!r}; allowed is https://, or http:// to this machine, or set "
                "oncall.servicenow.allow_insecure_http: true to send the credentials in the clear"
            )


def _incomplete_instance(instance: ServiceNowInstance) -> Iterator[tuple[str, str]]:
    """What one instance lacks: the key, and what to say of it."""
    if instance.instance_url is None:
        yield "instance_url", f"{_WHEN}, such as https://dev12345.service-now.com"
    yield from _incomplete_auth(instance)
    for key in ("ca_file", "client_certificate", "client_key"):
        path = getattr(instance, key)
        if path is not None and not path.is_file():
            yield key, f"no file {str(path)!r}"
    if instance.client_key is not None and instance.client_certificate is None:
        yield "client_certificate", "is required together with client_key"


def _incomplete_auth(instance: ServiceNowInstance) -> Iterator[tuple[str, str]]:
    auth = instance.auth
    if auth.type in {"basic", "oauth_password"}:
        if not instance.username:
            yield "username", _WHEN
        elif ":" in instance.username and auth.type == "basic":
            yield "username", "has a colon in it, which Basic authentication cannot send"
        if not instance.password.get_secret_value():
            yield "password", _WHEN
    if auth.type in {"oauth_password", "oauth_client_credentials"}:
        if not auth.client_id:
            yield "auth.client_id", f"is required for auth.type {auth.type}"
        if not auth.client_secret.get_secret_value():
            yield "auth.client_secret", f"is required for auth.type {auth.type}"
    if auth.type == "api_key" and not auth.api_key.get_secret_value():
        yield "auth.api_key", "is required for auth.type api_key"


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
        self.unset: dict[str, str] = {}  # the path of a value -> the variable that it refers to in vain

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
        if not value and not has_default:
            self.unset[path] = name
        return value or default

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


_SHAPES = {"tuple_type": "must be a list", "dict_type": "must be a mapping", "model_type": "must be a mapping"}


def _problem(error: ErrorDetails) -> str:
    """One sentence: the key, the value unless it is secret, what is allowed."""
    keys = [str(key) for key in error["loc"]]
    path = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = sorted(_known_keys(keys[:-1]))
        close = get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
        return f"{path}: is not a known key; {hint}"
    if error["type"] == "missing":
        return f"{path}: is required"
    message = _SHAPES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = _shown(keys, error)
    return f"{path}: {message}" if shown == _HIDDEN else f"{path}: is {shown}; {message}"


def _shown(keys: list[str], error: ErrorDetails) -> str:
    """The value in a problem: not when it is secret, nor when it stands where a part with secrets belongs."""
    value = error["input"]
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    has_credentials = isinstance(value, str) and "@" in value
    if _SECRET_KEYS & set(keys) or error["type"] == "model_type" or has_credentials or tuple(keys) in _SECRET_URLS:
        return _HIDDEN
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_VALUE_MAX else f"{shown[:_SHOWN_VALUE_MAX]}…"


def _known_keys(path: list[str]) -> set[str]:
    """The keys of the part of the model at *path*."""
    kind: Any = Config
    for key in path:
        kind = _kind_below(kind, key)
    return set(kind.model_fields) if _is_part(kind) else set()


def _kind_below(kind: Any, key: str) -> Any:
    """The type of what stands at *key* in a part, a list or a mapping; None when nothing is known to."""
    if _is_part(kind):
        field = kind.model_fields.get(key)
        return None if field is None else field.annotation
    items = {tuple: 0, dict: 1}.get(get_origin(kind))
    if items is None:
        return None
    item = get_args(kind)[items]
    return get_args(item)[0] if get_origin(item) is Annotated else item


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _without(data: dict[str, Any], errors: list[ErrorDetails]) -> dict[str, Any]:
    """*data* without the values that are mistaken, so that their defaults stand in; of lists, nothing is left."""
    rest: dict[Any, Any] = copy.deepcopy(data)
    for error in errors:
        node: dict[int | str, Any] = rest
        *parents, last = error["loc"]
        for key in parents:
            if isinstance(node.get(key), dict):
                node = node[key]
            else:
                last = key
                break
        node.pop(last, None)
    return rest
