"""The incident's record: whether there has to be one, which one it is, and what it has been told.

The Table API does not know duplicates (two POSTs with one correlation_id make two records), so a record is
looked for before it is created, and again after every attempt whose outcome is unknown.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence

import aiohttp
import structlog
from msgspec import Struct

from versus_py.clock import Clock
from versus_py.config import ServiceNowConfig
from versus_py.errors import CredentialsRefused, Permanent, RateLimited, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Comment, Delivery, Entry, Event, Incident, Status
from versus_py.incidents.rounds import step_of
from versus_py.incidents.sides import Report
from versus_py.store import Rate, Turns
from versus_py.targets.servicenow.asked import Destinations
from versus_py.targets.servicenow.assignment import COLUMN as ASSIGNED_TO
from versus_py.targets.servicenow.assignment import Assigned, Assignment
from versus_py.targets.servicenow.comments import KEPT_MAX, Heard
from versus_py.targets.servicenow.instance import CREDENTIALS, Instance, Told
from versus_py.targets.servicenow.instances import match
from versus_py.targets.servicenow.record import Predecessor, Record, contradiction, is_closed, utc
from versus_py.targets.servicenow.reflection import (
    Reflection,
    caller_email,
    group_key,
    is_acknowledged_there,
    is_raised,
    is_standing_new,
    is_ticket,
    kept,
    reflected,
    unsaid_there,
)
from versus_py.targets.servicenow.reports import Reporter, Synced
from versus_py.targets.servicenow.sides import REVISION
from versus_py.targets.servicenow.table_api import Forbidden
from versus_py.targets.target import NotYet

log = structlog.get_logger()

NAME = ServiceNowConfig.NAME

AT_ONCE = Rate(interval_ms=0)
"""An instance is asked as often as there is something to do, until it asks to be left alone."""

LOOK_TIMEOUT_S = 30.0
"""How long a look may take; it ends well before the worker's lease, which would count it as a failed attempt."""

LOOK_AGAIN_MS = 10_000
"""How often to look for a record that a request without an answer may still create."""

NOBODY = "-"
"""In place of who has a record that nobody has."""

_SAFE_IN_QUERY = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class _Known(Struct, frozen=True):
    """The record before it is brought up to date, and what is known of it."""

    record: Record
    untold: tuple[Entry, ...]  # the news that it does not tell
    wrote: str  # see `Written.wrote`
    note: str  # what people should know of it for as long as it lasts
    assignment: Assignment
    heard: Heard


class _Sync(Struct, frozen=True):
    """One attempt to bring a record up to date."""

    instance: Instance
    incident: Incident
    before: Delivery
    is_unsure: bool  # an earlier attempt may have had an effect that nobody recorded


class _Shown(Struct, frozen=True):
    """The record after that."""

    synced: Synced
    wrote: str
    assignment: Assignment
    end_note: str
    said: str  # how it contradicts the incident; "": not at all
    caller: str = ""
    warnings: tuple[str, ...] = ()


class _SaidThere(Struct, frozen=True):
    """The comments that are new, and what to remember then."""

    new: tuple[Comment, ...]
    heard: Heard
    revision: str  # of the record when they were asked for; "": not known
    is_unread: bool = False  # they could not be read for the moment

    @property
    def reference(self) -> dict[str, str]:
        return {**self.heard.reference, **({"looked": self.revision} if self.revision else {})}


def _nowhere(_: str) -> Mapping[str, str]:
    return {}


