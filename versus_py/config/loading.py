"""Reading the YAML file with its `${…}` references, and telling everything that is wrong with it at once."""

import copy
import os
import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from versus_py.config.heartbeats import heartbeat_policy_problems, heartbeat_problems
from versus_py.config.model import Config, RedisConfig
from versus_py.config.parts import SystemPart
from versus_py.config.policies import policy_problems
from versus_py.config.time_intervals import interval_problems
from versus_py.config.versus_incident import Origin, adapt
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


def load_config(path: Path, environ: Mapping[str, str] = os.environ, *, model: type[Config]) -> Config:
    """Read the file at *path* as a *model* of `config_model`. Raises ConfigError with every problem there is."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise ConfigError([f"cannot read {path}: {reason}"]) from None
    return parse_config(text, environ, folder=path.parent, model=model)


def parse_config(
    text: str, environ: Mapping[str, str] = os.environ, *, folder: Path | None = None, model: type[Config]
) -> Config:
    """Read the YAML *text*; relative template paths are looked up below *folder* too."""
    references = _References(environ)
    raw, problems = read_yaml(text)
    try:
        data = references.resolve(raw)
    except RecursionError:
        raise ConfigError(["an alias in it refers to itself"]) from None
    problems += references.problems
    adapted = adapt(
        data,
        environ,
        written=raw,
        channels=_known_keys(model, ["alert"]),
        providers=_known_keys(model, ["oncall"]),
    )
    problems += adapted.problems
    config, found = _validated(model, adapted.data)
    problems += found
    config, found, replaced = _with_paths(config, folder)
    problems += found
    mistaken = {problem.partition(":")[0] for problem in problems}
    further = [*_incomplete(config), *_misnamed(config, mistaken)]
    problems += [problem for problem in further if not _is_mistaken(problem.partition(":")[0], mistaken)]
    if problems:
        raise ConfigError([_with_reference(problem, references.unset, adapted.origins) for problem in problems])
    return config.noting((*adapted.notices, *replaced), {**references.found, **_origins(adapted.origins)})


def described(model: type[Config], key: str) -> str:
    """What the setting at a dotted *key* is; "" for what people name, such as an instance, and what is not there."""
    *parents, last = key.split(".")
    kind = _part_in(_kind_at(model, parents))
    field = _fields(kind).get(last) if _is_part(kind) else None
    return "" if field is None or field.description is None else field.description


def _is_mistaken(key: str, mistaken: Collection[str]) -> bool:
    """Whether *key*, or something below it, is wrong by itself: it then looks as if it were not set."""
    return any(it == key or it.startswith(f"{key}.") for it in mistaken)


def _origins(origins: Mapping[str, Origin]) -> dict[str, str]:
    return {
        key: f"{it.variable}, {'which wins over the file' if it.wins else 'as the file does not set it'}"
        for key, it in origins.items()
    }


def _with_reference(problem: str, unset: Mapping[str, str], origins: Mapping[str, Origin]) -> str:
    """With the name of the variable that gives the value, or was meant to where that is why it is missing."""
    path = problem.partition(":")[0]
    if path in origins and origins[path].variable not in problem:
        return f"{problem} (by {origins[path].variable})"
    variable = unset.get(path) or unset.get(re.sub(r"\.\d+$", "", path))  # one text may be read as a list
    return problem if variable is None else f"{problem} (${{{variable}}} is not set)"


def _validated(model: type[Config], data: dict[str, Any]) -> tuple[Config, list[str]]:
    """The model, and what is wrong; mistaken values are at their defaults, so that the rest can be looked at too."""
    try:
        return model.model_validate(data), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=True)
    problems = [_problem(model, error) for error in errors]
    try:
        return model.model_validate(_without(data, errors)), problems
    except ValidationError:
        raise ConfigError(problems) from None


def _with_paths(config: Config, folder: Path | None) -> tuple[Config, list[str], list[str]]:
    """Paths of systems in use as found: from here, beside the configuration, or beside the configuration's folder.

    With what is wrong, and where a shipped file stands in for another.
    """
    problems: list[str] = []
    notices: list[str] = []
    changed: dict[str, dict[str, SystemPart]] = {"alert": {}, "oncall": {}}
    for part in config.systems_in_use():
        for key in part.PATHS:
            path = getattr(part, key)
            if path is None:
                continue
            name = f"{part.SECTION}.{part.NAME}.{key}"
            candidates = [path] if folder is None else [path, folder / path, folder.parent / path]
            found = next((it for it in candidates if it.is_file()), None)
            stand_in = part.stand_in(key, found)
            if stand_in is not None:
                found, why = stand_in
                notices.append(f"{name}: {why}")
            if found is None:
                looked_in = ", ".join(dict.fromkeys(str(it.resolve()) for it in candidates))
                problems.append(f"{name}: no file {str(path)!r}; looked for {looked_in}")
            else:
                section = changed[part.SECTION]
                section[part.NAME] = section.get(part.NAME, part).model_copy(update={key: found})
    sections = {name: getattr(config, name).model_copy(update=parts) for name, parts in changed.items()}
    return config.model_copy(update=sections), problems, notices


def _incomplete(config: Config) -> Iterator[str]:
    """What is missing or does not go together."""
    oncall = config.oncall
    for system in config.systems_in_use():
        yield from system.problems(config)
    for system in config.systems.values():
        yield from system.problems_while_off(config)
    if oncall.is_prepared:
        yield from oncall.fallback.problems(config)
    yield from config.route_problems()
    yield from interval_problems(config.time_intervals)
    yield from heartbeat_problems(config)
    yield from _incomplete_redis(config.redis)
    yield from config.process_problems()
    if config.previous_gateway_secrets and not config.gateway_secret.get_secret_value():
        yield "previous_gateway_secrets: is set without gateway_secret, the one that counts from now on"
    yield from config.intake.problems(list(oncall.parts.values()))
    yield from config.ui.problems()
    if ":" in config.alertmanager.auth.username:
        yield "alertmanager.auth.username: has a colon in it, which Basic authentication cannot send"
    if oncall.retry_for_hours > config.retention_days * 24:
        yield (
            f"oncall.retry_for_hours: is {oncall.retry_for_hours:g}, longer than retention_days "
            f"({config.retention_days:g}) keeps what is retried"
        )


def _misnamed(config: Config, mistaken: Collection[str]) -> Iterator[str]:
    """What is wrong with policies, and with what names them.

    Only where all is read that they name: what is mistaken is at its default, and would seem not to be there.
    """
    named = [f"{part.SECTION}.{part.NAME}.{part.PLACES}" for part in config.systems.values() if part.PLACES]
    for path in ("policies", "time_intervals", "intake.tokens", "heartbeats", *named):
        if any(it == path or it.startswith(f"{path}.") for it in mistaken):
            return
    yield from policy_problems(config)
    yield from config.intake.policy_problems(config.policies)
    for system in config.systems.values():
        yield from system.naming_problems(config)
    yield from heartbeat_policy_problems(config)


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
    yield from redis.tls_problems()
    if redis.is_embedded and redis.durability == "replicated":
        yield "redis.durability: is replicated, but the embedded Valkey server has no replicas; use fsync"


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
        self.found: dict[str, str] = {}  # the path of a value -> the references that it comes from

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
        if value:
            self._note(path, f"${{{name}}}")  # its default may be a secret
        return value or default

    def _note(self, path: str, reference: str) -> None:
        before = self.found.get(path)
        self.found[path] = f"{reference} in the file" if before is None else f"{reference}, {before}"

    def _content(self, file: Path, path: str) -> str:
        try:
            with file.open("rb") as opened:
                content = opened.read(self._FILE_MAX_BYTES).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            self.problems.append(f"{path}: cannot read {file}: {reason}")
            return ""
        self._note(path, f"${{file:{file}}}")
        return content


class _Loader(yaml.SafeLoader):
    """Notes duplicate keys, of which PyYAML would silently keep the last, and reads 10:30 and 1:15 as they are written.

    To PyYAML, as to YAML 1.1, they are numbers to the base 60; to YAML 1.2 and to Alertmanager they are text.
    """

    _BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        is_text = kind is yaml.ScalarNode and implicit[0] and self._BASE_60.fullmatch(value)
        return "tag:yaml.org,2002:str" if is_text else super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]  # no stub

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


def read_yaml(text: str) -> tuple[dict[str, Any], list[str]]:
    """The file's data, and what is wrong with it as YAML. Raises ConfigError when there is no data at all."""
    try:
        loader = _Loader(text)
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


