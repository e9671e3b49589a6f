"""Heartbeats: nothing is told while they come, and their silence is an incident until they come again."""

import asyncio
from typing import Any

import pytest

from tests.integration.conftest import Engine, make_worker
from tests.integration.engine.test_watchdog import forget_timers
from tests.support.groups import alert, group
from versus_py.engine.heartbeats import Heartbeats
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.store import keys
from versus_py.targets import deadline
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.doctor.heartbeats import examine
from versus_py.web.intake import intake

EVERY_MIN = 5
WATCHDOG = {"name": "watchdog", "match": ['alertname="Watchdog"'], "every": f"{EVERY_MIN}m"}
POLICIES = [
    {"name": "deadman", "match": ['team="nobody"'], "steps": [{"notify": ["servicenow"]}]},
    {"name": "all", "steps": [{"notify": ["slack"]}]},
]


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"heartbeats": [WATCHDOG, {"name": "backup", "every": "1d"}]}


async def beat(engine: Engine, *others: dict[str, Any], over: bool = False, **labels: str) -> dict[str, Any]:
    """A payload of Alertmanager with the Watchdog in it."""
    watchdog = alert("Watchdog", summary="Alerting works", over=over, minutes=0, **{"severity": "none"} | labels)
    return await engine.post(group(watchdog, *others, by=()))


async def incidents(engine: Engine) -> list[dict[str, Any]]:
    response = await engine.http.get("/api/incidents")
    found: list[dict[str, Any]] = (await response.json())["incidents"]
    return found


async def shown(engine: Engine, name: str = "watchdog") -> list[dict[str, Any]]:
    response = await engine.http.get("/api/heartbeats")
    assert response.status == 200
    return [it for it in (await response.json())["heartbeats"] if it["name"] == name]


async def be_silent(engine: Engine) -> dict[str, Any]:
    """One beat, and then none in time: the incident."""
    await beat(engine)
    await engine.after(minutes=EVERY_MIN)
    [found] = await incidents(engine)
    return found


async def test_nothing_is_expected_before_the_first_beat(engine):
    await engine.after(hours=24)

    assert await incidents(engine) == []
    [found] = await shown(engine)
    assert (found["last_beat"], found["expected_by"], found["silent_since"]) == (None, None, None)


async def test_a_heartbeat_that_comes_in_time_is_no_incident(engine):
    for _ in range(4):
        assert (await beat(engine))["heartbeats"] == ["watchdog"]
        await engine.after(minutes=EVERY_MIN - 1)

    assert await incidents(engine) == []
    assert engine.slack.messages == []
    [found] = await shown(engine)
    assert (found["silent_since"], found["incident"]) == (None, None)


async def test_a_heartbeat_that_does_not_come_in_time_is_an_incident_that_says_since_when(engine):
    last_ms = engine.clock.now_ms()

    found = await be_silent(engine)

    detail = await engine.detail(found["id"])
    assert (found["title"], found["severity"], found["status"]) == (
        "watchdog has been silent for 5m",
        "critical",
        "triggered",
    )
    [text] = detail["overview"]["texts"]
    assert text.startswith("The last heartbeat came at ")
    assert "from http://am-eu:9093. One has to come every 5m: look whether its sender runs" in text
    [alert_shown] = detail["alerts"]
    assert alert_shown["labels"] == {"alertname": "Watchdog", "severity": "critical", "heartbeat": "watchdog"}
    [heartbeat] = await shown(engine)
    assert heartbeat["incident"] == found["id"]
    assert heartbeat["silent_since"] == heartbeat["last_beat"] == alert_shown["starts_at"]
    assert (await engine.store.get(found["id"])).created_at_ms >= last_ms + EVERY_MIN * 60_000
    [message] = engine.slack.messages
    assert "watchdog has been silent for 5m" in str(message.state())


async def test_its_silence_escalates_as_any_incident(engine):
    found = await be_silent(engine)
    await engine.after(minutes=5)

    [record] = engine.servicenow.incidents
    assert record["correlation_id"] == found["id"]
    assert (await engine.detail(found["id"]))["outcome"] == "escalated"


