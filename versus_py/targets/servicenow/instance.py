"""One instance and the records in it: found, created, and brought up to date."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

import aiohttp
import structlog
from msgspec import Struct, field

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Entry, Incident, Status
from versus_py.targets.servicenow.assignment import COLUMN as ASSIGNED_TO
from versus_py.targets.servicenow.assignment import Assigned, Assigner, Assignment
from versus_py.targets.servicenow.columns import Column, digest, read_columns, write_columns
from versus_py.targets.servicenow.comments import Comments
from versus_py.targets.servicenow.connection import Connection
from versus_py.targets.servicenow.fields import (
    CLOSE_CODES,
    FieldTemplates,
    RecordTemplates,
    References,
    Rendered,
    created_fields,
    unresolved,
    values_for,
)
from versus_py.targets.servicenow.instances import key_of, locator_of
from versus_py.targets.servicenow.key import LENGTHS, Key, shortened
from versus_py.targets.servicenow.login import LoginRefused, make_login
from versus_py.targets.servicenow.people import OwnUser, People
from versus_py.targets.servicenow.record import (
    NEEDED_BY_LIFECYCLE,
    Line,
    Predecessor,
    Record,
    following,
    identity,
    is_closed,
    is_open,
    lacking,
    ms_of,
    next_state,
    notes,
)
from versus_py.targets.servicenow.reflection import CALLER, WRITTEN_TO, Reflection
from versus_py.targets.servicenow.reflector import Reflector
from versus_py.targets.servicenow.sides import columns_of
from versus_py.targets.servicenow.sys_ids import is_sys_id
from versus_py.targets.servicenow.table_api import NotAuthorized, NotFound, Row, TableApi

log = structlog.get_logger()

CANDIDATES_MAX = 20
"""Records with one key that a search asks for."""

NOTES_MAX = 200
"""Work notes of a record that are looked through for what an earlier attempt may have written."""

LOOKED_UP_MAX = 100
"""The most records that one request asks for."""

_CHANGED_AT = "sys_updated_on"

CREDENTIALS = (LoginRefused, NotAuthorized)
"""What is about the user, whatever is asked for."""


class LeftOpen(Permanent):
    """ServiceNow took an update, and left the record open without a word."""


class Told(Struct, frozen=True):
    """What has happened since the record was last written."""

    news: Sequence[Entry]
    is_retry: bool = False  # it was tried before: what only delays it is left out
    is_reopened: bool = False  # the incident has escalated once more since
    follows: Predecessor | None = None
    wrote: str = ""  # what `Written.wrote` was then
    is_changed: bool = False  # the alerts say something else than then
    fields: Mapping[str, str] = field(default_factory=dict)  # column -> template, of the step that has come
    reflection: Reflection | None = None  # None: the record is not kept in sync both ways


class Written(Struct, frozen=True):
    """What came of writing: digests of the columns that we wrote, and what was left out and why."""

    record: Record  # as it is then
    wrote: str
    warnings: tuple[str, ...] = ()
    assigned: str = ""  # the sys_id of the user that a template assigned it to
    end_note: str = ""  # how its end is another than the configuration says, and why
    sent: frozenset[str] = frozenset()  # the columns that were written
    writes: int = 0  # how often the record was changed for that
    caller: str = ""  # the sys_id of the user that was set as its caller


class Instance:
    """The records of one instance's table. *name* is the configuration's, None for the default instance.

    Raises Transient and Permanent.
    """

    def __init__(
        self,
        config: ServiceNowInstance,
        *,
        service: str,
        clock: Clock,
        session: aiohttp.ClientSession,
        name: str | None = None,
    ) -> None:
        self.config = config
        self._name = name
        self._key = key_of(name)
        self._service = service
        connection = Connection(config, session, clock)
        self.clock = connection.clock
        self.api = TableApi(connection, make_login(config, connection, clock))
        self.own_user = OwnUser(config.own_user)
        self.people = People(self.api, clock)
        self.comments = Comments(self.api, config, clock, connection.clock, self.own_user, self.people)
        self._references = References(self.api, config.references, clock)
        self._reflector = Reflector(config, self._references)
        self._templates = RecordTemplates(config)
        self._record_key = Key.of(config)
        self._lacks: tuple[str, ...] = ()  # what the table turned out to lack for the lifecycle of an incident
        self._is_two_way = config.is_two_way
        assigns = config.assign_on_ack or (config.is_two_way and config.writes_tickets)
        assigner = Assigner(self.api, config.table, self._references, with_display=config.is_two_way)
        self._assigner = assigner if assigns else None
        assigned_to = () if self._assigner is None else (ASSIGNED_TO,)
        # With those that a lifecycle needs: a row with a revision counts as whole, see `lacking`.
        both_ways = (*columns_of(config), _CHANGED_AT, *WRITTEN_TO, *NEEDED_BY_LIFECYCLE) if config.is_two_way else ()
        self._columns = tuple(
            dict.fromkeys((*identity(config.key_field), *self._templates.watched(config), *assigned_to, *both_ways))
        )

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def writes_content(self) -> bool:
        """Whether what the alerts say is written again when it changes."""
        return self.config.on_update == "fields" and bool(self._templates.update_fields.names)

    @property
    def place(self) -> Mapping[str, str]:
        """What a reference says of where the record is; see `instances.match`."""
        return {"instance": self.url, "table": self.config.table, "key": self._key}

    def locator(self, sys_id: str) -> str:
        """What the instance's own requests name the record by, whatever its URL is."""
        return locator_of(self._name, sys_id)

    def page(self, record: Record) -> str:
        """Where people look at it."""
        return f"{self.config.browser_url}/{self.config.table}.do?sys_id={record.sys_id}"

    async def read(self, sys_id: str, incident: Incident) -> Record | None:
        """The record; None when it is gone. Also who has it, where that keeps an acknowledgment going."""
        also = () if incident.ack_ends_at_ms is None else (ASSIGNED_TO,)
        try:
            columns = tuple(dict.fromkeys((*self._columns, *also)))
            row = await self.api.read(self.config.table, sys_id, columns, with_display=self._is_two_way)
        except NotFound:
            return None
        record = self._parsed(row)
        if record is None:  # which says nothing of whether it is there
            raise Transient("ServiceNow answered without the record that was asked for")
        return record

    async def read_many(self, sys_ids: Sequence[str]) -> dict[str, Record]:
        """Those that are there, and that the user may read, by their sys_id: one request for a hundred."""
        wanted = [it for it in dict.fromkeys(sys_ids) if is_sys_id(it)]
        found: dict[str, Record] = {}
        for at in range(0, len(wanted), LOOKED_UP_MAX):
            asked = wanted[at : at + LOOKED_UP_MAX]
            query = f"sys_idIN{','.join(asked)}"
            rows = await self.api.search(
                self.config.table, query, self._columns, limit=LOOKED_UP_MAX, with_display=True
            )
            records = (record for row in rows if (record := self._parsed(row)))
            found |= {record.sys_id: record for record in records if record.sys_id in asked}
        return found

    def changed_ms(self, record: Record) -> int:
        """When it was last changed, by our clock; 0 where the record does not say that."""
        at_ms = ms_of(record.values.get(_CHANGED_AT, ""))
        return 0 if at_ms is None else self.clock.ours(at_ms)

    async def search(self, incident: Incident, *, but: str = "", is_open: bool = False) -> Record | None:
        """The oldest record with the incident's key that is not closed; without one, the oldest of all.

        With more than CANDIDATES_MAX of them, so many of the oldest and of the newest are looked at. Never the one
        named *but*, and with *is_open* no closed one. The answer is compared here: where the table has no such column,
        ServiceNow drops the condition and answers with any records.
        """
        key = self._record_key
        rows = await self._candidates(f"{key.query(incident.id)}^ORDERBYsys_created_on")
        if len(rows) >= CANDIDATES_MAX:
            rows += reversed(await self._candidates(f"{key.query(incident.id)}^ORDERBYDESCsys_created_on"))
        records = [*{record.sys_id: record for row in rows if (record := self._parsed(row))}.values()]
        matching = [record for record in records if key.is_of(record, incident.id)]
        if records and not matching:
            log.warning("servicenow.query_ignored", table=self.config.table, hint=f"has it a column {key.column}?")
        found = [record for record in matching if record.sys_id != but]
        if len(found) > 1:
            log.warning("servicenow.duplicates", incident=incident.id, records=[record.number for record in found])
        states = self.config.states
        rest = None if is_open or not found else found[0]
        return next((record for record in found if not is_closed(record, states)), rest)

    async def _candidates(self, query: str) -> list[Row]:
        return await self.api.search(
            self.config.table, query, self._columns, limit=CANDIDATES_MAX, with_display=self._is_two_way
        )

    async def create(
        self,
        incident: Incident,
        *,
        previous_record: str = "",
        fields: Mapping[str, str] = MappingProxyType({}),
        is_first: bool,
    ) -> Written:
        """A new record, with its step's *fields* too. One that cannot be made is left out; the record matters more.

        *is_first*: names that cannot be looked up for the moment are worth another attempt of the whole.
        """
        values = self._values(incident, previous_record)
        rendered = _joined(self._templates.fields.render(values), _of_step(fields).render(values))
        rendered = await self._with_references(rendered, is_retry=not is_first)
        try:
            row = await self._insert(created_fields(incident, self._record_key, rendered.fields))
        except CREDENTIALS:
            raise
        except Permanent as exc:
            if not rendered.fields:
                raise
            row = await self._insert(created_fields(incident, self._record_key))
            rendered = _without(rendered, rendered.fields, f"the record was created without its fields: {exc}")
        record = self._parsed(row)
        if record is None:
            raise Permanent("ServiceNow created a record but did not say which: let the user read the table")
        log.info("servicenow.created", incident=incident.id, record=record.number)
        warnings = (*self._warned(incident, rendered.warnings), *self._about_table(row, record, incident))
        return Written(record, self.columns(record), warnings, rendered.fields.get(ASSIGNED_TO, ""), writes=1)

    async def _insert(self, fields: Mapping[str, str]) -> Row:
        row = await self.api.create(self.config.table, fields, with_display=self._is_two_way)
        self.note_own_write(row)
        return row

    def note_own_write(self, row: Row) -> None:
        """Where only the instance knows who we are there, it says so when it answers a write."""
        if self._is_two_way:
            self.own_user.learn(row)

    def _about_table(self, row: Row, record: Record, incident: Incident) -> Iterator[str]:
        """What a new record shows that its table lacks: ServiceNow ignores what is written into absent columns.

        Nothing, where the answer is not the whole record.
        """
        if self._lacks:
            lacks = " and no ".join(self._lacks)
            yield f"table {self.config.table} has no {lacks}: it is treated as lifecycle plain, and nothing is resolved"
        if "sys_mod_count" in row and not self._record_key.is_of(record, incident.id):
            column = self._record_key.column
            log.warning("servicenow.key_not_kept", table=self.config.table, column=column, record=record.number)
            yield (
                f"{column} of {record.number} does not hold the incident's id: it is not found again, and may be "
                "created twice; set oncall.servicenow.key_field to a column that the user may write"
            )

    async def bring_up_to_date(self, record: Record, incident: Incident, told: Told) -> Written:
        """Move the record to where the incident is, and say what is new, in one request; none when that is nothing."""
        reflection = told.reflection
        state = next_state(record, incident, self.config, is_reopened=told.is_reopened)
        if reflection is not None and not reflection.is_standing_new:
            state = None
        rendered = await self._changes(record, incident, told, state)
        note = await self._note(record, told)
        fields = rendered.fields | note
        also = await self._reflected(record, incident, told, note)
        if not (fields or also.fields):
            return Written(record, told.wrote, self._warned(incident, (*rendered.warnings, *also.warnings)))
        end_note = ""
        after, taken, refused = await self._with_also(record, fields, also.fields)
        sent = {**fields, **taken}.keys()
        if after is None:
            if not fields:
                warnings = self._warned(incident, (*also.warnings, refused))
                return Written(record, told.wrote, warnings, caller=_caller(also.fields, sent))
            try:
                after = await self._update(record, fields)
            except (*CREDENTIALS, LeftOpen):
                raise
            except Permanent as exc:
                after, end_note = await self._ended(record, incident, fields, note, exc)
                refused = ""  # it was about the end
        log.info("servicenow.updated", incident=incident.id, record=record.number, fields=sorted(sent))
        wrote = self._wrote(incident, told, after, fields)
        problems = (*rendered.warnings, *also.warnings, *((refused,) if refused else ()))
        return Written(
            after,
            wrote,
            self._warned(incident, problems),
            fields.get(ASSIGNED_TO, ""),
            end_note,
            sent=frozenset(sent),
            writes=1,
            caller=_caller(also.fields, sent),
        )

    def _wrote(self, incident: Incident, told: Told, after: Record, fields: Mapping[str, str]) -> str:
        """What it is to know of the watched columns once *fields* were written, and are as in *after*."""
        if not self._templates.watched(self.config):
            return self._columns_of(told.wrote, after, {})
        texts = self._templates.update_fields.render(self._values(incident)).fields
        return self._columns_of(told.wrote, after, {name: texts.get(name, "") for name in fields})

    async def _reflected(self, record: Record, incident: Incident, told: Told, note: Mapping[str, str]) -> Rendered:
        """What else a record that is kept in sync both ways is to show."""
        reflection = told.reflection
        if reflection is None or self._is_plain(record):
            return Rendered({})
        text = note.get("work_notes", "")
        columns = self._reflector.columns(record, incident, reflection, tuple(told.news), text)
        rendered = await self._with_references(columns, is_retry=told.is_retry)
        also = {**rendered.fields, **await self._reflector.caller(reflection)}
        changed = {column: text for column, text in also.items() if record.values.get(column) != text}
        return Rendered(changed, rendered.warnings)

    async def _with_also(
        self, record: Record, fields: Mapping[str, str], also: Mapping[str, str]
    ) -> tuple[Record | None, Mapping[str, str], str]:
        """The record with *fields* and as much of *also* as is taken, that, and what people should know of the rest.

        None where they were refused together: then nothing was written.
        """
        without_caller = {column: text for column, text in also.items() if column != CALLER}
        why = ""
        for columns in filter(None, dict.fromkeys((tuple(also.items()), tuple(without_caller.items())))):
            try:
                after = await self._update(record, {**fields, **dict(columns)})
            except (*CREDENTIALS, LeftOpen):
                raise
            except Permanent as exc:
                why = str(exc)
                continue
            left_out = sorted(also.keys() - dict(columns).keys())
            ignored = [column for column, text in columns if after.values.get(column, text) != text]
            return after, dict(columns), _not_written(left_out, why) or _not_taken(ignored)
        return None, {}, _not_written(sorted(also), why)

    async def _update(self, record: Record, fields: Mapping[str, str]) -> Record:
        """The record as it is then. Raises Permanent, and LeftOpen where the update was to resolve it."""
        row = await self.api.update(self.config.table, record.sys_id, fields, with_display=self._is_two_way)
        self.note_own_write(row)
        after = self._parsed(row) or record
        is_end = fields.get("state") == self.config.states.resolved
        if is_end and after.state and is_open(after, self.config.states):
            raise LeftOpen(
                f"ServiceNow took the update and left {record.number} in state {after.state}: check "
                "oncall.servicenow.states.resolved, and that the user may write to the column state"
            )
        return after

    async def _ended(
        self, record: Record, incident: Incident, fields: Mapping[str, str], note: Mapping[str, str], exc: Permanent
    ) -> tuple[Record, str]:
        """The record, resolved otherwise than by the *fields* that were refused; and what people should know of that.

        Raises *exc* when that is refused too, and when the fields were no end. At least the note is written then: what
        is refused stays to be mended.
        """
        for other in self._other_ends(incident, fields, note) if "state" in fields else ():
            try:
                after = await self._update(record, other)
            except (*CREDENTIALS, LeftOpen):
                raise
            except Permanent:
                continue
            log.warning("servicenow.resolved_otherwise", incident=incident.id, record=record.number, error=str(exc))
            return after, f"{record.number} was resolved with the close code {other['close_code']}: {exc}"
        if note and note != fields:
            await self.api.update(self.config.table, record.sys_id, note)
        raise exc

    def _other_ends(
        self, incident: Incident, fields: Mapping[str, str], note: Mapping[str, str]
    ) -> Iterator[Mapping[str, str]]:
        """Fields that resolve most instances, and are not those that were refused."""
        if incident.status is not Status.RESOLVED:
            return
        defaults = self._templates.resolve_defaults.render(self._values(incident)).fields
        for code in CLOSE_CODES:
            end = {**defaults, "close_code": code, "state": self.config.states.resolved}
            for other in ({**end, **note}, end):
                if other != fields:
                    yield other

    def has_to_assign(self, incident: Incident, known: Assignment, *, is_ticket: bool = False) -> bool:
        """Whether somebody acknowledged whom the record may have to be assigned to."""
        has_to = self._assigner is not None and self._assigner.has_to(incident, known)
        return has_to and self._assigns(is_ticket=is_ticket)

    def _assigns(self, *, is_ticket: bool) -> bool:
        return self.config.writes_tickets if is_ticket else self.config.assign_on_ack

    async def assign(
        self,
        before: Record,
        written: Written,
        incident: Incident,
        known: Assignment,
        *,
        is_retry: bool,
        is_ticket: bool = False,
    ) -> tuple[Assigned, Written]:
        """Assign an open record to who acknowledged, after what was *written*; see `Assigner.assign`."""
        known = replace(known, user=written.assigned or known.user)
        is_to = self._assigns(is_ticket=is_ticket) and is_open(written.record, self.config.states)
        if self._assigner is None or not is_to:
            return Assigned(known), written
        assigned = await self._assigner.assign(before, written.record, incident, known, is_retry=is_retry)
        self._warned(incident, assigned.warnings)
        after = None if assigned.row is None else self._parsed(assigned.row)
        if after is None:
            return assigned, written
        return assigned, replace(written, record=after, sent=written.sent | {ASSIGNED_TO}, writes=written.writes + 1)

    async def _note(self, record: Record, told: Told) -> dict[str, str]:
        """The work note to append, as a field; none of it is there already, and nothing is cut off at its end."""
        lines = self._lines(record, told)
        if lines:  # whoever wrote it, and though Redis may have forgotten
            journal = await self._journal(record)
            lines = [it for it in lines if it.begins not in journal]
        if not lines:
            return {}
        limit = LENGTHS["work_notes"] // len(lines) - 1
        return {"work_notes": "\n".join(shortened(it.text, limit) for it in lines)}

    def _lines(self, record: Record, told: Told) -> list[Line]:
        """The work notes, on tables that have them."""
        if self._is_plain(record):
            return []
        follows = [following(told.follows)] if told.follows else []
        return follows + notes(told.news, self.config)

    def _is_plain(self, record: Record) -> bool:
        return self.is_plain or not record.state

    async def _changes(self, record: Record, incident: Incident, told: Told, state: str | None) -> Rendered:
        """The columns to write, but for the notes."""
        if incident.status is Status.RESOLVED:
            is_plain_end = self._is_plain(record) and self.config.on_resolve == "resolve" and told.news
            if state is None and not is_plain_end:
                return Rendered({})
            values = self._values(incident)
            rendered = self._resolve_templates(record).render(values)
            needed = {} if state is None else {**self._templates.resolve_defaults.render(values).fields, "state": state}
            rendered = Rendered({**needed, **rendered.fields}, rendered.warnings)
        else:
            rendered = Rendered({} if state is None else {"state": state})
            if self._is_plain(record) and told.is_reopened:  # it has no state that says so
                rendered = self._templates.fields.render(self._values(incident))
            if self.config.on_update == "fields" and told.is_changed:
                updated = self._templates.update_fields.render(self._values(incident))
                known = read_columns(told.wrote)
                kept = {name: text for name, text in updated.fields.items() if self._is_news(record, known, name, text)}
                rendered = Rendered({**rendered.fields, **kept}, updated.warnings)
            if told.fields:  # what templates see takes longer than all else here
                rendered = _joined(rendered, _of_step(told.fields).render(self._values(incident)))
        return await self._with_references(self._without_key(rendered), is_retry=told.is_retry)

    def _resolve_templates(self, record: Record) -> FieldTemplates:
        """Tables without states have no close code either."""
        return self._templates.own_resolve_fields if self._is_plain(record) else self._templates.resolve_fields

    def _without_key(self, rendered: Rendered) -> Rendered:
        """The key is never written again: the record would not be found."""
        fields = {name: text for name, text in rendered.fields.items() if name != self._record_key.column}
        return Rendered(fields, rendered.warnings)

    def _is_news(self, record: Record, known: Mapping[str, Column], name: str, text: str) -> bool:
        """Whether a column is to be written: it would say something else than before, and is still ours.

        What people changed is theirs. What comes out of ServiceNow may be written otherwise than what went in, so that
        it is compared with what went in.
        """
        holds = record.values.get(name, "")
        column = known.get(name, Column(digest("")))
        return column.holds == digest(holds) and text != holds and column.sent != digest(text)

    async def _with_references(self, rendered: Rendered, *, is_retry: bool) -> Rendered:
        """The names looked up; left out when that failed before, as the rest matters more."""
        try:
            return await self._references.resolve(rendered)
        except Transient as exc:
            if not is_retry:
                raise unresolved(exc) from exc
            return _without(rendered, self.config.references, f"names cannot be looked up: {exc}")

    def _parsed(self, row: Row) -> Record | None:
        """None when it is no record. A plain table's state, if it has one, is none of ours."""
        if self.config.lifecycle != "plain":
            self._note_lacks(lacking(row))
        record = Record.parse(row)
        return replace(record, state="") if record and self.is_plain else record

    def _note_lacks(self, lacks: tuple[str, ...]) -> None:
        if lacks and not self._lacks:
            hint = "it is treated as lifecycle: plain; set that, or another table"
            log.warning("servicenow.table_is_plain", table=self.config.table, lacks=lacks, hint=hint)
        self._lacks = lacks or self._lacks

    @property
    def is_plain(self) -> bool:
        """Whether the table has no lifecycle: by the configuration, or as its records have shown."""
        return self.config.lifecycle == "plain" or bool(self._lacks)

    def columns(self, record: Record) -> str:
        """What the watched columns hold, for `Told.wrote`; "" when none is watched."""
        return self._columns_of("", record, dict.fromkeys(self._templates.update_fields.names, ""))

    def _columns_of(self, wrote: str, record: Record, sent: Mapping[str, str]) -> str:
        """*wrote*, with what the record holds now in those of the columns *sent* that are watched."""
        if self.config.on_update != "fields":
            return ""
        known = read_columns(wrote)
        for name in self._templates.update_fields.names:
            if name in sent:
                known[name] = Column(digest(record.values.get(name, "")), digest(sent[name]) if sent[name] else "")
        return write_columns(known)

    async def _journal(self, record: Record) -> str:
        """The latest NOTES_MAX work notes as one text, as far as the user may read them."""
        table = "sys_journal_field"
        query = f"element_id={record.sys_id}^element=work_notes^ORDERBYDESCsys_created_on"
        try:
            rows = await self.api.search(table, query, ("element_id", "element", "value"), limit=NOTES_MAX)
            own = [row.get("value") for row in rows if row.get("element_id") == record.sys_id]
            if own:
                return "\n".join(str(value) for value in own)
        except Permanent as exc:
            log.warning("servicenow.journal_unreadable", record=record.number, error=str(exc))
        shown = await self.api.read(self.config.table, record.sys_id, ("work_notes",), as_shown=True)
        return str(shown.get("work_notes", ""))

    def _values(self, incident: Incident, previous_record: str = "") -> Mapping[str, object]:
        return values_for(incident, self.config, previous_record=previous_record, service=self._service)

    def _warned(self, incident: Incident, warnings: tuple[str, ...]) -> tuple[str, ...]:
        for warning in warnings:
            log.warning("servicenow.field_left_out", incident=incident.id, warning=warning)
        return warnings


def _not_written(columns: Sequence[str], why: str) -> str:
    return f"{', '.join(columns)} was not written: {why}" if columns else ""


def _not_taken(columns: Sequence[str]) -> str:
    return f"ServiceNow did not take {', '.join(columns)}: may the user write that?" if columns else ""


def _caller(wanted: Mapping[str, str], sent: Collection[str]) -> str:
    """Who was set; "-" where that was refused, so that it is not tried with every write."""
    return wanted[CALLER] if CALLER in wanted and CALLER in sent else "-" if CALLER in wanted else ""


def _of_step(fields: Mapping[str, str]) -> FieldTemplates:
    return FieldTemplates(fields, "the fields of the step")


def _joined(rendered: Rendered, also: Rendered) -> Rendered:
    """Both; what *also* says of a column counts."""
    return Rendered(rendered.fields | also.fields, (*rendered.warnings, *also.warnings))


def _without(rendered: Rendered, columns: Mapping[str, str], why: str) -> Rendered:
    fields = {name: text for name, text in rendered.fields.items() if name not in columns}
    return Rendered(fields, (*rendered.warnings, why))
