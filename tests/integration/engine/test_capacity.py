"""What an installation delivers, and the most that ever came due in a minute."""

import pytest

from tests.integration.conftest import Engine
from versus_py.engine.capacity import Came, Capacity, Drain, drained
from versus_py.errors import StoreUnavailable
from versus_py.store import keys
from versus_py.store.bursts import DAY_MINUTES, KEPT_DAYS, MINUTE_MS, Burst, Bursts
from versus_py.store.replicas import Pace

DAY_MS = DAY_MINUTES * MINUTE_MS
NOW = 20_000 * DAY_MS + 30 * MINUTE_MS


@pytest.fixture
def bursts(redis):
    return Bursts(redis)


async def test_the_minute_with_the_most_is_kept_of_what_all_replicas_count(bursts):
    minute = NOW // MINUTE_MS
    await bursts.note({(minute, "servicenow"): 40, (minute - 1, "servicenow"): 50, (minute, "slack"): 7}, now_ms=NOW)
    await Bursts(bursts._redis).note({(minute, "servicenow"): 30}, now_ms=NOW + 10_000)

    found = await bursts.largest(now_ms=NOW)

    assert found == {"servicenow": Burst(70, NOW), "slack": Burst(7, NOW)}


async def test_a_burst_is_known_for_thirty_days(bursts):
    await bursts.note({(NOW // MINUTE_MS, "slack"): 900}, now_ms=NOW)
    for day in range(1, KEPT_DAYS + 2):
        now_ms = NOW + day * DAY_MS
        await bursts.note({(now_ms // MINUTE_MS, "slack"): day}, now_ms=now_ms)
        expected = 900 if day <= KEPT_DAYS else KEPT_DAYS + 1
        assert (await bursts.largest(now_ms=now_ms))["slack"].deliveries == expected


async def test_what_is_kept_has_a_bound(bursts, redis):
    for hour in range(24 * (KEPT_DAYS + 5)):
        now_ms = NOW + hour * 3600_000
        await bursts.note({(now_ms // MINUTE_MS, "slack"): 1}, now_ms=now_ms)

    assert await redis.hlen(keys.DUE_MINUTES) <= 3
    assert await redis.hlen(keys.DUE_DAYS) == KEPT_DAYS + 1
    assert [await redis.pttl(it) > 0 for it in (keys.DUE_MINUTES, keys.DUE_DAYS)] == [True, True]


async def test_what_was_due_hours_ago_is_no_burst_of_now(bursts):
    await bursts.note({(NOW // MINUTE_MS - 121, "slack"): 900}, now_ms=NOW)

    assert await bursts.largest(now_ms=NOW) == {}


async def test_what_comes_due_is_written_down_and_told_to_prometheus(engine: Engine, bursts):
    for number in range(3):
        await engine.post({"title": f"Alert {number}", "id": f"a{number}"})
    await engine.worker.run_due()
    capacity = Capacity(bursts, engine.worker.came, engine.clock, engine.metrics)

    await capacity.write(engine.clock.now_ms())

    assert (await bursts.largest(now_ms=engine.clock.now_ms()))["slack"].deliveries == 3
    assert engine.measured("versus_largest_burst", target="slack") == 3
    assert engine.measured("versus_drain_per_second", target="slack")
    assert engine.worker.paces["slack"].slots >= 1


async def test_what_cannot_be_written_is_written_later(engine: Engine, bursts, monkeypatch):
    came = Came()
    came.note("slack", NOW)
    came.note("slack", NOW - 3 * 3600_000)
    capacity = Capacity(bursts, came, engine.clock, engine.metrics)

    async def away(*_, **__):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(bursts, "note", away)
        with pytest.raises(StoreUnavailable):
            await capacity.write(NOW)

    assert came.take() == {(NOW // MINUTE_MS, "slack"): 1}


def test_what_replicas_deliver_adds_up():
    quick, slow = Pace(slots=8, most=32, seconds=0.1), Pace(slots=4, most=32, seconds=0.4)

    found = drained([{"servicenow": quick}, {"servicenow": slow, "heartbeat": quick}, {}])

    assert found == {"servicenow": Drain(2, 12, 64, 12 / (8 / 0.1 + 4 / 0.4))}
    assert found["servicenow"].per_second == pytest.approx(90)
    assert found["servicenow"].most_per_second == pytest.approx(480)
    assert found["servicenow"].last_is_late_s(1800) == pytest.approx(20)
