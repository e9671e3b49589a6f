"""What of an incident is written into a record that is kept in sync both ways. Pure: decisions, no requests.

A state is written once for each change of the incident here: what people do to the record afterwards stands.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from versus_py.config import ServiceNowInstance
from versus_py.config.servicenow import RECOMMENDED_SEVERITIES
from versus_py.config.tickets import TicketRoute
from versus_py.incidents.model import Entry, Event, Incident, Status
from versus_py.incidents.severity import is_graver, row_for
from versus_py.incidents.sides import Side
from versus_py.targets.servicenow.asked import Destinations
from versus_py.targets.servicenow.record import Record
from versus_py.targets.servicenow.sides import GROUP, route_of, severity_of

IMPACT, URGENCY, CALLER = "impact", "urgency", "caller_id"
WRITTEN_TO = (IMPACT, URGENCY, CALLER)
"""The columns that are compared before they are written, beside those of a side."""

_SOURCE = "source"
_THERE = " there"
_GRAVEST, _LEAST_GRAVE = 1, 3
_SEVERITIES = {Event.SEVERITY_RAISED, Event.SEVERITY_CHANGED}


class Reflection(Struct, frozen=True):
    """What the incident's record has yet to show, beside its news."""

    is_standing_new: bool  # the incident has come to stand elsewhere since a state was written, and not by the record
    is_graver: bool = False  # somebody here, or an alert, has raised the severity
    is_called: bool = False  # nobody has acknowledged the ticket: its urgency is raised by one
    group: str = ""  # the routing key of who deals with it now; "": nobody here has changed that
    caller: str = ""  # the address of who acts; "": there is a caller, or nobody looks for one


def is_ticket(reference: Mapping[str, str]) -> bool:
    """Whether the record came in by itself, and the incident began with it."""
    return reference.get(_SOURCE) == "1"


def kept(reference: Mapping[str, str]) -> dict[str, str]:
    """What every reference to the record has to go on saying."""
    return {_SOURCE: "1"} if is_ticket(reference) else {}


def _stood(incident: Incident, target: str) -> str:
    """Where the incident stands, since when, and whether the record of *target* had it so first."""
    since_ms = {
        Status.TRIGGERED: incident.waiting_since_ms,
        Status.ACKNOWLEDGED: incident.acknowledged_at_ms,
        Status.RESOLVED: incident.resolved_at_ms,
    }
    there = _THERE if _is_by_record(incident, target) else ""
    return f"{incident.status} {since_ms[incident.status] or 0}{there}"


def reflected(incident: Incident, record: Record, caller: str, target: str) -> dict[str, str]:
    """What a reference says of the incident once the record has shown it. *caller* is who was set just now."""
    caller = caller or ("-" if record.values.get(CALLER) else "")
    return {"stood": _stood(incident, target), "severity": incident.severity, **({"caller": caller} if caller else {})}


def unsaid_there(entries: Iterable[Entry], target: str) -> tuple[Entry, ...]:
    """Those that the record does not know by itself."""
    return tuple(entry for entry in entries if entry.said_at != target)


def is_acknowledged_there(incident: Incident, target: str) -> bool:
    """Whether it was acknowledged in the record of *target*, so that this has whom people want."""
    latest = next((entry for entry in reversed(incident.news) if entry.event is Event.ACKNOWLEDGED), None)
    return latest is not None and latest.said_at == target


def is_standing_new(incident: Incident, reference: Mapping[str, str], target: str) -> bool:
    """Whether the incident has come to stand elsewhere since that was reflected, and not because the record did."""
    known = reference.get("stood", "")
    if incident.dealt_with_by is None:  # of what is no news any more, nobody can tell whether it was said there
        known = known.removesuffix(_THERE)
    return known != _stood(incident, target) and not _is_by_record(incident, target)


def _is_by_record(incident: Incident, target: str) -> bool:
    """Whether somebody acknowledged or resolved it in the record of *target*."""
    return incident.dealt_with_by is not None and incident.dealt_with_by.said_at == target


