"""What is told to Prometheus, load balancers and supervisors."""

import asyncio
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.integration.conftest import Engine, make_storms
from tests.support.claims import claim_due
from tests.support.servers import find_program
from versus_py.engine.breaker import OPENS_AFTER
from versus_py.engine.health import Health
from versus_py.engine.retries import SPREAD
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Ending
from versus_py.simulators import Fault
from versus_py.sources.sns import SnsDoor
from versus_py.systems import model
from versus_py.tools.samples import SAMPLES, alertmanager
from versus_py.web import create_app

GENERIC: dict[str, Any] = {"title": "Backup failed", "dedup_key": "backup"}


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


@pytest.fixture
def health(engine) -> Health:
    """Like that behind /readyz, but nothing is asked for yet."""
    return Health(engine.store, engine.clock, engine.metrics, worker=engine.worker, watchdog=engine.watchdog)


async def scraped(engine: Engine) -> str:
    response = await engine.http.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return await response.text()


async def test_what_is_accepted_is_counted_by_source_and_outcome(engine):
    await engine.post(GENERIC)
    await engine.post(GENERIC)
    await engine.post(alertmanager("DiskFull", starts_at=datetime.now(UTC)))

    assert engine.measured("versus_notifications_accepted_total", source="generic", outcome="created") == 1
    assert engine.measured("versus_notifications_accepted_total", source="generic", outcome="updated") == 1
    assert engine.measured("versus_notifications_accepted_total", source="alertmanager", outcome="created") == 1


async def test_no_label_comes_from_a_payload(engine):
    for number, (source, sample) in enumerate(SAMPLES.items()):
        if source == "cloudwatch":
            continue  # nobody but SNS could have signed it
        await engine.post(sample(name=f"made-up-{number}", starts_at=datetime.now(UTC)))
    await engine.post({"title": "made-up", "source": "made-up-source", "severity": "made-up-severity"})
    await engine.http.get("/made-up-path")
    await engine.after(minutes=10)

    assert "made-up" not in await scraped(engine)


async def test_every_series_is_there_before_it_counts_anything(engine):
    """Prometheus sees no increase in a series that begins at 1."""
    assert engine.measured("versus_requests_refused_total", reason="unavailable") == 0
    assert engine.measured("versus_notifications_accepted_total", source="grafana", outcome="created") == 0
    assert engine.measured("versus_syncs_total", target="servicenow", result="failed") == 0
    assert engine.measured("versus_retries_total", target="slack") == 0
    assert engine.measured("versus_incident_outcomes_total", outcome="failed") == 0
    assert engine.measured("versus_timers", state="due") == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", "/api/incidents", b"no JSON", "bad_request"),
        ("GET", "/nothing", None, "not_found"),
        ("DELETE", "/api/incidents", None, "method_not_allowed"),
        ("POST", "/api/incidents", b"[" + b"1," * 5001 + b"1]", "too_large"),
    ],
)
async def test_what_is_refused_is_counted_by_reason(engine, method, path, body, reason):
    await engine.http.request(method, path, data=body)

    assert engine.measured("versus_requests_refused_total", reason=reason) == 1


async def test_without_redis_intake_is_refused_and_counted(engine):
    engine.redis_server.go_away()

    response = await engine.http.post("/api/incidents", json=GENERIC)

    assert response.status == 503
    assert engine.measured("versus_requests_refused_total", reason="unavailable") == 1


async def test_an_escalation_is_one_outcome_and_its_lateness_is_measured(engine):
    await engine.post(GENERIC)
    await engine.settle()
    engine.clock.advance(minutes=6)

    await engine.worker.run_due()
    await engine.settle()

    assert outcomes(engine) == {"escalated": 1}
    late_s = engine.measured("versus_escalation_lateness_seconds_sum")
    assert late_s is not None
    assert 60 <= late_s < 90


async def test_acknowledging_is_one_outcome_and_the_time_to_it_is_measured(engine):
    [created] = (await engine.post(GENERIC))["incidents"]
    engine.clock.advance(minutes=2)
    for _ in range(2):
        await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana")
    await engine.post(GENERIC | {"status": "resolved"})

    assert outcomes(engine) == {"acknowledged": 1}
    assert engine.measured("versus_time_to_acknowledge_seconds_sum") == 120


async def test_the_end_of_the_alerts_is_an_outcome(engine):
    await engine.post(GENERIC)
    await engine.post(GENERIC | {"status": "resolved"})

    assert outcomes(engine) == {"resolved": 1}


