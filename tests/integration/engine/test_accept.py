"""Many notifications at once: few round trips, and each of them counted once."""

import asyncio

import pytest

from tests.support.factories import POLICY, make_alert, make_notification, make_policy
from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Outcome, Status
from versus_py.store import batches


@pytest.fixture
def lifecycle(store, clock):
    return Lifecycle(store, clock)


@pytest.fixture
def round_trips(monkeypatch):
    """What was sent to Redis each time."""
    sent = []
    send = batches.pipelined

    async def counting(redis, commands):
        sent.append(commands)
        return await send(redis, commands)

    monkeypatch.setattr(batches, "pipelined", counting)
    return sent


def policy_for(*_):
    return POLICY


def one(number: int, *, firing: bool = True):
    return make_notification(make_alert(f"A{number}", firing=firing), dedup_key=f"key-{number}")


async def test_500_alerts_are_accepted_in_few_round_trips(lifecycle, round_trips):
    created = await lifecycle.accept([one(number) for number in range(500)], policy_for)
    to_create = len(round_trips)
    updated = await lifecycle.accept([one(number) for number in range(500)], policy_for)

    assert [it.outcome for it in created] == [Outcome.CREATED] * 500
    assert [it.outcome for it in updated] == [Outcome.UPDATED] * 500
    assert len({it.incident.id for it in created if it.incident}) == 500
    assert to_create <= 15
    assert len(round_trips) - to_create <= 18


async def test_what_is_new_is_looked_for_by_all_its_names_and_written_in_one_round_trip(lifecycle, round_trips):
    for _ in range(2):  # the server has the scripts from then on
        await lifecycle.accept([one(0)], policy_for)
    round_trips.clear()

    await lifecycle.accept([one(1)], policy_for)
    to_create = len(round_trips)
    await lifecycle.accept([one(1)], policy_for)

    assert to_create == 1  # the incident with its names; for what wakes a worker, nobody waits
    assert len(round_trips) - to_create <= 4  # by its key, the incident, the change, what wakes a worker


async def test_what_is_over_does_not_end_what_a_later_part_of_its_request_creates(lifecycle, store):
    """The same alert is over for a group that nobody knows, and fires for another one."""
    over, firing = (
        make_notification(make_alert(firing=it == "new"), dedup_key=it, group=it, receiver="versus")
        for it in ("old", "new")
    )

    accepted = await lifecycle.accept([over, firing], policy_for)

    assert [it.outcome for it in accepted] == ["ignored", "created"]
    assert (await store.get(accepted[1].incident.id)).status is Status.TRIGGERED


async def test_an_alert_of_two_receivers_is_looked_for_as_new_once(lifecycle, store, monkeypatch):
    """Its alert leads to the incident of the other receiver, which is not meant."""
    asked = []
    create_new = store.create_new

    async def counting(*new, **at):
        asked.append(new)
        return await create_new(*new, **at)

    monkeypatch.setattr(store, "create_new", counting)
    notifications = [
        make_notification(make_alert(), dedup_key=it, receiver=it, group="list") for it in ("first", "second")
    ]

    policies = {"first": POLICY, "second": make_policy(destinations={"slack": "C2"})}
    accepted = [await lifecycle.accept([it], lambda told, _: policies[told.receiver]) for it in notifications]

    assert [[it.outcome for it in found] for found in accepted] == [["created"], ["created"]]
    assert len(asked) == 2


async def test_answers_stand_in_the_order_of_what_was_sent(lifecycle, store):
    await lifecycle.accept([one(1)], policy_for)

    accepted = await lifecycle.accept([one(3, firing=False), one(2), one(1), one(2), one(1, firing=False)], policy_for)

    assert [it.outcome for it in accepted] == ["ignored", "created", "updated", "updated", "resolved"]
    assert accepted[1].incident.id == accepted[3].incident.id
    stored = await store.get(accepted[3].incident.id)
    assert stored.occurrences == 2
    assert (await store.get(accepted[4].incident.id)).status is Status.RESOLVED


async def test_firing_resolved_and_firing_again_in_one_request_ends_as_firing(lifecycle, store, clock):
    again = replace(one(1), alerts=(make_alert("A1", starts_at_ms=clock.now_ms() + 1),))

    accepted = await lifecycle.accept([one(1), one(1, firing=False), again], policy_for)

    assert [it.outcome for it in accepted] == ["created", "resolved", "reopened"]
    assert (await store.get(accepted[0].incident.id)).status is Status.TRIGGERED


async def test_what_many_requests_send_at_once_is_all_counted(lifecycle, store):
    batch = [one(number) for number in range(20)]

    answers = await asyncio.gather(*(lifecycle.accept(batch, policy_for) for _ in range(10)))

    ids = {it.incident.id for accepted in answers for it in accepted}
    assert len(ids) == 20
    assert sorted(it.outcome for it in (accepted[0] for accepted in answers)) == ["created"] + ["updated"] * 9
    for incident_id in ids:
        assert (await store.get(incident_id)).occurrences == 10


async def test_replicas_that_contend_for_incidents_lose_nothing(store, clock):
    batch = [one(number) for number in range(5)]
    replicas = [Lifecycle(store, clock) for _ in range(4)]

    answers = await asyncio.gather(*(replica.accept(batch, policy_for) for replica in replicas for _ in range(3)))

    for incident_id in {it.incident.id for it in answers[0] if it.incident}:
        assert (await store.get(incident_id)).occurrences == 12


async def test_a_server_that_forgot_its_scripts_gets_them_again(lifecycle, redis):
    await lifecycle.accept([one(1)], policy_for)
    await redis.script_flush()

    accepted = await lifecycle.accept([one(1), one(2)], policy_for)

    assert [it.outcome for it in accepted] == ["updated", "created"]


async def test_when_one_of_many_cannot_be_written_the_request_fails_and_can_be_sent_again(lifecycle, redis, store):
    accepted = await lifecycle.accept([one(1)], policy_for)
    broken = f"versus:{{{accepted[0].incident.id[-1]}}}:timers"
    await redis.delete(broken)
    await redis.set(broken, "no sorted set")

    with pytest.raises(StoreUnavailable):
        await lifecycle.accept([one(number) for number in range(20)], policy_for)
    await redis.delete(broken)
    again = await lifecycle.accept([one(number) for number in range(20)], policy_for)

    assert len({it.incident.id for it in again}) == 20
