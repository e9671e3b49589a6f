"""Times as pages write them out; the script keeps them going. Pure."""

from datetime import UTC, datetime

TO = "\N{EN DASH}"
"""Between the ends of a range."""

_MINUTE_S = 60
_HOUR_S = 3600
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000, "ms": 1}
TODAY_MS = 18 * 3600_000
"""How long ago the time of day alone says when something was."""


def iso(at_ms: int) -> str:
    """For machines, to the second: `2026-11-28T03:02:14Z`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hours(at_ms: int, *, seconds: bool = False) -> str:
    """The time of day in UTC, which the script turns into that of the viewer."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(at_ms: int) -> str:
    """A moment of another day, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%d %b %H:%M UTC")


def date(at_ms: int) -> str:
    """The day in UTC, which the script turns into that of the viewer."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%d %b")


def left(due_ms: int, now_ms: int) -> str:
    """A countdown, as the script writes it."""
    seconds = max(0, -(-(due_ms - now_ms) // 1000))
    if not seconds:
        return "now"
    return f"{seconds // 60}:{seconds % 60:02}" if seconds < _HOUR_S else _hours(seconds)


def lasted(span_ms: int) -> str:
    """A length of time, as the script writes it."""
    seconds = max(0, span_ms // 1000)
    if seconds < _MINUTE_S:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < _HOUR_S else _hours(seconds)


def span(span_ms: int) -> str:
    """A length of time that a setting says, to the millisecond: `1 h 30 min`."""
    said = []
    for unit, unit_ms in _UNITS_MS.items():
        count, span_ms = divmod(span_ms, unit_ms)
        said += [f"{count} {unit}"] if count else []
    return " ".join(said) or "0 s"


def is_of_today(at_ms: int, now_ms: int) -> bool:
    return abs(now_ms - at_ms) < TODAY_MS


def _hours(seconds: int) -> str:
    return f"{seconds // 3600} h {seconds // 60 % 60} min"
