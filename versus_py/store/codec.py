"""What is stored of an incident, and which versions may work on it.

The text of an incident, and that of each delivery, is a JSON object that begins with two numbers. `schema` is its
layout; `readable_from` is the oldest layout whose versions may work on it. A version that is older than `readable_from`
leaves the incident alone. One that is older than `schema` alone works on it, and keeps the fields that it does not
know: what it read is kept as `unknown`, and merged into what it writes. A text without numbers is of layout 1.

Everything else is one text, `packed`: JSON, compressed. The text of an incident has its place among all that are open
before that, which is read without the rest. It follows from the rest: a text without it is as good.

Many alerts are a field of their own, `alerts`, so that a change of something else does not write them again, and who
does not need them does not read them. So were those of every incident up to layout 5.
"""

import dataclasses
import re
from collections.abc import Mapping
from functools import cache
from operator import attrgetter
from typing import Any, get_args, get_type_hints

import msgspec
import orjson
from msgspec import Struct, structs

from versus_py.errors import Unreadable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, Delivery, Entry, Incident, IncidentId, Status
from versus_py.incidents.places import Place, place_of
from versus_py.incidents.policies import Policy
from versus_py.store import older_layouts, packing
from versus_py.store.keys import DELIVERY_FIELD

SCHEMA = 6
"""The layout that this version writes.

1: until 0.9, without numbers. 2: `Actor.ids` instead of `slack_id`, `Policy.mentions` instead of `mention`.
3: alerts in a field of their own, each with who lists it. 4: steps instead of a channel, a provider and a fallback.
5: the ticket that an incident began with, how its records were last seen, and where its news were said.
6: compressed; few alerts, and what the timeline begins with, are with the rest.
"""

READABLE_FROM = 6
"""The oldest layout whose versions may work on what this version writes."""

TOGETHER_MAX = 20
"""So many alerts are stored with the rest of their incident; more are a field of their own."""

_ENTRY_DEFAULTS = {it.name: it.default for it in structs.fields(Entry)}
_STORED_ELSEWHERE = {
    "id",
    "version",
    "repeats",
    "written_at_ms",
    "status",
    "deliveries",
    "unknown",
    "schema",
    "payload",
}
_PLACE = re.compile(r'{"schema":\d+,"readable_from":(\d+),"place":"([whnet]\d{1,17})"')
_NUMBERS = re.compile(r'{"schema":(\d+),"readable_from":(\d+),')
_PACKED = '"packed":"'


class _Fields:
    """The fields of a struct that are stored, by name."""

    def __init__(self, kind: type[Struct], *, without: set[str]) -> None:
        self._names = tuple(it for it in kind.__struct_fields__ if it not in without)
        self._values = attrgetter(*self._names)

    def of(self, value: object) -> dict[str, Any]:
        return dict(zip(self._names, self._values(value), strict=True))


_INCIDENT = _Fields(Incident, without=_STORED_ELSEWHERE)
_DELIVERY = _Fields(Delivery, without={"unknown", "report"})
_encode = msgspec.json.Encoder(enc_hook=dict).encode  # a mapping of another kind
_decode_incident = msgspec.json.Decoder(Incident).decode
_decode_alerts = msgspec.json.Decoder(tuple[Alert, ...]).decode
_decode_delivery = msgspec.json.Decoder(Delivery).decode


def dump_incident(incident: Incident) -> bytes:
    """Without its deliveries, version, repeats and status, and without many alerts, which have fields of their own."""
    data = _INCIDENT.of(incident)
    data["occurrences"] -= incident.repeats
    if has_alerts_apart(incident):
        del data["alerts"]
    return _dumped(Incident, data, incident.unknown, place_of(incident))


def has_alerts_apart(incident: Incident) -> bool:
    """Whether its alerts are a field of their own."""
    return len(incident.alerts) > TOGETHER_MAX


def dump_alerts(incident: Incident) -> bytes:
    """Of an incident that has them apart."""
    json, known = _encode(incident.alerts), incident.unknown.get("alerts")
    if known:
        json = orjson.dumps([_merged_item(Alert, item, known) for item in orjson.loads(json)])
    return b'{"packed":"%s"}' % packing.pack(json)


