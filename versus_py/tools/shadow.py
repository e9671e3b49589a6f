"""What a shadow would have done, beside what Versus Incident does with the same requests."""

import csv
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from versus_py.config import Config
from versus_py.errors import VersusError
from versus_py.incidents.model import Incident, IncidentId, Outcome
from versus_py.incidents.partitions import use_partitions
from versus_py.store.connection import reach_redis
from versus_py.store.inspection import Inspection
from versus_py.store.journal import StoredJournal
from versus_py.store.journal.chain import Line, read_line
from versus_py.targets.shadow import writes_of

DAY_MS = 24 * 3600 * 1000
_BATCH = 200
_ONE_BY_ONE = frozenset({"fluentbit"})
"""Sources whose requests hold a list of records, each of which is an incident there."""

_FIRING = frozenset({Outcome.CREATED, Outcome.UPDATED, Outcome.REOPENED})
_CREATED_COLUMNS = ("sys_created_on", "opened_at", "Created", "Opened")
_CREATED_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S")


@dataclass(slots=True)
class Both:
    """What became of one incident's requests: there by Versus Incident's rules, here by the shadow's record."""

    title: str
    incident: str = ""
    requests: int = 0
    their_messages: int = 0
    their_tickets: int = 0
    messages: int = 0
    edits: int = 0
    tickets: int = 0

    @property
    def difference(self) -> int:
        return abs(self.their_messages - self.messages) + abs(self.their_tickets - self.tickets)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The sums, and where they come from."""

    since_ms: int
    until_ms: int
    total: Both
    incidents: tuple[Both, ...]
    """All of them, those with the largest differences first."""
    tickets_in_file: int | None = None
    forgotten: int = 0
    """Incidents that are not kept any more, so that it is not known what was done about them here."""


async def compare(config: Config, *, days: float, tickets: Path | None = None) -> Comparison:
    """*config* is the server's; its shadow may run meanwhile, or not. Raises VersusError where nothing is kept."""
    shadow = config.as_shadow()
    use_partitions(shadow.redis.partitions)
    async with reach_redis(shadow.redis, shadow.data_dir) as redis:
        inspection = Inspection(redis)
        until_ms = await inspection.now_ms()
        since_ms = until_ms - round(days * DAY_MS)
        lines = [it async for it in _lines(StoredJournal(redis)) if it.at_ms >= since_ms]
        known = await _incidents(inspection, {it.incident for it in lines if it.incident is not None})
    by_default = config.oncall.by_default
    found = compared(lines, known, escalates_by_default=by_default, channels=config.alert.enabled.keys())
    total = Both("all")
    for it in found.values():
        _add(total, it)
    return Comparison(
        since_ms=since_ms,
        until_ms=until_ms,
        total=total,
        incidents=tuple(sorted(found.values(), key=lambda it: it.difference, reverse=True)),
        tickets_in_file=None if tickets is None else tickets_created(tickets, since_ms, until_ms),
        forgotten=len({it.incident for it in lines if it.incident is not None} - known.keys()),
    )


def compared(
    lines: Sequence[Line],
    known: Mapping[str, Incident],
    *,
    escalates_by_default: bool,
    channels: Iterable[str],
) -> dict[str, Both]:
    """By the incident's id, "" for requests about none.

    There, a request is a message, and a ticket unless all that it says is over. Each record of a list counts.
    """
    found: dict[str, Both] = {}
    names = set(channels)
    seen: set[tuple[object, ...]] = set()
    for line in lines:
        key = line.incident or ""
        incident = known.get(key)
        title = incident.title if incident else key or "requests about nothing known"
        both = found.setdefault(key, Both(title, key))
        both.requests += 1
        request = (line.at_ms, line.process, line.body)
        is_counted = line.source not in _ONE_BY_ONE and request in seen
        seen.add(request)
        if is_counted:  # a further incident of the same request, which is one there
            continue
        both.their_messages += bool(names)
        escalates = escalates_by_default if incident is None else bool(incident.policy.providers)
        both.their_tickets += line.outcome in _FIRING and escalates
    for key, both in found.items():
        if (it := known.get(key)) is not None:
            _count(both, it, names)
    return found


def _count(both: Both, incident: Incident, channels: set[str]) -> None:
    for target, delivery in incident.deliveries.items():
        writes = writes_of(delivery)
        if target.partition(":")[0] in channels:
            both.messages += writes > 0
            both.edits += max(writes - 1, 0)
        else:
            both.tickets += writes > 0


def _add(total: Both, it: Both) -> None:
    for name in ("requests", "their_messages", "their_tickets", "messages", "edits", "tickets"):
        setattr(total, name, getattr(total, name) + getattr(it, name))


async def _lines(journal: StoredJournal) -> AsyncIterator[Line]:
    async for stretch in journal.stretches():
        for text in stretch.lines:
            if (line := read_line(text)) is not None:
                yield line


async def _incidents(inspection: Inspection, ids: set[str]) -> dict[str, Incident]:
    found: dict[str, Incident] = {}
    listed = [IncidentId(it) for it in sorted(ids)]
    for start in range(0, len(listed), _BATCH):
        for it in await inspection.look(listed[start : start + _BATCH]):
            if it.incident is not None:
                found[it.incident.id] = it.incident
    return found


def tickets_created(file: Path, since_ms: int, until_ms: int) -> int:
    """How many rows of a list that ServiceNow exported as CSV were created in that time, which they say in UTC.

    Raises VersusError, also for a row whose time cannot be read.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise VersusError(f"cannot read {file}: {exc}") from None
    column = next((it for it in _CREATED_COLUMNS if rows and it in rows[0]), None)
    if rows and column is None:
        raise VersusError(f"{file} has none of the columns {', '.join(_CREATED_COLUMNS)}: export the list with one")
    return sum(since_ms <= _created_ms(row[str(column)] or "", file) <= until_ms for row in rows)


def _created_ms(text: str, file: Path) -> float:
    for form in _CREATED_FORMS:
        with suppress(ValueError):
            return datetime.strptime(text.strip(), form).replace(tzinfo=UTC).timestamp() * 1000
    raise VersusError(f"{file}: {text!r} is no time such as 2026-11-29 10:00:00: export the list with such times")
