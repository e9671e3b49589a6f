"""What the columns of a ticket mean here: its side of an incident. Pure; shared by events and by syncs."""

from collections.abc import Mapping

from versus_py.config import ServiceNowInstance, ServiceNowStates
from versus_py.config.tickets import PriorityLeads, TicketRoute
from versus_py.errors import BadPayload
from versus_py.incidents.sides import Side, Standing
from versus_py.targets.feed import UnknownState
from versus_py.targets.servicenow.key import shortened
from versus_py.targets.servicenow.sys_ids import is_sys_id

REVISION = "sys_mod_count"
CHANGED_BY = "sys_updated_by"
STATE = "state"
PRIORITY = "priority"
ASSIGNED_TO = "assigned_to"
GROUP = "assignment_group"
TITLE = "short_description"
CLOSE_NOTES = "close_notes"

_SCALE = {"1": "critical", "2": "error", "3": "warning", "4": "notice", "5": "info"}
"""1 Critical, 2 High, 3 Moderate, 4 Low, 5 Planning: servicenow.com/docs, "Incident management", priority lookup."""

_TEXT_MAX = 255
_DIGITS_MAX = 12


def columns_of(instance: ServiceNowInstance) -> tuple[str, ...]:
    """The columns that a side is made of."""
    route = (instance.routing_field,) if instance.routing_field else ()
    read = (REVISION, CHANGED_BY, STATE, PRIORITY, ASSIGNED_TO, GROUP, TITLE, CLOSE_NOTES, *route)
    return tuple(dict.fromkeys(read))


def side_of(
    values: Mapping[str, str],
    instance: ServiceNowInstance,
    display: Mapping[str, str],
    *,
    otherwise: Standing | None = None,
    severity: str = "",
) -> Side:
    """The side that a record with these raw *values* is; *display* has what people see of them, as far as known.

    *severity* is that of the rule that sent it, where it has one. Raises UnknownState for a state that the
    configuration does not name, unless *otherwise* says what to take it for, and BadPayload without a revision.
    """
    is_unread = is_route_unread(values, instance, display)
    return Side(
        revision=revision_of(values),
        standing=_standing(values.get(STATE, ""), instance.states, otherwise),
        assignee=_bounded(values.get(ASSIGNED_TO, "")),
        group=_bounded(values.get(GROUP, "")),
        severity=severity_of(values, instance, otherwise=severity),
        route="" if is_unread else _bounded(route_key(values, instance, display)),
        title=_bounded(" ".join(values.get(TITLE, "").split())),
        is_route_unread=is_unread,
        priority=_bounded(values.get(PRIORITY, "")),
    )


def revision_of(values: Mapping[str, str]) -> int:
    """How often the record has been changed. Raises BadPayload when it does not say that."""
    count = values.get(REVISION, "").strip()
    if not (count.isascii() and count.isdecimal() and len(count) <= _DIGITS_MAX):
        raise BadPayload(f"{REVISION} is {shortened(count, 40)!r}; it has to be the number of the record's changes")
    return int(count)


def standing_of(state: str, states: ServiceNowStates) -> Standing:
    """Raises UnknownState for a number that the configuration does not name."""
    known = standings(states)
    if state not in known:
        named = ", ".join(f"{number} ({standing})" for number, standing in known.items())
        raise UnknownState(
            f"state is {shortened(state, 40)!r}, which oncall.servicenow.states does not name; it names {named}"
        )
    return known[state]


def standings(states: ServiceNowStates) -> Mapping[str, Standing]:
    """Every state by its number. One that is named twice is what the earlier setting says."""
    named = (
        (states.new, Standing.NEW),
        (states.acknowledged, Standing.IN_PROGRESS),
        *((number, Standing.ON_HOLD) for number in states.open),
        (states.resolved, Standing.RESOLVED),
        *((number, Standing.CLOSED) for number in states.closed),
    )
    known: dict[str, Standing] = {}
    for number, standing in named:
        known.setdefault(number, standing)
    return known


def priority_of(values: Mapping[str, str], instance: ServiceNowInstance) -> PriorityLeads | None:
    """What the priority means here; None where priority_map does not name it."""
    return instance.priority_map.get(values.get(PRIORITY, ""))


def severity_of(values: Mapping[str, str], instance: ServiceNowInstance, *, otherwise: str = "") -> str:
    """The severity that priority_map has for the priority, else *otherwise*, else that of ServiceNow's own scale.

    "" where none of these tells one.
    """
    leads = priority_of(values, instance)
    return otherwise or _SCALE.get(values.get(PRIORITY, ""), "") if leads is None else leads.severity


def route_key(values: Mapping[str, str], instance: ServiceNowInstance, display: Mapping[str, str]) -> str:
    """The key of `routing` that the record has, else what routing_field holds; "" for nothing.

    A key is the raw value, such as a sys_id, or what people see, such as a group's name, in any case. Events leave out
    what people see where it is the raw value.
    """
    column = instance.routing_field
    raw, shown = values.get(column, "") if column else "", display.get(column, "") if column else ""
    if raw in instance.routing:
        return raw
    by_name = {key.casefold(): key for key in reversed(instance.routing)}
    return by_name.get((shown or raw).strip().casefold(), raw or shown)


def is_route_unread(values: Mapping[str, str], instance: ServiceNowInstance, display: Mapping[str, str]) -> bool:
    """Whether the routing key is a reference without its name, which `routing` may have: a sync reads it."""
    column = instance.routing_field
    if not column or not instance.routing:
        return False
    raw = values.get(column, "")
    return is_sys_id(raw) and raw not in instance.routing and not display.get(column)


def route_of(values: Mapping[str, str], instance: ServiceNowInstance, display: Mapping[str, str]) -> TicketRoute | None:
    """Where the record's routing key leads; None where `routing` does not name it."""
    return instance.routing.get(route_key(values, instance, display))


def _standing(state: str, states: ServiceNowStates, otherwise: Standing | None) -> Standing:
    try:
        return standing_of(state, states)
    except UnknownState:
        if otherwise is None:
            raise
        return otherwise


def _bounded(text: str) -> str:
    return shortened(text, _TEXT_MAX)
