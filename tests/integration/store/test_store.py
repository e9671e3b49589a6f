"""The scripts against real servers: what is atomic, what a lease protects, what expires when.

Incidents are created as of now, since the servers themselves expire keys by their own clock.
"""

import asyncio
import time

import pytest
from redis.asyncio import Redis

from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import POLICY, make_alert, make_notification, make_policy
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.model import Actor, Delivery, Entry, Event, IncidentId, Outcome, Status
from versus_py.incidents.partitions import partition_of
from versus_py.incidents.transitions import Change, acknowledge, named, observe, resolve, trigger
from versus_py.store import Claim, Completion, Store, keys
from versus_py.store.changes import BEGINNING, position
from versus_py.store.gateway_secret import gateway_secret, rotate_gateway_secret

LEASE_MS = 60_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time_ns() // 1_000_000)


async def create(store, change, *, now_ms, stale=""):
    """What is there already; None when it was written."""
    [existing] = await store.create([(change, stale)], now_ms=now_ms)
    return existing or None


async def save(store, change, *, now_ms):
    [is_saved] = await store.save([change], now_ms=now_ms)
    return is_saved


async def find(store, dedup_key):
    [named], _, _ = await store.find([dedup_key])
    return named or None


def new_incident(clock: FakeClock, dedup_key: str = "group") -> Change:
    return trigger(make_notification(), POLICY, dedup_key=dedup_key, now_ms=clock.now_ms())


async def created(store: Store, clock: FakeClock, dedup_key: str = "group") -> Change:
    change = new_incident(clock, dedup_key)
    assert await create(store, change, now_ms=clock.now_ms()) is None
    return change


async def claim(store: Store, clock: FakeClock, limit: int = 10) -> list[Claim]:
    claims, _ = await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=limit)
    return claims


async def test_a_save_that_somebody_else_was_faster_than_names_nothing(store, clock):
    change = await created(store, clock)
    rivals = named(change.incident, "first"), named(change.incident, "second")

    saved = [await save(store, Change(it, Outcome.UPDATED, {}, before=it), now_ms=clock.now_ms()) for it in rivals]

    assert saved == [True, False]
    assert await find(store, "first") == change.incident.id
    assert await find(store, "second") is None


async def test_what_was_created_is_read_back_whole(store, clock):
    change = await created(store, clock)

    assert await store.get(change.incident.id) == change.incident
    assert await find(store, "group") == change.incident.id
    assert [entry.event for entry in await store.timeline(change.incident.id)] == ["triggered"]


async def test_a_second_create_for_the_same_dedup_key_names_the_first(store, clock):
    first = await created(store, clock)
    clock.advance(minutes=1)
    second = trigger(make_notification(make_alert(starts_at_ms=None)), POLICY, dedup_key="group", now_ms=clock.now_ms())

    existing = await create(store, second, now_ms=clock.now_ms())

    assert existing == first.incident.id
    assert await store.get(second.incident.id) is None


async def test_simultaneous_creates_leave_one_incident(store, clock):
    changes = [
        trigger(make_notification(make_alert(starts_at_ms=start)), POLICY, dedup_key="group", now_ms=clock.now_ms())
        for start in range(20)
    ]

    replies = await asyncio.gather(*(create(store, change, now_ms=clock.now_ms()) for change in changes))

    assert replies.count(None) == 1
    assert len((await store.page()).incidents) == 1


async def test_a_dedup_key_that_names_a_forgotten_incident_is_taken_over(store, clock, redis):
    first = await created(store, clock)
    await redis.delete(keys.incident(first.incident.id))
    clock.advance(minutes=1)
    second = trigger(make_notification(make_alert(starts_at_ms=None)), POLICY, dedup_key="group", now_ms=clock.now_ms())

    assert await create(store, second, now_ms=clock.now_ms()) == first.incident.id
    assert await create(store, second, now_ms=clock.now_ms(), stale=first.incident.id) is None


