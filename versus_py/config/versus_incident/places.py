"""Values in nested mappings by dotted key, and where an environment variable stands in for the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TRUE = {"true", "t", "1", "yes", "on", "y"}


@dataclass(frozen=True, slots=True)
class Origin:
    """An environment variable that sets a key by its name alone."""

    variable: str
    wins: bool
    """Over the file. Else it counts because the file does not set the key."""


def get(data: Mapping[str, Any], key: str) -> Any:
    """None where nothing stands there."""
    node: Any = data
    for part in key.split("."):
        if not isinstance(node, Mapping):
            return None
        node = node.get(part)
    return node


def put(data: dict[str, Any], key: str, value: Any) -> bool:
    """Whether it could be put there: not where a parent is no mapping, which the model reports."""
    *parents, last = key.split(".")
    node = data
    for part in parents:
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            return False
    node[last] = value
    return True


def drop(data: dict[str, Any], key: str) -> Any:
    """Take out what stands there; None where nothing does. Mappings that it leaves empty stay."""
    parent, _, last = key.rpartition(".")
    node = get(data, parent) if parent else data
    return node.pop(last, None) if isinstance(node, dict) else None


def is_true(value: Any) -> bool:
    """As the model reads booleans, also those that a reference left as text."""
    return value is True or (isinstance(value, str) and value.strip().lower() in _TRUE)
