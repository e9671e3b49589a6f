"""Severities: which are graver than others, and which are the same, whatever a tool calls them.

This module alone knows the names. A severity keeps the name that it came with; its level is what is compared.
"""

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

UNKNOWN_SEVERITY = "unknown"
SEVERITY_MAX = 50

_REMEMBERED_MAX = 1024
"""Names whose spelling is remembered, of those that are not too long: each alert has one, and there are few."""


class Level(IntEnum):
    """How grave a severity is; the gravest sorts first."""

    CRITICAL = 0
    ERROR = 1
    WARNING = 2
    NOTICE = 3
    INFO = 4
    DEBUG = 5
    UNKNOWN = 6

    @property
    def severity(self) -> str:
        """Its usual name, such as "critical"."""
        return self.name.lower()


# In that of `spelling`: without spaces, hyphens and underscores.
_NAMES = {
    Level.CRITICAL: (
        *("critical", "crit", "fatal", "emergency", "emerg", "panic", "disaster", "page", "blocker", "highest"),
        *("catastrophic", "p0", "p1", "sev0", "sev1", "s1"),
    ),
    Level.ERROR: ("error", "err", "alert", "high", "major", "severe", "urgent", "important", "p2", "sev2", "s2"),
    Level.WARNING: ("warning", "warn", "medium", "moderate", "average", "minor", "p3", "sev3", "s3"),
    Level.NOTICE: ("notice", "low", "p4", "sev4", "s4"),
    Level.INFO: ("info", "informational", "information", "lowest", "trivial", "p5", "sev5", "s5"),
    Level.DEBUG: ("debug", "trace", "verbose", "ok", "none", "normal", "clear", "cleared", "success"),
}
_LEVELS = {name: level for level, names in _NAMES.items() for name in names}

# RFC 5424, table 2, and GELF: emergency, alert, critical; error; warning; notice, informational, debug.
_SYSLOG = (*[Level.CRITICAL] * 3, Level.ERROR, Level.WARNING, *[Level.INFO] * 3)

_JOINTS = re.compile(r"[\s_-]+")
_PARTS = re.compile(r"\s-\s|(?<=\d)-(?=[^\W\d])|[:/()\[\]|]")
_NUMBERED = re.compile(r"\d\s*-\s*(?=[^\W\d])")  # ServiceNow's and others' "1 - Critical"


def level_of(name: str) -> Level:
    """The level of a severity by its name in any case, such as "Critical", "SEV-1", "1 - Critical" or "P1 - Critical".

    A bare number is UNKNOWN: in some tools 1 is the gravest, in others the least grave.
    """
    found = _LEVELS.get(spelling(name))
    return _level_of_parts(name) if found is None else found


def _level_of_parts(name: str) -> Level:
    """The gravest of several names, such as "Critical (P1)"; UNKNOWN when one of them is none that is known."""
    if len(name) > SEVERITY_MAX:
        return Level.UNKNOWN
    levels = [_LEVELS.get(spelling(part), Level.UNKNOWN) for part in _PARTS.split(name) if part.strip()]
    return min(levels) if levels and Level.UNKNOWN not in levels else Level.UNKNOWN


def from_syslog(level: str) -> str:
    """The severity of a numeric level of syslog or GELF, 0 to 7; "" for anything else."""
    number = level.strip().removesuffix(".0")
    is_digit = len(number) == 1 and number.isascii() and number.isdecimal()
    return _SYSLOG[int(number)].severity if is_digit and int(number) < len(_SYSLOG) else ""


def row_for(rows: Mapping[str, T], severity: str) -> T | None:
    """The row of settings for *severity*: the one of its name, else the first of the same level; None without one.

    Names count in any spelling. What is of no known level has a row only by its name.
    """
    if severity in rows:
        return rows[severity]
    by_name = {spelling(name): row for name, row in rows.items()}
    if spelling(severity) in by_name:
        return by_name[spelling(severity)]
    level = level_of(severity)
    same = (row for name, row in rows.items() if level is not Level.UNKNOWN and level_of(name) is level)
    return next(same, None)


def highest_severity(severities: Iterable[str]) -> str:
    """The gravest of them, as it was written; names that nobody knows come after all that are known."""
    named = [severity[:SEVERITY_MAX] for severity in severities if severity]
    return min(named, key=level_of, default=UNKNOWN_SEVERITY)


def severity_rank(name: str) -> int:
    """For sorting: the gravest come first."""
    return level_of(name)


def is_graver(name: str, other: str) -> bool:
    """Whether *name* is worse news than *other*; an unknown one is taken for a notice."""
    return min(level_of(name), Level.NOTICE) < min(level_of(other), Level.NOTICE)


def is_severity(name: str) -> bool:
    """Whether it is one of the names that are known."""
    return level_of(name) is not Level.UNKNOWN


def known_as(name: str, names: Mapping[str, str]) -> str | None:
    """The severity that *name* is one of, as *names* of one's own have it first; None where nobody knows it.

    A usual name comes as it is usually written: matchers of policies and routes look at every letter.
    """
    severity = names.get(spelling(name), name)
    if not is_severity(severity):
        return None
    usual = level_of(severity).severity
    return usual if spelling(severity) == usual else severity


def known_names(names: Mapping[str, str]) -> str:
    """What is allowed where a severity has to be known, in words, with *names* of one's own."""
    return f"{', '.join(('critical, error, warning, notice, info', *names))} and what else docs/sources.md names"


def is_number(name: str) -> bool:
    """Whether it is a bare number, which says nothing without its scale."""
    return name.strip().isdecimal()


def spelling(name: str) -> str:
    """The same for all spellings of a name: case, spaces, hyphens, underscores and a number before it do not count."""
    return _known_spelling(name) if len(name) <= SEVERITY_MAX else _spelling(name)


@lru_cache(_REMEMBERED_MAX)
def _known_spelling(name: str) -> str:
    return _spelling(name)


def _spelling(name: str) -> str:
    folded = name.strip().casefold()
    return _JOINTS.sub("", _NUMBERED.sub("", folded, count=1)) or folded