async def test_the_next_beat_resolves_it_and_the_next_silence_tells_again(engine):
    found = await be_silent(engine)
    await beat(engine)
    await engine.settle()

    detail = await engine.detail(found["id"])
    assert (detail["status"], detail["resolved_by"]) == ("resolved", "heartbeat")
    assert detail["overview"]["texts"][0].startswith("The heartbeat came again at ")
    [heartbeat] = await shown(engine)
    assert (heartbeat["silent_since"], heartbeat["incident"]) == (None, None)

    await engine.store._redis.delete(keys.dedup((await engine.detail(found["id"]))["dedup_key"]))  # reopen_minutes pass
    await engine.after(minutes=EVERY_MIN)
    newest, first = await incidents(engine)
    assert (first["id"], first["status"]) == (found["id"], "resolved")
    assert (newest["title"], newest["status"]) == (found["title"], "triggered")


async def test_a_silence_within_the_time_to_reopen_reopens_the_incident(engine):
    found = await be_silent(engine)
    await beat(engine)
    await engine.after(minutes=EVERY_MIN)

    [reopened] = await incidents(engine)
    assert (reopened["id"], reopened["status"]) == (found["id"], "triggered")


async def test_several_beats_before_anybody_has_heard_of_the_first_end_the_silence(engine):
    found = await be_silent(engine)
    for _ in range(3):
        await beat(engine)
    await engine.settle()

    assert (await engine.detail(found["id"]))["status"] == "resolved"


async def test_what_a_person_resolved_stays_so_until_the_next_silence(engine):
    found = await be_silent(engine)
    await engine.http.post(f"/api/incidents/{found['id']}/resolve", json={"by": "ana"})
    await engine.after(minutes=3 * EVERY_MIN)

    assert (await engine.detail(found["id"]))["status"] == "resolved"


async def test_a_restart_forgets_no_heartbeat(engine, session):
    await beat(engine)
    worker = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    await replace(engine, worker=worker).after(minutes=EVERY_MIN)

    assert len(await incidents(engine)) == 1


async def test_two_replicas_open_one_incident(engine, session):
    await beat(engine)
    other = make_worker(engine.config, engine.clock, engine.store, session, engine.links)
    engine.clock.advance(minutes=EVERY_MIN)
    for _ in range(3):
        await other.run_due()
        await engine.settle()

    assert len(await incidents(engine)) == 1
    assert len(engine.slack.messages) == 1


async def test_a_beat_is_refused_while_redis_is_away_and_what_was_expected_before_still_is(engine, logs):
    await beat(engine)
    engine.redis_server.go_away()
    response = await engine.http.post("/api/heartbeats/watchdog")
    engine.redis_server.come_back()

    assert response.status == 503
    assert response.headers["Retry-After"]
    await engine.after(minutes=EVERY_MIN)
    assert len(await incidents(engine)) == 1


async def test_a_beat_while_its_silence_is_being_told_ends_it(engine, monkeypatch):
    """It comes in the same moment: after the step has begun, and before the incident is there."""
    await beat(engine)
    lifecycle = engine.worker._targets["heartbeat"]._lifecycle
    accept, meanwhile = lifecycle.accept, [beat]

    async def accept_after_a_beat(*args: Any) -> Any:
        while meanwhile:
            await meanwhile.pop()(engine)
        return await accept(*args)

    monkeypatch.setattr(lifecycle, "accept", accept_after_a_beat)
    engine.clock.advance(minutes=EVERY_MIN)
    await engine.settle()

    assert [it["status"] for it in await incidents(engine)] == ["resolved"]
    [found] = await shown(engine)
    assert found["silent_since"] is None


