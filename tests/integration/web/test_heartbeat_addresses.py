"""POST /api/heartbeats/NAME and GET /api/heartbeats: who may, and what is answered."""

import asyncio

import pytest

from versus_py.web.guard import HEADER

BACKUP, OPS, GRAFANA = "backup-token-0123456789", "ops-token-0123456789", "grafana-token-0123456789"
TOKENS = [
    {"name": "backup-job", "token": BACKUP, "sources": ["heartbeat"]},
    {"name": "ops", "token": OPS},
    {"name": "grafana", "token": GRAFANA, "sources": ["grafana"]},
]
HEARTBEATS = [
    {"name": "backup", "every": "1d"},
    {"name": "replication", "every": "10m", "per": ["cluster"], "severity": "warning"},
]


@pytest.fixture
def settings():
    return {
        "heartbeats": HEARTBEATS,
        "intake": {"tokens": TOKENS},
        "sources": {"sentry": {"client_secret": "sentry-secret-0123456789"}},
    }


async def beat(engine, name="backup", token=BACKUP, *, headers=None, **query):
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    response = await engine.http.post(f"/api/heartbeats/{name}", params=query, headers=headers or authorization)
    return response.status, await response.json()


async def test_a_beat_is_written_down_with_who_sent_it(engine):
    status, answer = await beat(engine)

    assert (status, answer["status"]) == (201, "Heartbeat accepted")
    assert answer["heartbeat"]["sent_by"] == "backup-job"
    listed = (await (await engine.http.get("/api/heartbeats")).json())["heartbeats"]
    assert listed[0] == answer["heartbeat"]
    assert (listed[1]["name"], listed[1]["last_beat"]) == ("replication", None)


async def test_the_silence_of_such_a_heartbeat_is_an_incident_of_its_severity(engine):
    await beat(engine, "replication", cluster="eu")
    await engine.after(minutes=10)

    [found] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    assert (found["title"], found["severity"]) == ("replication (cluster=eu) has been silent for 10m", "warning")
    assert (await engine.detail(found["id"]))["alerts"][0]["labels"] == {
        "cluster": "eu",
        "heartbeat": "replication",
        "severity": "warning",
    }


@pytest.mark.parametrize("token", ["", "wrong-token-0123456789"])
async def test_without_its_token_nobody_sends_a_heartbeat(engine, token):
    status, answer = await beat(engine, token=token)

    assert status == 401
    assert "intake.tokens" in answer["error"]


async def test_a_token_without_sources_may(engine):
    assert (await beat(engine, token=OPS))[0] == 201


async def test_a_token_of_other_sources_may_not(engine):
    status, answer = await beat(engine, token=GRAFANA)

    assert status == 403
    assert answer["error"] == "the token of 'grafana' is for grafana, and sends no heartbeats"


async def test_who_only_claims_to_sign_may_not(engine):
    status, _ = await beat(engine, headers={"Sentry-Hook-Signature": "00"})

    assert status == 403


async def test_a_token_for_heartbeats_posts_no_alerts(engine):
    headers = {"Authorization": f"Bearer {BACKUP}"}
    response = await engine.http.post("/api/incidents", json={"title": "Disk full"}, headers=headers)

    assert response.status == 403


async def test_a_name_that_is_not_configured_is_not_found(engine):
    status, answer = await beat(engine, "backups")

    assert status == 404
    assert answer["error"] == "no heartbeat 'backups'; did you mean 'backup'?"


async def test_a_heartbeat_of_each_cluster_says_of_which_it_is(engine):
    status, answer = await beat(engine, "replication")

    assert status == 400
    assert "?cluster=…" in answer["error"]


async def test_who_has_no_gateway_secret_reads_no_heartbeats(engine):
    response = await engine.http.get("/api/heartbeats", headers={HEADER: "wrong"})

    assert response.status == 401


async def test_first_beats_at_the_same_time_are_one_heartbeat(engine):
    answers = await asyncio.gather(*(beat(engine) for _ in range(10)))

    assert {status for status, _ in answers} == {201}
    assert len(await engine.store.heartbeats()) == 1
