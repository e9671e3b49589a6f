"""An incident and its ticket, with all that is between them but a network and a store.

The target, what reads events, what is heard of them and the business rules are the real ones. Where the engine would
store something, it is kept here; where a request would be sent, the simulated instance's tables are asked.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp

from tests.support.clock import FakeClock
from versus_py.config import Config
from versus_py.engine.policies import Policies
from versus_py.incidents import tickets
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Incident, Status
from versus_py.incidents.policies import Asked
from versus_py.incidents.sides import Report, Side, Standing
from versus_py.incidents.tickets import differences
from versus_py.incidents.transitions import Change
from versus_py.simulators import ServiceNowSimulator, encoded_query
from versus_py.simulators.servicenow import BusinessRule, Passage, RecordOrder, Reply
from versus_py.simulators.servicenow.display import View, shown
from versus_py.simulators.servicenow.rule_bodies import Shape
from versus_py.store import Turns
from versus_py.systems import model
from versus_py.targets.feed import FeedSource
from versus_py.targets.servicenow import instance as instances
from versus_py.targets.servicenow.asked import destinations
from versus_py.targets.servicenow.events import ServiceNowFeed
from versus_py.targets.servicenow.key import Key
from versus_py.targets.servicenow.sides import side_of
from versus_py.targets.servicenow.table_api import NotFound
from versus_py.targets.servicenow.target import ServiceNowTarget

NAME = "servicenow"
OWN_USER = "versus.integration"
SYNCS_MAX = 12
"""More than that until it is quiet is ping-pong."""

SETTINGS: Mapping[str, Any] = {
    "alert": {"slack": {"enable": True, "token": "xoxb-x", "channel_id": "C0ALERTS"}},
    "policies": [
        {
            "name": name,
            "match": [f'team="{name}"'],
            "steps": [{"notify": ["slack"]}, {"notify": ["slack", NAME], "after": "20h"}],
        }
        for name in ("net", "mail")
    ],
    "oncall": {
        "enable": True,
        "wait_minutes": 1200,
        "servicenow": {
            "instance_url": "https://servicenow.example",
            "username": OWN_USER,
            "password": "a-password-of-servicenow",
            "events": {"token": "a-token-of-the-business-rule-0123456789"},
            "routing_field": "assignment_group",
            "routing": {"Network": "net", "Mail desk": "mail"},
        },
    },
}


class Tables:
    """In place of the Table API over HTTP."""

    url = "https://servicenow.example"

    def __init__(self, servicenow: ServiceNowSimulator) -> None:
        self._servicenow = servicenow
        self.between: Callable[[], Awaitable[None]]
        self.writes: list[Mapping[str, str]] = []

    async def search(
        self, table: str, query: str, fields: Sequence[str], *, limit: int, with_display: bool = False
    ) -> list[Mapping[str, Any]]:
        database = self._servicenow._database
        rows = encoded_query.select(
            database.rows(table), query, database.columns(table), references={}, invalid_returns_no_rows=False
        )
        return [self._shown(table, row, fields, with_display=with_display) for row in rows[:limit]]

    async def read(
        self, table: str, sys_id: str, fields: Sequence[str], *, as_shown: bool = False, with_display: bool = False
    ) -> Mapping[str, Any]:
        row = self._row(table, sys_id)
        view = View("", "true" if as_shown else "all" if with_display else "false", False, tuple(fields))
        return shown(self._servicenow._database, table, row, view)

    async def create(self, table: str, fields: Mapping[str, str], **_: Any) -> Mapping[str, Any]:
        raise AssertionError(f"a second record: {fields}")

    async def update(
        self, table: str, sys_id: str, fields: Mapping[str, str], *, with_display: bool = False
    ) -> Mapping[str, Any]:
        self._servicenow._writer.change(table, self._row(table, sys_id), dict(fields), takes_names=False)
        self.writes.append(fields)
        row = self._shown(table, self._row(table, sys_id), (), with_display=with_display)
        await self.between()
        return row

    def _row(self, table: str, sys_id: str) -> dict[str, str]:
        row = self._servicenow._database.find(table, sys_id)
        if row is None:
            raise NotFound("ServiceNow answered 404")
        return row

    def _shown(
        self, table: str, row: dict[str, str], fields: Sequence[str], *, with_display: bool
    ) -> Mapping[str, Any]:
        return shown(self._servicenow._database, table, row, View("", "all" if with_display else "", False, (*fields,)))


class NoTurns:
    """No instance asks to be left alone."""

    async def held_back_until(self, *_: Any, **__: Any) -> int | None:
        return None


@dataclass
class Heard:
    """A report, and what came of it."""

    report: Report
    change: Change | None


@dataclass
class TwoSides:
    """What the engine does with one target, without its store. Begun once for many incidents: see `begin`."""

    config: Config
    clock: FakeClock
    servicenow: ServiceNowSimulator
    target: ServiceNowTarget
    feed: ServiceNowFeed
    policies: Policies
    tables: Tables
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    incident: Incident = field(init=False)
    due_ms: int | None = None  # when the target syncs
    heard: list[Heard] = field(default_factory=list)
    did: list[str] = field(default_factory=list)  # for people, when a test fails

    @classmethod
    def build(cls, monkeypatch: Any, *, shape: Shape = "script") -> "TwoSides":
        clock, config = FakeClock(), model().model_validate(SETTINGS)
        servicenow = ServiceNowSimulator(now_s=lambda: clock.now_ms() / 1000)
        servicenow.add_group("Mail desk")
        tables = Tables(servicenow)
        monkeypatch.setattr(instances, "TableApi", lambda *_: tables)
        oncall = config.oncall.servicenow
        target = ServiceNowTarget(
            oncall,
            clock=clock,
            session=cast("aiohttp.ClientSession", None),
            turns=cast("Turns", NoTurns()),
            destinations_of=destinations(config),
        )
        feed = ServiceNowFeed(config, oncall, lambda _, incidents: target.look(incidents))
        it = cls(config, clock, servicenow, target, feed, Policies(config), tables)
        tables.between = it.while_writing
        servicenow.rules.post = it.receive
        rule = BusinessRule(name="versus", shape=shape, url="http://versus.invalid/api/servicenow/events")
        servicenow.rules.add(rule)
        return it

    async def begin(self, passage: Passage, **columns: str) -> None:
        """A person creates a ticket, and its incident begins; what was before is forgotten."""
        for table in ("incident", "sys_journal_field"):
            self.servicenow.tables[table].clear()
        self.servicenow.rules.forget()
        self.servicenow.rules.passage = Passage(by_hand=True)
        self.chance = random.Random(passage.seed)
        self.tables.writes, self.heard, self.did, self.due_ms = [], [], [], None
        order = {"short_description": "Disk", "urgency": "2", "impact": "2"} | columns
        self.servicenow.act(RecordOrder(do="create", **order))
        [posted] = await self.servicenow.rules.run_due(now=True)
        assert posted.status == 201
        self.servicenow.rules.passage = passage

    @property
    def record(self) -> dict[str, str]:
        [row] = self.servicenow.incidents
        return row

    @property
    def side(self) -> Side:
        """What the record is now."""
        it = self.config.oncall.servicenow
        group = self.servicenow._database.find("sys_user_group", self.record["assignment_group"])
        return side_of(self.record, it, {"assignment_group": group["name"] if group else ""})

    @property
    def seen(self) -> Side:
        return self.incident.sides[NAME]

    @property
    def writes(self) -> int:
        return len(self.tables.writes)

    def here(self, act: Callable[[Incident, int], Change | None], said: str) -> None:
        """Something happens to the incident, unless it is so already."""
        change = act(self.incident, self.clock.now_ms())
        self.did.append(f"here: {said}" + ("" if change else " (nothing changes)"))
        if change is not None:
            self._keep(change)

    def there(self, do: str, **columns: str) -> None:
        """A person does something to the ticket."""
        self.did.append(f"there: {do} {columns or ''}")
        self.servicenow.act(RecordOrder(record=self.record["number"], do=cast("Any", do), by="ben", **columns))

    async def receive(self, _url: str, body: bytes, _headers: Mapping[str, str], _within_s: float) -> Reply:
        """What a business rule posts."""
        ticket = self.feed.read(FeedSource("", ""), body)
        assert not Key("correlation_id").incident_id(self.record)
        if ticket.report.side.revision == 0 and not self.tables.writes and not self.heard:
            asked = replace(ticket.report.asked or Asked(), origin=NAME)
            notification = tickets.notification_of(ticket, NAME)
            now_ms = self.clock.now_ms()
            self._keep(tickets.begin(ticket, notification, self.policies.of(notification, now_ms, asked), now_ms))
            self.heard.append(Heard(ticket.report, None))
        else:
            self.hear(ticket.report, looks=not ticket.report.is_own)
        return Reply(201, self.incident.id)

    def hear(self, report: Report, *, looks: bool = False) -> None:
        """With *looks*, the target syncs after what is new, as the engine has it."""
        change = tickets.hear(self.incident, report, self.clock.now_ms(), policy_of=self.policies.of_known)
        self.heard.append(Heard(report, change))
        if change is not None:
            self._keep(change)
            if looks:
                self._arm(self.clock.now_ms())
        how = "repair" if report.is_repair else "own" if report.is_own else "report"
        outcome = "late" if change is None else change.outcome
        self.did.append(f"heard {how} {report.side.revision} {report.side.standing}: {outcome}")

    async def deliver(self, *, now: bool = False) -> None:
        """What business rules have to post by now."""
        await self.servicenow.rules.run_due(now=now)

    async def while_writing(self) -> None:
        """An event is often faster than the answer to the write that it is of."""
        if self.chance.random() < 0.5:
            await self.deliver()

    async def sync(self) -> None:
        """If that is due."""
        if self.due_ms is None or self.due_ms > self.clock.now_ms():
            return
        self.due_ms = None
        writes = self.writes
        after = await self.target.sync(self.incident, attempt=1)
        known = replace(after, report=None, synced_at_ms=self.clock.now_ms())
        self.incident = replace(self.incident, deliveries={**self.incident.deliveries, NAME: known})
        self.did.append(f"sync: {[*self.tables.writes[writes:]]}")
        if after.look_again_at_ms is not None:
            self._arm(after.look_again_at_ms)
        if after.report is not None:
            self.hear(replace(after.report, is_own=False))

    async def sweep(self) -> int:
        """Compare; how many do not agree."""
        [report] = (await self.target.look([self.incident])).values()
        assert report is not None
        self.hear(replace(report, is_repair=True), looks=True)
        found = differences(self.incident, report.side)
        if found:
            self._arm(self.clock.now_ms())
        return len(found)

    async def until_quiet(self) -> None:
        """All that is under way arrives, what is due is synced, and all is compared, until nothing changes any more."""
        for _ in range(SYNCS_MAX):
            before = (self.writes, self.incident.news_count, self.side, self.incident.status)
            await self.deliver(now=True)
            await self.sync()
            self.clock.advance(minutes=10)
            await self.sweep()
            await self.sync()
            after = (self.writes, self.incident.news_count, self.side, self.incident.status)
            if before == after and not self.servicenow.rules.pending:
                return
        raise AssertionError("\n".join(["it never becomes quiet:", *self.did]))

    def _arm(self, at_ms: int) -> None:
        self.due_ms = at_ms if self.due_ms is None else min(self.due_ms, at_ms)

    def _keep(self, change: Change) -> None:
        self.incident = change.incident
        if NAME in change.timers and (at_ms := change.timers[NAME]) is not None:
            self._arm(at_ms)


def problems(it: TwoSides, *, writes_max: int, times: int = 1) -> list[str]:
    """In what the two sides do not agree when all is quiet, and what was said more *times* than people did it."""
    found = [f"the record is {it.side}, and was seen as {it.seen}"] if it.side.differs_in(it.seen) else []
    if not _agree(it):
        found.append(f"the incident is {it.incident.status}, and the record {it.side.standing}")
    if it.incident.severity != it.side.severity and it.incident.status is not Status.RESOLVED:
        found.append(f"the incident is {it.incident.severity}, and the record {it.side.severity}")
    led_by = it.config.oncall.servicenow.routing.get(it.side.route)
    policy = it.incident.policy.name
    if it.incident.status is not Status.RESOLVED and (led_by.policy if led_by else "") != policy:
        found.append(f"the incident goes by policy {policy!r}, and the record has group {it.side.route!r}")
    if it.writes > writes_max:
        found.append(f"{it.writes} writes: {it.tables.writes}")
    found += [f"an echo: {heard.report}" for heard in it.heard if _is_echo(heard)]
    lines = [(str(entry.event), entry.detail, str(entry.by)) for entry in it.incident.news]
    lines += [("comment", said.text, said.by) for said in it.incident.delivery(NAME).comments]
    found += [f"too often in the thread: {line}" for line in {*lines} if lines.count(line) > times]
    notes = [row["value"].partition(" UTC: ")[2] for row in _journal(it) if " UTC: " in row["value"]]
    found += [f"too often in the record: {note}" for note in {*notes} if notes.count(note) > times]
    written = [row["value"] for row in it.servicenow.tables["sys_journal_field"] if row["sys_created_by"] != OWN_USER]
    told = [said.text for said in it.incident.delivery(NAME).comments]
    found += [f"not in the thread: {text}" for text in written if text not in told]
    commented = [entry.detail for entry in it.incident.news if entry.event is Event.COMMENTED]
    if it.side.standing is not Standing.CLOSED:
        found += [f"not in the record: {text}" for text in commented if not any(text in note for note in notes)]
    return found


def _agree(it: TwoSides) -> bool:
    """Resolved comes before acknowledged, that before triggered. What was taken back here is only noted there."""
    standing, status = it.side.standing, it.incident.status
    match status:
        case Status.RESOLVED:
            return standing.is_over
        case Status.ACKNOWLEDGED:
            return standing in {Standing.IN_PROGRESS, Standing.ON_HOLD}
        case _ if it.incident.snooze is not None:
            return standing is Standing.ON_HOLD
        case _:
            began_anew = any(entry.event in _BEGIN_ANEW for entry in it.incident.news)
            return standing is Standing.NEW or (began_anew and not standing.is_over)


_BEGIN_ANEW = {Event.UNACKNOWLEDGED, Event.ROUTED, Event.RETRIGGERED, Event.SEVERITY_RAISED}


def _is_echo(heard: Heard) -> bool:
    """Whether something came of what we had written ourselves."""
    change = heard.change
    return heard.report.is_own and change is not None and bool(change.entries or change.timers)


def _journal(it: TwoSides) -> list[dict[str, str]]:
    return [row for row in it.servicenow.tables["sys_journal_field"] if row["sys_created_by"] == OWN_USER]


ANA = Actor("Ana Diaz", "ana@example.com")
