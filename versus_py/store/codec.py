"""What is stored of an incident, as JSON, and which versions may work on it.

The text of an incident, and that of each delivery, begins with two numbers. `schema` is its layout; `readable_from` is
the oldest layout whose versions may work on it. A version that is older than `readable_from` leaves the incident alone.
One that is older than `schema` alone works on it, and keeps the fields that it does not know: what it read is kept as
`unknown`, and merged into what it writes. A text without numbers is of layout 1.

The text of an incident goes on with its place among all that are open, which is read without the rest. It follows from
the rest: a text without it, of another version, is as good.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import orjson
from pydantic import TypeAdapter

from versus_py.errors import Unreadable
from versus_py.incidents.copies import replace
from versus_py.incidents.listings import seen
from versus_py.incidents.model import Alert, Call, Delivery, Entry, Incident, IncidentId, Status
from versus_py.incidents.places import Place, place_of
from versus_py.incidents.policies import Policy, made
from versus_py.store.keys import DELIVERY_FIELD

SCHEMA = 5
"""The layout that this version writes.

1: until 0.9, without numbers. 2: `Actor.ids` instead of `slack_id`, `Policy.mentions` instead of `mention`.
3: alerts in a field of their own, each with who lists it. 4: steps instead of a channel, a provider and a fallback.
5: the ticket that an incident began with, how its records were last seen, and where its news were said.
"""

READABLE_FROM = 4
"""The oldest layout whose versions may work on what this version writes."""

_INCIDENT = TypeAdapter(Incident)
_ALERTS = TypeAdapter(tuple[Alert, ...])
_DELIVERY = TypeAdapter(Delivery)
_ENTRY = TypeAdapter(Entry)
_ALERTS_APART = 3  # from this layout on
_STEPS = 4
_PLACE = re.compile(r'{"schema":\d+,"readable_from":(\d+),"place":"([whnet]\d{1,17})"')
_NUMBERS = re.compile(r'{"schema":(\d+),"readable_from":(\d+),')
_STORED_ELSEWHERE = {"version", "repeats", "written_at_ms", "status", "deliveries", "unknown", "schema", "payload"}


def dump_incident(incident: Incident) -> bytes:
    """Without its alerts, deliveries, version, repeats and status, which have fields of their own."""
    apart = replace(incident, alerts=(), occurrences=incident.occurrences - incident.repeats)
    text = _INCIDENT.dump_json(apart, exclude=_STORED_ELSEWHERE)
    if incident.unknown:
        return _dumped(Incident, text, incident.unknown)
    return _dumped(Incident, b'{"place":"%s",' % place_of(incident).text.encode() + text[1:], {})


def dump_alerts(incident: Incident) -> bytes:
    """Without what is as it is by default: there may be a thousand."""
    text = _ALERTS.dump_json(incident.alerts, exclude_defaults=True)
    known = incident.unknown.get("alerts")
    if not known:
        return text
    return orjson.dumps([_merged_item(Alert, item, known) for item in orjson.loads(text)])


def dump_delivery(delivery: Delivery) -> bytes:
    return _dumped(Delivery, _DELIVERY.dump_json(delivery, exclude={"unknown", "report"}), delivery.unknown)


def dump_entry(entry: Entry) -> bytes:
    return _ENTRY.dump_json(entry)


def load_incident(incident_id: IncidentId, stored: Mapping[str, str]) -> Incident | None:
    """From the fields of its hash; None when there are none.

    Raises Unreadable when a newer version wrote it and says that this one may not work on it, and when it is broken.
    """
    if not stored:
        return None
    try:
        deliveries = {
            name.removeprefix(DELIVERY_FIELD): _loaded_delivery(text)
            for name, text in stored.items()
            if name.startswith(DELIVERY_FIELD)
        }
        incident = _loaded_incident(stored["incident"], Status(stored["status"]), stored.get("alerts", "[]"))
        version = int(stored["version"])
        incident = _with_repeats(incident, int(stored.get("repeats", 0)), int(stored.get("repeated_ms", 0)))
    except _TooNew as exc:
        raise Unreadable(f"incident {incident_id} {exc}: a replica of that version has to work on it") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise Unreadable(f"incident {incident_id} cannot be read: a newer version may have written it") from exc
    return incident.with_deliveries(deliveries, version=version)


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


def load_entry(text: str) -> Entry:
    data = orjson.loads(text)
    _upgrade_actor(data.get("by"))
    return _ENTRY.validate_python(data)


class _TooNew(Exception):
    """Only newer versions may work on it."""


def _schema_of(text: str) -> int:
    """Raises _TooNew."""
    found = _NUMBERS.match(text)
    schema, readable_from = map(int, found.groups()) if found else (1, 1)
    if readable_from > SCHEMA:
        raise _TooNew(f"is of schema {schema}, for versions that read {readable_from}; this one reads {SCHEMA}")
    return schema


def _loaded_incident(text: str, status: Status, alerts: str) -> Incident:
    schema = _schema_of(text)
    if schema < _STEPS:
        data = _with_steps(_with_actors(orjson.loads(text)) if schema == 1 else orjson.loads(text))
        incident = replace(_INCIDENT.validate_python(data), status=status, schema=schema)
        if schema >= _ALERTS_APART:
            return replace(incident, alerts=_ALERTS.validate_json(alerts))
        # Nobody knows which of them people knew. They are not to be told again of what they dealt with.
        if incident.is_dealt_with:
            incident = replace(incident, alerts=seen(incident.alerts), seen_severity=incident.severity)
        return incident
    incident = _INCIDENT.validate_json(text)
    incident = replace(incident, status=status, alerts=_ALERTS.validate_json(alerts), schema=schema)
    if schema <= SCHEMA:
        return incident
    return replace(incident, unknown={**orjson.loads(text), "alerts": orjson.loads(alerts)})


def _with_repeats(incident: Incident, repeats: int, repeated_at_ms: int) -> Incident:
    """With what was only counted since it was written."""
    return replace(
        incident,
        occurrences=incident.occurrences + repeats,
        repeats=repeats,
        written_at_ms=incident.updated_at_ms,
        updated_at_ms=max(incident.updated_at_ms, repeated_at_ms),
    )


def _loaded_delivery(text: str) -> Delivery:
    schema = _schema_of(text)
    delivery = _DELIVERY.validate_json(text)
    return replace(delivery, unknown=orjson.loads(text)) if schema > SCHEMA else delivery


def _with_steps(data: dict[str, Any]) -> dict[str, Any]:
    """An incident of layout 3 or before as one of layout 4."""
    before = data["policy"]
    policy = made(
        channels=tuple(before.get("channels", ())),
        oncall=before.get("oncall"),
        wait_ms=before.get("wait_ms", 0),
        fallback=before.get("fallback"),
        fallback_after_ms=before.get("fallback_after_ms", 0),
        ack_timeout_ms=before.get("ack_timeout_ms", 0),
        destinations=before.get("destinations"),
        mentions=before.get("mentions"),
    )
    since_ms, due_ms = data["waiting_since_ms"], data.get("escalates_at_ms")
    began_ms = data.pop("escalation_began_at_ms", None)
    calls = {target: Call(0, since_ms, since_ms) for target in policy.channels}
    if began_ms is not None and policy.oncall is not None:
        calls[policy.oncall] = Call(1, due_ms or began_ms, began_ms)
    called = policy.targets if data.pop("may_have_record", False) else policy.channels
    return data | {
        "policy": policy,
        "next_step": 1 if began_ms is None else 2,
        "escalates_at_ms": due_ms if began_ms is None else None,
        "calls": calls,
        "told": called,
    }


def _with_actors(data: dict[str, Any]) -> dict[str, Any]:
    """An incident of layout 1 as one of layout 2."""
    for actor in (data.get("acknowledged_by"), data.get("resolved_by"), (data.get("snooze") or {}).get("by")):
        _upgrade_actor(actor)
    for entry in data.get("news", ()):
        _upgrade_actor(entry.get("by"))
    mention = data["policy"].pop("mention", "")
    if mention:
        data["policy"]["mentions"] = {"slack": mention}
    return data


def _upgrade_actor(actor: dict[str, Any] | None) -> None:
    if actor and (slack_id := actor.pop("slack_id", "")):
        actor["ids"] = {"slack": slack_id}


def _dumped(kind: type, text: bytes, unknown: Mapping[str, Any]) -> bytes:
    """With its numbers, and with what *unknown*, the text of a newer version, has beyond what is known here."""
    if not unknown:
        return b'{"schema":%d,"readable_from":%d,' % (SCHEMA, READABLE_FROM) + text[1:]
    numbers = {"schema": unknown["schema"], "readable_from": unknown["readable_from"]}
    return orjson.dumps(numbers | _merged(kind, orjson.loads(text), unknown))


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
    """The fields of *kind*; beside each, the dataclass that it holds, one or many of; None for plain values."""
    hints = get_type_hints(kind)
    return {it.name: _dataclass_in(hints[it.name]) for it in fields(kind)}


def _dataclass_in(hint: Any) -> type | None:
    if is_dataclass(hint) and isinstance(hint, type):
        return hint
    return next((it for it in get_args(hint) if is_dataclass(it) and isinstance(it, type)), None)
