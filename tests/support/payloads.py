"""Samples of what senders send, whole and damaged, and what must hold of whatever they are read as."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from versus_py.incidents.model import Notification

DATA = Path(__file__).parent.parent / "data"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
_MISSING = object()
_odd_urls = st.sampled_from(
    ["javascript:alert(1)", "http://[broken", "ftp://a.example/", "https://a.example/\n", "//a"]
)


def sample(name: str) -> Any:
    """The payload in tests/data/<name>.json."""
    return json.loads((DATA / f"{name}.json").read_text())


def damaged(payload: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The payload with some of its values, at any depth, replaced by anything or taken away."""
    damage = st.tuples(st.sampled_from(sorted(_paths(payload), key=str)), json_values | _odd_urls | st.just(_MISSING))
    return st.lists(damage, min_size=1, max_size=4).map(lambda changes: _apply(payload, changes))


def assert_is_sound(found: Notification) -> None:
    """What those who show, store and escalate it rely on."""
    assert found.title
    assert found.alerts
    assert 0 < len(found.severity) <= 50
    for alert in found.alerts:
        assert all(ms is None or 0 < ms < 253_402_300_800_000 for ms in (alert.starts_at_ms, alert.ends_at_ms))
        for url in (found.url, alert.url, *alert.links.values()):
            assert not url or (url.startswith(("http://", "https://")) and url.isprintable())
        texts = [alert.fingerprint, alert.resource, *alert.labels.values(), *alert.annotations.values()]
        assert all(isinstance(text, str) for text in texts)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _apply(payload: dict[str, Any], changes: list[tuple[tuple[Any, ...], Any]]) -> dict[str, Any]:
    changed = copy.deepcopy(payload)
    for (*parents, key), value in changes:
        place: Any = changed
        for parent in parents:
            place = _child(place, parent)
        if _child(place, key) is None:
            continue  # an earlier change took it away
        if value is _MISSING:
            del place[key]
        else:
            place[key] = copy.deepcopy(value)
    return changed


def _child(place: Any, key: Any) -> Any:
    if isinstance(place, dict):
        return place.get(key)
    return place[key] if isinstance(place, list) and isinstance(key, int) and key < len(place) else None