class ServiceNowTarget:
    """The incident's record. *session* must send no cookies of its own and verify TLS.

    *name* is the target's, and *default* the instance for incidents that name none; None is the configuration's own.
    Raises ConfigError when a certificate of the configuration cannot be used.
    """

    def __init__(
        self,
        config: ServiceNowConfig,
        *,
        clock: Clock,
        session: aiohttp.ClientSession,
        turns: Turns,
        service: str = "versus",
        name: str = NAME,
        default: str | None = None,
        destinations_of: Destinations = _nowhere,
    ) -> None:
        self._configured = config.instances()
        self._instances = {
            name: Instance(instance, service=service, clock=clock, session=session, name=name)
            for name, instance in self._configured.items()
        }
        self._clock = clock
        self._turns = turns
        self._name = name
        self._default = default
        self._destinations_of = destinations_of
        self._reporter = Reporter(name, destinations_of)

    @property
    def sole_system(self) -> str | None:
        """The instance, where there is but one."""
        return NAME if len(self._instances) == 1 else None

    def system(self, incident: Incident) -> str:
        """The instance, by its name."""
        before, name = incident.delivery(self._name), self._destination(incident)
        if before.reference:
            found = match(before.reference, name, self._configured)
            name = None if found is None else found.name
        return NAME if name is None or name not in self._instances else f"{NAME}:{name}"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """Create the record if the incident escalates and has none; bring one that exists up to date.

        An incident that was acknowledged or resolved, and whose record was never attempted, costs no request.
        """
        if not _SAFE_IN_QUERY.fullmatch(incident.id):
            raise Permanent(f"incident id {incident.id!r} cannot be looked up in ServiceNow")
        before = incident.delivery(self._name)
        is_unsure = attempt > 1 or before.attempts > 0
        if not (before.reference or _wants_record(incident, self._name) or is_unsure):
            return before
        instance, note = self._instance(incident, before)
        await self._raise_if_held_back(instance)
        try:
            return await self._brought_up_to_date(instance, incident, before, note, is_unsure=is_unsure)
        except CREDENTIALS as exc:
            raise CredentialsRefused(str(exc)) from exc
        except RateLimited as exc:
            await self._leave_alone(instance, exc)
            raise

    async def _brought_up_to_date(
        self, instance: Instance, incident: Incident, before: Delivery, note: str, *, is_unsure: bool
    ) -> Delivery:
        if not is_unsure and _is_only_a_look(instance, incident, before, self._name):
            return await self._looked(instance, incident, before)
        return await self._synced(instance, incident, before, note, is_unsure=is_unsure)

    async def look(self, incidents: Sequence[Incident]) -> Mapping[str, Report | None]:
        """How the records of these are now, by the incident's id; None for what is gone, or hidden from the user.

        One request for a hundred. Incidents without a record, and those whose instance is not kept in sync both ways,
        are left out. Raises Transient, Permanent, and NotYet while an instance has asked to be left alone.
        """
        found: dict[str, Report | None] = {}
        for name, known in self._by_instance(incidents).items():
            instance = self._instances[name]
            await self._raise_if_held_back(instance)
            try:
                records = await instance.read_many([it.delivery(self._name).reference["sys_id"] for it in known])
            except RateLimited as exc:
                await self._leave_alone(instance, exc)
                raise
            for incident in known:
                record = records.get(incident.delivery(self._name).reference["sys_id"])
                report = None
                if record is not None:
                    report = await self._reporter.of(instance, incident, Synced(record), is_repair=True)
                if record is None or report is not None:
                    found[incident.id] = report
        return found

    def _by_instance(self, incidents: Sequence[Incident]) -> dict[str | None, list[Incident]]:
        """Those with a record of an instance that is kept in sync both ways, by its name."""
        found: dict[str | None, list[Incident]] = {}
        for incident in incidents:
            reference = incident.delivery(self._name).reference
            at = match(reference, self._destination(incident), self._configured) if "sys_id" in reference else None
            if at is not None and self._configured[at.name].is_two_way:
                found.setdefault(at.name, []).append(incident)
        return found

    def _instance(self, incident: Incident, before: Delivery) -> tuple[Instance, str]:
        """The instance that the record is in or belongs in, and a note for a new one that was to be in another."""
        named = self._destination(incident)
        name = named if named in self._instances else None
        if before.reference:
            found = match(before.reference, named, self._configured)
            if found is None:
                raise Permanent(f"{before.url} is in an instance or a table that is not configured any more")
            name = found.name
        if name is not None or named in self._instances:
            return self._instances[name], ""
        return self._instances[None], f"instance {named!r} is not configured any more: the default one was used"

    def _destination(self, incident: Incident) -> str | None:
        """The name of the instance that it was sent to escalate to; None for the default one."""
        return incident.policy.destinations.get(self._name, self._default)

    async def _looked(self, instance: Instance, incident: Incident, before: Delivery) -> Delivery:
        """What people did to the record, of which nothing is new to it. A look that fails is nobody's trouble."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await self._look(instance, incident, before)
        except CREDENTIALS:
            raise
        except (Transient, Permanent, TimeoutError) as exc:
            error = str(exc) or "no answer in time"
            log.warning("servicenow.look_failed", incident=incident.id, record=before.label, error=error)
            await self._leave_alone(instance, exc)
            again_ms = instance.comments.next_look_ms(incident, is_unread=True)
            if again_ms is None:
                return replace(before, look_again_at_ms=None)
            raise NotYet(again_ms, error) from exc

    async def _look(self, instance: Instance, incident: Incident, before: Delivery) -> Delivery:
        record = await self._read(instance, incident, before)
        if record is None:
            log.warning("servicenow.record_gone", incident=incident.id, record=before.label)
            return _gone(before)
        heard = Heard.of(before.reference) or _heard_at_first(instance, incident, before)
        said_there = await self._comments(instance, incident, record, heard)
        said = contradiction(record, incident, instance.config.states)
        assignee = _assignee(record, before)
        return replace(
            before,
            reference={**before.reference, **instance.place, **said_there.reference, "assignee": assignee},
            url=instance.page(record),
            touched_at_ms=self._touched_at_ms(before, assignee),
            note=_said(before.note, said),
            is_over=_is_known_over(said, instance.comments.next_look_ms(incident, record)),
            look_again_at_ms=instance.comments.next_look_ms(incident, record, is_unread=said_there.is_unread),
            comments=(*before.comments, *said_there.new)[-KEPT_MAX:],
            comment_count=before.comment_count + len(said_there.new),
            locator=instance.locator(record.sys_id),
            report=await self._reporter.of(instance, incident, Synced(record)),
        )

    async def _comments(
        self, instance: Instance, incident: Incident, record: Record, heard: Heard, *, after: str = "", writes: int = 0
    ) -> _SaidThere:
        """What people wrote since *heard*; nothing is asked for where nobody else has changed it since *after*.

        *after* is its revision when comments were last asked for, and *writes* how often we have changed it since.
        """
        revision = record.values.get(REVISION, "")
        if after.isdecimal() and revision.isdecimal() and int(revision) - int(after) <= writes:
            return _SaidThere((), heard, revision)
        try:
            new, heard = await instance.comments.after(heard, record)
        except Transient as exc:
            log.warning("servicenow.comments_not_read", incident=incident.id, record=record.number, error=str(exc))
            await self._leave_alone(instance, exc)
            return _SaidThere((), heard, after, is_unread=True)
        return _SaidThere(new, heard, revision if instance.config.is_two_way else "")

    async def _read(self, instance: Instance, incident: Incident, before: Delivery) -> Record | None:
        """The record that is known; None when it is gone. Its state counts only in a table with a lifecycle."""
        record = await instance.read(before.reference["sys_id"], incident)
        is_plain = before.reference.get("lifecycle") == "plain"
        return replace(record, state="") if record and is_plain else record

    def _touched_at_ms(self, before: Delivery, assignee: str) -> int | None:
        """When somebody was last seen to have been given the record, by others than by us."""
        before_that = before.reference.get("assignee", assignee)  # an earlier version did not look
        known = {before_that, Assignment.of(before.reference).user, NOBODY, ""}
        return before.touched_at_ms if assignee in known else self._clock.now_ms()

    async def _raise_if_held_back(self, instance: Instance) -> None:
        """Raises NotYet when the instance has asked this or another replica to be left alone."""
        until_ms = await self._turns.held_back_until(_destination(instance), now_ms=self._clock.now_ms())
        if until_ms is not None:
            raise NotYet(until_ms, f"ServiceNow's rate limit is reached: {instance.url} has asked to be left alone")

    async def _leave_alone(self, instance: Instance, exc: Exception) -> None:
        """For as long as the instance asks, if that is what *exc* says."""
        if isinstance(exc, RateLimited):
            until_ms = self._clock.now_ms() + round((exc.retry_after_s or 1) * 1000)
            await self._turns.hold_back(_destination(instance), AT_ONCE, until_ms=until_ms)

    async def _synced(
        self, instance: Instance, incident: Incident, before: Delivery, note: str, *, is_unsure: bool
    ) -> Delivery:
        """The record found or created, brought up to date, and looked at."""
        sync = _Sync(instance, incident, before, is_unsure)
        found, follows = await self._find(instance, incident, before, is_unsure=is_unsure)
        if found is None and not before.reference and not incident.wants(self._name):
            return before
        if found is None and before.reference and (follows is None or not _wants_record(incident, self._name)):
            # Never a second one in the same wait: it is deleted, which people may, or hidden from the user.
            return _gone(before)
        if found is None:
            known = await self._created(instance, incident, note, follows, is_first=not is_unsure)
        else:
            known = self._known(instance, incident, before, found, note)
        reflection = self._reflection(instance, incident, before, known.record)
        shown = _Shown(
            Synced(known.record, writes=int(found is None), before=found),
            wrote=known.wrote,
            assignment=known.assignment,
            end_note=before.end_note if incident.status is Status.RESOLVED else "",
            said=contradiction(known.record, incident, instance.config.states),
        )
        if not _is_over(instance, known.record, incident, before, self._name):
            shown = await self._written(sync, known, shown, reflection, follows)
        said_there = await self._said_there(sync, known, shown.synced, is_new=found is None)
        return await self._delivery(sync, known, shown, said_there, self._reference(sync, known, shown, reflection))

    async def _written(
        self, sync: _Sync, known: _Known, shown: _Shown, reflection: Reflection | None, follows: Predecessor | None
    ) -> _Shown:
        """What is new to the record is written into it, and who acknowledged gets it."""
        instance, incident, before = sync.instance, sync.incident, sync.before
        is_known = bool(before.reference)
        is_past = (
            _is_of_an_earlier_wait(incident, before, self._name)
            if is_known
            else _needs_anew(known.record, incident, self._name)
        )
        is_reopened = _wants_record(incident, self._name) and is_past
        again = _called_again(incident, before, self._name)
        news = Told(
            (*known.untold, *((again,) if again else ())),
            fields=_step_fields(incident, self._name) if again or is_reopened else {},
            is_retry=sync.is_unsure,
            is_reopened=is_reopened,
            follows=follows,
            wrote=known.wrote,
            is_changed=_is_changed(incident, before) and not is_ticket(before.reference),
            reflection=reflection,
        )
        written = await instance.bring_up_to_date(known.record, incident, news)
        assigned = Assigned(known.assignment)
        if self._assigns(incident):
            assigned, written = await instance.assign(
                known.record,
                written,
                incident,
                known.assignment,
                is_retry=sync.is_unsure,
                is_ticket=is_ticket(before.reference),
            )
        before_that = shown.synced
        return _Shown(
            replace(before_that, record=written.record, sent=written.sent, writes=before_that.writes + written.writes),
            wrote=written.wrote,
            assignment=assigned.known,
            end_note=written.end_note or shown.end_note,
            said="" if is_reopened else shown.said,
            caller=written.caller,
            warnings=(*written.warnings, *assigned.warnings),
        )

    async def _said_there(self, sync: _Sync, known: _Known, synced: Synced, *, is_new: bool) -> _SaidThere:
        """The comments in the record, where it is kept in sync both ways; others are looked at on their own."""
        instance, looked = sync.instance, sync.before.reference.get("looked", "")
        if is_new or not (instance.comments.is_on and instance.config.is_two_way):
            return _SaidThere((), known.heard, looked)
        return await self._comments(
            instance, sync.incident, synced.record, known.heard, after=looked, writes=synced.writes
        )

    def _reference(self, sync: _Sync, known: _Known, shown: _Shown, reflection: Reflection | None) -> dict[str, str]:
        """What the next sync needs, but for the comments."""
        incident, before, record = sync.incident, sync.before.reference, known.record
        caller = shown.caller or before.get("caller", "")
        return {
            "sys_id": record.sys_id,
            **sync.instance.place,
            "wait": _wait(incident) if _wants_record(incident, self._name) else before.get("wait", ""),
            "called": _call(incident, self._name) or before.get("called", ""),
            "told": str(incident.news_count),
            "content": str(incident.content_count),
            "assignee": shown.assignment.user or _assignee(record, sync.before),
            "wrote": shown.wrote,
            "note": known.note,
            **kept(before),
            **({} if reflection is None else reflected(incident, record, caller, self._name)),
            **shown.assignment.reference,
            "lifecycle": "plain" if sync.instance.is_plain else before.get("lifecycle", ""),
        }

    async def _delivery(
        self, sync: _Sync, known: _Known, shown: _Shown, said_there: _SaidThere, reference: Mapping[str, str]
    ) -> Delivery:
        instance, incident, before, record = sync.instance, sync.incident, sync.before, known.record
        comments = said_there.reference if instance.comments.is_on else {}
        return Delivery(
            reference={name: value for name, value in {**reference, **comments}.items() if value},
            label=record.number,
            url=instance.page(record),
            note=_said(known.note, shown.said, *shown.warnings),
            end_note=shown.end_note,
            look_again_at_ms=_next_look_ms(instance, incident, record, before, is_unread=said_there.is_unread),
            comments=(*before.comments, *said_there.new)[-KEPT_MAX:],
            comment_count=before.comment_count + len(said_there.new),
            touched_at_ms=self._touched_at_ms(before, _assignee(record, before)),
            is_over=_is_known_over(shown.said, _next_look_ms(instance, incident, record, before)),
            locator=instance.locator(record.sys_id),
            report=await self._reporter.of(instance, incident, shown.synced),
        )

    def _assigns(self, incident: Incident) -> bool:
        """Whether a record may get whoever acknowledged: whoever did that in the record has left it as they want it."""
        return not is_acknowledged_there(incident, self._name)

    def _reflection(
        self, instance: Instance, incident: Incident, before: Delivery, record: Record
    ) -> Reflection | None:
        """What the record has yet to show; None where it is not kept in sync both ways."""
        config, reference = instance.config, before.reference
        if not config.is_two_way:
            return None
        is_known = bool(reference)
        unsaid = unsaid_there(incident.news_after(_told(incident, before, self._name)), self._name)
        return Reflection(
            is_standing_new=is_standing_new(incident, reference, self._name),
            is_graver=is_known and is_raised(incident, unsaid, reference),
            is_called=is_ticket(reference) and _called_again(incident, before, self._name) is not None,
            group=group_key(
                incident,
                unsaid,
                record,
                config,
                known=incident.sides.get(self._name),
                changed_ms=instance.changed_ms(record),
                destinations_of=self._destinations_of,
            ),
            caller=caller_email(incident, unsaid, record, config, reference, self._name),
        )

    async def _created(
        self, instance: Instance, incident: Incident, note: str, follows: Predecessor | None, *, is_first: bool
    ) -> _Known:
        """A new record, all of whose comments are news."""
        previous_record = "" if follows is None else follows.number
        fields = _step_fields(incident, self._name)
        written = await instance.create(incident, previous_record=previous_record, fields=fields, is_first=is_first)
        return _Known(
            written.record,
            untold=_told_to_a_new_one(incident, self._name),
            wrote=written.wrote,
            note=_said(note, *written.warnings),
            assignment=Assignment(user=written.assigned),
            heard=Heard(0),
        )

    def _known(self, instance: Instance, incident: Incident, before: Delivery, record: Record, note: str) -> _Known:
        """A record that was there: the one that is known, or one made by an attempt that nobody recorded."""
        untold = unsaid_there(incident.news_after(_told(incident, before, self._name)), self._name)
        now_ms = self._clock.now_ms()
        if record.sys_id == before.reference.get("sys_id"):
            heard = Heard.of(before.reference) or _heard_at_first(instance, incident, before)
            wrote, assignment = before.reference.get("wrote", ""), Assignment.of(before.reference)
            note = before.reference.get("note", "")
        else:  # that attempt was most likely of this escalation, and nobody has heard what was said since
            heard = Heard(_second(instance.clock.theirs(incident.escalation_began_at_ms or now_ms)))
            wrote, assignment = instance.columns(record), Assignment()
        return _Known(record, untold=untold, wrote=wrote, note=note, assignment=assignment, heard=heard)

    async def _find(
        self, instance: Instance, incident: Incident, before: Delivery, *, is_unsure: bool
    ) -> tuple[Record | None, Predecessor | None]:
        """The record to write to, None without one; and the closed or lost one of an earlier wait that it follows."""
        sys_id = before.reference.get("sys_id")
        if sys_id is None:
            found = await self._first(instance, incident, is_unsure=is_unsure)
            if found is None:
                self._raise_if_unsettled(before)
            if found is None or not (
                is_closed(found, instance.config.states) and _needs_anew(found, incident, self._name)
            ):
                return found, None
            return None, Predecessor(found.number, is_gone=False)
        record = await self._read(instance, incident, before)
        if record is None:
            log.warning("servicenow.record_gone", incident=incident.id, record=before.label)
        if is_ticket(before.reference):
            return record, None
        is_over = record is None or is_closed(record, instance.config.states)
        may_be_followed = is_unsure and "wait" not in before.reference  # by what a lost answer was about
        if not is_over or not (may_be_followed or _is_of_an_earlier_wait(incident, before, self._name)):
            return record, None
        if not (_wants_record(incident, self._name) or is_unsure):
            return record, None
        successor = await instance.search(incident, but=sys_id, is_open=True)
        if successor is None:
            self._raise_if_unsettled(before)
        if successor is None and not _wants_record(incident, self._name):
            return record, None
        return successor, Predecessor(before.label, is_gone=record is None)

    def _raise_if_unsettled(self, before: Delivery) -> None:
        """Raises NotYet while an earlier attempt may still make a record: neither another one, nor the end of looking.

        It is looked for every few seconds meanwhile.
        """
        now_ms = self._clock.now_ms()
        if before.settles_at_ms is not None and before.settles_at_ms > now_ms:
            again_ms = min(before.settles_at_ms, now_ms + LOOK_AGAIN_MS)
            raise NotYet(again_ms, "a request to create the record was not answered, and may still be at work")

    async def _first(self, instance: Instance, incident: Incident, *, is_unsure: bool) -> Record | None:
        try:
            return await instance.search(incident)
        except Forbidden:
            if is_unsure or not _wants_record(incident, self._name):
                raise
            # A role that may create and not read is enough, as long as there is nothing to be found.
            log.warning("servicenow.search_forbidden", incident=incident.id, table=instance.config.table)
            return None


def _destination(instance: Instance) -> str:
    return f"servicenow:{instance.url}"


def _wants_record(incident: Incident, name: str) -> bool:
    """Whether the target *name* has been called, and nobody acknowledged."""
    return incident.status is Status.TRIGGERED and incident.is_called(name)


def _is_only_a_look(instance: Instance, incident: Incident, before: Delivery, name: str) -> bool:
    """Whether the record knows all that is new: the sync is there to see what people did to it, and writes nothing."""
    return (
        before.look_again_at_ms is not None
        and instance.comments.is_on
        and _told(incident, before, name) == incident.news_count
        and not (instance.writes_content and _is_changed(incident, before))
        and not (_wants_record(incident, name) and _is_of_an_earlier_wait(incident, before, name))
        and _called_again(incident, before, name) is None
        and not (instance.config.is_two_way and is_standing_new(incident, before.reference, name))
        and not (
            instance.has_to_assign(incident, Assignment.of(before.reference), is_ticket=is_ticket(before.reference))
            and not is_acknowledged_there(incident, name)
        )
    )


def _assignee(record: Record, before: Delivery) -> str:
    """Who has it, as far as that was asked for."""
    if ASSIGNED_TO not in record.values:
        return before.reference.get("assignee", "")
    return record.values[ASSIGNED_TO] or NOBODY


def _is_changed(incident: Incident, before: Delivery) -> bool:
    """Whether the alerts say something else than when the record was written; an earlier version did not note that."""
    return bool(before.reference) and before.reference.get("content") != str(incident.content_count)


def _next_look_ms(
    instance: Instance, incident: Incident, record: Record, before: Delivery, *, is_unread: bool = False
) -> int | None:
    """When to look at the record: however often it is written to meanwhile, no later than was planned."""
    next_ms = instance.comments.next_look_ms(incident, record, is_unread=is_unread)
    planned_ms = before.look_again_at_ms
    return next_ms if next_ms is None or planned_ms is None else min(planned_ms, next_ms)


def _is_known_over(contradiction: str, next_look_ms: int | None) -> bool | None:
    """Whether people have closed it; None where nobody will look whether they do."""
    return True if contradiction else None if next_look_ms is None else False


def _gone(before: Delivery) -> Delivery:
    """Nothing more is done with a record that is deleted, which people may, or hidden from the user."""
    said = f"{before.label} is gone, or the user may not read it any more"
    return replace(before, note=_said(before.reference.get("note", ""), said), look_again_at_ms=None, is_over=True)


def _heard_at_first(instance: Instance, incident: Incident, before: Delivery) -> Heard:
    """Nobody has asked for comments before: of a ticket, all since it came in are news, else those from now on."""
    if is_ticket(before.reference):
        return Heard(_second(instance.clock.theirs(incident.created_at_ms)))
    return Heard(_second(instance.clock.now_ms()))


def _second(at_ms: int) -> int:
    """The second that holds it: ServiceNow's times are no finer."""
    return at_ms // 1000 * 1000