_KEYS_SHOWN = 3

_SHAPES = {"tuple_type": "must be a list", "dict_type": "must be a mapping", "model_type": "must be a mapping"}


def _problem(model: type[Config], error: ErrorDetails) -> str:
    """One sentence: the key, the value unless it is secret, what is allowed."""
    keys = [str(key) for key in error["loc"]]
    path = ".".join(keys)
    if error["type"] == "extra_forbidden":
        known = sorted(_known_keys(model, keys[:-1]))
        close = get_close_matches(keys[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known here are {', '.join(known)}"
        return f"{path}: is not a known key; {hint}"
    if error["type"] == "missing":
        return f"{path}: is required"
    message = _SHAPES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    if error["type"] == "model_type":
        message += _example(_part_in(_kind_at(model, keys)), keys[-1:])
    message = message[:1].lower() + message[1:]
    shown = _shown(model, keys, error)
    return f"{path}: {message}" if shown == _HIDDEN else f"{path}: is {shown}; {message}"


def _example(kind: Any, key: list[str]) -> str:
    """How to write a part at *key*, after what is wrong with it; "" where it is not known what belongs there."""
    if not _is_part(kind):
        return ""
    if example := getattr(kind, "EXAMPLE", ""):
        return f", such as {': '.join((*key, example))}"
    own = [it for it in _fields(kind) if it in kind.__annotations__]  # rather than what all of its kind have
    return f" with keys such as {', '.join((own or [*_fields(kind)])[:_KEYS_SHOWN])}"


def _shown(model: type[Config], keys: list[str], error: ErrorDetails) -> str:
    """The value in a problem: not when it is secret, nor when it stands where a part with secrets belongs."""
    value = error["input"]
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'}"
    has_credentials = isinstance(value, str) and "@" in value
    is_secret = _SECRET_KEYS & set(keys) or _is_secret(_kind_at(model, keys))
    if is_secret or error["type"] == "model_type" or has_credentials:
        return _HIDDEN
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_VALUE_MAX else f"{shown[:_SHOWN_VALUE_MAX]}…"


def _known_keys(model: type[Config], path: list[str]) -> set[str]:
    """The keys of the part of the model at *path*."""
    kind = _part_in(_kind_at(model, path))
    return set(_fields(kind)) if _is_part(kind) else set()


def _fields(kind: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """By the keys that they are read from."""
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def _kind_at(model: type[Config], path: list[str]) -> Any:
    kind: Any = model
    for key in path:
        kind = _kind_below(kind, key)
    return kind


def _is_secret(kind: Any) -> bool:
    """Whether values of this type are secret, one or many of them."""
    return kind is SecretStr or any(_is_secret(it) for it in get_args(kind))


def _kind_below(kind: Any, key: str) -> Any:
    """The type of what stands at *key* in a part, a list or a mapping; None when nothing is known to."""
    kind = _part_in(kind)
    if _is_part(kind):
        field = _fields(kind).get(key)
        return None if field is None else field.annotation
    items = {tuple: 0, dict: 1}.get(get_origin(kind))
    if items is None:
        return None
    item = get_args(kind)[items]
    return get_args(item)[0] if get_origin(item) is Annotated else item


def _part_in(kind: Any) -> Any:
    """The part that an optional one is; else *kind* itself."""
    is_union = get_origin(kind) in {Union, UnionType}
    return next(filter(_is_part, get_args(kind)), kind) if is_union else kind


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
