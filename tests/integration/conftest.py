"""The engine against simulators, with a clock to move, and every unexpected error in the log a failure."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from aiohttp.test_utils import TestClient, TestServer
from fakeredis import FakeAsyncRedis

from tests.support import two_way
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_notification
from tests.support.openapi import Answers
from tests.support.redis_servers import SharedRedis
from tests.support.waiting import DEADLINE_S
from versus_py.ack_links import AckLinks
from versus_py.config import Config
from versus_py.engine.choices import Choices
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import SilenceTarget
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.policies import Policies
from versus_py.engine.storms import StormAcknowledgment
from versus_py.engine.tickets import Tickets
from versus_py.engine.watchdog import Watchdog
from versus_py.engine.worker import LEASE_MARGIN_S, SYNC_MAX_S, Worker
from versus_py.errors import StoreUnavailable
from versus_py.incidents import heartbeats
from versus_py.incidents.model import IncidentId, system_of
from versus_py.incidents.partitions import partitions
from versus_py.interactions import Desk
from versus_py.interactions.follow_ups import FollowUps
from versus_py.simulators import ServiceNowSimulator, SlackSimulator, run_app
from versus_py.sources.sns import SnsDoor
from versus_py.store import Ledger, Markers, Store, Storms, Turns, keys
from versus_py.store.calls import RedisClient
from versus_py.store.connection import connect
from versus_py.store.journal import Journal, open_journal
from versus_py.store.people import KnownPeople
from versus_py.store.requests import TakenRequests
from versus_py.systems import called, model, registered
from versus_py.targets.servicenow.connection import UNANSWERED_SETTLES_S as SETTLES_WITHIN_S
from versus_py.targets.servicenow.system import SERVICENOW
from versus_py.targets.slack.allowed import Allowed
from versus_py.targets.slack.api import SlackApi
from versus_py.targets.slack.interactive import SlackInteractive
from versus_py.targets.slack.requests import PATH as SLACK_PATH
from versus_py.targets.slack.storm import StormMessages
from versus_py.targets.slack.system import SLACK
from versus_py.targets.system import Parts, Surroundings
from versus_py.telemetry.metrics import Metrics
from versus_py.web import InboundDoor, create_app
from versus_py.web.guard import HEADER
from versus_py.web.inbound import switched_off
from versus_py.web.tickets import TicketDoor
from versus_py.web.tickets import paths as ticket_paths

DAY_MS = 24 * 3600 * 1000
CHANNEL = "C0ALERTS"
LEASE_MS = round(1000 * (SYNC_MAX_S + SETTLES_WITHIN_S + LEASE_MARGIN_S))
TOKEN = "xoxb-secret-token"
PASSWORD = two_way.PASSWORD


class Logs(list[dict[str, Any]]):
    """What was logged."""

    def expect_error(self, event: str) -> dict[str, Any]:
        """The first ERROR with this event, which then counts as expected, as do all like it."""
        found = [line for line in self if line["log_level"] == "error" and line["event"] == event]
        assert found, f"no error {event!r} was logged"
        self[:] = [line for line in self if line not in found]
        return found[0]


@pytest.fixture(autouse=True)
def logs() -> Iterator[Logs]:
    lines = Logs()

    def keep(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        lines.append(dict(event) | {"log_level": "error" if method == "exception" else method})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    yield lines
    structlog.reset_defaults()
    assert [line for line in lines if line["log_level"] == "error"] == []


@pytest.fixture
def clock() -> FakeClock:
    """Starts now: the server expires keys by its own clock."""
    return FakeClock(time.time_ns() // 1_000_000)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as found:
        yield found


@pytest.fixture
def slack(clock: FakeClock) -> SlackSimulator:
    return SlackSimulator(token=TOKEN, now_s=lambda: clock.now_ms() / 1000)


@pytest.fixture
def servicenow(clock: FakeClock) -> ServiceNowSimulator:
    return ServiceNowSimulator(password=PASSWORD, api_key="key-of-the-api", now_s=lambda: clock.now_ms() / 1000)


@pytest.fixture
def servicenow_infra(clock: FakeClock) -> ServiceNowSimulator:
    return ServiceNowSimulator(password=PASSWORD, now_s=lambda: clock.now_ms() / 1000)


@pytest.fixture
async def slack_url(slack: SlackSimulator) -> AsyncIterator[str]:
    async with run_app(slack.app()) as url:
        yield url


@pytest.fixture
async def servicenow_url(servicenow: ServiceNowSimulator) -> AsyncIterator[str]:
    async with run_app(servicenow.app()) as url:
        yield url


@pytest.fixture
async def servicenow_infra_url(servicenow_infra: ServiceNowSimulator) -> AsyncIterator[str]:
    async with run_app(servicenow_infra.app()) as url:
        yield url


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings beside those of every test, to be parametrized."""
    return {}


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    """The same below alert.slack."""
    return {}


@pytest.fixture
def servicenow_settings() -> dict[str, Any]:
    """The same below oncall.servicenow."""
    return {}


