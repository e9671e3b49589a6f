"""Finding fields by their names in an object of any shape: which fields there are, and the best one for a table."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import orjson

from versus_py.incidents.redaction import hides_at
from versus_py.sources import fields
from versus_py.sources.generic import tables

LEVELS_MAX = 3
"""How many objects deep a field may be that is searched for."""

SHOWN_LEVELS_MAX = 10
"""How deep the fields may be that are only shown."""

FIELDS_MAX = 1000
"""Most fields of one payload, those near the top first; and most elements of one list."""

ELEMENTS_MAX = 3
"""Most objects of one list."""

EMBEDDED_MAX = 64 * 1024
"""Most characters of a text that is read as JSON."""

_SEPARATORS = re.compile(r"[\W_]+")
_JSON_BEGINS = re.compile(r"""\s*(?:\{\s*(?:"|'|\}|\\")|\[\s*(?:["'{\[\]]|-?\d+\s*[,\]]))""")
_PAIR_NAMES, _PAIR_VALUES = ("name", "key", "title", "label", "tag"), ("value", "val")


class Place(IntEnum):
    """Where a field is; what comes first counts first."""

    BODY = 0  # in the payload itself, or in an object that holds the alert
    ELSEWHERE = 1
    OTHER = 2  # in an object about somebody or something else


@dataclass(frozen=True, slots=True)
class Field:
    """A field with something in it."""

    path: str  # as the sender spells it, such as "incident.summary"
    names: tuple[str, ...]  # in normal form, by which tables may know it: "summary", "incident.summary"
    value: Any  # a scalar, or a tuple of texts
    place: Place
    level: int  # 0: in the payload itself
    container: str  # the path of the object that it is in
    is_label: bool = False
    is_annotation: bool = False

    @property
    def name(self) -> str:
        """Its own name, as the sender spells it."""
        return self.path.rpartition(".")[2]

    @property
    def text(self) -> str:
        return ", ".join(self.value) if isinstance(self.value, tuple) else fields.text(self.value)

    @property
    def is_json(self) -> bool:
        """Whether it looks like JSON, whole or cut off, which nobody wants to read."""
        return _JSON_BEGINS.match(self.text) is not None

    @property
    def is_secret(self) -> bool:
        return hides_at(self.path, self.value)


@dataclass(frozen=True, slots=True)
class _Object:
    value: Mapping[Any, Any]
    path: str
    names: tuple[str, ...]
    place: Place
    level: int
    is_label: bool = False
    is_annotation: bool = False


class Table:
    """Names in normal form, the better ones first."""

    def __init__(self, names: Iterable[str]) -> None:
        self.ranks: dict[str, int] = {}
        for name in names:
            self.ranks.setdefault(_dotted(name), len(self.ranks))

    def __contains__(self, field: Field) -> bool:
        return any(name in self.ranks for name in field.names)


class Fields:
    """The fields of one payload."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self.all = tuple(_fields(payload))
        self.top = tuple(normal(str(name)) for name in [*payload][:FIELDS_MAX])
        """The names of the payload's own fields, with and without something in them."""

        self._has_labels = any(it.is_label for it in self.all)
        self._by_name: dict[str, list[int]] = {}
        for position, field in enumerate(self.all):
            for name in field.names:
                self._by_name.setdefault(name, []).append(position)

    def named(
        self, table: Table, *, near: Field | None = None, places: tuple[Place, ...] = (Place.BODY,)
    ) -> list[Field]:
        """Those in *places* that *table* names, the best first; those beside *near* count as if in the body."""
        ranks: dict[int, tuple[int, ...]] = {}  # by the position of the field
        for name in self._by_name.keys() & table.ranks.keys():
            for position in self._by_name[name]:
                field = self.all[position]
                is_near = near is not None and field.container == near.container
                is_exact = is_near or "." in name  # which says where it is
                if field.level <= LEVELS_MAX and not field.is_label and (is_exact or field.place in places):
                    place = Place.BODY if is_exact else field.place
                    rank = (place, table.ranks[name], not is_near, field.level, position)
                    ranks[position] = min(rank, ranks.get(position, rank))
        return [self.all[position] for position in sorted(ranks, key=ranks.__getitem__)]

    def labelled(self, table: Table) -> list[Field]:
        """Labels that *table* names, the best first."""
        if not self._has_labels:
            return []
        known = sorted(self._by_name.keys() & table.ranks.keys(), key=table.ranks.__getitem__)
        return [field for name in known for it in self._by_name[name] if (field := self.all[it]).is_label]


@lru_cache(maxsize=4096)
def normal(name: str) -> str:
    """*name* without case and separators."""
    return _SEPARATORS.sub("", name.casefold())


def embedded(value: Any) -> Any:
    """The JSON object or array that a text holds; None for every other value."""
    if not isinstance(value, str) or len(value) > EMBEDDED_MAX or not _JSON_BEGINS.match(value):
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict | list) else None


def _dotted(name: str) -> str:
    return ".".join(map(normal, name.split(".")))


_BODIES, _OTHERS, _LABELS, _ANNOTATIONS = (
    frozenset(map(normal, it)) for it in (tables.BODIES, tables.OTHERS, tables.LABELS, tables.ANNOTATIONS)
)


def _fields(payload: Mapping[str, Any]) -> Iterator[Field]:
    """Level by level, so that what is near the top is never left out for what is far below."""
    objects = [_Object(payload, "", (), Place.BODY, 0)]
    count = 0
    while objects:
        below: list[_Object] = []
        for parent in objects:
            for key, value in parent.value.items():
                if value is None or value == "":
                    continue
                count += 1
                if count > FIELDS_MAX:
                    return
                yield from _read(parent, str(key), value, below)
        objects = below


def _read(parent: _Object, key: str, value: Any, below: list[_Object]) -> Iterator[Field]:
    """The field, or its objects, which are added to those *below*."""
    inner = embedded(value)
    value = value if inner is None else inner
    if isinstance(value, list):
        value = value[:FIELDS_MAX]
        value = _pairs(value) or value
    if isinstance(value, Mapping):
        if parent.level < SHOWN_LEVELS_MAX:
            below.append(_below(parent, key, value))
    elif isinstance(value, list):
        yield from _read_list(parent, key, value, below)
    elif fields.text(value):
        yield _field(parent, key, value)


def _read_list(parent: _Object, key: str, value: list[Any], below: list[_Object]) -> Iterator[Field]:
    objects = [it for it in value if isinstance(it, Mapping)][:ELEMENTS_MAX]
    if parent.level < SHOWN_LEVELS_MAX:
        below += [_below(parent, f"{key}.{index}", it, key) for index, it in enumerate(objects)]
    if texts := tuple(said for it in value if (said := fields.text(it))):
        yield _field(parent, key, texts)


def _field(parent: _Object, key: str, value: Any) -> Field:
    own, names = normal(key), (*parent.names, *map(normal, key.split(".")))
    dotted = [".".join(names[-count:]) for count in range(2, len(names) + 1)]
    path = key if parent.is_label or parent.is_annotation or not parent.path else f"{parent.path}.{key}"
    return Field(
        path, (own, *dotted), value, parent.place, parent.level, parent.path, parent.is_label, parent.is_annotation
    )


def _below(parent: _Object, key: str, value: Mapping[Any, Any], name: str = "") -> _Object:
    own = normal(name or key)
    path = f"{parent.path}.{key}" if parent.path else key
    place = max(parent.place, _place(own, is_element=bool(name)))
    return _Object(
        value,
        path,
        (*parent.names[-2:], own),
        place,
        parent.level + 1,
        is_label=own in _LABELS and parent.place is Place.BODY,
        is_annotation=own in _ANNOTATIONS and parent.place is Place.BODY,
    )


def _place(name: str, *, is_element: bool) -> Place:
    if name in _OTHERS or name.startswith(tables.PAST):
        return Place.OTHER
    return Place.BODY if name in _BODIES and not is_element else Place.ELSEWHERE


def _pairs(value: list[Any]) -> dict[str, Any] | None:
    """A list of names and values as an object: [{"name": "host", "value": "db-1"}], or [["host", "db-1"]]."""
    found = dict(filter(None, map(_pair, value)))
    return found if found and len(found) == len(value) else None


def _pair(item: Any) -> tuple[str, Any] | None:
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):  # noqa: PLR2004 - a name and its value
        return item[0], item[1]
    if not isinstance(item, Mapping):
        return None
    name = fields.first_text(item, _PAIR_NAMES)
    value = next((item[it] for it in _PAIR_VALUES if it in item), None)
    return (name, value) if name and value is not None else None
