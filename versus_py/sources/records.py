"""Records of ServiceNow among payloads: they are no alerts, whoever sends them here."""

from collections.abc import Iterator, Mapping
from typing import Any

from versus_py.errors import NotAnAlert, WrongAddress
from versus_py.incidents.model import is_incident_id

EVENTS_PATH = "/api/servicenow/events"
"""Where records belong; the name of another instance follows it."""

_COLUMNS = frozenset({"sys_id", "sys_mod_count", "number"})

KEY = "correlation_id"
"""The column that holds the incident's id in records that are ours."""


_WRAPPERS = frozenset({"record", "records", "result", "current", "incident", "data", "body", "payload"})
"""Keys that a record stands behind where it is sent in an object. Behind another, it may belong to an alert."""


def raise_if_record(payload: Mapping[str, Any]) -> None:
    """Raises WrongAddress for a record, itself or wrapped, and NotAnAlert for what is about an incident of ours.

    Taken as alerts, each state of a ticket would be an incident, whose own record would come here in turn, without end.
    """
    levels = [*_levels(payload)]
    for it in levels:
        if it.keys() >= _COLUMNS:
            raise WrongAddress(
                "this is a record of ServiceNow (sys_id, sys_mod_count and number) and no alert: send it to "
                f"{EVENTS_PATH}, which follows what becomes of it; docs/servicenow.md says how"
            )
    for it in levels:
        if KEY in it and is_incident_id(_text(it[KEY])):
            raise NotAnAlert(f"it is an echo: its {KEY} is the id of incident {_text(it.get(KEY))}")


def _levels(payload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The payload, and the objects that it wraps, in lists too."""
    yield payload
    if _WRAPPERS.isdisjoint(map(str.casefold, payload)):
        return
    for name, value in payload.items():
        if name.casefold() not in _WRAPPERS:
            continue
        if isinstance(value, Mapping):
            yield value
        elif isinstance(value, list):
            yield from (it for it in value if isinstance(it, Mapping))


def _text(value: Any) -> str:
    """As a GlideRecord or the Table API gives it."""
    found = value.get("value") if isinstance(value, Mapping) else value
    return found.strip() if isinstance(found, str) else ""
