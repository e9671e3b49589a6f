"""Whatever happens, in whatever order: one message, at most one record, and none for what was dealt with in time.

Hypothesis plays senders, people, time, broken targets and dying workers against the engine; a model of a few
lines says what must be true.
"""

import asyncio
import math
import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.integration.conftest import (
    CHANNEL,
    DAY_MS,
    LEASE_MS,
    PASSWORD,
    TOKEN,
    idle_seconds,
    make_storms,
    make_worker,
)
from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.redis_servers import SharedRedis
from versus_py.ack_links import AckLinks
from versus_py.engine.lifecycle import Lifecycle
from versus_py.simulators import Fault, ServiceNowSimulator, SlackSimulator, run_app
from versus_py.sources.sns import SnsDoor
from versus_py.store import Store
from versus_py.store.connection import connect
from versus_py.systems import model
from versus_py.tools.samples import alertmanager
from versus_py.web import create_app

WAIT_MS = 5 * 60_000
REOPEN_MS = 5 * 60_000
RECORD_STATES = {"acknowledged": "2", "resolved": "6"}
HEADLINES = {"triggered": "*Escalated*", "acknowledged": "*Acknowledged*", "resolved": "*Resolved*"}
NAMES = ("DiskFull", "HostDown", "QueueStuck")


@dataclass
class Expected:
    """The model of one incident."""

    id: str
    starts_at: datetime
    due_ms: int
    status: str = "triggered"
    resolved_ms: int = 0
    has_joined: bool = False  # a second alert, which fires until it is listed as resolved
    snoozed_until_ms: int = 0
    was_overdue: bool = False  # some wait ended with nobody having dealt with it, or somebody wanted it to


