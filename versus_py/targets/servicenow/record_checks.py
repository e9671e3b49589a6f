"""Open incidents whose records are at a URL that is not configured any more."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from versus_py.config import ServiceNowConfig
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Delivery, Incident, Status
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.servicenow.instances import Configured, Match, match
from versus_py.targets.system import StoredIncidents

NAME = f"{ServiceNowConfig.TITLE} open records"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where records are, and the configured instance that they are matched to."""

    url: str
    table: str
    found: Match | None


async def examine_records(configured: Configured, incidents: StoredIncidents) -> AsyncIterator[Check]:
    """What is stored of open incidents, and of those whose record was given up; nothing is asked of ServiceNow."""
    try:
        page = await incidents(lambda it: any(_open_records(it)))
    except StoreUnavailable as exc:
        yield Check(NAME, CheckStatus.SKIPPED, f"the incidents cannot be read: {exc}")
        return
    places = Counter(_place(configured, it, *known) for it in page.incidents for known in _open_records(it))
    more = "" if page.cursor is None else ", of the newest incidents"
    elsewhere = {place: number for place, number in places.items() if not (place.found and place.found.is_at_its_url)}
    for place, number in elsewhere.items():
        yield _about(place, f"{_records(number)}{more}")
    if not elsewhere:
        at_home = f"{_records(places.total())}{more}"
        yield Check(NAME, CheckStatus.OK, f"{at_home}, at URLs that are configured" if places else "there are none")


def _open_records(incident: Incident) -> Iterator[tuple[str, Delivery]]:
    """The records that may still be written to, by the target's name."""
    for target, known in incident.deliveries.items():
        is_ours = target.partition(":")[0] == ServiceNowConfig.NAME and "instance" in known.reference
        if is_ours and (incident.status is not Status.RESOLVED or known.failed_at_ms is not None):
            yield target, known


def _place(configured: Configured, incident: Incident, target: str, known: Delivery) -> _Place:
    destination = incident.policy.destinations.get(target, target.partition(":")[2] or None)
    found = match(known.reference, destination, configured)
    return _Place(known.reference["instance"], known.reference.get("table", ""), found)


def _about(place: _Place, records: str) -> Check:
    where = f"{records} at {place.url}, table {place.table or '?'}, which is not configured any more"
    if place.found is None:
        advice = "add it to oncall.servicenow.other_instance_urls, then `versus retry --all`; else end them by hand"
        return Check(NAME, CheckStatus.FAILED, f"{where}; no instance is matched to it, so that they stay open", advice)
    advice = (
        "if it is the same instance, nothing: they follow at their next change; what failed, by `versus retry --all`"
    )
    return Check(NAME, CheckStatus.WARNING, f"{where}; matched to {_setting(place.found)}", advice)


def _setting(found: Match) -> str:
    own = "instance_url" if found.name is None else f"other_instance_urls.{found.name}"
    return f"oncall.{ServiceNowConfig.NAME}.{own}"


def _records(number: int) -> str:
    return f"{number} open record{'' if number == 1 else 's'}"
