"""Slack, ServiceNow and the systems of an installed package hold what every target has to hold."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from tests.integration.conftest import CHANNEL, PASSWORD, TOKEN, around
from tests.support import toys
from tests.support.toys import BoardServer, BoardTarget, PagerServer
from versus_py.ack_links import AckLinks
from versus_py.errors import Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Status
from versus_py.incidents.rounds import begun
from versus_py.simulators import Fault, ServiceNowSimulator, SlackSimulator, run_app
from versus_py.store import Store
from versus_py.systems import BUILT_IN, model
from versus_py.targets import conformance
from versus_py.targets.conformance import CHECKS, open_bed
from versus_py.targets.servicenow.system import SERVICENOW
from versus_py.targets.slack.system import SLACK
from versus_py.targets.system import System

SYSTEMS = (*BUILT_IN, toys.BOARD, toys.PAGER)


class Remote(ABC):
    """What all of them have: a clock to move, and a store for turns."""

    name: str
    system: System

    def __init__(self, clock, redis, url, server):
        self.server = server
        self.clock = clock
        self.store = Store(redis, retention_ms=10**9, reopen_ms=0)
        self.url = url

    def build(self, url, session):
        config = model(SYSTEMS).model_validate(self.settings(url))
        links = AckLinks("https://versus.example", self.clock, "key")
        return self.system.build(around(config, self.clock, self.store, session, links)).targets[self.name]

    @property
    def abilities(self):
        return self.system.abilities

    @abstractmethod
    def settings(self, url) -> dict[str, Any]: ...

    def now_ms(self):
        return self.clock.now_ms()

    def pass_time(self, ms):
        self.clock.advance(ms=ms)


class SlackRemote(Remote):
    name, role, system = "slack", "channel", SLACK

    def settings(self, url):
        slack = {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{url}/api"}
        return {"alert": {"slack": slack}}

    def effects(self, incident_id):
        return len([it for it in self.server.messages if incident_id in it.shown])

    def standing(self, incident_id):
        [message] = [it for it in self.server.messages if incident_id in it.shown]
        return message.text

    def refuse(self):
        self.server.archived.add(CHANNEL)


class ServiceNowRemote(Remote):
    name, role, system = "servicenow", "provider", SERVICENOW

    def settings(self, url):
        servicenow = {"instance_url": url, "username": "versus.integration", "password": PASSWORD}
        return {"oncall": {"enable": True, "provider": "servicenow", "servicenow": servicenow}}

    def effects(self, incident_id):
        return len([it for it in self.server.incidents if it["correlation_id"] == incident_id])

    def standing(self, incident_id):
        [record] = [it for it in self.server.incidents if it["correlation_id"] == incident_id]
        return record["state"]

    def refuse(self):
        self.server.faults.order(Fault(kind="400", times=None))


class BoardRemote(Remote):
    name, role, system = "board", "channel", toys.BOARD

    def settings(self, url):
        return {"alert": {"board": {"enable": True, "url": url}}}

    def notices(self, incident_id):
        return [it["text"] for it in self.server.boards.get("hall", []) if it["key"].startswith(incident_id)]

    def effects(self, incident_id):
        return len([text for text in self.notices(incident_id) if text.endswith(": triggered")])

    def standing(self, incident_id):
        return self.notices(incident_id)[-1]

    def refuse(self):
        self.server.faults[:] = [400] * 100


class PagerRemote(Remote):
    name, role, system = "pager", "provider", toys.PAGER

    def settings(self, url):
        return {"oncall": {"enable": True, "provider": "pager", "pager": {"url": url}}}

    def effects(self, incident_id):
        return int(incident_id in self.server.pages)

    def standing(self, incident_id):
        return self.server.pages[incident_id]["state"]

    def refuse(self):
        self.server.faults[:] = [400] * 100


@asynccontextmanager
async def remote_of(kind, clock):
    servers: dict[type, Any] = {
        SlackRemote: lambda: SlackSimulator(token=TOKEN, now_s=lambda: clock.now_ms() / 1000),
        ServiceNowRemote: lambda: ServiceNowSimulator(password=PASSWORD, now_s=lambda: clock.now_ms() / 1000),
        BoardRemote: BoardServer,
        PagerRemote: PagerServer,
    }
    server = servers[kind]()
    async with run_app(server.app()) as url, FakeAsyncRedis(decode_responses=True) as redis:
        yield kind(clock, redis, url, server)


@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
@pytest.mark.parametrize("kind", [SlackRemote, ServiceNowRemote, BoardRemote, PagerRemote], ids=lambda it: it.name)
async def test_what_must_hold_of_every_target(kind, check, clock):
    async with remote_of(kind, clock) as remote, open_bed(remote) as bed:
        await check(bed)


# The kit finds what does not hold


class Broken:
    """The pager's target with something wrong about it."""

    def __init__(self, target):
        self.target = target

    def system(self, incident):
        return self.target.system(incident)

    async def sync(self, incident, *, attempt):
        return await self.target.sync(incident, attempt=attempt)


