"""What people and senders did to one incident, and what they were answered. Times are the world's own, in ms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

SEVERITIES = ("info", "warning", "critical")


class Did(StrEnum):
    """What may be done to an incident."""

    LIST = "list"  # a sender says which alerts of the group fire, and which are over
    ACKNOWLEDGE = "acknowledge"
    GIVE_BACK = "unacknowledge"
    RESOLVE = "resolve"  # by a person
    SNOOZE = "snooze"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Listed:
    """An alert as one sender lists it."""

    instance: str
    severity: str
    starts_ms: float
    is_over: bool = False
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One deed, with all its attempts. It had its effect between `sent_ms` and `over_ms`.

    `status` is that of the answer, None when nobody answered any attempt: the deed may have happened or not.
    `said` is what the answer tells of the incident; empty where it tells nothing, as of a button.
    """

    did: Did
    sent_ms: float
    answered_ms: float
    over_ms: float
    status: int | None
    said: Mapping[str, Any] = field(default_factory=dict)
    alerts: tuple[Listed, ...] = ()
    minutes: float = 0.0  # of a snooze
    attempts: int = 1

    @property
    def is_taken(self) -> bool:
        return self.status is not None and self.status < 300

    @property
    def is_unknown(self) -> bool:
        return self.status is None

    def told_ms(self, key: str) -> float | None:
        """A moment of the answer, ms since the epoch; None where it has none."""
        moment = self.said.get(key)
        return None if not moment else datetime.fromisoformat(moment).timestamp() * 1000

    def __str__(self) -> str:
        spans = f"{self.sent_ms:.0f}-{self.over_ms:.0f}"
        return f"{self.did} {spans} {self.status} x{self.attempts} {self.said.get('escalates_at') or ''}".strip()
