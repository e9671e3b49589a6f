"""What forms offer: how long to snooze, which severity, which policy and which channel. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from versus_py.config import MAX_WAIT_MINUTES, Config
from versus_py.config.time_intervals import NamedIntervals
from versus_py.incidents.intervals import Hours
from versus_py.targets import Called

SEVERITIES = ("critical", "error", "warning", "notice", "info")
MINUTES = {15: "15 minutes", 60: "1 hour", 240: "4 hours"}

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class SnoozeChoice:
    """A button: the field of the form that it sends, and what is on it."""

    field: str
    value: str
    word: str
    until_ms: int


def snoozes(config: Config, now_ms: int) -> list[SnoozeChoice]:
    """So many minutes, or until one of the configuration's time intervals begins that is not open now."""
    fixed = [SnoozeChoice("minutes", str(it), word, now_ms + it * _MINUTE_MS) for it, word in MINUTES.items()]
    opening = ((it, opens_at_ms(config, it.name, now_ms)) for it in config.time_intervals)
    last_ms = now_ms + MAX_WAIT_MINUTES * _MINUTE_MS
    return fixed + [
        SnoozeChoice("until", it.name, f"{it.name}: {_day(at_ms, it)}", at_ms)
        for it, at_ms in opening
        if at_ms is not None and now_ms < at_ms <= last_ms
    ]


def opens_at_ms(config: Config, name: str, now_ms: int) -> int | None:
    """When the time interval of that name is open next; None when there is none, or it is not for years."""
    found = next((it for it in config.time_intervals if it.name == name), None)
    return None if found is None else Hours(found.compiled).opens_at(now_ms)


def policies(config: Config) -> Sequence[str]:
    return [it.name for it in config.policies]


def channels(config: Config, called: Called) -> list[tuple[str, str]]:
    """What a route may name, and what people call it."""
    return [
        (f"{part.NAME}:{place}", f"{called(part.NAME)} {place}")
        for part in config.alert.enabled.values()
        for place in part.places
    ]


def _day(at_ms: int, opening: NamedIntervals) -> str:
    """The weekday where it opens then."""
    zone = next((it.zone for it in opening.compiled if it.contains(at_ms)), UTC)
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%a")