async def test_giving_up_is_an_outcome_and_success_after_it_another(engine, logs):
    engine.servicenow.faults.order(Fault(kind="400", times=None))
    [created] = (await engine.post(GENERIC))["incidents"]
    await engine.after(minutes=5)
    failed = outcomes(engine)
    engine.servicenow.faults.clear()

    await engine.http.post(f"/api/incidents/{created['id']}/escalate?by=ana")
    await engine.settle()

    logs.expect_error("sync.failed")
    assert failed == {"failed": 1}
    assert outcomes(engine) == {"failed": 1, "escalated": 1}


async def test_every_outcome_is_in_the_timeline_also_that_of_a_second_wait_with_the_same_record(engine):
    [created] = (await engine.post(GENERIC))["incidents"]
    await engine.after(minutes=5)
    for action in ("acknowledge", "unacknowledge"):
        await engine.http.post(f"/api/incidents/{created['id']}/{action}?by=ana")

    await engine.after(minutes=5)

    events = [entry["event"] for entry in (await engine.detail(created["id"]))["timeline"]]
    assert events.count("escalated") == 2
    assert len(engine.servicenow.incidents) == 1


@pytest.mark.parametrize("outcome", ["acknowledged", "resolved", "escalated", "failed"])
async def test_the_timeline_tells_the_outcome_its_time_and_its_reason(engine, logs, outcome):
    [created] = (await engine.post(GENERIC))["incidents"]
    if outcome == "failed":
        engine.servicenow.faults.order(Fault(kind="400", times=None))
    if outcome == "acknowledged":
        await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana")
    if outcome == "resolved":
        await engine.post(GENERIC | {"status": "resolved"})

    await engine.after(minutes=5)

    if outcome == "failed":
        logs.expect_error("sync.failed")
    found = await engine.detail(created["id"])
    assert found["outcome"] == outcome
    [entry] = [it for it in found["timeline"] if it["event"] == outcome]
    assert entry["at"]
    assert entry["detail"] or entry["by"]


async def test_syncs_and_retries_are_counted_by_target(engine):
    engine.servicenow.faults.order(Fault(kind="503", times=1))
    await engine.post(GENERIC)
    await engine.after(minutes=5)

    assert engine.measured("versus_syncs_total", target="servicenow", result="retry") == 1
    assert engine.measured("versus_syncs_total", target="servicenow", result="done") == 1
    assert engine.measured("versus_retries_total", target="servicenow") == 1
    assert (engine.measured("versus_redis_call_seconds_count") or 0) > 0


async def test_a_lease_that_is_taken_over_is_counted(engine):
    await engine.post(GENERIC)
    await claim_due(engine.store, now_ms=engine.clock.now_ms(), lease_ms=1000, limit=10)
    engine.clock.advance(seconds=2)

    await engine.worker.run_due()

    assert engine.measured("versus_leases_taken_over_total") == 1