def _wait(incident: Incident) -> str:
    """What tells the present wait from earlier ones."""
    return str(incident.waiting_since_ms)


def _call(incident: Incident, name: str) -> str:
    """What tells the step that the target *name* was called by last from others."""
    call = incident.call_of(name)
    return "" if call is None else f"{call.step} {call.at_ms}"


def _called_again(incident: Incident, before: Delivery, name: str) -> Entry | None:
    """What a record that is there is to be told because its step has come again, and nobody has acknowledged."""
    call, known = incident.call_of(name), before.reference.get("called", "")
    known_before = {_call(incident, name), *(() if is_ticket(before.reference) else ("",))}
    is_new = known not in known_before and _wants_record(incident, name)
    if call is None or not is_new or _is_of_an_earlier_wait(incident, before, name):
        return None
    return Entry(call.at_ms, Event.CALLED_AGAIN, step_of(incident, call.step))


def _step_fields(incident: Incident, name: str) -> Mapping[str, str]:
    """What the step says of the record, by column."""
    call = incident.call_of(name)
    return {} if call is None or incident.origin == name else call.fields


def _is_of_an_earlier_wait(incident: Incident, before: Delivery, name: str) -> bool:
    """Whether the record that is known was last written in a wait that is over; the incident was reopened since.

    One that was found after a lost answer, when none was wanted any more, is of no wait: of none that escalates now.
    """
    if is_ticket(before.reference):
        return False
    if "wait" not in before.reference:
        return bool(before.reference) and _wants_record(incident, name)
    return before.reference["wait"] != _wait(incident)