def dump_delivery(delivery: Delivery) -> bytes:
    return _dumped(Delivery, _DELIVERY.of(delivery), delivery.unknown)


def dump_entry(entry: Entry) -> bytes:
    """Without what is as it is by default."""
    values = {name: getattr(entry, name) for name in _ENTRY_DEFAULTS}
    return _encode({name: it for name, it in values.items() if it != _ENTRY_DEFAULTS[name]})


def load_incident(incident_id: IncidentId, stored: Mapping[str, str]) -> Incident | None:
    """From the fields of its hash; None when there are none.

    Raises Unreadable when a newer version wrote it and says that this one may not work on it, and when it is broken.
    """
    if not stored:
        return None
    try:
        schema = _schema_of(stored["incident"])
        is_older = schema <= older_layouts.LATEST
        incident = _older_incident(stored, schema) if is_older else _incident(incident_id, stored, schema)
        return _with_repeats(incident, int(stored.get("repeats", 0)), int(stored.get("repeated_ms", 0)))
    except _TooNew as exc:
        raise Unreadable(f"incident {incident_id} {exc}: a replica of that version has to work on it") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise Unreadable(f"incident {incident_id} cannot be read: a newer version may have written it") from exc


def load_place(beginning: str) -> Place | None:
    """From the beginning of an incident's text; None when it has none, or only newer versions may work on it."""
    found = _PLACE.match(beginning)
    return None if found is None or int(found[1]) > SCHEMA else Place.parse(found[2])


def load_glance(incident_id: IncidentId, stored: Mapping[str, str | None]) -> Incident | None:
    """From some of its fields; None when it is not there, or cannot be read by this version."""
    try:
        return load_incident(incident_id, {name: text for name, text in stored.items() if text is not None})
    except Unreadable:
        return None


def load_resolved_at_ms(text: str) -> int | None:
    """From the text of an incident; None when it does not say. Raises ValueError."""
    at_ms = orjson.loads(_unpacked(text)).get("resolved_at_ms")
    return at_ms if isinstance(at_ms, int) else None


def load_entry(text: str) -> Entry:
    return older_layouts.load_entry(text)


class _TooNew(Exception):
    """Only newer versions may work on it."""


def _schema_of(text: str) -> int:
    """Raises _TooNew."""
    schema, readable_from = _numbers_of(text).values()
    if readable_from > SCHEMA:
        raise _TooNew(f"is of schema {schema}, for versions that read {readable_from}; this one reads {SCHEMA}")
    return schema


def _incident(incident_id: IncidentId, stored: Mapping[str, str], schema: int) -> Incident:
    """All its fields make one JSON object, which is read at once. Of two values, what comes last counts."""
    text, alerts, sides = _unpacked(stored["incident"]), _unpacked(stored.get("alerts", "[]")), _sides(stored)
    known = {"id": incident_id, "version": int(stored["version"]), "status": stored["status"], "schema": schema}
    deliveries = b",".join(b"%s:%s" % (_encode(target), _unpacked(it)) for target, it in sides.items())
    incident = _decode_incident(
        b'%s,"alerts":%s,"deliveries":{%s},%s' % (_encode(known)[:-1], alerts, deliveries, text[1:])
    )
    if schema > SCHEMA:
        unknown = {"alerts": orjson.loads(alerts)} | orjson.loads(text) | _numbers_of(stored["incident"])
        incident = replace(incident, unknown=unknown)
    newer = _newer(sides)
    return incident.with_deliveries({**incident.deliveries, **newer}) if newer or incident.retried else incident


def _older_incident(stored: Mapping[str, str], schema: int) -> Incident:
    status, alerts, sides = Status(stored["status"]), stored.get("alerts", "[]"), _sides(stored)
    incident = older_layouts.load_incident(stored["incident"], schema, status, alerts)
    deliveries = {target: _decode_delivery(_unpacked(it)) for target, it in sides.items()} | _newer(sides)
    return replace(incident, schema=schema).with_deliveries(deliveries, version=int(stored["version"]))


