"""A configuration of Versus Incident as one of this server, with comments."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from versus_py.config.loading import described, read_yaml
from versus_py.config.versus_incident import adapt
from versus_py.config.versus_incident.places import get, is_true, put
from versus_py.config.versus_incident.variables import FILLING
from versus_py.errors import ConfigError
from versus_py.systems import model

_WIDTH = 120
_BARE = re.compile(r"\$([A-Za-z_]\w*)")

_THERE = {
    "redis.tls": "Versus Incident's default; false where Redis has no TLS",
    "alert.debug_body": "Versus Incident's default; false keeps bodies out of the log",
    "alert.slack.template_path": "Jinja2: convert your own template with `versus convert-template`",
    "sources.cloudwatch.topics": "from queue.sns.topic_arn",
}
"""Comments on what is not as it was."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """The YAML text, and what is enabled there and would be lost here."""

    text: str
    lost: tuple[str, ...]


def migrate(text: str) -> Migrated:
    """*text* is the file of Versus Incident. Raises ConfigError where it is no YAML."""
    data, problems = read_yaml(text)
    if problems:
        raise ConfigError(problems)
    config = model()
    known = config.model_fields
    channels, providers = (_names(known[it].annotation) for it in ("alert", "oncall"))
    data = _with_braces(data)
    adapted = adapt(_without_empty(data), {}, written=data, channels=channels, providers=providers)
    found = adapted.data
    _write_defaults(found)
    head = ["From a configuration of Versus Incident, by `versus migrate`. Check it with `versus check-config`."]
    head += adapted.notices
    head += [f"LOST: {it}" for it in adapted.problems]
    lines = [f"# {it}" for it in head] + [*_lines(config, found)]
    return Migrated("\n".join(lines) + "\n", adapted.problems)


def _names(part: Any) -> frozenset[str]:
    return frozenset(part.model_fields)


def _with_braces(node: Any) -> Any:
    """$NAME as ${NAME}, which is what it means there."""
    if isinstance(node, Mapping):
        return {str(key): _with_braces(value) for key, value in node.items()}
    if isinstance(node, str) and (found := _BARE.fullmatch(node)):
        return f"${{{found[1]}}}"
    return node


def _without_empty(node: Any) -> Any:
    """Nothing and "" mean that a setting is left at its default."""
    if not isinstance(node, Mapping):
        return node
    return {key: _without_empty(value) for key, value in node.items() if value is not None and value != ""}


def _write_defaults(data: dict[str, Any]) -> None:
    """What is built in there, and would be something else here."""
    for variable, key in FILLING.items():
        parent = key.rpartition(".")[0]
        is_in_use = not parent or isinstance(get(data, parent), Mapping)
        if is_in_use and not key.startswith(("queue.", "redis.")) and get(data, key) is None:
            put(data, key, f"${{{variable}}}")
    redis = get(data, "redis")
    if isinstance(redis, Mapping) and not any(redis.get(it) for it in ("url", "sentinel", "cluster")):
        for name in ("host", "port", "password"):
            if redis.get(name) is None:
                put(data, f"redis.{name}", f"${{REDIS_{name.upper()}}}")
    if isinstance(redis, Mapping) and redis.get("tls") is None and not redis.get("url"):
        put(data, "redis.tls", True)
    if isinstance(get(data, "alert"), Mapping) and get(data, "alert.debug_body") is None:
        put(data, "alert.debug_body", True)
    if is_true(get(data, "oncall.enable")) and is_true(get(data, "oncall.initialized_only")):
        put(data, "oncall.initialized_only", False)


def _lines(config: Any, node: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[str]:
    for key, value in node.items():
        here = f"{path}.{key}".lstrip(".")
        indent = "  " * depth
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_written(key)}:"
            yield from _lines(config, value, here, depth + 1)
            continue
        line = f"{indent}{_written(key)}: {_written(value)}"
        said = _THERE.get(here) or _sentence(described(config, here))
        if said and len(line) + len(said) + 3 > _WIDTH:
            yield f"{indent}# {said}"
            yield line
        else:
            yield f"{line} # {said}" if said else line


def _sentence(text: str) -> str:
    """The first line, as a comment."""
    first = text.partition("\n")[0].rstrip(".")
    return first[:1].lower() + first[1:] if first[1:2].islower() else first


def _written(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