async def test_a_silence_that_could_not_be_written_down_is_told_later(engine, monkeypatch):
    await beat(engine)
    lifecycle = engine.worker._targets["heartbeat"]._lifecycle
    accept, failures = lifecycle.accept, [StoreUnavailable("Redis is away")] * 2

    async def accept_at_last(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await accept(*args)

    monkeypatch.setattr(lifecycle, "accept", accept_at_last)
    await engine.after(minutes=EVERY_MIN)
    await engine.after(minutes=1)

    assert len(await incidents(engine)) == 1


async def test_alerts_of_one_heartbeat_in_one_payload_are_one_beat(engine):
    answer = await beat(engine, alert("Watchdog", replica="b"))

    assert answer["heartbeats"] == ["watchdog"]
    [heartbeat] = await engine.store.heartbeats()
    assert heartbeat.version == 1


async def test_a_beat_just_before_it_is_due_is_in_time(engine):
    await beat(engine)
    engine.clock.advance(ms=EVERY_MIN * 60_000 - 1)
    await beat(engine)
    engine.clock.advance(ms=1)
    await engine.worker.run_due()

    assert await incidents(engine) == []


async def test_a_claim_that_has_ended_tells_no_silence(engine, monkeypatch, logs):
    await beat(engine)
    engine.clock.advance(minutes=EVERY_MIN)

    def over() -> None:
        raise TimeoutError("the time of the sync is over")

    with monkeypatch.context() as late:
        late.setattr(deadline, "raise_if_over", over)
        await engine.worker.run_due()
    assert await incidents(engine) == []

    await beat(engine)
    await engine.settle()
    assert await incidents(engine) == []


async def test_alerts_beside_a_beat_are_incidents_called_by_their_own_names(engine):
    answer = await beat(engine, alert("DiskFull", summary="A disk is full"))

    [created] = answer["incidents"]
    detail = await engine.detail(created["id"])
    assert (detail["title"], detail["severity"]) == ("DiskFull: A disk is full", "warning")
    assert [it["labels"]["alertname"] for it in detail["alerts"]] == ["DiskFull"]
    await engine.after(minutes=EVERY_MIN)
    assert len(await incidents(engine)) == 2


async def test_alerts_beside_a_beat_that_cannot_be_written_down_are_counted_and_the_sender_comes_again(
    engine, monkeypatch, logs
):
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(intake, "BEATS_WITHIN_S", 0.01)
    monkeypatch.setattr(Heartbeats, "note", never)

    watchdog = alert("Watchdog", minutes=0)
    response = await engine.http.post("/api/incidents", json=group(watchdog, alert("DiskFull"), by=()))

    assert response.status == 503
    assert engine.measured("versus_notifications_accepted_total", source="alertmanager", outcome="created") == 1
    assert [it["outcome"] for it in logs if it["event"] == "intake.accepted"] == ["created"]


async def test_a_list_of_nothing_but_a_beat_says_that_the_others_in_it_are_over(engine):
    [created] = (await beat(engine, alert("DiskFull")))["incidents"]
    await beat(engine)

    assert (await engine.detail(created["id"]))["status"] == "resolved"


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG], "incident_per": "alert"}])
async def test_with_an_incident_for_each_alert_a_list_of_nothing_but_a_beat_ends_none(engine):
    [created] = (await beat(engine, alert("DiskFull")))["incidents"]
    answer = await beat(engine)

    assert [it["outcome"] for it in answer["incidents"]] == ["ignored"]
    assert (await engine.detail(created["id"]))["status"] == "triggered"


