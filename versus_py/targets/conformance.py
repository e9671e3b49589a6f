"""What must hold of every target: checks that a package with a system of its own runs in its own tests.

    @pytest.fixture
    async def bed():
        async with open_bed(MyRemote()) as found:
            yield found

    @pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__)
    async def test_my_system_is_a_target(bed, check):
        await check(bed)

A check is a coroutine function that raises AssertionError. Between the target and the system stands a proxy, which
loses answers and holds them back; what is behind it may be a stand-in or the system itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import uuid4

import aiohttp
from aiohttp import web

from versus_py.errors import Permanent, Transient
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Alert, AlertStatus, Delivery, Incident, Notification, Status
from versus_py.incidents.policies import made
from versus_py.incidents.transitions import Change, acknowledge, begin_step, resolve, trigger
from versus_py.targets.system import Abilities
from versus_py.targets.target import NotYet, Target

WAIT_MS = 60_000
DEADLINE_S = 30.0
ATTEMPTS_MAX = 8
_HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}


class Remote(Protocol):
    """The system that a target is tried against, as far as a check has to look behind the target."""

    name: str
    """The target's."""
    role: Literal["channel", "provider"]
    url: str
    """Where the system is."""
    abilities: Abilities
    """What its entry says that it can do."""

    def build(self, url: str, session: aiohttp.ClientSession) -> Target:
        """The target, with the system at *url*: the proxy, which stands for `url`."""

    def effects(self, incident_id: str) -> int:
        """How many messages, records or pages there are that stand for the incident. News of it do not count."""

    def standing(self, incident_id: str) -> str:
        """What people see of it there; another text when its status is another."""

    def refuse(self) -> None:
        """From now on the system refuses, for good, what would make it known there."""

    def now_ms(self) -> int:
        """By the clock that the target goes by."""

    def pass_time(self, ms: int) -> None: ...


