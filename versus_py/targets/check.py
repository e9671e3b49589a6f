"""What a check of a system is: one thing that was looked at. `versus doctor` runs those that each system offers."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"  # it works, but something is missing or cannot be told
    FAILED = "failed"
    SKIPPED = "skipped"  # nothing was looked at: the configuration does not use it, or it cannot be seen from here


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was found, and what to do about it; "" when nothing is to be done."""

    name: str
    status: CheckStatus
    found: str
    advice: str = ""


Examination = Callable[[], AsyncIterator[Check]]
"""Looks at one system, and says what it found as it goes. A VersusError that it raises is a failed check."""
