"""What Failed shows: each delivery that was given up. Pure."""

from dataclasses import dataclass

from versus_py.incidents.model import IncidentId
from versus_py.incidents.overview import subject
from versus_py.store import READ_AGAIN, GivenUp, GivenUpPage, UnreadFailure
from versus_py.targets import Called
from versus_py.web.pages.ui.rows import TITLE_MAX, Severity, cut, standing

ERROR_MAX = 400


@dataclass(frozen=True, slots=True)
class Failure:
    """A target that does not show an incident, and is not tried any more."""

    id: IncidentId
    target: str  # by its own name, as a form sends it
    name: str  # what people call it
    title: str  # "": the incident cannot be read
    severity: Severity | None
    status: str
    at_ms: int
    attempts: int
    error: str
    may_retry: bool = True


def failures_of(page: GivenUpPage, called: Called) -> tuple[Failure, ...]:
    """The latest first."""
    found = [_failure(it, called) for it in page.found] + [_unread(it, called) for it in page.unread]
    return tuple(sorted(found, key=lambda it: (-it.at_ms, it.id, it.target)))


def _failure(it: GivenUp, called: Called) -> Failure:
    incident, delivery = it.incident, it.delivery
    return Failure(
        id=incident.id,
        target=it.target,
        name=called(it.target),
        title=cut(" ".join(subject(incident).split()) or incident.id, TITLE_MAX),
        severity=Severity.of(incident.severity),
        status=standing(incident),
        at_ms=delivery.failed_at_ms or 0,
        attempts=delivery.attempts,
        error=cut(delivery.error, ERROR_MAX),
    )


def _unread(it: UnreadFailure, called: Called) -> Failure:
    return Failure(
        id=it.incident_id,
        target=it.target,
        name=called(it.target),
        title="",
        severity=None,
        status="",
        at_ms=it.at_ms,
        attempts=0,
        error=cut(it.error, ERROR_MAX),
        may_retry=it.error == READ_AGAIN,
    )
