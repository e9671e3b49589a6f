"""What an audit found."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from versus_py.incidents.model import Ending

FINDINGS_MAX = 1000
"""Findings that are kept; further ones are counted."""

OPEN = "open"
"""No outcome yet, and none is owed: it never escalates."""
WAITING = "waiting"
"""No outcome yet: its wait, or a worker's lease after that, is not over."""
GONE = "gone by age"
"""It is not kept any more: retention_days have passed."""

STANDINGS = (*Ending, WAITING, OPEN, GONE)
"""How an incident can stand that is accounted for."""


class What(StrEnum):
    """What is wrong."""

    CHAIN_BROKEN = "chain broken"  # a line was changed, is missing, or is not where it belongs
    NOT_JOURNALLED = "not journalled"  # it was accepted, and the journal's file could not be written
    LOST = "lost"  # Redis has no such incident
    SET_BACK = "set back"  # Redis has an older version of the incident than the one that was promised
    UNREADABLE = "unreadable"  # Redis has it, and this version cannot read it
    OVERDUE = "overdue"  # its escalation is due, and it has no outcome
    TWO_OPEN = "two open incidents"  # of one dedup key
    CONTRADICTED = "contradicted"  # its timeline says something else


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not accounted for: which line of which journal says so, and which incident it is about."""

    what: What
    journal: str
    line: int
    incident: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Covered:
    """A journal that was read: its lines, and the hash of the last one, to be kept for the next time."""

    name: str
    algorithm: str
    first: int
    last: int
    hash: str


@dataclass(slots=True)
class Report:
    """What was read, how it stands, and what is wrong."""

    journals: list[Covered] = field(default_factory=list)
    lines: int = 0
    payloads: int = 0
    ignored: int = 0  # lines that say of nothing that it happened
    incidents: int = 0
    standings: Counter[str] = field(default_factory=Counter)  # STANDINGS -> incidents
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    remarks: list[str] = field(default_factory=list)

    def find(self, finding: Finding) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        else:
            self.more_findings += 1

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "journals": [asdict(it) for it in self.journals],
            "lines": self.lines,
            "payloads": self.payloads,
            "ignored": self.ignored,
            "incidents": self.incidents,
            "standings": {str(it): self.standings[it] for it in STANDINGS},
            "findings": [asdict(it) for it in self.findings],
            "more_findings": self.more_findings,
            "remarks": self.remarks,
        }
