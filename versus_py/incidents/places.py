"""Where an open incident is among all that are open. Pure, and stored with each, so that no other has to be read."""

from enum import StrEnum
from typing import Self

from msgspec import Struct

from versus_py.incidents.model import Incident, Status

NEVER = 4_000_000_000_000_000
"""Later than any time in ms, and a whole number to JavaScript: sorts what has no next step after all that has one."""


class Kind(StrEnum):
    """What an open incident waits for."""

    STEP = "w"  # the next step of its policy
    HOURS = "h"  # the hours of its policy, before the first step
    NOTHING = "n"  # no step is to come, or what fires is silenced
    ESCALATED = "e"  # an acknowledgment: the last step was told
    TAKEN = "t"  # nothing: somebody has it


class Place(Struct, frozen=True):
    """Its list, of what waits or of what somebody has, and where it is there: the first one has the least *sort*."""

    kind: Kind
    sort: int

    @property
    def is_taken(self) -> bool:
        return self.kind is Kind.TAKEN

    @property
    def text(self) -> str:
        return f"{self.kind}{self.sort}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        return cls(Kind(text[:1]), int(text[1:]))


def place_of(incident: Incident) -> Place:
    """What waits: the soonest escalation first. What somebody has: what they have had for longest first."""
    taken_ms, escalated_ms = taken_at_ms(incident), escalated_at_ms(incident)
    if taken_ms is not None:
        return Place(Kind.TAKEN, taken_ms)
    if escalated_ms is not None:
        return Place(Kind.ESCALATED, escalated_ms)
    if incident.escalates_at_ms is None or incident.suppression is not None:
        return Place(Kind.NOTHING, NEVER + incident.waiting_since_ms)
    return Place(Kind.HOURS if incident.is_held else Kind.STEP, incident.escalates_at_ms)


def taken_at_ms(incident: Incident) -> int | None:
    """Since when somebody has it; None while it waits. Of what is snoozed, when its wait began."""
    if incident.status is Status.ACKNOWLEDGED:
        return incident.acknowledged_at_ms
    return incident.waiting_since_ms if incident.snooze is not None else None


def escalated_at_ms(incident: Incident) -> int | None:
    """When the last step was told; None while one is to come, and of what is acknowledged."""
    latest = incident.latest_call
    is_over = latest is not None and incident.status is not Status.ACKNOWLEDGED and not incident.is_waiting
    return latest.at_ms if latest is not None and is_over else None