class Between:
    """The proxy. What it does to answers it does to those of requests that are no GET."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.losing = False
        """Whether answers are lost: what was asked for has happened all the same."""
        self.held: asyncio.Event | None = None
        """When set, answers wait for it: what was asked for has happened."""
        self.has_held = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its URL, while it runs."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        async with aiohttp.ClientSession(auto_decompress=True) as self._session:
            app.router.add_route("*", "/{path:.*}", self._forward)
            runner = web.AppRunner(app, shutdown_timeout=0)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            finally:
                if self.held is not None:
                    self.held.set()
                await runner.cleanup()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: it for name, it in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        body = await request.read()
        # On its own, so that it happens also when the target does not wait for it.
        asked = asyncio.ensure_future(self._asked(request.method, request.raw_path, headers, body))
        answer = await asyncio.shield(asked)
        if request.method != "GET":
            if self.held is not None:
                self.has_held.set()
                await self.held.wait()
            if self.losing and request.transport is not None:
                request.transport.abort()
        return answer

    async def _asked(self, method: str, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        async with self._session.request(
            method, f"{self._url}{path}", headers=headers, data=body, allow_redirects=False
        ) as response:
            kept = {name: it for name, it in response.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=response.status, headers=kept, body=await response.read())


@dataclass
class Bed:
    """A target, the system behind it, and the proxy between them."""

    remote: Remote
    target: Target
    between: Between

    def incident(self) -> Incident:
        """A new one that the target is to show: just triggered for a channel, escalating for a provider."""
        now_ms = self.remote.now_ms()
        waiting = self.waiting()
        if self.remote.role == "channel":
            return waiting
        self.remote.pass_time(WAIT_MS)
        return _after(begin_step(waiting, now_ms + WAIT_MS))

    def waiting(self) -> Incident:
        """A new one, with its wait before it."""
        now_ms, name = self.remote.now_ms(), f"Conformance {uuid4().hex[:8]}"
        alert = Alert(name, AlertStatus.FIRING, {"alertname": name, "severity": "critical"}, starts_at_ms=now_ms)
        notification = Notification("conformance", name, "critical", (alert,), dedup_key=name)
        is_channel = self.remote.role == "channel"
        policy = made(
            channels=(self.remote.name,) if is_channel else (),
            oncall="another" if is_channel else self.remote.name,
            wait_ms=WAIT_MS,
        )
        return trigger(notification, policy, dedup_key=name, now_ms=now_ms).incident

    async def sync(self, incident: Incident, *, attempt: int = 1) -> Incident:
        """One sync, however often it has to wait for its turn: the incident as the engine would keep it then."""
        for _ in range(ATTEMPTS_MAX):
            try:
                async with asyncio.timeout(DEADLINE_S):
                    delivery = await self.target.sync(incident, attempt=attempt)
            except NotYet as exc:
                if exc.delivery is not None:
                    incident = self._kept(incident, exc.delivery)
                self.remote.pass_time(max(1, exc.at_ms - self.remote.now_ms()))
            else:
                return self._kept(incident, delivery)
        raise AssertionError("its turn never comes, however much time passes")

    async def sync_until_done(self, incident: Incident) -> Incident:
        """As the engine does it after an attempt whose outcome is not known."""
        for attempt in range(2, ATTEMPTS_MAX):
            self.remote.pass_time(WAIT_MS)
            with suppress(Transient):
                return await self.sync(incident, attempt=attempt)
        raise AssertionError("it fails again and again, although the system is up")

    def _kept(self, incident: Incident, delivery: Delivery) -> Incident:
        known = replace(delivery, version=incident.version, synced_at_ms=self.remote.now_ms())
        return replace(incident, deliveries={**incident.deliveries, self.remote.name: known})

    def assert_once(self, incident: Incident) -> None:
        count = self.remote.effects(incident.id)
        assert count == 1, f"there are {count} of it in {self.remote.name}, instead of one"


@asynccontextmanager
async def open_bed(remote: Remote) -> AsyncIterator[Bed]:
    """For one check."""
    between = Between(remote.url)
    async with between.listening() as url, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Bed(remote, remote.build(url, session), between)


async def it_says_where_the_incident_is(bed: Bed) -> None:
    shown = await bed.sync(bed.incident())

    delivery = shown.delivery(bed.remote.name)
    assert delivery.reference, "without a reference nobody finds it again, and a provider's incident stays overdue"
    assert delivery.label, "without a label nobody can say what it is called there"
    bed.assert_once(shown)


async def twice_is_once(bed: Bed) -> None:
    shown = await bed.sync(bed.incident())
    again = await bed.sync(shown)
    forgotten = replace(again, deliveries={})
    found = await bed.sync_until_done(forgotten)

    assert found.delivery(bed.remote.name).reference
    bed.assert_once(found)


async def a_key_makes_sending_twice_sending_once(bed: Bed) -> None:
    """Where the system is said to have such a key: nobody looks then before a first attempt."""
    if not bed.remote.abilities.idempotency_key:
        return
    incident = bed.incident()
    await bed.sync(incident)

    bed.assert_once(await bed.sync(incident))


async def a_lost_answer_makes_no_second_one(bed: Bed) -> None:
    incident = bed.incident()
    bed.between.losing = True
    await _fails_for_now(bed, incident)
    bed.between.losing = False

    bed.assert_once(await bed.sync_until_done(incident))


async def a_cancelled_sync_makes_no_second_one(bed: Bed) -> None:
    incident = bed.incident()
    bed.between.held = asyncio.Event()
    syncing = asyncio.ensure_future(bed.sync(incident))
    await _held(bed)
    syncing.cancel()
    with suppress(asyncio.CancelledError):
        await syncing
    assert syncing.cancelled(), "a sync that is cancelled has to end as cancelled"
    _let_go(bed)

    bed.assert_once(await bed.sync_until_done(incident))


async def one_who_comes_back_late_makes_no_second_one(bed: Bed) -> None:
    """Its lease has ended while it waited for an answer, and somebody else has taken over."""
    incident = bed.incident()
    bed.between.held = held = asyncio.Event()
    late = asyncio.ensure_future(bed.sync(incident))
    await _held(bed)
    bed.between.held = None
    found = await bed.sync_until_done(incident)
    held.set()
    with suppress(Transient):
        await late

    bed.assert_once(found)


async def a_system_that_is_down_is_tried_again(bed: Bed) -> None:
    incident = bed.incident()
    async with aiohttp.ClientSession() as session:
        nowhere = bed.remote.build("http://127.0.0.1:1", session)
        await _fails_for_now(replace(bed, target=nowhere), incident)

    bed.assert_once(await bed.sync_until_done(incident))


async def what_is_refused_for_good_is_given_up(bed: Bed) -> None:
    incident = bed.incident()
    bed.remote.refuse()
    said = None
    try:
        await bed.sync(incident)
    except Permanent as exc:
        said = str(exc)
    assert said is not None, "what is refused for good has to raise Permanent"
    assert said, "people are told this: say what to do about it"
    assert bed.remote.effects(incident.id) == 0


async def it_follows_the_incident(bed: Bed) -> None:
    shown = await bed.sync(bed.incident())
    before = bed.remote.standing(shown.id)
    acknowledged = _after(acknowledge(shown, Actor("ana"), bed.remote.now_ms()))
    shown = await bed.sync(acknowledged)
    between = bed.remote.standing(shown.id)
    shown = await bed.sync(_after(resolve(shown, Actor("ana"), bed.remote.now_ms())))

    assert len({before, between, bed.remote.standing(shown.id)}) == len(Status)
    bed.assert_once(shown)


async def a_provider_is_not_called_before_the_wait_is_over(bed: Bed) -> None:
    if bed.remote.role == "channel":
        return
    waiting = bed.waiting()
    acknowledged = _after(acknowledge(waiting, Actor("ana"), bed.remote.now_ms()))
    for incident in (waiting, acknowledged):
        shown = await bed.sync(incident)
        assert not shown.delivery(bed.remote.name).reference
        assert bed.remote.effects(incident.id) == 0


CHECKS: tuple[Callable[[Bed], Awaitable[None]], ...] = (
    it_says_where_the_incident_is,
    twice_is_once,
    a_key_makes_sending_twice_sending_once,
    a_lost_answer_makes_no_second_one,
    a_cancelled_sync_makes_no_second_one,
    one_who_comes_back_late_makes_no_second_one,
    a_system_that_is_down_is_tried_again,
    what_is_refused_for_good_is_given_up,
    it_follows_the_incident,
    a_provider_is_not_called_before_the_wait_is_over,
)
"""All of them."""


async def _fails_for_now(bed: Bed, incident: Incident) -> None:
    try:
        await bed.sync(incident)
    except Transient:
        return
    raise AssertionError("no answer has to raise Transient, to be tried again")


async def _held(bed: Bed) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await bed.between.has_held.wait()


def _let_go(bed: Bed) -> None:
    if bed.between.held is not None:
        bed.between.held.set()
        bed.between.held = None


def _after(change: Change | None) -> Incident:
    assert change is not None
    return change.incident