async def test_create_names_an_incident_of_the_same_episode_whose_dedup_key_has_expired(store, clock, redis):
    first = await created(store, clock)
    await redis.delete(keys.dedup("group"))

    existing = await create(store, new_incident(clock), now_ms=clock.now_ms())

    assert existing == first.incident.id
    assert await find(store, "group") is None  # a late copy of what is over is not to name it for days


async def test_save_refuses_a_version_that_has_moved_on(store, clock):
    incident = (await created(store, clock)).incident
    mine = acknowledge(incident, Actor("ana"), clock.now_ms())
    theirs = resolve(incident, Actor("ben"), clock.now_ms())

    assert mine
    assert theirs
    assert await save(store, mine, now_ms=clock.now_ms())
    assert not await save(store, theirs, now_ms=clock.now_ms())
    stored = await store.get(incident.id)
    assert stored
    assert (stored.status, stored.version) == (Status.ACKNOWLEDGED, 2)


async def test_save_of_a_forgotten_incident_brings_nothing_back(store, clock, redis):
    incident = (await created(store, clock)).incident
    await redis.delete(keys.incident(incident.id))
    change = acknowledge(incident, Actor("ana"), clock.now_ms())

    assert change
    assert not await save(store, change, now_ms=clock.now_ms())
    assert await store.get(incident.id) is None


async def test_only_due_timers_are_claimed_and_the_next_time_is_told(store, clock):
    incident = (await created(store, clock)).incident

    claims, next_ms = await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=10)

    assert [(claim.target, claim.attempt) for claim in claims] == [("slack", 1)]
    assert next_ms == clock.now_ms() + LEASE_MS  # the lease may end before the escalation is due
    await store.complete(claims[0], Completion("done", 1), now_ms=clock.now_ms())
    assert await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=10) == ([], incident.escalates_at_ms)


async def test_nothing_waits_in_an_empty_store(store, clock):
    assert await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=10) == ([], None)


async def test_what_is_written_as_a_proof_expires(store, redis):
    await store.prove_writable()

    assert 0 < await redis.pttl(keys.PROBE) <= 60_000


async def test_a_claimed_timer_is_nobody_elses_until_its_lease_ends(store, clock):
    await created(store, clock)
    [first] = await claim(store, clock)

    clock.advance(ms=LEASE_MS - 1)
    assert await claim(store, clock) == []
    clock.advance(ms=1)
    [second] = await claim(store, clock)

    assert (second.target, second.attempt) == ("slack", 2)
    assert second.token > first.token


async def test_completing_with_an_old_token_does_nothing(store, clock):
    incident = (await created(store, clock)).incident
    [old] = await claim(store, clock)
    clock.advance(ms=LEASE_MS)
    [new] = await claim(store, clock)

    delivery = Delivery(reference={"ts": "1"}, version=1)
    assert not await store.complete(old, Completion("done", 1, delivery=delivery), now_ms=clock.now_ms())
    stored = await store.get(incident.id)
    assert stored
    assert stored.deliveries == {}
    assert await store.complete(new, Completion("done", 1, delivery=delivery), now_ms=clock.now_ms())
    stored = await store.get(incident.id)
    assert stored
    assert stored.delivery("slack") == delivery


async def test_a_change_during_a_sync_makes_it_due_again(store, clock):
    incident = (await created(store, clock)).incident
    [held] = await claim(store, clock)
    change = acknowledge(incident, Actor("ana"), clock.now_ms())
    assert change
    await save(store, change, now_ms=clock.now_ms())

    assert await claim(store, clock) == []  # the save left the running timer alone
    await store.complete(held, Completion("done", seen_version=1), now_ms=clock.now_ms())

    assert [claim.target for claim in await claim(store, clock)] == ["slack"]


async def test_a_sync_of_what_redis_has_lost_is_done_again(store, clock):
    """A server that was killed comes back without its last second: what was decided in it is to be decided again."""
    await created(store, clock)
    [held] = await claim(store, clock)

    await store.complete(held, Completion("done", seen_version=2), now_ms=clock.now_ms())

    assert [claim.target for claim in await claim(store, clock)] == ["slack"]