async def test_what_is_scraped_is_as_prometheus_wants_it(engine):
    promtool = find_program("promtool", "prometheus")
    await engine.post(GENERIC)
    await engine.after(minutes=5)
    text = await scraped(engine)

    checked = subprocess.run(  # noqa: ASYNC221 - it takes a moment
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, timeout=30, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


async def test_metrics_take_the_secret_as_prometheus_sends_it(engine, session):
    config = engine.config.model_copy(update={"gateway_secret": model()(gateway_secret="s3cret").gateway_secret})
    app = create_app(
        config,
        store=engine.store,
        lifecycle=engine.lifecycle,
        storms=make_storms(engine.store),
        links=engine.links,
        sns=SnsDoor(config.sources.cloudwatch, session),
    )
    async with TestClient(TestServer(app)) as http:
        answers = [
            (await http.get("/metrics", headers={"Authorization": given})).status
            for given in ("Bearer s3cret", "bearer s3cret", "Bearer s3cre", "Basic s3cret", "s3cret", "Bearer")
        ]
        without = (await http.get("/metrics")).status

    assert answers == [200, 200, 401, 401, 401, 401]
    assert without == 401


@pytest.mark.parametrize("settings", [{"public_host": None}])
async def test_metrics_without_a_secret_answer_this_machine_only(engine):
    assert (await engine.http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"})).status == 403


async def test_ready_while_redis_takes_writes_and_the_worker_turns(engine):
    await engine.settle()

    response = await engine.http.get("/readyz")

    assert response.status == 200
    assert await response.json() == {
        "status": "ready",
        "redis": "ok",
        "worker": "ok",
        "targets": {"slack": "ok", "servicenow": "ok"},
        "overdue": 0,
    }


async def test_not_ready_before_the_worker_has_turned(engine):
    response = await engine.http.get("/readyz")

    assert (response.status, (await response.json())["worker"]) == (503, "starting")


async def test_not_ready_while_the_worker_is_stalled(engine):
    await engine.settle()
    engine.clock.advance(ms=engine.watchdog.grace_ms + 1)

    response = await engine.http.get("/readyz")

    assert (response.status, (await response.json())["worker"]) == (503, "stalled")


async def test_not_ready_while_redis_takes_no_writes(engine):
    await engine.settle()
    engine.redis_server.go_away()

    response = await engine.http.get("/readyz")

    assert (response.status, (await response.json())["redis"]) == (503, "unavailable")
    assert (await engine.http.get("/healthz")).status == 200


async def test_a_redis_that_does_not_answer_is_not_waited_for(engine, health, monkeypatch):
    monkeypatch.setattr("versus_py.engine.health.WRITE_TIMEOUT_S", 0.01)
    await engine.settle()

    async def never(*_: Any, **__: Any) -> None:
        await engine.worker._stop.wait()

    monkeypatch.setattr(engine.store._redis, "set", never)

    assert (await health.readiness()).redis == "unavailable"


async def test_who_asks_often_gets_the_same_answer(engine, health):
    await engine.settle()
    await health.readiness()
    engine.redis_server.go_away()

    assert (await health.readiness()).redis == "ok"


async def test_who_asks_while_redis_does_not_answer_shares_one_try(engine, health, monkeypatch):
    loop, tried = asyncio.get_running_loop(), []
    now_s = loop.time

    async def fail_slowly() -> None:
        tried.append(1)
        monkeypatch.setattr(loop, "time", lambda: now_s() + 3)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(engine.store, "prove_writable", fail_slowly)

    found = await asyncio.gather(*(health.readiness() for _ in range(5)))

    assert {it.redis for it in found} == {"unavailable"}
    assert len(tried) == 1


async def test_a_target_that_is_left_alone_is_shown_and_does_not_make_it_unready(engine, health):
    for number in range(OPENS_AFTER):
        await engine.post({"title": f"Backup {number} failed", "dedup_key": str(number)})
    engine.servicenow.faults.order(Fault(kind="503", times=None))
    await engine.settle()

    engine.clock.advance(minutes=5)
    await engine.settle()
    found = await health.readiness()

    assert (found.is_ready, found.status) == (True, "degraded")
    assert found.targets == {"slack": "ok", "servicenow": "open"}
    assert engine.measured("versus_breaker_open", target="servicenow") == 1
    engine.servicenow.faults.clear()
    engine.clock.advance(minutes=5)
    await engine.settle()
    assert (await health.readiness()).status == "ready"
    assert engine.measured("versus_breaker_open", target="servicenow") == 0


async def test_what_is_overdue_is_degraded(engine, health, logs):
    await engine.post(GENERIC)
    engine.clock.advance(minutes=5, ms=engine.watchdog.grace_ms + 1)
    engine.worker._note_turn()
    await engine.watchdog.look()

    found = await health.readiness()

    logs.expect_error("escalation.overdue")
    assert (found.status, found.overdue) == ("degraded", 1)
    assert await health.trouble() == "1 escalation is overdue"


def outcomes(engine: Engine) -> dict[str, int]:
    counted = {ending.value: engine.measured("versus_incident_outcomes_total", outcome=ending) for ending in Ending}
    return {name: int(number) for name, number in counted.items() if number}


async def test_a_look_of_long_ago_is_no_sign_of_life(engine, health):
    """As on a cluster of which a node is lost: the worker goes on with the others', and nobody sees what is overdue."""
    await engine.watchdog.look()
    await engine.settle()
    assert await health.trouble() == ""
    engine.clock.advance(ms=engine.watchdog.grace_ms + 1)

    await engine.settle()

    assert await health.trouble() == "nobody could look for a while at what is overdue"


async def test_while_alerts_are_refused_there_is_no_sign_of_life(engine, health):
    await engine.watchdog.look()
    await engine.settle()
    engine.redis_server.go_away()

    assert "alerts are refused" in await health.trouble()