class EngineMachine(RuleBasedStateMachine):
    server: SharedRedis

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = FakeClock(time.time_ns() // 1_000_000)
        self.current: dict[str, Expected] = {}
        self.all: dict[str, Expected] = {}

    @initialize()
    def start(self) -> None:
        random.seed(0)
        self.runner.run(self._start())
        for name in NAMES:
            self.fire(name)

    async def _start(self) -> None:
        self.slack = SlackSimulator(token=TOKEN, now_s=lambda: self.clock.now_ms() / 1000)
        self.servicenow = ServiceNowSimulator(password=PASSWORD)
        enter = self.stack.enter_async_context
        slack_url, servicenow_url = await enter(run_app(self.slack.app())), await enter(run_app(self.servicenow.app()))
        servicenow = {"instance_url": servicenow_url, "username": "versus.integration", "password": PASSWORD}
        slack = {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{slack_url}/api"}
        oncall = {"enable": True, "wait_minutes": WAIT_MS / 60_000, "servicenow": servicenow}
        config = model().model_validate({"alert": {"slack": slack}, "oncall": oncall})
        self.server.empty()
        self.redis = await enter(connect(self.server.config))
        self.store = Store(self.redis, retention_ms=7 * DAY_MS, reopen_ms=REOPEN_MS)
        links = AckLinks(config.link_base, self.clock, "key")
        session = await enter(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        self.worker = make_worker(config, self.clock, self.store, session, links)
        app = create_app(
            config,
            store=self.store,
            lifecycle=Lifecycle(self.store, self.clock),
            storms=make_storms(self.store),
            links=links,
            sns=SnsDoor(config.sources.cloudwatch, session),
        )
        self.http: TestClient[Any, Any] = await enter(TestClient(TestServer(app)))

    def teardown(self) -> None:
        try:
            if hasattr(self, "http"):
                self.runner.run(self._end())
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()

    async def _end(self) -> None:
        """With everything repaired and enough time, all is told, and nothing is left to do."""
        self.slack.faults.clear()
        self.servicenow.faults.clear()
        minutes = 40
        while minutes > 0:
            idle = max(1, math.ceil(await idle_seconds(self.store, self.clock) / 60))
            await self._pass(60_000 * min(idle, minutes))
            await self.worker.run_due()
            minutes -= idle
        self._note_overdue()
        for expected in self.all.values():
            records = self._records(expected)
            if expected.status == "triggered":
                assert len(records) == 1, f"{expected} should have escalated"
            for record in records:
                assert (
                    record["state"]
                    == {"triggered": record["state"], "acknowledged": "2", "resolved": "6"}[expected.status]
                )
                lines = "\n".join(self.servicenow.notes.get(record["sys_id"], [])).splitlines()
                assert len(set(lines)) == len(lines), "a fact was noted twice"
            [message] = [it for it in self.slack.messages if expected.id in it.shown]
            told = [str(reply.metadata) for reply in message.thread]
            assert len(set(told)) == len(told), "the thread was told something twice"
            assert (
                f"*{'Escalated' if expected.status == 'triggered' else expected.status.capitalize()}*" in message.text
            )
        await self._pass(DAY_MS)  # then nobody looks at records any more
        await self.worker.run_due()
        _, next_ms = await claim_due(self.store, now_ms=self.clock.now_ms(), lease_ms=1, limit=1)
        assert next_ms is None or next_ms > self.clock.now_ms() + 3600_000  # but links to acknowledge are renewed

    @rule(name=st.sampled_from(NAMES))
    def join(self, name: str) -> None:
        """One more alert of the group fires, also when later notifications leave it out."""
        known = self.current[name]
        if known.status == "resolved":
            return
        known.has_joined = True
        assert self._post(self._with_another(alertmanager(name, starts_at=known.starts_at)))["id"] == known.id

    def _with_another(self, payload: Any) -> Any:
        another = dict(payload["alerts"][0])
        another |= {"fingerprint": "0123456789abcdef", "labels": another["labels"] | {"instance": "db-8:9100"}}
        return payload | {"alerts": [*payload["alerts"], another]}

    @rule(name=st.sampled_from(NAMES), is_resolved=st.booleans())
    def send(self, name: str, is_resolved: bool) -> None:
        if is_resolved:
            self.resolve(name)
        else:
            self.fire(name)

    def fire(self, name: str) -> None:
        known = self.current.get(name)
        now_ms = self.clock.now_ms()
        is_new = known is None or (known.status == "resolved" and now_ms >= known.resolved_ms + REOPEN_MS)
        starts_at = datetime.fromtimestamp(now_ms / 1000, UTC) if is_new or known is None else known.starts_at
        answer = self._post(alertmanager(name, starts_at=starts_at))
        if is_new or known is None:
            assert answer["outcome"] == "created"
            known = Expected(answer["id"], starts_at, now_ms + WAIT_MS)
            self.current[name] = self.all[known.id] = known
        elif known.status == "resolved":
            assert (answer["outcome"], answer["id"]) == ("reopened", known.id)
            known.status, known.due_ms, known.snoozed_until_ms = "triggered", now_ms + WAIT_MS, 0
        else:
            assert (answer["outcome"], answer["id"]) == ("updated", known.id)
        assert answer["status"] == known.status

    def resolve(self, name: str) -> None:
        known = self.current[name]
        payload = alertmanager(name, starts_at=known.starts_at, is_resolved=True)
        answer = self._post(self._with_another(payload) if known.has_joined else payload)
        known.has_joined = False
        if known.status == "resolved":
            assert answer["outcome"] == "ignored"
            return
        assert answer["outcome"] == "resolved"
        self._note_overdue()
        known.status, known.resolved_ms = "resolved", self.clock.now_ms()

    @rule(name=st.sampled_from(NAMES))
    def acknowledge(self, name: str) -> None:
        known = self._known_a_second_later(name)
        status = self.runner.run(self._act(known.id, "acknowledge"))
        assert status == (201 if known.status == "triggered" else 200)
        if known.status == "triggered":
            self._note_overdue()
            known.status = "acknowledged"

    @rule(name=st.sampled_from(NAMES))
    def give_back(self, name: str) -> None:
        known = self._known_a_second_later(name)
        status = self.runner.run(self._act(known.id, "unacknowledge"))
        assert status == (201 if known.status == "acknowledged" else 200)
        if known.status == "acknowledged":
            known.status, known.due_ms, known.snoozed_until_ms = "triggered", self.clock.now_ms() + WAIT_MS, 0

    @rule(name=st.sampled_from(NAMES))
    def escalate(self, name: str) -> None:
        known = self._known_a_second_later(name)
        self._note_overdue()
        status = self.runner.run(self._act(known.id, "escalate"))
        assert status == 200 or known.status != "resolved"
        assert status == (409 if self._records(known) else 201) or known.status != "acknowledged"
        if status == 201:
            known.status, known.due_ms, known.was_overdue = "triggered", self.clock.now_ms(), True

    @rule(name=st.sampled_from(NAMES), minutes=st.sampled_from([1, 15]))
    def snooze(self, name: str, minutes: int) -> None:
        known = self._known_a_second_later(name)
        now_ms = self.clock.now_ms()
        self._note_overdue()
        status = self.runner.run(self._act(known.id, f"snooze?minutes={minutes}"))
        assert status == 200 or known.status == "triggered"
        if status == 201:
            left_ms = max(0, known.due_ms - max(now_ms, known.snoozed_until_ms))
            known.snoozed_until_ms = now_ms + minutes * 60_000
            known.due_ms = known.snoozed_until_ms + left_ms

    def _known_a_second_later(self, name: str) -> Expected:
        """Nobody does the same thing twice in a second: notes tell the time to the second."""
        self.clock.advance(seconds=1)
        return self.current[name]

    async def _act(self, incident_id: str, action: str) -> int:
        by = "&by=ana" if "?" in action else "?by=ana"
        return (await self.http.post(f"/api/incidents/{incident_id}/{action}{by}")).status

    @rule(ms=st.sampled_from([0, 1000, 60_000, 4 * 60_000, WAIT_MS, 11 * 60_000]), does_work=st.booleans())
    def pass_time(self, ms: int, does_work: bool) -> None:
        self.runner.run(self._pass(ms))
        if does_work:
            self.runner.run(self.worker.run_due())

    @rule()
    def die(self) -> None:
        """A worker claims what is due, and is never seen again."""
        self.runner.run(claim_due(self.store, now_ms=self.clock.now_ms(), lease_ms=LEASE_MS, limit=10))

    @rule(kind=st.sampled_from(["down", "500", "429", "lost_reply"]), method=st.sampled_from(["GET", "POST", "PATCH"]))
    def break_servicenow(self, kind, method) -> None:
        self.servicenow.faults.order(Fault(kind=kind, method=method))

    @rule(kind=st.sampled_from(["down", "500", "429", "lost_reply", "truncated"]))
    def break_slack(self, kind) -> None:
        self.slack.faults.order(Fault(kind=kind))

    @invariant()
    def nobody_is_told_twice(self) -> None:
        self._note_overdue()
        for expected in self.all.values():
            records = self._records(expected)
            assert len(records) <= 1
            assert not records or expected.was_overdue, f"{expected} was dealt with in time, and has {records}"
            assert len([it for it in self.slack.messages if expected.id in it.shown]) <= 1

    def _records(self, expected: Expected) -> list[dict[str, str]]:
        return [it for it in self.servicenow.incidents if it["correlation_id"] == expected.id]

    def _note_overdue(self) -> None:
        for expected in self.all.values():
            if expected.status == "triggered" and self.clock.now_ms() >= expected.due_ms:
                expected.was_overdue = True

    async def _pass(self, ms: int) -> None:
        """Time passes, also for the server's keys, which expire by a clock that tests do not move."""
        self.clock.advance(ms=ms)
        async for key in self.redis.scan_iter("*:dedup:*", count=1000):
            if await self.redis.pexpiretime(key) <= self.clock.now_ms():
                await self.redis.delete(key)

    def _post(self, payload: object) -> dict[str, str]:
        async def post() -> dict[str, str]:
            response = await self.http.post("/api/incidents", data=orjson.dumps(payload))
            assert response.status == 201
            answer: dict[str, str] = (await response.json())["incidents"][0]
            return answer

        return self.runner.run(post())


@pytest.fixture(autouse=True)
def server(running_valkey):
    EngineMachine.server = running_valkey


@pytest.fixture(autouse=True)
def logs():
    """Errors are expected here: targets are broken all the time."""
    with structlog.testing.capture_logs() as lines:
        yield
    print(*lines[-200:], sep="\n")  # noqa: T201 - shown beside a failure


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