async def test_a_retry_counts_attempts_and_a_postponement_does_not(store, clock):
    await created(store, clock)
    [first] = await claim(store, clock)
    await store.complete(first, Completion("retry", 1, at_ms=clock.now_ms() + 10), now_ms=clock.now_ms())
    assert await claim(store, clock) == []
    clock.advance(ms=10)
    [second] = await claim(store, clock)
    await store.complete(second, Completion("postponed", 1, at_ms=clock.now_ms()), now_ms=clock.now_ms())
    [third] = await claim(store, clock)
    await store.complete(third, Completion("done", 1), now_ms=clock.now_ms())

    assert (first.attempt, second.attempt, third.attempt) == (1, 2, 2)


async def test_a_change_does_not_shorten_a_backoff(store, clock):
    incident = (await created(store, clock)).incident
    [held] = await claim(store, clock)
    await store.complete(held, Completion("retry", 1, at_ms=clock.now_ms() + 5000), now_ms=clock.now_ms())

    change = acknowledge(incident, Actor("ana"), clock.now_ms())
    assert change
    await save(store, change, now_ms=clock.now_ms())

    assert await claim(store, clock) == []
    clock.advance(seconds=5)
    assert [(claim.target, claim.attempt) for claim in await claim(store, clock)] == [("slack", 2)]


async def test_an_acknowledgment_disarms_the_escalation(store, clock):
    incident = (await created(store, clock)).incident
    change = acknowledge(incident, Actor("ana"), clock.now_ms())
    assert change
    await save(store, change, now_ms=clock.now_ms())

    clock.advance(hours=1)

    assert [claim.target for claim in await claim(store, clock)] == ["slack"]


async def test_completing_arms_the_targets_that_show_it(store, clock):
    incident = (await created(store, clock)).incident
    [slack] = await claim(store, clock)
    await store.complete(slack, Completion("done", 1), now_ms=clock.now_ms())
    clock.advance(minutes=5)
    [servicenow] = await claim(store, clock)

    done = Completion("done", 1, delivery=Delivery(label="INC1"), arm=("slack",), entries=(Entry(1, Event.ESCALATED),))
    await store.complete(servicenow, done, now_ms=clock.now_ms())

    stored = await store.get(incident.id)
    assert stored
    assert (stored.version, stored.delivery("servicenow").label) == (2, "INC1")
    assert [claim.target for claim in await claim(store, clock)] == ["slack"]
    assert [entry.event for entry in await store.timeline(incident.id)] == ["triggered", "escalated"]


async def test_what_is_given_up_is_listed_and_tried_again_after_a_change(store, clock, redis):
    incident = (await created(store, clock)).incident
    [slack] = await claim(store, clock)
    failed = keys.of_incident(incident.id, "failed")
    await store.complete(slack, Completion("failed", 1), now_ms=clock.now_ms())
    assert await redis.zrange(failed, 0, -1) == [keys.member(incident.id, "slack")]
    assert await claim(store, clock) == []

    change = acknowledge(incident, Actor("ana"), clock.now_ms())
    assert change
    await save(store, change, now_ms=clock.now_ms())
    [again] = await claim(store, clock)
    await store.complete(again, Completion("done", 2), now_ms=clock.now_ms())

    assert again.attempt == 1
    assert await redis.zrange(failed, 0, -1) == []


async def test_a_claim_of_a_forgotten_incident_is_dropped(store, clock, redis):
    incident = (await created(store, clock)).incident
    [slack] = await claim(store, clock)
    await redis.delete(keys.incident(incident.id))

    delivery = Delivery(label="x")
    assert await store.complete(slack, Completion("done", 1, delivery=delivery), now_ms=clock.now_ms())

    assert not await redis.exists(keys.incident(incident.id))