class SaysNotWhere(Broken):
    async def sync(self, incident, *, attempt):
        return replace(await self.target.sync(incident, attempt=attempt), reference={})


class SwallowsTheCancellation(Broken):
    async def sync(self, incident, *, attempt):
        try:
            return await self.target.sync(incident, attempt=attempt)
        except asyncio.CancelledError:
            return Delivery(reference={"key": incident.id})


class CallsAtOnce(Broken):
    async def sync(self, incident, *, attempt):
        waited = begun(replace(incident, status=Status.TRIGGERED), incident.created_at_ms, incident.created_at_ms)
        return await self.target.sync(waited, attempt=attempt)


class NeverLooksBack(Broken):
    async def sync(self, incident, *, attempt):
        before = incident.delivery("pager")
        return before if before.reference else await self.target.sync(incident, attempt=attempt)


class GivesUpAtOnce(Broken):
    async def sync(self, incident, *, attempt):
        try:
            return await self.target.sync(incident, attempt=attempt)
        except Transient as exc:
            raise Permanent(str(exc)) from exc


class NeverGivesUp(Broken):
    async def sync(self, incident, *, attempt):
        try:
            return await self.target.sync(incident, attempt=attempt)
        except Permanent as exc:
            raise Transient(str(exc)) from exc


class Blind(BoardTarget):
    """A board's target that hangs its notice again whenever it does not know better."""

    async def _notices(self, board):
        return []


@pytest.mark.parametrize(
    ("broken", "checks"),
    [
        (
            SaysNotWhere,
            {
                conformance.it_says_where_the_incident_is,
                conformance.twice_is_once,
                conformance.it_follows_the_incident,
            },
        ),
        (SwallowsTheCancellation, {conformance.a_cancelled_sync_makes_no_second_one}),
        (
            CallsAtOnce,
            {conformance.a_provider_is_not_called_before_the_wait_is_over, conformance.it_follows_the_incident},
        ),
        (NeverLooksBack, {conformance.it_follows_the_incident}),
        (
            GivesUpAtOnce,
            {conformance.a_lost_answer_makes_no_second_one, conformance.a_system_that_is_down_is_tried_again},
        ),
        (NeverGivesUp, {conformance.what_is_refused_for_good_is_given_up}),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
async def test_the_kit_finds_a_target_that_is_broken(broken, checks, clock, monkeypatch):
    monkeypatch.setattr(PagerRemote, "build", lambda self, url, session: broken(Remote.build(self, url, session)))

    assert await failing(PagerRemote, clock) == checks


async def test_the_kit_finds_a_key_that_is_none(clock, monkeypatch):
    system = replace(toys.BOARD, abilities=replace(toys.BOARD.abilities, idempotency_key=True))
    monkeypatch.setattr(BoardRemote, "system", system)

    assert await failing(BoardRemote, clock) == {conformance.a_key_makes_sending_twice_sending_once}


async def test_the_kit_finds_a_target_that_does_not_look_before_it_sends_again(clock, monkeypatch):
    monkeypatch.setattr(toys, "BoardTarget", Blind)

    assert await failing(BoardRemote, clock) == {
        conformance.twice_is_once,
        conformance.a_lost_answer_makes_no_second_one,
        conformance.a_cancelled_sync_makes_no_second_one,
        conformance.one_who_comes_back_late_makes_no_second_one,
    }


async def failing(kind, clock):
    """The checks that it does not pass."""
    found = set()
    for check in CHECKS:
        async with remote_of(kind, clock) as remote, open_bed(remote) as bed:
            try:
                await check(bed)
            except (AssertionError, Permanent, Transient):
                found.add(check)
    return found
