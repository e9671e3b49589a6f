"""What templates write into the columns of a record, within their lengths, and with names looked up."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from weakref import WeakValueDictionary

from msgspec import Struct

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent, Transient, Unreachable
from versus_py.incidents.model import Incident
from versus_py.incidents.overview import LINES, overview
from versus_py.incidents.severity import row_for
from versus_py.targets.servicenow.description import LINES as DESCRIBED
from versus_py.targets.servicenow.description import describe
from versus_py.targets.servicenow.key import LENGTHS, Key, shortened
from versus_py.targets.servicenow.record import utc
from versus_py.targets.servicenow.sys_ids import is_sys_id
from versus_py.targets.servicenow.table_api import TableApi, value_of
from versus_py.targets.values import incident_values
from versus_py.templating import TemplateFailed, TemplateText

CLOSE_CODES = ("Solution provided", "Solved (Permanently)")
"""What ServiceNow's newer and older releases come with."""

RESOLVE_DEFAULTS = {
    "close_code": CLOSE_CODES[0],
    "close_notes": (
        "{% if resolution %}{{ resolution }}\n{% endif %}"
        "{% if incident.acknowledged_by %}Acknowledged by {{ incident.acknowledged_by }}. {% endif %}"
        "Resolved by {{ incident.resolved_by }}."
    ),
}
"""Resolving needs both in the same request where the data policy of most instances is on."""

_CLOSE_NOTES = "closenotes"
"""An annotation or a label of alerts, in any case and with or without an underscore."""

_CACHED_MAX = 1000
_FOUND_FOR_MS = 3600_000
_MISSED_FOR_MS = 300_000
_FAILED_FOR_MS = 30_000
_HAS_ACTIVE = {"sys_user", "sys_user_group"}


class Rendered(Struct, frozen=True):
    """Column -> text, and what was left out and why."""

    fields: dict[str, str]
    warnings: tuple[str, ...] = ()


class FieldTemplates:
    """One map of column -> template."""

    def __init__(self, fields: Mapping[str, str], where: str) -> None:
        self._templates = {name: TemplateText(text, f"{where}.{name}") for name, text in fields.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._templates)

    def render(self, values: Mapping[str, Any]) -> Rendered:
        """Every column that comes out with something in it. A template that fails leaves its column out."""
        fields: dict[str, str] = {}
        warnings = []
        for name, template in self._templates.items():
            try:
                text = template.render(values)
            except TemplateFailed as exc:
                warnings.append(f"{exc}; the field was left out")
                continue
            if text:
                fields[name] = truncated(name, text)
        return Rendered(fields, tuple(warnings))


class RecordTemplates:
    """All templates of an instance: of new records, of their updates, and of their end."""

    def __init__(self, config: ServiceNowInstance) -> None:
        self.fields = FieldTemplates(config.fields, "fields")
        self.update_fields = FieldTemplates(config.update_fields, "update_fields")
        defaults = {} if config.lifecycle == "plain" else RESOLVE_DEFAULTS
        self.resolve_fields = FieldTemplates({**defaults, **config.resolve_fields}, "resolve_fields")
        self.own_resolve_fields = FieldTemplates(config.resolve_fields, "resolve_fields")
        self.resolve_defaults = FieldTemplates(RESOLVE_DEFAULTS, "resolve_fields")

    def watched(self, config: ServiceNowInstance) -> tuple[str, ...]:
        """The columns that updates write."""
        return self.update_fields.names if config.on_update == "fields" else ()


