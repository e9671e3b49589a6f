"""The audit: follows journals, and looks at what became of each incident in them."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from versus_py.errors import VersusError
from versus_py.incidents.model import Incident, IncidentId, Outcome, Status
from versus_py.incidents.updates import counted
from versus_py.store.inspection import Inspected, Inspection
from versus_py.store.journal import Chain, Line, Written
from versus_py.tools.audit.report import GONE, OPEN, WAITING, Covered, Finding, Report, What
from versus_py.tools.audit.timeline import contradiction

TOGETHER = 100
"""Incidents that are read at once."""

AGE_SLACK_MS = 60_000
"""An incident is kept for retention_days after its last change; its line is written up to some seconds later."""

LOOKS = 3
"""How often an incident is read before its timeline counts as contradicting it: it may change between two reads."""


class _Traced(NamedTuple):
    """What the journal says of an incident, as little as possible: there may be a million of them."""

    journal: str
    line: int  # the latest
    at_ms: int
    version: int  # the highest
    version_at_ms: int

    def after(self, line: Line, journal: str) -> "_Traced":
        version = line.version or 0
        latest = (journal, line.n, line.at_ms) if line.at_ms >= self.at_ms else self[:3]
        highest = (version, line.at_ms) if version >= self.version else self[3:]
        return _Traced(*latest, *highest)


class Audit:
    """One run. *retention_ms* is how long incidents are kept, *grace_ms* how late an escalation may be.

    *ask_now_ms* tells the time that all replicas go by.
    """

    def __init__(
        self, inspection: Inspection, ask_now_ms: Callable[[], Awaitable[int]], *, retention_ms: int, grace_ms: int
    ) -> None:
        self._inspection = inspection
        self._ask_now_ms = ask_now_ms
        self._retention_ms = retention_ms
        self._grace_ms = grace_ms
        self._report = Report()
        self._traced: dict[IncidentId, _Traced] = {}
        self._open: dict[bytes, IncidentId] = {}  # by the digest of the dedup key
        self._doubles: list[tuple[IncidentId, IncidentId]] = []
        self._now_ms = 0

    async def run(self, journals: Sequence[Written]) -> Report:
        """Read *journals* to their ends, and then the incidents. Raises VersusError when they cannot be read."""
        self._now_ms = await self._ask_now_ms()
        for journal in journals:
            await self._follow(journal)
        self._report.incidents = len(self._traced)
        ids = list(self._traced)
        for start in range(0, len(ids), TOGETHER):
            await self._judge_some(ids[start : start + TOGETHER])
        await self._judge_doubles()
        return self._report

    async def _follow(self, journal: Written) -> None:
        def broken(line: int, what: str) -> None:
            self._find(What.CHAIN_BROKEN, journal.name, line, None, what)

        def torn(line: int) -> None:
            self._report.remarks.append(f"{journal.name}: line {line} was not written to its end")

        chain = Chain(broken, torn if journal.is_file else None)
        async for stretch in journal.stretches():
            for text in stretch.lines:
                line = chain.follow(text)
                if line is not None:
                    self._trace(line, journal.name)
            if stretch.head is not None:
                chain.end(stretch.head)
        if chain.head is None:
            raise VersusError(f"there is no journal in {journal.name}: nothing was accepted yet, or it was lost")
        covered = Covered(journal.name, chain.algorithm, chain.first, chain.head.n, chain.head.hash)
        self._report.journals.append(covered)

    def _trace(self, line: Line, journal: str) -> None:
        self._report.lines += 1
        self._report.payloads += line.item == 1
        if line.missed and not self._is_old(line.at_ms):
            said = f"before it, {counted(line.missed, 'accepted notification')} could not be written to the journal"
            self._find(What.NOT_JOURNALLED, journal, line.n, None, said)
        if line.incident is None or line.outcome == Outcome.IGNORED:
            self._report.ignored += 1
            return
        incident_id = IncidentId(line.incident)
        known = self._traced.get(incident_id, _Traced(journal, line.n, line.at_ms, 0, 0))
        self._traced[incident_id] = known.after(line, journal)

    async def _judge_some(self, ids: Sequence[IncidentId]) -> None:
        self._now_ms = await self._ask_now_ms()
        found = await self._inspection.look(ids)
        is_open = [it.incident for it in found if it.incident and it.incident.status is not Status.RESOLVED]
        named = await self._inspection.named_by([it.dedup_key for it in is_open])
        for incident, named_id in zip(is_open, named, strict=True):
            self._note_open(incident, named_id)
        for incident_id, inspected in zip(ids, found, strict=True):
            await self._judge(incident_id, inspected)

    async def _judge(self, incident_id: IncidentId, found: Inspected) -> None:
        traced, incident = self._traced[incident_id], found.incident
        if found.problem:
            self._find_of(incident_id, What.UNREADABLE, found.problem)
        elif incident is None and self._is_old(traced.at_ms):
            self._report.standings[GONE] += 1
        elif incident is None:
            self._find_of(incident_id, What.LOST, f"accepted at {_time(traced.at_ms)}, and Redis has no such incident")
        else:
            self._judge_version(incident, traced)
            self._judge_outcome(incident)
            await self._judge_timeline(incident_id, found)

    def _judge_version(self, incident: Incident, traced: _Traced) -> None:
        # One that was lost and made anew by a repeat counts from its new beginning.
        is_same = incident.created_at_ms <= traced.version_at_ms
        if is_same and incident.version < traced.version:
            said = f"version {traced.version} was accepted at {_time(traced.version_at_ms)}, and Redis has version "
            self._find_of(incident.id, What.SET_BACK, f"{said}{incident.version}")

    def _judge_outcome(self, incident: Incident) -> None:
        owed_ms = incident.owed_at_ms
        if owed_ms is not None and owed_ms + self._grace_ms <= self._now_ms:
            self._find_of(incident.id, What.OVERDUE, f"due at {_time(owed_ms)}, and it has no outcome")
        elif incident.ending is not None:
            self._report.standings[incident.ending] += 1
        else:
            self._report.standings[OPEN if owed_ms is None else WAITING] += 1

    async def _judge_timeline(self, incident_id: IncidentId, found: Inspected) -> None:
        said = ""
        for _ in range(LOOKS):
            if found.incident is None or not (said := contradiction(found.incident, found.timeline)):
                return
            [found] = await self._inspection.look([incident_id])
        self._find_of(incident_id, What.CONTRADICTED, said)

    def _note_open(self, incident: Incident, named_id: IncidentId | None) -> None:
        """*named_id* is the incident that the next alert of its dedup key would join."""
        other_id = self._open.setdefault(sha256(incident.dedup_key.encode()).digest(), incident.id)
        others = {it for it in (other_id, named_id) if it not in {None, incident.id}}
        self._doubles += [(incident.id, it) for it in others if it is not None]

    async def _judge_doubles(self) -> None:
        """Those that are open together still: one may have been resolved before the other was created."""
        for pair in dict.fromkeys(tuple(sorted(it)) for it in self._doubles):
            found = [it.incident for it in await self._inspection.look(pair)]
            is_open = [it for it in found if it is not None and it.status is not Status.RESOLVED]
            if len(is_open) == len(pair) and is_open[0].dedup_key == is_open[1].dedup_key:
                known, other = sorted(pair, key=lambda it: it not in self._traced)
                self._find_of(known, What.TWO_OPEN, f"{other} is open at the same time, of the same dedup key")

    def _is_old(self, at_ms: int) -> bool:
        return at_ms + self._retention_ms - AGE_SLACK_MS <= self._now_ms

    def _find_of(self, incident_id: IncidentId, what: What, detail: str) -> None:
        traced = self._traced[incident_id]
        self._find(what, traced.journal, traced.line, incident_id, detail)

    def _find(self, what: What, journal: str, line: int, incident_id: IncidentId | None, detail: str) -> None:
        self._report.find(Finding(what, journal, line, incident_id, detail))


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