def _with_repeats(incident: Incident, repeats: int, repeated_at_ms: int) -> Incident:
    """With what was only counted since it was written."""
    return replace(
        incident,
        occurrences=incident.occurrences + repeats,
        repeats=repeats,
        written_at_ms=incident.updated_at_ms,
        updated_at_ms=max(incident.updated_at_ms, repeated_at_ms),
    )


def _sides(stored: Mapping[str, str]) -> dict[str, str]:
    """The texts of its deliveries, by target. Raises _TooNew."""
    found = {
        name.removeprefix(DELIVERY_FIELD): text for name, text in stored.items() if name.startswith(DELIVERY_FIELD)
    }
    for text in found.values():
        _schema_of(text)
    return found


def _newer(sides: Mapping[str, str]) -> dict[str, Delivery]:
    """The deliveries that a newer version has written, each with what it wrote."""
    return {
        target: replace(_decode_delivery(json := _unpacked(text)), unknown=orjson.loads(json) | _numbers_of(text))
        for target, text in sides.items()
        if _schema_of(text) > SCHEMA
    }


def _numbers_of(text: str) -> dict[str, int]:
    found = _NUMBERS.match(text)
    schema, readable_from = map(int, found.groups()) if found else (1, 1)
    return {"schema": schema, "readable_from": readable_from}


def _unpacked(text: str) -> bytes:
    """The JSON in it; of an older layout, the text itself. Raises ValueError."""
    before, is_packed, packed = text.partition(_PACKED)
    return packing.unpack(packed[:-2]) if is_packed and before[:1] == "{" else text.encode()


def _dumped(kind: type, data: dict[str, Any], unknown: Mapping[str, Any], place: Place | None = None) -> bytes:
    """With its numbers, and with what *unknown*, the text of a newer version, has beyond what is known here."""
    json = _encode(data)
    numbers = {"schema": SCHEMA, "readable_from": READABLE_FROM}
    if unknown:
        numbers = {name: unknown[name] for name in numbers}
        rest = {name: it for name, it in unknown.items() if name not in numbers}
        json, place = orjson.dumps(_merged(kind, orjson.loads(json), rest)), None
    begun = orjson.dumps(numbers if place is None else numbers | {"place": place.text})
    return b'%s,"packed":"%s"}' % (begun[:-1], packing.pack(json))


def _merged(kind: type, written: dict[str, Any], unknown: Mapping[str, Any]) -> dict[str, Any]:
    parts = _parts(kind)
    for name, value in unknown.items():
        if name not in parts:
            written[name] = value
        elif (part := parts[name]) is not None and value:
            before, after = value, written[name]
            if isinstance(after, list):
                written[name] = [_merged_item(part, item, before) for item in after]
            elif isinstance(after, dict) and (part is Policy or _is_same(part, after, before)):
                written[name] = _merged(part, after, before)
    return written


def _merged_item(kind: type, item: dict[str, Any], candidates: list[dict[str, Any]]) -> dict[str, Any]:
    same = next((it for it in candidates if _is_same(kind, item, it)), None)
    return item if same is None else _merged(kind, item, same)


def _is_same(kind: type, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are about the same thing: an alert by its fingerprint, anything else by all that is known of it."""
    names = ["fingerprint"] if "fingerprint" in _parts(kind) else list(_parts(kind))
    return all(one.get(name) == other.get(name) for name in names if _parts(kind)[name] is None)


@cache
def _parts(kind: type) -> Mapping[str, type | None]:
    """The fields of *kind*; beside each, what it holds that has fields too, one or many of; None for plain values."""
    hints = get_type_hints(kind)
    return {it: _value_in(hints[it]) for it in _names_of(kind)}


def _names_of(kind: Any) -> tuple[str, ...]:
    """The fields of a struct or a dataclass."""
    return tuple(it.name for it in (structs if issubclass(kind, Struct) else dataclasses).fields(kind))


def _value_in(hint: Any) -> type | None:
    return next((it for it in (hint, *get_args(hint)) if _is_value(it)), None)


def _is_value(hint: Any) -> bool:
    return isinstance(hint, type) and (issubclass(hint, Struct) or dataclasses.is_dataclass(hint))