async def test_claims_are_bounded_and_no_partition_starves(store, clock):
    names = [f"group-{number}" for number in range(40)]
    assert len({partition_of(name) for name in names}) > 1
    for name in names:
        await created(store, clock, name)

    seen: set[IncidentId] = set()
    for _ in range(10):
        claims, next_ms = await claim_due(store, now_ms=clock.now_ms(), lease_ms=LEASE_MS, limit=4)
        assert len(claims) == 4
        assert next_ms is not None
        seen |= {claim.incident_id for claim in claims}

    assert len(seen) == 40
    assert await claim(store, clock) == []


async def test_every_key_of_an_incident_expires_after_the_timers_that_need_it(store, clock, redis):
    incident = (await created(store, clock)).incident
    week_ms = 7 * 24 * 3600 * 1000

    for key in (keys.incident(incident.id), keys.dedup("group")):
        left_ms = await redis.pttl(key)
        assert incident.escalates_at_ms
        assert left_ms > week_ms + incident.escalates_at_ms - clock.now_ms() - 60_000


async def test_completing_never_shortens_what_an_escalation_needs(store, clock, redis):
    week_ms = 7 * 24 * 3600 * 1000
    policy = make_policy(wait_ms=week_ms)
    change = trigger(make_notification(), policy, dedup_key="slow", now_ms=clock.now_ms())
    await create(store, change, now_ms=clock.now_ms())
    [slack] = await claim(store, clock)

    entry = Entry(clock.now_ms(), Event.POSTED, "Slack #alerts")
    await store.complete(slack, Completion("done", 1, entries=(entry,)), now_ms=clock.now_ms())

    assert await store.timeline(change.incident.id) == [*change.entries, entry]
    for key in (keys.incident(change.incident.id), keys.timeline(change.incident.id)):
        assert await redis.pttl(key) > 2 * week_ms - 60_000


async def test_a_new_wait_is_not_held_up_by_an_old_backoff(store, clock):
    incident = (await created(store, clock)).incident
    [slack] = await claim(store, clock)
    await store.complete(slack, Completion("done", 1), now_ms=clock.now_ms())
    clock.advance(minutes=5)
    [servicenow] = await claim(store, clock)
    hour_ms = 3_600_000
    await store.complete(servicenow, Completion("retry", 1, at_ms=clock.now_ms() + hour_ms), now_ms=clock.now_ms())

    again = Change(incident, Outcome.REOPENED, {"servicenow": clock.now_ms() + 180_000})
    assert await save(store, again, now_ms=clock.now_ms())

    clock.advance(seconds=180 + 60)
    assert [it.target for it in await claim(store, clock)] == ["servicenow"]


async def test_a_resolved_incident_is_named_by_its_dedup_key_for_the_time_to_reopen(store, clock, redis):
    incident = (await created(store, clock)).incident
    change = observe(incident, make_notification(make_alert(firing=False)), clock.now_ms())
    assert change
    assert change.outcome is Outcome.RESOLVED
    await save(store, change, now_ms=clock.now_ms())

    left_ms = await redis.pttl(keys.dedup("group"))

    assert 4 * 60_000 < left_ms <= 5 * 60_000


async def test_saving_a_resolved_incident_leaves_a_key_that_names_a_newer_one(store, clock, redis):
    old = (await created(store, clock)).incident
    await redis.set(keys.dedup("group"), "newer-0")
    change = resolve(old, Actor("ana"), clock.now_ms())
    assert change
    await save(store, change, now_ms=clock.now_ms())

    assert await find(store, "group") == "newer-0"


