"""What people may do to an incident, in whatever channel they do it. Pure."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from versus_py.incidents.model import Incident, Status
from versus_py.incidents.transitions import may_escalate


class Action(StrEnum):
    """The verbs."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    ESCALATE = "escalate"
    SNOOZE = "snooze"
    SEVERITY = "severity"
    ROUTE = "route"


def possible_actions(incident: Incident) -> tuple[Action, ...]:
    """Those that would change something now."""
    would_change = {
        Action.ACKNOWLEDGE: incident.status is Status.TRIGGERED or incident.is_renewable,
        Action.UNACKNOWLEDGE: incident.status is Status.ACKNOWLEDGED,
        Action.RESOLVE: incident.status is not Status.RESOLVED,
        Action.ESCALATE: may_escalate(incident),
        Action.SNOOZE: incident.is_waiting,
        Action.SEVERITY: incident.status is not Status.RESOLVED,
        Action.ROUTE: incident.status is not Status.RESOLVED,
    }
    return tuple(action for action, it in would_change.items() if it)


def snoozed_until_ms(choice: str, timezone: str, now_ms: int) -> int:
    """When a snooze ends: in so many minutes, or the next time that it is so late (`09:00`) in *timezone*.

    Raises ValueError for a choice that is neither.
    """
    if ":" not in choice:
        return now_ms + int(choice) * 60_000
    here = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
    hour, minute = map(int, choice.split(":"))
    today = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    # Days of the clock on the wall. Set back at midnight, it is in yesterday again.
    days = [today + timedelta(days=number) for number in (-1, 0, 1)]
    ahead = [it for it in days if not (_is_skipped(it) and _on_the_wall(it) < _on_the_wall(here))]
    # Compared as instants: when the clock is set back, the same time comes twice that day.
    instants = (day.replace(fold=fold).timestamp() for day in ahead for fold in (0, 1))
    return next(at_ms for at_ms in (round(instant * 1000) for instant in instants) if at_ms > now_ms)


def _is_skipped(time: datetime) -> bool:
    """Whether the clock on the wall never shows it, being set forward over it.

    With fold 0, the instant that Python makes of it is where the clock would be if it had not been set yet.
    """
    return _on_the_wall(time.astimezone(UTC).astimezone(time.tzinfo)) != _on_the_wall(time)


def _on_the_wall(time: datetime) -> datetime:
    return time.replace(tzinfo=None, fold=0)