async def test_an_end_of_the_alert_is_no_beat_and_no_incident(engine):
    await beat(engine)
    engine.clock.advance(minutes=EVERY_MIN - 1)
    answer = await beat(engine, over=True)

    assert "heartbeats" not in answer
    assert await incidents(engine) == []
    await engine.after(minutes=1)
    assert len(await incidents(engine)) == 1


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG | {"per": ["cluster"]}]}])
async def test_clusters_do_not_vouch_for_each_other_where_each_has_a_heartbeat(engine):
    await beat(engine, cluster="eu")
    await beat(engine, cluster="us")
    engine.clock.advance(minutes=EVERY_MIN - 1)
    await beat(engine, cluster="us")
    await engine.after(minutes=1)

    [found] = await incidents(engine)
    assert found["title"] == "watchdog (cluster=eu) has been silent for 5m"
    assert {it["labels"]["cluster"]: it["incident"] for it in await shown(engine)} == {"eu": found["id"], "us": None}


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG | {"per": ["cluster"]}]}])
async def test_beats_of_one_payload_do_not_wait_for_each_other(engine, monkeypatch):
    """On a slow disk, or one far away, those of many clusters would take longer than their sender waits."""
    clusters, act = ("eu", "us", "ap"), engine.lifecycle.act
    all_of_them = asyncio.Barrier(len(clusters))

    async def with_the_others(*args: Any) -> Any:
        await all_of_them.wait()
        return await act(*args)

    monkeypatch.setattr(engine.lifecycle, "act", with_the_others)
    await engine.post(group(*(alert("Watchdog", cluster=it) for it in clusters), by=()))

    assert {it["labels"]["cluster"] for it in await shown(engine)} == {*clusters}


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG | {"per": ["cluster"]}]}])
async def test_of_several_beats_those_that_can_be_are_written_down(engine, monkeypatch):
    act = engine.lifecycle.act

    async def one_is_refused(heartbeat_id: Any, decide: Any) -> Any:
        if heartbeat_id in refused:
            raise StoreUnavailable("the partition is away")
        return await act(heartbeat_id, decide)

    await beat(engine, cluster="eu")
    refused = {it.id for it in await engine.store.heartbeats()}
    monkeypatch.setattr(engine.lifecycle, "act", one_is_refused)
    both = group(alert("Watchdog", cluster="eu"), alert("Watchdog", cluster="us"), by=())
    response = await engine.http.post("/api/incidents", json=both)

    assert response.status == 503
    assert {it["labels"]["cluster"] for it in await shown(engine)} == {"eu", "us"}


async def test_an_alert_beside_a_beat_that_is_refused_is_written_down_and_in_the_log(engine, monkeypatch, logs):
    async def refuse(*_: Any) -> Any:
        raise StoreUnavailable("the partition is away")

    monkeypatch.setattr(engine.lifecycle, "act", refuse)
    both = group(alert("Watchdog"), alert("DiskFull"), by=())
    response = await engine.http.post("/api/incidents", json=both)

    assert response.status == 503
    [found] = await incidents(engine)
    assert [it["incident"] for it in logs if it["event"] == "intake.accepted"] == [found["id"]]


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG | {"per": ["event", "sent_by"]}]}])
async def test_a_label_may_be_called_as_what_the_log_says_of_every_event(engine, logs):
    await beat(engine, event="backup", sent_by="eu")

    [line] = [it for it in logs if it["event"] == "heartbeat.expected"]
    assert line["labels"] == {"event": "backup", "sent_by": "eu"}


async def test_without_labels_of_its_own_any_sender_keeps_a_heartbeat_alive(engine):
    await beat(engine, cluster="eu")
    engine.clock.advance(minutes=EVERY_MIN - 1)
    await beat(engine, cluster="us")
    await engine.after(minutes=1)

    assert await incidents(engine) == []


@pytest.mark.parametrize(
    "settings", [{"heartbeats": [WATCHDOG | {"policy": "deadman", "severity": "error"}], "policies": POLICIES}]
)
async def test_its_silence_goes_by_the_policy_that_it_names(engine):
    found = await be_silent(engine)

    assert found["severity"] == "error"
    assert (await engine.detail(found["id"]))["policy"]["name"] == "deadman"
    assert (len(engine.servicenow.incidents), engine.slack.messages) == (1, [])


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG], "policies": POLICIES}])
async def test_its_silence_goes_by_the_first_policy_that_matches_where_it_names_none(engine):
    await beat(engine, team="nobody")
    await engine.after(minutes=EVERY_MIN)

    [found] = await incidents(engine)
    assert (await engine.detail(found["id"]))["policy"]["name"] == "deadman"


async def test_its_silence_goes_to_the_channel_that_its_request_named(engine):
    await engine.post(group(alert("Watchdog")), slack_channel_id="C0DEADMAN")
    await engine.after(minutes=EVERY_MIN)

    [message] = engine.slack.messages
    assert message.channel == "C0DEADMAN"


