"""An incident and its ticket, with the target between them: syncs, what is heard of them, and people on both sides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.clock import FakeClock
from tests.support.factories import make_policy
from versus_py.config import ServiceNowConfig
from versus_py.errors import Transient
from versus_py.incidents import tickets
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Incident
from versus_py.incidents.policies import Policy
from versus_py.incidents.sides import Report, Side, Standing, Ticket
from versus_py.incidents.transitions import Change
from versus_py.simulators import ServiceNowSimulator
from versus_py.simulators.servicenow.people import RecordOrder
from versus_py.targets.servicenow.asked import Destinations
from versus_py.targets.servicenow.target import ServiceNowTarget

NAME = "servicenow"
ANA = Actor("Ana Diaz", "ana@example.com")
TOKEN = "a-token-of-the-business-rule-0123456789"
PASSWORD = "servicenow-secret"
"""Of the integration's user at simulated instances."""


@dataclass
class TwoWay:
    """What the engine does with one target, without its store."""

    target: ServiceNowTarget
    servicenow: ServiceNowSimulator
    clock: FakeClock
    incident: Incident
    attempt: int = 1
    reports: list[Report] = field(default_factory=list)

    @property
    def record(self) -> dict[str, str]:
        [row] = self.servicenow.incidents
        return row

    @property
    def delivery(self) -> Delivery:
        return self.incident.delivery(NAME)

    @property
    def writes(self) -> int:
        return sum(call.startswith(("PATCH", "POST")) for call in self.servicenow.calls)

    @property
    def notes(self) -> list[str]:
        """The lines of our work notes, without their times."""
        rows = self.servicenow.tables["sys_journal_field"]
        texts = [row["value"] for row in rows if row["element"] == "work_notes" and "UTC: " in row["value"]]
        return [line.partition(" UTC: ")[2] for text in texts for line in text.splitlines()]

    def here(self, act: Callable[[Incident, int], Change | None]) -> None:
        """Something happens to the incident."""
        self.clock.advance(seconds=1)
        change = act(self.incident, self.clock.now_ms())
        assert change is not None
        self.incident = change.incident

    def there(self, do: str, **keys: Any) -> None:
        """A person does something to the ticket."""
        self.clock.advance(seconds=1)
        self.servicenow.act(RecordOrder(record=self.record["number"], do=do, **keys))

    async def sync(self, *, loses_its_result: bool = False) -> Report | None:
        """One sync, and what the engine hears of it. A failed one is tried again as another attempt."""
        self.clock.advance(seconds=1)
        try:
            after = await self.target.sync(self.incident, attempt=self.attempt)
        except Transient:
            self.attempt += 1
            raise
        if loses_its_result:
            self.attempt += 1
            return after.report
        self.attempt = 1
        known = replace(after, report=None, synced_at_ms=self.clock.now_ms())
        self.incident = replace(self.incident, deliveries={**self.incident.deliveries, NAME: known})
        if after.report is not None:
            self.hear(after.report)
        return after.report

    def hear(self, report: Report) -> None:
        self.reports.append(report)
        change = tickets.hear(self.incident, replace(report, is_own=False), self.clock.now_ms())
        if change is not None:
            self.incident = change.incident

    async def until_quiet(self, *, at_most: int = 6) -> int:
        """Syncs until one writes nothing and nothing is heard; how many writes there were."""
        before = self.writes
        for _ in range(at_most):
            writes, incident = self.writes, self.incident
            await self.sync()
            is_quiet = (incident.status, incident.news_count) == (self.incident.status, self.incident.news_count)
            if self.writes == writes and is_quiet:
                return self.writes - before
        raise AssertionError("it never becomes quiet")


def make_target(
    url: str,
    *,
    clock: FakeClock,
    session: aiohttp.ClientSession,
    turns: Any,
    destinations_of: Destinations = lambda _: {},
    **settings: Any,
) -> ServiceNowTarget:
    """That of a simulated instance at *url* which is kept in sync both ways, with further *settings*."""
    login = {"username": "versus.integration", "password": PASSWORD}
    config = ServiceNowConfig.model_validate({"instance_url": url, **login, "events": {"token": TOKEN}, **settings})
    return ServiceNowTarget(config, clock=clock, session=session, turns=turns, destinations_of=destinations_of)


def begun(
    target: ServiceNowTarget,
    servicenow: ServiceNowSimulator,
    clock: FakeClock,
    policy: Policy | None = None,
    **keys: Any,
) -> TwoWay:
    """With a ticket that a person has just created, and the incident that begins with it."""
    order = RecordOrder(do="create", **{"short_description": "Disk full", "urgency": "2", "impact": "2", **keys})
    sys_id = servicenow.act(order)
    record = next(row for row in servicenow.incidents if row["sys_id"] == sys_id)
    side = Side(
        int(record["sys_mod_count"]),
        Standing.NEW,
        assignee=record["assigned_to"],
        group=record["assignment_group"],
        severity="warning",
        title="Disk full",
    )
    ticket = Ticket(
        report=Report(NAME, side),
        locator=f"default\n{sys_id}",
        dedup_key=f"servicenow\ndefault\n{sys_id}",
        number=record["number"],
        url="",
        reference={"sys_id": sys_id, "table": "incident", "key": "oncall.servicenow", "source": "1"},
    )
    notification = tickets.notification_of(ticket, "servicenow")
    change = tickets.begin(ticket, notification, policy or make_policy(), clock.now_ms())
    return TwoWay(target, servicenow, clock, change.incident)
