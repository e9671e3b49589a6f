"""Redis loses its data while everything runs: it is said until an operator knows, and alerts are taken meanwhile."""

from typing import Any

import pytest

from tests.integration.conftest import Engine
from tests.integration.engine.test_engine import firing
from tests.integration.interactions.test_interactions import message, press, told
from versus_py.engine.health import UNREADY_AFTER_LOSS_MS, Health
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store import Markers
from versus_py.targets.slack.mrkdwn import date


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET}


async def readyz(engine: Engine) -> tuple[int, dict[str, Any]]:
    await engine.worker.run_due()
    response = await engine.http.get("/readyz")
    return response.status, await response.json()


async def lose_everything(engine: Engine) -> None:
    await engine.watchdog.look()
    await engine.store._redis.flushall()
    engine.clock.advance(seconds=5)
    await engine.watchdog.look()


async def test_it_is_said_loudly_and_alerts_are_taken_all_the_while(engine, logs):
    [known] = (await engine.post(firing(engine)))["incidents"]
    await lose_everything(engine)

    line = logs.expect_error("store.emptied")
    status, said = await readyz(engine)
    [again] = (await engine.post(firing(engine)))["incidents"]

    assert line["how"] == "emptied"
    assert line["advice"].endswith("run: versus accept-empty")
    assert (status, said["status"], said["redis"]) == (503, "unready", "emptied")
    assert (again["id"], again["outcome"]) == (known["id"], "created")
    assert engine.measured("versus_store_emptied") == 1


async def test_after_two_minutes_it_is_ready_and_no_sign_of_life_is_given_until_it_is_accepted(engine, logs):
    health = Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog)
    await lose_everything(engine)
    logs.expect_error("store.emptied")

    engine.clock.advance(ms=UNREADY_AFTER_LOSS_MS)
    await engine.watchdog.look()
    status, said = await readyz(engine)
    trouble = await health.trouble()
    await Markers(engine.store._redis).accept()
    await engine.watchdog.look()

    assert (status, said["status"], said["redis"]) == (200, "degraded", "emptied")
    assert trouble == "Redis lost its data; once you know why, run: versus accept-empty"
    assert await health.trouble() == ""
    assert (await readyz(engine))[1]["redis"] == "ok"
    assert engine.measured("versus_store_emptied") == 0


async def test_a_redis_that_was_never_emptied_is_none_of_this(engine):
    await engine.post(firing(engine))
    for _ in range(30):
        await engine.watchdog.look()
        engine.clock.advance(seconds=5)

    assert (await readyz(engine))[0] == 200
    assert engine.measured("versus_store_emptied") == 0


async def test_a_press_on_a_lost_incident_is_answered_with_the_truth(engine, logs):
    [known] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await lose_everything(engine)
    logs.expect_error("store.emptied")
    lost_at_ms = engine.clock.now_ms()

    await press(engine, message(engine, known["id"]), "acknowledge")

    [(user, text)] = told(engine)
    assert user == "U0ANA"
    assert f"Redis lost its data {date(lost_at_ms)}" in text
    assert "it does not escalate, and nobody waits for an acknowledgment" in text


async def test_a_link_to_a_lost_incident_is_answered_with_the_truth(engine, logs):
    [known] = (await engine.post(firing(engine)))["incidents"]
    link = engine.links.url(await engine.store.get(known["id"])).removeprefix("https://versus.example")
    await lose_everything(engine)
    logs.expect_error("store.emptied")

    answers = [await engine.http.get(link), await engine.http.post(link)]

    assert [it.status for it in answers] == [404, 404]
    for it in answers:
        assert "Redis lost its data at " in (await it.json())["error"]


async def test_the_same_alert_comes_back_at_its_id_with_one_message_and_one_record(engine, logs):
    [known] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.after(minutes=6)
    await lose_everything(engine)
    logs.expect_error("store.emptied")

    [again] = (await engine.post(firing(engine)))["incidents"]
    await engine.settle()
    await engine.after(minutes=6)

    assert again["id"] == known["id"]
    assert len(engine.slack.messages) == 1
    assert [record["correlation_id"] for record in engine.servicenow.incidents] == [known["id"]]


async def test_what_this_process_knows_of_senders_is_written_down_again(engine):
    origin = "receiver of somebody"
    engine.lifecycle._reporting._remember([origin], engine.clock.now_ms())
    await engine.store._redis.flushall()

    engine.lifecycle.write_again()
    await engine.lifecycle._reporting._note({origin})

    _, [reports], _ = await engine.store.find([], [origin])
    assert reports