async def test_a_beat_of_one_that_was_forgotten_ends_its_silence(engine):
    found = await be_silent(engine)
    [heartbeat] = await engine.store.heartbeats()
    await engine.store._redis.delete(keys.incident(heartbeat.id))
    await beat(engine)
    await engine.settle()

    assert (await engine.detail(found["id"]))["status"] == "resolved"


async def test_the_doctor_says_when_each_came_last(engine):
    config = engine.config.model_copy(update={"redis": engine.redis_server.config})

    async def checks() -> dict[str, Check]:
        return {it.found.partition(":")[0]: it async for it in examine(config, asyncio.Lock())}

    found = await be_silent(engine)
    before = await checks()
    assert (before["watchdog"].status, before["backup"].status) == (CheckStatus.FAILED, CheckStatus.WARNING)
    assert before["watchdog"].found.endswith(f"from http://am-eu:9093, and silent since, incident {found['id']}")
    assert before["backup"].found == "backup: never yet"
    await beat(engine)
    assert (await checks())["watchdog"].status is CheckStatus.OK


@pytest.mark.parametrize("settings", [{"heartbeats": [WATCHDOG | {"per": ["cluster"]}]}])
async def test_no_label_of_a_sender_commands_the_terminal_of_who_asks_the_doctor(engine):
    await beat(engine, cluster="eu\x1b]0;gone\x07\n")
    config = engine.config.model_copy(update={"redis": engine.redis_server.config})

    [found] = [it.found async for it in examine(config, asyncio.Lock())]

    assert found.startswith("watchdog (cluster=eu ]0;gone): last beat ")


async def test_one_that_is_not_configured_any_more_is_no_incident(engine, session):
    await beat(engine)
    config = engine.config.model_copy(update={"heartbeats": ()})
    worker = make_worker(config, engine.clock, engine.store, session, engine.links)
    await replace(engine, worker=worker).after(minutes=EVERY_MIN)

    assert await incidents(engine) == []
    assert (await engine.store.given_up()).found == ()


async def test_one_that_is_expected_counts_as_no_incident_that_may_escalate(engine):
    await beat(engine)
    await engine.watchdog.look()

    assert engine.measured("versus_escalations_pending") == 0
    await be_silent(engine)
    await engine.watchdog.look()
    assert engine.measured("versus_escalations_pending") == 1
    assert engine.measured("versus_incident_outcomes_total", outcome="escalated") == 0


async def test_after_an_outage_a_heartbeat_that_comes_again_is_no_incident(engine):
    await beat(engine)
    engine.clock.advance(hours=2)
    await engine.settle()
    await beat(engine)
    await engine.after(minutes=EVERY_MIN - 1)

    assert await incidents(engine) == []


async def test_after_an_outage_a_heartbeat_that_stays_away_is_one(engine):
    await beat(engine)
    await engine.after(hours=2)
    assert await incidents(engine) == []
    await engine.after(minutes=EVERY_MIN)

    assert len(await incidents(engine)) == 1


async def test_a_silence_whose_timer_was_lost_is_overdue_and_told_by_the_watchdog(engine, logs):
    await beat(engine)
    await forget_timers(engine.store._redis)
    engine.clock.advance(minutes=EVERY_MIN, ms=engine.watchdog.grace_ms + 1)
    await engine.watchdog.look()

    assert engine.measured("versus_escalations_overdue") == 1
    logs.expect_error("escalation.overdue")
    logs.expect_error("escalation.rearmed")
    await engine.settle()
    await engine.after(minutes=EVERY_MIN)
    assert len(await incidents(engine)) == 1
    await engine.watchdog.look()
    assert engine.measured("versus_escalations_overdue") == 0


async def test_nobody_acts_on_a_heartbeat_as_on_an_incident(engine):
    await beat(engine)
    [heartbeat] = await engine.store.heartbeats()

    for path in ("", "/resolve", "/acknowledge"):
        method = engine.http.post if path else engine.http.get
        response = await method(f"/api/incidents/{heartbeat.id}{path}", **({"json": {"by": "ana"}} if path else {}))
        assert response.status == 404
    await engine.after(minutes=EVERY_MIN)
    assert len(await incidents(engine)) == 1