async def test_pages_list_newest_first_across_partitions_without_gaps(store, clock):
    ids = []
    for number in range(23):
        ids.append((await created(store, clock, f"group-{number}")).incident.id)
        if number % 3:  # some share a millisecond
            clock.advance(ms=1)

    listed: list[IncidentId] = []
    cursor = None
    while True:
        page = await store.page(limit=5, cursor=cursor)
        listed += [incident.id for incident in page.incidents]
        cursor = page.cursor
        if cursor is None:
            break

    assert sorted(listed) == sorted(ids)
    times = {i: n for n, i in enumerate(ids)}
    assert times[listed[0]] == 22
    assert [times[i] // 3 for i in listed] == sorted((times[i] // 3 for i in listed), reverse=True)


async def test_pages_filter_by_status(store, clock):
    for number in range(6):
        incident = (await created(store, clock, f"group-{number}")).incident
        if number % 2:
            change = acknowledge(incident, Actor("ana"), clock.now_ms())
            assert change
            await save(store, change, now_ms=clock.now_ms())

    page = await store.page(wanted=lambda it: it.status is Status.ACKNOWLEDGED, limit=2)
    rest = await store.page(wanted=lambda it: it.status is Status.ACKNOWLEDGED, limit=2, cursor=page.cursor)

    assert len(page.incidents) == 2
    assert len(rest.incidents) == 1
    assert rest.cursor is None


async def test_what_a_newer_version_wrote_is_named_in_pages_beside_the_others(store, clock, redis, logs):
    newer, older = [(await created(store, clock, f"group-{number}")).incident for number in range(2)]
    await redis.hset(keys.incident(newer.id), "incident", '{"alerts": 1}')

    page = await store.page()

    assert page.incidents == (older,)
    assert [it.incident_id for it in page.unread] == [newer.id]
    assert newer.id in page.unread[0].error
    assert await store.get_readable([newer.id, older.id]) == [None, older]
    why, read = await store.get_each([newer.id, older.id])
    assert (type(why), read) == (Unreadable, older)
    with pytest.raises(Unreadable, match=newer.id):
        await store.get(newer.id)
    logs.expect_error("incident.unreadable")


async def test_a_cursor_that_is_none_is_refused(store):
    with pytest.raises(ValueError, match="invalid literal"):
        await store.page(cursor="tomorrow")


async def test_trim_forgets_what_has_expired_and_keeps_what_has_not(store, clock, redis):
    gone = (await created(store, clock, "gone")).incident
    kept = (await created(store, clock, "kept")).incident
    await redis.delete(keys.incident(gone.id))

    clock.advance(hours=24 * 8)
    await store.trim(now_ms=clock.now_ms())

    assert await redis.zscore(keys.of_incident(gone.id, "incidents"), gone.id) is None
    assert await redis.zscore(keys.of_incident(kept.id, "incidents"), kept.id) is not None


async def test_trim_gets_past_what_is_old_and_still_there(store, clock, redis, monkeypatch):
    monkeypatch.setattr("versus_py.store.store.TRIM_BATCH", 2)
    incidents = []
    for number in range(40):
        incidents.append((await created(store, clock, f"group-{number}")).incident)
        clock.advance(ms=1)
    gone = incidents[-1]
    await redis.delete(keys.incident(gone.id))

    clock.advance(hours=24 * 8)
    for _ in range(20):
        await store.trim(now_ms=clock.now_ms())

    assert await redis.zscore(keys.of_incident(gone.id, "incidents"), gone.id) is None
    assert len((await store.page(limit=50)).incidents) == 39


async def test_an_incident_that_returns_while_the_indexes_are_trimmed_stays_listed(store, clock, redis, monkeypatch):
    back = (await created(store, clock, "back")).incident
    fields = await redis.hgetall(keys.incident(back.id))
    await redis.delete(keys.incident(back.id))
    clock.advance(hours=24 * 8)
    execute = Redis.execute_command

    async def returns_after_a_look(client, *command, **options):
        """The incident is back as soon as somebody has seen that it is not there."""
        reply = await execute(client, *command, **options)
        if command == ("EXISTS", keys.incident(back.id)):
            await execute(client, "HSET", keys.incident(back.id), *(part for pair in fields.items() for part in pair))
        return reply

    with monkeypatch.context() as patched:
        patched.setattr(Redis, "execute_command", returns_after_a_look)
        await store.trim(now_ms=clock.now_ms())

    is_listed = await redis.zscore(keys.of_incident(back.id, "incidents"), back.id) is not None
    assert is_listed == bool(await redis.exists(keys.incident(back.id)))


async def test_one_trim_gets_through_everything_that_has_expired(store, clock, redis):
    old = {f"{number:020x}-0": clock.now_ms() for number in range(3000)}
    for index in ("incidents", "failed"):
        await redis.zadd(keys.in_partition(0, index), old)

    clock.advance(hours=24 * 8)
    await store.trim(now_ms=clock.now_ms())

    assert await redis.zcard(keys.in_partition(0, "incidents")) == 0
    assert await redis.zcard(keys.in_partition(0, "failed")) == 0


async def test_a_trim_ends_in_time_and_the_next_one_goes_on(store, clock, redis, monkeypatch):
    monkeypatch.setattr("versus_py.store.store.TRIM_FOR_S", 0)
    monkeypatch.setattr("versus_py.store.store.TRIM_BATCH", 10)
    indexes = [keys.in_partition(partition, "incidents") for partition in range(3)]
    for partition, index in enumerate(indexes):
        await redis.zadd(index, {f"{number:020x}-{partition}": clock.now_ms() for number in range(25)})

    clock.advance(hours=24 * 8)
    left = []
    for _ in range(6):
        await store.trim(now_ms=clock.now_ms())
        left.append([await redis.zcard(index) for index in indexes])

    assert left[0] == [15, 25, 25]
    assert left[-1] == [0, 0, 5]


async def test_the_timeline_is_bounded(store, clock):
    incident = (await created(store, clock)).incident
    entries = tuple(Entry(number, Event.JOINED) for number in range(600))
    await save(store, Change(incident, Outcome.UPDATED, {}, entries), now_ms=clock.now_ms())

    timeline = await store.timeline(incident.id)

    assert len(timeline) == 500
    assert timeline[-1].at_ms == 599


async def test_the_signing_key_is_made_once(store, redis):
    other = Store(redis, retention_ms=1, reopen_ms=1)

    assert await store.signing_key() == await other.signing_key()
    assert len(await store.signing_key()) == 64


async def test_replicas_that_start_at_once_share_one_gateway_secret(redis):
    made = await asyncio.gather(*(gateway_secret(redis) for _ in range(20)))

    assert len(set(made)) == 1
    assert len(made[0]) == 64


async def test_a_gateway_secret_that_redis_has_lost_is_put_back(redis):
    known = await gateway_secret(redis)
    await redis.delete(keys.GATEWAY_SECRET)

    assert await gateway_secret(redis, known) == known
    assert await gateway_secret(redis) == known


async def test_a_rotated_gateway_secret_is_a_new_one_whatever_a_replica_still_knows(redis):
    old = await gateway_secret(redis)

    new = await rotate_gateway_secret(redis)

    assert new != old
    assert await gateway_secret(redis, old) == new


async def test_changes_are_seen_by_others(store, clock):
    await created(store, clock, "before")
    before, _ = await store.next_change(BEGINNING, block_ms=5000)
    start_ms = clock.now_ms()
    waiting = asyncio.ensure_future(store.next_change(before, block_ms=5000))
    while not waiting.done():
        await created(store, clock, f"group-{clock.advance(ms=1)}")
        await asyncio.wait([waiting], timeout=0.05)

    seen, due_ms = await waiting
    assert position(seen) > position(before)
    assert start_ms <= due_ms <= clock.now_ms()
    assert (await store.next_change(BEGINNING, block_ms=1))[0] >= seen


async def test_without_a_change_waiting_ends(store):
    assert await store.next_change(BEGINNING, block_ms=1) == (BEGINNING, None)


async def test_a_server_that_is_gone_is_one_error(tmp_path):
    async with Redis(unix_socket_path=str(tmp_path / "none.sock"), decode_responses=True) as nowhere:
        store = Store(nowhere, retention_ms=1, reopen_ms=1)

        with pytest.raises(StoreUnavailable):
            await store.get(IncidentId("x-0"))


async def test_a_server_that_refuses_writes_is_the_same_error(store, clock, redis):
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match=r"maxmemory|OOM"):
            await create(store, new_incident(clock), now_ms=clock.now_ms())
    finally:
        await redis.config_set("maxmemory", 0)
    assert await find(store, "group") is None