@pytest.fixture
def fallback() -> dict[str, Any]:
    """The same below oncall.fallback."""
    return {}


@pytest.fixture
def config(
    slack_url: str,
    servicenow_url: str,
    servicenow_infra_url: str,
    settings: dict[str, Any],
    slack_settings: dict[str, Any],
    servicenow_settings: dict[str, Any],
    fallback: dict[str, Any],
) -> Config:
    slack = {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{slack_url}/api", **slack_settings}
    return model().model_validate(
        {
            "public_host": "https://versus.example",
            "alert": {"slack": slack},
            "oncall": {
                "enable": True,
                "wait_minutes": 5,
                "fallback": fallback,
                "servicenow": {
                    "instance_url": servicenow_url,
                    "username": "versus.integration",
                    "password": PASSWORD,
                    "other_instance_urls": {"infra": servicenow_infra_url},
                    **servicenow_settings,
                },
            },
            **settings,
        }
    )


@dataclass
class Engine:
    """Everything but the processes: the API, the store, a worker, and the simulators around them."""

    config: Config
    clock: FakeClock
    store: Store
    lifecycle: Lifecycle
    links: AckLinks
    worker: Worker
    digests: StormMessages
    side: SlackInteractive
    http: TestClient[Any, Any]
    slack: SlackSimulator
    servicenow: ServiceNowSimulator
    desk: Desk
    follow_ups: FollowUps
    people: KnownPeople
    redis_server: SharedRedis
    answers: Answers
    metrics: Metrics
    watchdog: Watchdog

    def measured(self, name: str, **labels: str) -> float | None:
        """A sample of what Prometheus would scrape; None when there is none."""
        return self.metrics.registry.get_sample_value(name, labels)

    async def post(self, payload: Any, **query: str) -> dict[str, Any]:
        """Post a payload that is accepted; the answer."""
        response = await self.http.post("/api/incidents", data=orjson.dumps(payload), params=query)
        body: dict[str, Any] = await response.json()
        assert response.status == 201, body
        return body

    async def settle(self) -> None:
        """Run everything that is due in the next 12 s, also what waits for a rate limit; keep the digests of storms.

        Seconds in which nothing is due are skipped.
        """
        seconds = 12
        while seconds:
            idle = min(await idle_seconds(self.store, self.clock), seconds)
            if not idle:
                await self.worker.run_due()
                await self.digests.keep_all()
            self.clock.advance(seconds=idle or 1)
            seconds -= idle or 1
        await self.worker.run_due()

    async def after(self, *, minutes: float = 0, hours: float = 0) -> None:
        self.clock.advance(minutes=minutes, hours=hours)
        await self.settle()

    async def detail(self, incident_id: str) -> dict[str, Any]:
        response = await self.http.get(f"/api/incidents/{incident_id}")
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found


async def idle_seconds(store: Store, clock: FakeClock) -> int:
    """Whole seconds until the next timer or lease is due, at most a day; 0 when one is, or a storm is kept."""
    async with store._redis.pipeline(transaction=False) as asked:
        asked.exists(keys.STORMS)
        for partition, name in product(partitions(), ("timers", "running")):
            asked.zrange(keys.in_partition(partition, name), 0, 0, withscores=True)
        storms, *first = await asked.execute()
    due_ms = min((score for found in first for _, score in found), default=math.inf)
    if storms or due_ms <= clock.now_ms():
        return 0
    return math.ceil(min(due_ms - clock.now_ms(), DAY_MS) / 1000)


def make_turns() -> Turns:
    """Of a Redis of their own."""
    return Turns(FakeAsyncRedis(decode_responses=True))


def make_storms(store: Store) -> Storms:
    return Storms(store._redis, retention_ms=7 * DAY_MS)


def around(
    config: Config, clock: FakeClock, store: Store, session: aiohttp.ClientSession, links: AckLinks
) -> Surroundings:
    """What the service would build the targets of a system with."""

    async def wake(incident_id: IncidentId, target: str) -> None:
        await store.arm(incident_id, target, now_ms=clock.now_ms())

    return Surroundings(
        config=config,
        clock=clock,
        session=session,
        turns=Turns(store._redis),
        storms=make_storms(store),
        called=called(),
        ack_url=links.url,
        storm_url=links.storm_url,
        wake=wake,
    )


def make_tickets(
    config: Config, clock: FakeClock, store: Store, lifecycle: Lifecycle, built: Sequence[Parts]
) -> Tickets:
    """Of all systems that were built and have a feed; a feed says by its targets what system it is of."""
    feeds = {system_of(next(iter(it.targets))): it.feed for it in built if it.feed is not None}
    return Tickets(feeds, store=store, lifecycle=lifecycle, policies=Policies(config), clock=clock, called=called())


def make_worker(
    config: Config,
    clock: FakeClock,
    store: Store,
    session: aiohttp.ClientSession,
    links: AckLinks,
    metrics: Metrics | None = None,
) -> Worker:
    used = {part.NAME for part in config.systems_in_use()}
    built = [it.build(around(config, clock, store, session, links)) for it in registered() if it.name in used]
    lifecycle = Lifecycle(store, clock, metrics, called=called(), policy_of=Policies(config).of_known)
    targets = {name: target for parts in built for name, target in parts.targets.items()}
    return Worker(
        store,
        lifecycle,
        clock,
        hear=make_tickets(config, clock, store, lifecycle, built).hear,
        targets={**targets, heartbeats.TARGET: SilenceTarget(config, lifecycle)},
        called=called(),
        settles_within_s=SETTLES_WITHIN_S,
        with_payloads=config.shows_payload,
        metrics=metrics,
    )


@pytest.fixture
async def engine_redis(request: pytest.FixtureRequest, shared_redis: SharedRedis) -> AsyncIterator[RedisClient]:
    """The engine's client. With the mark `orderly` it has one connection: commands run in the order of their issue."""
    is_orderly = request.node.get_closest_marker("orderly") is not None
    client = shared_redis.one_connection() if is_orderly else connect(shared_redis.config)
    async with client as connected:
        yield connected


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def journal(config: Config, engine_redis: RedisClient, metrics: Metrics) -> AsyncIterator[Journal | None]:
    """The one that the settings ask for."""
    async with open_journal(config, engine_redis, durability=None, metrics=metrics) as opened:
        yield opened


@pytest.fixture
async def engine(
    config, clock, session, slack, servicenow, shared_redis, engine_redis, metrics, journal
) -> AsyncIterator[Engine]:
    store = Store(
        engine_redis,
        retention_ms=7 * DAY_MS,
        reopen_ms=5 * 60_000,
        settle_ms=round(1000 * SETTLES_WITHIN_S),
        metrics=metrics,
    )
    lifecycle = Lifecycle(store, clock, metrics, called=called(), policy_of=Policies(config).of_known)
    links = AckLinks(config.link_base, clock, "signing-key")
    worker = make_worker(config, clock, store, session, links, metrics)
    ledger = Ledger(engine_redis)
    watchdog = Watchdog(store, ledger, clock, metrics, lease_ms=worker.lease_ms, markers=Markers(engine_redis))
    people, follow_ups = KnownPeople(engine_redis), FollowUps(retry_s=0.01)
    slack_parts = SLACK.build(around(config, clock, store, session, links))
    api = SlackApi(config.alert.slack, session, clock=clock)
    allowed = Allowed(config.alert.slack, api, retry_s=0.01)
    policies = [it.name for it in config.policies]
    side = SlackInteractive(config.alert.slack, api, session, clock, allowed, policies=policies)
    desk = Desk(
        {"slack": side},
        lifecycle=lifecycle,
        storms=StormAcknowledgment(make_storms(store), lifecycle),
        people=people,
        requests=TakenRequests(engine_redis),
        called=called(),
        choices=Choices.of(config, called()),
        follow_ups=follow_ups,
    )
    found = side.ways_in(desk.take).inbound
    door = InboundDoor("slack", "Slack", found, clock).post if found else switched_off(SLACK.inbound_is_off)
    secret = config.alert.slack.signing_secret.get_secret_value()
    servicenow_parts = SERVICENOW.build(around(config, clock, store, session, links))
    tickets = make_tickets(config, clock, store, lifecycle, [servicenow_parts])
    feed = tickets.feeds["servicenow"]
    ticket_door = TicketDoor(
        "servicenow", "ServiceNow", feed, tickets.take, config=config, clock=clock, metrics=metrics, journal=journal
    )
    app = create_app(
        config,
        store=store,
        lifecycle=lifecycle,
        storms=make_storms(store),
        links=links,
        sns=SnsDoor(config.sources.cloudwatch, session),
        called=called(),
        inbound={SLACK_PATH: door},
        tickets=dict.fromkeys(ticket_paths(SERVICENOW.events_path), ticket_door.post),
        metrics=metrics,
        health=Health(store, clock, metrics, worker=worker, watchdog=watchdog),
        clock=clock,
        journal=journal,
    )
    answers = Answers()
    app.on_response_prepare.append(answers.keep)
    stop = asyncio.Event()
    following_up = asyncio.create_task(desk.run(stop))
    gateway_secret = config.gateway_secret.get_secret_value() or await store.gateway_secret()
    async with TestClient(TestServer(app), headers={HEADER: gateway_secret}) as http:
        slack.interactions_url = str(http.make_url(SLACK_PATH)) if secret else None
        yield Engine(
            config,
            clock,
            store,
            lifecycle,
            links,
            worker,
            slack_parts.loops["storms"].__self__,  # type: ignore[attr-defined]  # the digests' own loop
            side,
            http,
            slack,
            servicenow,
            desk,
            follow_ups,
            people,
            shared_redis,
            answers,
            metrics,
            watchdog,
        )
    stop.set()
    await following_up
    assert answers.not_as_described() == []


async def accepted(lifecycle: Lifecycle, number: int) -> IncidentId:
    """Sent until it is accepted, as a sender does it."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                [it] = await lifecycle.accept([make_notification(dedup_key=f"group {number}")], lambda *_: POLICY)
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                assert it.incident is not None
                return it.incident.id
