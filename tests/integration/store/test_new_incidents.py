"""An incident that is probably new is looked for by all its names and written in one step."""

import time

import pytest

from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_alert, make_notification
from versus_py.incidents.model import IncidentId, incident_id
from versus_py.incidents.transitions import Change, trigger
from versus_py.store import Names, keys

START_MS = 1_700_000_000_000
FINGERPRINTS = ("a", "b", "c")
ALERTS = tuple((it, START_MS) for it in FINGERPRINTS)
OLDER_ID = incident_id("older id", START_MS)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


def change(clock: FakeClock, dedup_key: str = "group", *, resolved: str = "") -> Change:
    alerts = [make_alert(fingerprint=it, starts_at_ms=START_MS, firing=it != resolved) for it in FINGERPRINTS]
    return trigger(make_notification(*alerts, group="list"), POLICY, dedup_key=dedup_key, now_ms=clock.now_ms())


async def is_written(store, it: Change, names: Names, clock: FakeClock) -> bool:
    return bool(await store.create_new(it, names, now_ms=clock.now_ms()))


async def test_what_no_name_leads_to_is_written_whole(store, clock):
    it = change(clock)
    names = Names(("older key",), (OLDER_ID,), ALERTS)

    assert store.can_create_new
    assert await is_written(store, it, names, clock)
    assert await store.get(it.incident.id) == it.incident
    [named], _, _ = await store.find(["group"])
    assert named == it.incident.id


async def test_its_alerts_name_it_for_as_long_as_it_is_kept(store, clock, redis):
    it = change(clock)

    await is_written(store, it, Names(alerts=ALERTS), clock)

    assert await store.find_older([Names(alerts=(alert,)) for alert in ALERTS]) == [(it.incident.id,)] * len(ALERTS)
    kept_ms = await redis.pttl(keys.incident(it.incident.id))
    for alert in ALERTS:
        bucket, _ = keys.alert(*alert)
        assert await redis.pttl(bucket) >= kept_ms


async def test_it_is_announced_with_it_and_when_its_first_timer_is_due(store, clock):
    await is_written(store, change(clock, "before"), Names(), clock)
    last, _ = await store.next_change("0", block_ms=1)
    it = change(clock)

    await is_written(store, it, Names(alerts=ALERTS), clock)
    await is_written(store, it, Names(alerts=ALERTS), clock)  # which it is not: nothing has changed

    found = await store.changes.after(last, block_ms=1)
    assert [(one.incident_id, one.due_ms) for one in found] == [(it.incident.id, min(filter(None, it.timers.values())))]


async def test_an_alert_that_is_over_does_not_name_it(store, clock):
    it = change(clock, resolved="b")

    assert await is_written(store, it, Names(alerts=ALERTS), clock)
    assert await store.find_older([Names(alerts=(alert,)) for alert in ALERTS]) == [
        (it.incident.id,),
        (),
        (it.incident.id,),
    ]


@pytest.mark.parametrize(
    "names",
    [
        Names(keys=("other", "older key")),
        Names(ids=(IncidentId(incident_id("other", 1)), OLDER_ID)),
        Names(alerts=(("other", START_MS), ("known", START_MS))),
        Names(alerts=(("other", START_MS), ("of layout 5", START_MS))),
        Names(("other",), (), (("known", START_MS),)),
    ],
    ids=["older key", "older id", "alert", "alert of layout 5", "alert after a key"],
)
async def test_nothing_is_written_where_another_name_leads_to_something(store, clock, redis, names):
    await redis.set(keys.dedup("older key"), "x")
    await redis.hset(keys.incident(OLDER_ID), "version", 1)
    await redis.hset(*keys.alert("known", START_MS), "x")
    await redis.sadd(keys.older_alert("of layout 5", START_MS), "x")
    before = sorted(await redis.keys("*"))

    assert not await is_written(store, change(clock), names, clock)
    assert sorted(await redis.keys("*")) == before


async def test_nor_where_its_own_key_or_id_is_taken(store, clock):
    first = change(clock)
    await is_written(store, first, Names(), clock)

    assert not await is_written(store, first, Names(), clock)
    assert len((await store.page()).incidents) == 1
