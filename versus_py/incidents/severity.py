"""Which of several severities is the gravest, whatever a tool calls them."""

from collections.abc import Iterable

UNKNOWN_SEVERITY = "unknown"
SEVERITY_MAX = 50

_SEVERITIES = (
    ("fatal", "emergency", "disaster", "critical", "crit", "page", "p1", "sev1"),
    ("alert", "error", "err", "high", "major", "urgent", "p2", "sev2"),
    ("warning", "warn", "medium", "average", "minor", "p3", "sev3"),
    ("notice", "low", "p4", "sev4"),
    ("info", "informational", "information", "p5", "sev5"),
    ("debug", "ok", "none"),
)
_NOTICE = 3
_RANK = {name: rank for rank, names in enumerate(_SEVERITIES) for name in names}


def highest_severity(severities: Iterable[str]) -> str:
    """The gravest of them, as it was written; names that nobody knows come after all that are known."""
    named = [severity[:SEVERITY_MAX] for severity in severities if severity]
    return min(named, key=severity_rank, default=UNKNOWN_SEVERITY)


def severity_rank(name: str) -> int:
    """For sorting: the gravest come first."""
    return _RANK.get(name.lower(), len(_SEVERITIES))


def is_graver(name: str, other: str) -> bool:
    """Whether *name* is worse news than *other*; an unknown one is taken for a notice."""
    return min(severity_rank(name), _NOTICE) < min(severity_rank(other), _NOTICE)


def is_severity(name: str) -> bool:
    """Whether it is one of the names that are known."""
    return name.lower() in _RANK