class References:
    """Rows that templates name in words: each looked up once, and then remembered for a while."""

    def __init__(self, api: TableApi, columns: Mapping[str, str], clock: Clock) -> None:
        self._api = api
        self._columns = columns
        self._clock = clock
        # Many that need the same name at once cost one request; who needs another does not wait for it.
        self._asking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._failures: dict[str, tuple[int, Transient]] = {}  # table.column -> until when nobody asks, and why
        self._known: OrderedDict[tuple[str, str], tuple[int, str | None, str]] = OrderedDict()

    async def resolve(self, rendered: Rendered) -> Rendered:
        """The same with a sys_id for each name; a name that is not exactly one row's leaves its column out.

        Raises Transient while the instance cannot be asked.
        """
        fields = dict(rendered.fields)
        warnings = list(rendered.warnings)
        names = {column: fields[column] for column in self._columns if column in fields}
        names = {column: name for column, name in names.items() if not is_sys_id(name)}
        asked = [self.find(self._columns[column], name) for column, name in names.items()]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for (column, name), answer in zip(names.items(), found, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            sys_id, problem = answer
            if sys_id is None:
                warnings.append(f"{column} {name!r}: {problem}; the field was left out")
                del fields[column]
            else:
                fields[column] = sys_id
        return Rendered(fields, tuple(warnings))

    async def find(self, where: str, name: str) -> tuple[str | None, str]:
        """The sys_id of the one row whose column is *name*, *where* being `table.column`; else None and why.

        Raises Transient while the instance cannot be asked.
        """
        lock = self._asking.get((where, name))
        if lock is None:
            lock = self._asking[where, name] = asyncio.Lock()
        async with lock:
            return await self._looked_up(where, name)

    async def _looked_up(self, where: str, name: str) -> tuple[str | None, str]:
        now_ms = self._clock.now_ms()
        known = self._known.get((where, name))
        if known is None or known[0] <= now_ms:
            until_ms, failure = self._failures.get(where, (0, None))
            if failure is not None and now_ms < until_ms:
                raise failure
            try:
                sys_id, problem = await self._ask(where, name)
            except Transient as exc:
                self._failures[where] = (now_ms + _FAILED_FOR_MS, exc)
                raise
            known = (now_ms + (_FOUND_FOR_MS if sys_id else _MISSED_FOR_MS), sys_id, problem)
            self._known[where, name] = known
            self._known.move_to_end((where, name))
            while len(self._known) > _CACHED_MAX:
                self._known.popitem(last=False)
        return known[1], known[2]

    async def _ask(self, where: str, name: str) -> tuple[str | None, str]:
        """The sys_id of the one row of that name, else None and why."""
        table, _, column = where.partition(".")
        if "^" in name or not name.isprintable() or name.startswith("javascript:"):
            return None, "cannot be looked up: it has characters that mean something in a query"
        query = f"{column}={name}" + ("^active=true" if table in _HAS_ACTIVE else "")
        try:
            rows = await self._api.search(table, query, ("sys_id", column), limit=100)
        except Permanent as exc:
            return None, f"{table} cannot be read: {exc}"
        same = {value_of(row.get("sys_id")) for row in rows if value_of(row.get(column)).casefold() == name.casefold()}
        found = sorted(same - {""})
        if len(found) == 1:
            return found[0], ""
        count = f"{len(found)} rows" if found else "no row"
        return None, f"{count} of {table} with this {column}; it takes exactly one"


def unresolved(exc: Transient) -> Transient:
    """The error for a sync whose names cannot be looked up: no outage, as the same sync has read records."""
    said = f"names cannot be looked up: {exc}"
    return Transient(said, retry_after_s=exc.retry_after_s) if isinstance(exc, Unreachable) else exc


def created_fields(incident: Incident, key: Key, rendered: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """What a new record gets: what every one has, whatever the configuration says, and what was *rendered*."""
    short_description = {"short_description": f"Incident {incident.id}"}
    return short_description | dict(rendered) | {key.column: key.text(incident, rendered.get(key.column, ""))}


def values_for(
    incident: Incident, instance: ServiceNowInstance, *, previous_record: str = "", service: str = "versus"
) -> dict[str, Any]:
    """What templates see; docs/servicenow.md lists it."""
    row = row_for(instance.severities, incident.severity)
    described = overview(incident, lines=DESCRIBED)
    is_whole = len(described.lines) <= LINES  # so that it is what templates see, too
    return incident_values(incident, described if is_whole else None) | {
        "severity": incident.severity,
        "by_severity": instance.severities.get("default", {}) if row is None else row,
        "description": describe(incident, described, previous_record=previous_record),
        "previous_record": previous_record,
        "resolution": _resolution(incident),
        "service": service,
        "date": utc,
    }


def _resolution(incident: Incident) -> str:
    """What is said of how it ended: by the person who resolved it, and by `closenotes` of its alerts, each once."""
    pairs = (pair for alert in incident.alerts for pair in (*alert.annotations.items(), *alert.labels.items()))
    notes = (text for name, text in pairs if name.replace("_", "").casefold() == _CLOSE_NOTES)
    return "\n".join(text for text in dict.fromkeys((incident.resolve_comment, *notes)) if text)


def truncated(column: str, text: str) -> str:
    """What fits into the column, with an ellipsis where something is missing."""
    return shortened(text, LENGTHS.get(column, len(text)))
