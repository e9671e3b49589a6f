"""What business rules of the instances send: the records that tickets are. Pure, but for `look`."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from versus_py.config import Config, ServiceNowConfig, ServiceNowInstance
from versus_py.config.tickets import TicketSource
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident
from versus_py.incidents.sides import Report, Ticket
from versus_py.incidents.tickets import OnHold
from versus_py.targets.feed import FeedSource
from versus_py.targets.servicenow.asked import asked_of, destinations
from versus_py.targets.servicenow.instances import key_of, locator_of, match
from versus_py.targets.servicenow.key import Key
from versus_py.targets.servicenow.posted import Posted, quoted, read_record
from versus_py.targets.servicenow.reflection import is_ticket
from versus_py.targets.servicenow.sides import (
    CHANGED_BY,
    CLOSE_NOTES,
    GROUP,
    PRIORITY,
    TITLE,
    is_route_unread,
    priority_of,
    route_key,
    route_of,
    side_of,
)
from versus_py.targets.servicenow.sys_ids import is_sys_id

NAME = ServiceNowConfig.NAME

NUMBER_MAX = 40

LABELS = (
    "number",
    "priority",
    "impact",
    "urgency",
    "category",
    "subcategory",
    "contact_type",
    "assignment_group",
    "business_service",
    "service_offering",
    "cmdb_ci",
    "location",
    "company",
)
"""Columns that matchers see, beside routing_field: as people see them, but for the numbers."""

_BY_NUMBER = {"number", "priority", "impact", "urgency"}
_LABEL_MAX = 255

_WARNED_MAX = 1000
"""Routing keys and priorities that are remembered; beyond that, none is warned about."""

Look = Callable[[str, Sequence[Incident]], Awaitable[Mapping[str, Report | None]]]
"""See `Feed.look`."""


@dataclass(frozen=True, slots=True)
class _Place:
    """An instance that may send."""

    name: str | None
    config: ServiceNowInstance

    @property
    def target(self) -> str:
        return target_of(self.name)

    @property
    def path(self) -> str:
        """Where the configuration has it."""
        return key_of(None) if self.name is None else f"{key_of(None)}.{ServiceNowConfig.PLACES}.{self.name}"

    def url(self, sys_id: str) -> str:
        """Where people look at a record. What a record says of its server is not asked: a cloned instance is wrong."""
        return f"{self.config.browser_url}/{self.config.table}.do?sys_id={sys_id}"


def target_of(instance: str | None) -> str:
    """The target whose records are in that instance, None being the default one."""
    return NAME if instance is None else f"{NAME}:{instance}"


class ServiceNowFeed:
    """The tickets of all instances, see `Feed`. *look* asks the instances themselves."""

    def __init__(self, config: Config, servicenow: ServiceNowConfig, look: Look) -> None:
        self._configured = servicenow.instances()
        self._places = {name or "": _Place(name, it) for name, it in self._configured.items()}
        self._by_target = {it.target: it for it in self._places.values()}
        self._destinations_of = destinations(config)
        self._look = look
        self._warned: set[tuple[str, str]] = set()

    @property
    def instances(self) -> Sequence[str]:
        return [name for name, it in self._places.items() if it.config.events.is_on]

    def tokens(self, instance: str) -> Sequence[tuple[FeedSource, str]]:
        place = self._places.get(instance)
        return [] if place is None else [(FeedSource(instance, name), token) for name, token in _tokens(place)]

    def on_hold(self, target: str, incident: Incident) -> OnHold:
        return OnHold(self._config_of(target, incident).events.on_hold)

    def writes_ends(self, target: str, incident: Incident) -> bool:
        config = self._config_of(target, incident)
        is_written = config.writes_tickets or not is_ticket(incident.delivery(target).reference)
        return is_written and config.on_resolve == "resolve" and config.lifecycle == "incident"

    def compares_every_ms(self, target: str) -> int | None:
        places = [it for it in (self._by_target.get(target),) if it is not None]
        if target == NAME:  # requests may have had its records made in any instance
            places = [*self._places.values()]
        every_ms = (round(it.config.events.compare_every_minutes * 60_000) for it in places if it.config.is_two_way)
        return min(filter(None, every_ms), default=None)

    async def look(self, target: str, incidents: Sequence[Incident]) -> Mapping[str, Report | None]:
        return await self._look(target, incidents)

    def read(self, source: FeedSource, body: bytes) -> Ticket:
        """The ticket that *body* is. Raises UnknownState, and BadPayload for everything else that is odd."""
        place, posted = self._places[source.instance], read_record(body)
        sys_id, number, incident_id = _sys_id(posted), _number(posted), _incident_id(posted, place.config)
        rule = None if incident_id else place.config.events.source(source.name)  # what it says is of tickets
        return Ticket(
            replace(self._report(place, posted, rule), sender=source.name),
            locator=locator_of(place.name, sys_id),
            dedup_key=f"{NAME}\n{locator_of(place.name, sys_id)}",
            number=number,
            url=place.url(sys_id),
            reference={
                "sys_id": sys_id,
                "instance": place.config.instance_url or "",
                "table": place.config.table,
                "key": key_of(place.name),
                "source": "1",
            },
            description=posted.values.get("description", "") or posted.values.get(TITLE, ""),
            incident_id=incident_id,
            sender=source.name,
            warnings=(*self._unknown_priority(place, posted), *self._unknown_key(place, posted)),
        )

    def _config_of(self, target: str, incident: Incident) -> ServiceNowInstance:
        """That of the instance which has the record: of the main target, a request may have chosen another one."""
        reference, chosen = incident.delivery(target).reference, incident.policy.destinations.get(target)
        found = match(reference, chosen, self._configured) if reference else None
        if found is not None:
            return self._configured[found.name]
        return (self._by_target.get(target) or self._places[""]).config

    def _report(self, place: _Place, posted: Posted, rule: TicketSource | None) -> Report:
        policy, severity = (rule.policy, rule.severity) if rule else ("", "")
        asked, routed = asked_of(
            posted.values,
            place.config,
            posted.display,
            origin=place.target,
            destinations_of=self._destinations_of,
            policy=policy,
            severity=severity,
        )
        side = side_of(posted.values, place.config, posted.display, severity=severity)
        own, by = place.config.own_user, posted.updated_by
        return Report(
            place.target,
            side,
            by=by.name,
            email=by.email,
            user=by.user,
            is_own=bool(own) and posted.values.get(CHANGED_BY, "").casefold() == own,
            assignee=posted.assigned_to.name,
            assignee_email=posted.assigned_to.email,
            group=posted.display.get(GROUP, ""),
            comment=posted.values.get(CLOSE_NOTES, "") if side.standing.is_over else "",
            asked=asked,
            routed=routed,
            labels=_labels(posted, place.config),
        )

    def _unknown_priority(self, place: _Place, posted: Posted) -> Iterator[str]:
        named, priority = place.config.priority_map, posted.values.get(PRIORITY, "")
        is_unknown = named and priority and priority_of(posted.values, place.config) is None
        if is_unknown and self._is_new(f"{place.path}.priority_map", priority):
            yield f"priority {quoted(priority)} is not in {place.path}.priority_map, which names {', '.join(named)}"

    def _is_new(self, setting: str, value: str) -> bool:
        """Whether nobody was warned about it yet. Of very many, some are never."""
        is_new = (setting, value) not in self._warned and len(self._warned) < _WARNED_MAX
        if is_new:
            self._warned.add((setting, value))
        return is_new

    def _unknown_key(self, place: _Place, posted: Posted) -> Iterator[str]:
        """Once for each key: a group that is not meant to be routed would be warned about with every ticket."""
        key = route_key(posted.values, place.config, posted.display)
        leads = route_of(posted.values, place.config, posted.display) is not None
        if not key or leads or not place.config.routing or is_route_unread(posted.values, place.config, posted.display):
            return
        if self._is_new(f"{place.path}.routing", key):
            column = place.config.routing_field
            shown = posted.display.get(column) or key
            yield f"{column} {quoted(shown)} is not in {place.path}.routing: the ticket goes by default"


def _tokens(place: _Place) -> Iterator[tuple[str, str]]:
    """Every token after the name of its source."""
    events = place.config.events
    of_rules = ((it.name, token) for it in events.sources for token in (it.token, *it.previous_tokens))
    for name, token in (("", events.token), *(("", it) for it in events.previous_tokens), *of_rules):
        if token.get_secret_value():
            yield name, token.get_secret_value()


def _sys_id(posted: Posted) -> str:
    sys_id = posted.values.get("sys_id", "").lower()
    if not is_sys_id(sys_id):
        is_there = "is missing or empty" if not sys_id else f"is {quoted(sys_id)}"
        raise BadPayload(f"sys_id {is_there}; it has to be the record's 32 hexadecimal digits")
    return sys_id


def _number(posted: Posted) -> str:
    number = posted.values.get("number", "")
    if not number or len(number) > NUMBER_MAX or not number.isprintable() or " " in number:
        is_there = "is missing or empty" if not number else f"is {quoted(number)}"
        raise BadPayload(f"number {is_there}; it has to be the record's number, such as INC0010001")
    return number


def _incident_id(posted: Posted, instance: ServiceNowInstance) -> str:
    """By the key of the configuration, and by the column that held it before that was changed."""
    keys = (Key.of(instance), Key("correlation_id"))
    return next((found for it in keys if (found := it.incident_id(posted.values))), "")


def _labels(posted: Posted, instance: ServiceNowInstance) -> dict[str, str]:
    """What is empty is left out."""
    columns = dict.fromkeys((*LABELS, instance.routing_field))
    shown = {it: posted.values.get(it, "") if it in _BY_NUMBER else posted.shown(it) for it in columns}
    return {column: " ".join(text.split())[:_LABEL_MAX] for column, text in shown.items() if text}