def _needs_anew(found: Record, incident: Incident, name: str) -> bool:
    """Whether a record that nobody recorded is of a wait before the present one, which has escalated by now."""
    return _wants_record(incident, name) and "" < found.values.get("sys_created_on", "") < utc(
        incident.waiting_since_ms
    )


def _is_over(instance: Instance, record: Record, incident: Incident, before: Delivery, name: str) -> bool:
    """Whether the record is left alone: closed for good, or resolved in an earlier wait than the one that goes on."""
    states = instance.config.states
    if is_ticket(before.reference) and not instance.config.writes_tickets:
        return True
    is_past = _is_of_an_earlier_wait(incident, before, name) and not _wants_record(incident, name)
    return is_closed(record, states) or (record.state == states.resolved and is_past)


def _told(incident: Incident, before: Delivery, name: str) -> int:
    """The number of the last news that the record has been told.

    A record that nobody recorded was made in this escalation, and may not have been told what came after its begin.
    """
    if before.reference:
        return int(before.reference.get("told", 0))  # earlier versions counted no news
    call = incident.call_of(name)
    began_ms = call.at_ms if call is not None else 0
    return incident.news_count - sum(entry.at_ms >= began_ms for entry in incident.news)


def _told_to_a_new_one(incident: Incident, name: str) -> tuple[Entry, ...]:
    """What a new record does not say by itself: that somebody did not wait, or could not be told."""
    wait_ends_ms, call = incident.waiting_since_ms + (incident.policy.oncall_after_ms or 0), incident.call_of(name)
    return tuple(
        entry
        for entry in incident.news
        if (
            entry.event is Event.ESCALATING
            and call is not None
            and entry.at_ms == call.at_ms
            and entry.at_ms < wait_ends_ms
        )
        or (entry.event in {Event.GIVEN_UP, Event.REFUSED} and entry.at_ms >= incident.waiting_since_ms)
    )


def _said(*texts: str) -> str:
    """Each once, also where one of them says another among more."""
    said = ""
    for text in texts:
        if text and f"; {text};" not in f"; {said};":
            said = f"{said}; {text}" if said else text
    return said
