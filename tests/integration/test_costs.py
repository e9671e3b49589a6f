"""What an alert costs, counted: commands of Redis, round trips, bytes, and calls of Python functions. No time is taken.

The bounds are what it costs now, and a little more where that varies. A change that makes something cheaper by a fifth
has to lower its bound. A change that exceeds one says in its commit why that is worth it.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from benchmarks import payloads
from benchmarks.payloads import alertmanager
from versus_py.store import keys

PACKAGE = str(Path(keys.__file__).parents[1])

COMMANDS = "total_commands_processed"  # those within scripts too
READS = "total_reads_processed"  # of what clients have sent: a round trip each, while nobody sends at the same time

NEW_GROUP = {"commands": 41, "round_trips": 1.2}
REPEAT = {"commands": 9, "round_trips": 3}
ESCALATION = {"commands": 60, "round_trips": 3}  # one of twenty that are due at once
NEW_GROUP_CALLS = {"own": 760, "all": 1_750}
REPEAT_CALLS = {"own": 135, "all": 1_350}
WAITING_BYTES = {1: 1_450, 5: 2_000}  # by the number of alerts

LOOSE = 0.8
"""What costs less than this part of its bound is not guarded by it any more."""

SHARED = 0.3
"""The same where the cost differs from run to run: concurrent syncs share round trips, the more the busier the machine
is, and caches save calls."""

WITHOUT_SLACK = {"enable": False}
"""No target but ServiceNow: what is counted is not counted twice."""

pytestmark = [pytest.mark.orderly, pytest.mark.parametrize("slack_settings", [WITHOUT_SLACK], ids=["oncall"])]


@dataclass
class Cost:
    """Of one thing that was done."""

    commands: float = 0
    round_trips: float = 0


class Server:
    """Looks at Redis while the engine uses it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    @contextmanager
    def counting(self, *, things: int = 1) -> Iterator[Cost]:
        """What each of *things* costs that are done in the block."""
        cost, before = Cost(), self._stats()
        yield cost
        after = self._stats()
        # The second look is a command, and a read, itself.
        cost.commands = (after[COMMANDS] - before[COMMANDS] - 1) / things
        cost.round_trips = (after[READS] - before[READS] - 1) / things

    def bytes_of_incidents(self) -> int:
        """All keys but the payloads that are kept, and what there is once however many incidents there are."""
        return sum(
            int(self.client.memory_usage(it, samples=0) or 0)
            for it in self.client.scan_iter()
            if ":payload:" not in it and "{" in it
        )

    def _stats(self) -> dict[str, int]:
        found: dict[str, int] = self.client.info("stats")
        return found


@pytest.fixture
def server(engine) -> Iterator[Server]:
    with engine.redis_server.client() as client:
        yield Server(client)


def bodies(count: int, *, alerts: int = 5) -> list[bytes]:
    """So many requests about a group of their own each."""
    whole = payloads.new_groups(payloads.request(alertmanager(alerts)), count)
    return [it.partition(b"\r\n\r\n")[2] for it in whole]


async def post(engine, body: bytes, **query: str) -> None:
    response = await engine.http.post("/api/incidents", data=body, params=query)
    assert response.status == 201, await response.text()
    await response.read()


async def test_a_new_group_is_written_in_few_commands_and_round_trips(engine, server):
    first, *others = bodies(11)
    await post(engine, first)

    with server.counting(things=len(others)) as cost:
        for it in others:
            await post(engine, it)

    assert_bounded(cost, NEW_GROUP)


async def test_a_repeat_is_written_in_few_commands_and_round_trips(engine, server):
    [body] = bodies(1)
    await post(engine, body)
    await post(engine, body)

    with server.counting(things=10) as cost:
        for _ in range(10):
            await post(engine, body)

    assert_bounded(cost, REPEAT, loose=SHARED)


async def test_an_escalation_takes_few_commands_and_round_trips(engine, server):
    for it in bodies(1):
        await post(engine, it)
    await engine.after(minutes=6)
    many = bodies(20)
    for it in many:
        await post(engine, it)
    engine.clock.advance(minutes=6)

    with server.counting(things=len(many)) as cost:
        await engine.worker.run_due()

    assert len(engine.servicenow.incidents) == 21
    assert_bounded(cost, ESCALATION, loose=SHARED)


@pytest.mark.parametrize("alerts", [1, 5])
async def test_an_incident_that_waits_takes_few_bytes(engine, server, alerts):
    for it in bodies(10, alerts=alerts):
        await post(engine, it)
    before = server.bytes_of_incidents()
    for it in bodies(50, alerts=alerts):
        await post(engine, it)

    assert_within((server.bytes_of_incidents() - before) / 50, WAITING_BYTES[alerts], "bytes")


async def test_a_new_group_is_accepted_in_few_calls_of_functions(engine):
    first, second, *others = bodies(6)
    await post(engine, first)
    await post(engine, second)

    await assert_few_calls(engine, others, NEW_GROUP_CALLS)


async def test_a_repeat_is_accepted_in_few_calls_of_functions(engine):
    [body] = bodies(1)
    for _ in range(3):
        await post(engine, body)

    await assert_few_calls(engine, [body] * 4, REPEAT_CALLS)


async def assert_few_calls(engine, requests: list[bytes], bounds: dict[str, int]) -> None:
    found = []
    for it in requests:
        with calls() as counted:
            await post(engine, it)
        found.append(counted)
    for name, most in bounds.items():  # the fewest: what else runs in the process now and then is not its own
        assert_within(min(it[name] for it in found), most, f"calls ({name})", loose=SHARED)


def assert_bounded(cost: Cost, bounds: Mapping[str, float], *, loose: float = LOOSE) -> None:
    assert_within(cost.commands, bounds["commands"], "commands")
    assert_within(cost.round_trips, bounds["round_trips"], "round trips", loose=loose)


def assert_within(found: float, most: float, what: str, *, loose: float = LOOSE) -> None:
    assert found <= most, f"{found:g} {what}: more than the {most} that it may cost"
    assert found >= loose * most, f"{found:g} {what}: the bound of {most} guards nothing any more; lower it"


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Calls of Python functions within the block: `own` of the service, `all` of whatever library, the client's too."""
    counted: Counter[str] = Counter()

    def count(frame, event, _arg) -> None:
        if event == "call":
            counted["all"] += 1
            counted["own"] += frame.f_code.co_filename.startswith(PACKAGE)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(before)
