"""A system whose tickets come in, without a server: what its records are is up to the test."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from versus_py.config import Config
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.policies import Asked
from versus_py.incidents.sides import Report, Side, Standing, Ticket
from versus_py.incidents.tickets import OnHold
from versus_py.systems import model
from versus_py.targets.feed import FeedSource

SERVICENOW = "servicenow"
COMPARE_EVERY_MS = 600_000


def make_ticket(
    sys_id: str = "abc", standing: Standing = Standing.NEW, revision: int = 0, *, instance: str = "", **report: Any
) -> Ticket:
    """By Ben; fields of its side are among those of the *report*, and `incident_id` is the ticket's."""
    target = f"{SERVICENOW}:{instance}" if instance else SERVICENOW
    incident_id = report.pop("incident_id", "")
    own = {it: report.pop(it) for it in ("assignee", "group", "severity", "route", "title") if it in report}
    side = Side(revision, standing, **{"severity": "warning", "title": f"Ticket {sys_id}", **own})
    values = {"by": "Ben", "email": "ben@example.com", "user": "ben.oz", "asked": Asked(origin=target), **report}
    locator = f"{instance or 'default'}\n{sys_id}"
    return Ticket(
        Report(target, side, **values),
        locator=locator,
        dedup_key=f"{SERVICENOW}\n{locator}",
        number=f"INC-{sys_id}",
        url=f"https://servicenow.example/incident.do?sys_id={sys_id}",
        reference={"sys_id": sys_id, "key": instance or "default", "source": "1"},
        incident_id=incident_id,
    )


class FakeFeed:
    """Its records are *reports*, by the ids of their incidents; what is in *fails* is raised by the next look."""

    def __init__(self) -> None:
        self.reports: dict[IncidentId, Report | None] = {}
        self.looks: list[tuple[str, int]] = []  # the target, and of how many incidents
        self.fails: list[Exception] = []
        self.held = OnHold.SNOOZE
        self.writes = True
        self.every_ms: int | None = COMPARE_EVERY_MS
        self.going_on: asyncio.Event | None = None  # a look waits for it

    @property
    def instances(self) -> Sequence[str]:
        return [""]

    def tokens(self, instance: str) -> Sequence[tuple[FeedSource, str]]:
        return []

    def read(self, source: FeedSource, body: bytes) -> Ticket:
        raise NotImplementedError

    def on_hold(self, target: str, incident: Incident) -> OnHold:
        return self.held

    def writes_ends(self, target: str, incident: Incident) -> bool:
        return self.writes

    def compares_every_ms(self, target: str) -> int | None:
        return self.every_ms

    async def look(self, target: str, incidents: Sequence[Incident]) -> Mapping[str, Report | None]:
        self.looks.append((target, len(incidents)))
        if self.going_on is not None:
            await self.going_on.wait()
        if self.fails:
            raise self.fails.pop(0)
        return {it.id: self.reports[it.id] for it in incidents if it.id in self.reports}

    def stands(self, incident: Incident, standing: Standing, *, revision: int, **changes: Any) -> None:
        """How the record of *incident* is from now on."""
        report = make_ticket("abc", standing, revision, **changes).report
        before = incident.sides.get(report.target)
        side = report.side if before is None else replace(before, revision=revision, standing=standing)
        self.reports[incident.id] = replace(report, side=side)


def ticket_config(**servicenow: Any) -> Config:
    """Slack, and ServiceNow whose tickets come in."""
    instance = {
        "instance_url": "https://servicenow.example",
        "username": "versus",
        "password": "x",
        "events": {"token": "a-token-of-the-business-rule"},
        "other_instance_urls": {"infra": "https://infra.example"},
        **servicenow,
    }
    slack = {"enable": True, "channel_id": "C0ALERTS", "token": "xoxb-x"}
    oncall = {"enable": True, "wait_minutes": 5, "servicenow": instance}
    return model().model_validate({"alert": {"slack": slack}, "oncall": oncall})
