"""How a record is after a sync, for the engine to hear what people did to it."""

from collections.abc import Mapping
from dataclasses import fields

import structlog
from msgspec import Struct

from versus_py.config import ServiceNowConfig
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident
from versus_py.incidents.sides import Report, Side, Standing
from versus_py.targets.feed import UnknownState
from versus_py.targets.servicenow.asked import Destinations, asked_of
from versus_py.targets.servicenow.instance import Instance
from versus_py.targets.servicenow.people import OwnUser, Person
from versus_py.targets.servicenow.record import Record
from versus_py.targets.servicenow.reflection import IMPACT, URGENCY
from versus_py.targets.servicenow.sides import (
    ASSIGNED_TO,
    CHANGED_BY,
    CLOSE_NOTES,
    GROUP,
    PRIORITY,
    STATE,
    TITLE,
    revision_of,
    side_of,
    standing_of,
)
from versus_py.targets.servicenow.sys_ids import is_sys_id

log = structlog.get_logger()

NAME = ServiceNowConfig.NAME

EVERYTHING = frozenset(it.name for it in fields(Side)) - {"revision", "is_route_unread"}

_SIDE_OF: Mapping[str, tuple[str, ...]] = {
    STATE: ("standing",),
    ASSIGNED_TO: ("assignee",),
    GROUP: ("group",),
    IMPACT: ("severity", "priority"),
    URGENCY: ("severity", "priority"),
    PRIORITY: ("severity", "priority"),
    TITLE: ("title",),
}
"""A column -> the fields of a side that are other ones when it is written."""

_COMMENT_MAX = 1000


class Synced(Struct, frozen=True):
    """What a sync wrote into a record, and how that is afterwards."""

    record: Record
    sent: frozenset[str] = frozenset()  # the columns
    writes: int = 0  # how often it was changed for that
    before: Record | None = None  # as it was read before that; None: this sync has created it, or written nothing

    def is_all_ours(self, known: Side | None, own_user: OwnUser) -> bool:
        """Whether nobody else has changed it since it was last seen as *known*.

        One change by our user that is not known is the write of an earlier attempt whose answer was lost.
        """
        first = self.before or self.record
        if not self._is_ours(own_user):
            return False
        if self.before is not None and revision_of(self.record.values) - revision_of(first.values) > self.writes:
            return False
        is_read_ours = own_user.is_it(first.values.get(CHANGED_BY, ""))
        if known is None:
            return is_read_ours or (self.before is None and self.writes > 0)
        return revision_of(first.values) - known.revision <= int(is_read_ours or self.before is None)

    def _is_ours(self, own_user: OwnUser) -> bool:
        return own_user.is_it(self.record.values.get(CHANGED_BY, "")) if own_user.is_known else self.writes > 0


class Reporter:
    """Reports of the records of *target*."""

    def __init__(self, target: str, destinations_of: Destinations) -> None:
        self._target = target
        self._destinations_of = destinations_of
        self._unknown_states: set[tuple[str, str]] = set()

    async def of(
        self, instance: Instance, incident: Incident, synced: Synced, *, is_repair: bool = False
    ) -> Report | None:
        """None where the instance is not kept in sync both ways, or the record does not say enough."""
        if not instance.config.is_two_way:
            return None
        known = incident.sides.get(self._target)
        origin = self._target if incident.origin == self._target else ""
        rule = instance.config.events.source(incident.sender) if origin else None
        policy, severity = (rule.policy, rule.severity) if rule else ("", "")  # as its events have it
        side = self._side(instance, synced.record, known, severity)
        if side is None:
            return None
        values, shown = synced.record.values, synced.record.display
        user_name = values.get(CHANGED_BY, "")
        is_ours = synced.is_all_ours(known, instance.own_user)
        asked, routed = asked_of(
            values,
            instance.config,
            shown,
            origin=origin,
            destinations_of=self._destinations_of,
            policy=policy,
            severity=severity,
        )
        report = Report(
            target=self._target,
            side=side,
            is_own=is_ours and not is_repair,  # while a sync is at work, comparing may see a part of what it writes
            wrote=_written(synced, side, known, instance.config.routing_field, is_all_ours=is_ours),
            since=known,
            assignee=shown.get(ASSIGNED_TO, "") if side.assignee else "",
            group=shown.get(GROUP, "") if side.group else "",
            comment=values.get(CLOSE_NOTES, "")[:_COMMENT_MAX] if side.standing.is_over else "",
            asked=asked,
            routed=routed,
            is_repair=is_repair,
        )
        return await self._signed(instance, incident, report, known, user_name)

    async def _signed(
        self, instance: Instance, incident: Incident, report: Report, known: Side | None, user_name: str
    ) -> Report:
        """With who did it, and to whom. Nobody is looked up where there is nothing that somebody did.

        But for those who did something before, and whose event did not tell who they are.
        """
        news = replace(report, is_own=False).news_since(known)
        unknown = _known_by_user_name(incident)
        wanted = [*unknown, *([user_name] if user_name and news else [])]
        people = await instance.people.named(wanted) if wanted else {}
        person = people.get(user_name, Person(user_name))
        assignee = Person("")
        if "assignee" in news and is_sys_id(report.side.assignee):
            assignee = await instance.people.with_id(report.side.assignee)
        return replace(
            report,
            by=person.called,
            email=person.email,
            user=user_name,
            assignee=report.assignee or assignee.name,
            assignee_email=assignee.email,
            people={it: (people[it].name, people[it].email) for it in unknown if people[it].name},
        )

    def _side(self, instance: Instance, record: Record, known: Side | None, severity: str) -> Side | None:
        """A state without a name is no news."""
        config, state = instance.config, record.values.get(STATE, "")
        try:
            standing_of(state, config.states)
        except UnknownState as exc:
            self._note_unknown(instance, record, state, exc)
        try:
            otherwise = Standing.NEW if known is None else known.standing
            return side_of(record.values, config, record.display, otherwise=otherwise, severity=severity)
        except BadPayload:  # a user who may not read the revision cannot be told what is newer
            return None

    def _note_unknown(self, instance: Instance, record: Record, state: str, exc: UnknownState) -> None:
        if (instance.url, state) not in self._unknown_states:
            log.warning("servicenow.unknown_state", instance=instance.url, record=record.number, error=str(exc))
        self._unknown_states.add((instance.url, state))


def _known_by_user_name(incident: Incident) -> list[str]:
    """The user names of those who did something there and whose address is not known."""
    snoozed_by = None if incident.snooze is None else incident.snooze.by
    actors = (incident.acknowledged_by, incident.resolved_by, snoozed_by, *(it.by for it in incident.news))
    named = (it.ids.get(NAME, "") for it in actors if it is not None and not it.email)
    return list(dict.fromkeys(it for it in named if it))


def _written(
    synced: Synced, side: Side, known: Side | None, routing_field: str, *, is_all_ours: bool
) -> frozenset[str]:
    """The fields of the side that this sync has changed, or ServiceNow for it.

    Of what is all ours, everything; but for a routing key that others have changed before, and that is only read now.
    """
    if is_all_ours:
        is_read_now = known is not None and known.is_route_unread and routing_field not in synced.sent
        return EVERYTHING - ({"route"} if is_read_now else set())
    names = {name for column in synced.sent for name in _SIDE_OF.get(column, ())}
    if routing_field in synced.sent:
        names.add("route")
    if GROUP in synced.sent and not side.assignee:  # the assignee goes with the group
        names.add("assignee")
    return frozenset(names)