def is_raised(incident: Incident, unsaid: Sequence[Entry], reference: Mapping[str, str]) -> bool:
    """Whether the severity has been raised here, by a person or by alerts, since it was reflected."""
    before = reference.get("severity", "")
    if any(entry.event in _SEVERITIES for entry in unsaid):
        return not before or is_graver(incident.severity, before)
    begins_anew = any(entry.event is Event.RETRIGGERED for entry in unsaid)
    return begins_anew and bool(before) and is_graver(incident.severity, before)


def raised(record: Record, severity: str, instance: ServiceNowInstance) -> dict[str, str]:
    """The impact and the urgency of *severity*, where the record is not as grave; empty where it is.

    By the instance's own rows, else by the ones that are recommended. Neither is ever lowered.
    """
    meant = severity_of(record.values, instance)
    now, wanted = _scale(record.values), _scale(_row(severity, instance))
    if now is None or wanted is None or (meant and not is_graver(severity, meant)):
        return {}
    if sum(now.values()) <= sum(wanted.values()):  # ServiceNow's priority follows from the sum
        return {}
    return {column: str(wanted[column]) for column in now if wanted[column] < now[column]}


def more_urgent(values: Mapping[str, str]) -> dict[str, str]:
    """One step up; empty where there is none, or no urgency."""
    now = _scale(values)
    return {URGENCY: str(now[URGENCY] - 1)} if now is not None and now[URGENCY] > _GRAVEST else {}


def _row(severity: str, instance: ServiceNowInstance) -> Mapping[str, str]:
    for rows in (instance.severities, RECOMMENDED_SEVERITIES):
        row = row_for(rows, severity)
        row = rows.get("default", {}) if row is None else row
        if _scale(row) is not None:
            return row
    return {}


def _scale(values: Mapping[str, str]) -> dict[str, int] | None:
    """Impact and urgency; None where one is missing, or none of ServiceNow's numbers."""
    texts = {column: str(values.get(column, "")) for column in (IMPACT, URGENCY)}
    allowed = {str(number) for number in range(_GRAVEST, _LEAST_GRAVE + 1)}
    return {column: int(text) for column, text in texts.items()} if {*texts.values()} <= allowed else None


def group_key(
    incident: Incident,
    unsaid: Sequence[Entry],
    record: Record,
    instance: ServiceNowInstance,
    *,
    known: Side | None,
    changed_ms: int,
    destinations_of: Destinations,
) -> str:
    """The routing key of the group that deals with it now, because a person here has routed it; "" for none.

    Where people there have assigned the record to another group since it was seen as *known*, the later one of the
    two stays; *changed_ms* is when the record was last changed.
    """
    routed = [entry for entry in unsaid if entry.event is Event.ROUTED and entry.by is not None]
    if not routed or instance.routing_field != GROUP:
        return ""
    has_moved_there = known is not None and record.values.get(GROUP, "") != known.group
    if has_moved_there and changed_ms >= routed[-1].at_ms:
        return ""
    at_present = route_of(record.values, instance, record.display)
    if at_present is not None and _leads_to(at_present, incident, destinations_of):
        return ""
    leading = (key for key, route in instance.routing.items() if _leads_to(route, incident, destinations_of))
    by_policy = (key for key, route in instance.routing.items() if route.policy and _is_policy(route, incident))
    return next(leading, None) or next(by_policy, "")


def _leads_to(route: TicketRoute, incident: Incident, destinations_of: Destinations) -> bool:
    places = destinations_of(route.channel)
    is_there = places.items() <= dict(incident.policy.destinations).items()
    return bool(route.policy or places) and is_there and (not route.policy or _is_policy(route, incident))


def _is_policy(route: TicketRoute, incident: Incident) -> bool:
    return route.policy == incident.policy.name


def caller_email(
    incident: Incident,
    unsaid: Sequence[Entry],
    record: Record,
    instance: ServiceNowInstance,
    reference: Mapping[str, str],
    target: str,
) -> str:
    """The address of the first person who has acted here, while the record has no caller and none was ever set."""
    is_wanted = instance.map_caller and CALLER not in instance.fields
    if not is_wanted or record.values.get(CALLER, "-") or reference.get("caller"):
        return ""
    acting = [entry.by for entry in unsaid if entry.by is not None]
    if incident.acknowledged_by is not None and not is_acknowledged_there(incident, target):
        acting.append(incident.acknowledged_by)
    return next((person.email for person in acting if person.email), "")
