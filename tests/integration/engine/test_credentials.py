"""Credentials that a target refuses: who hears of it, how often they are tried, and what follows once they are good."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, PASSWORD, TOKEN, Engine, make_worker
from versus_py.engine.credentials import Credentials, StillRefused
from versus_py.errors import CredentialsRefused, StoreUnavailable
from versus_py.incidents.model import IncidentId
from versus_py.simulators.servicenow.login import CLIENT_ID, CLIENT_SECRET
from versus_py.store import keys
from versus_py.tools.samples import alertmanager

MENTION = "<!subteam^S0ONCALL>"
EVERYBODY = {"mention": {"critical": MENTION}}
OAUTH = {
    "auth": {"type": "oauth_client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
    "username": "",
    "password": "",
}


def firing(name: str = "DiskFull"):
    return alertmanager(name, starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=False)


def change_password(engine: Engine) -> None:
    engine.servicenow._password = "changed"


def mend_password(engine: Engine) -> None:
    engine.servicenow._password = PASSWORD


async def minutes_pass(engine: Engine, minutes: int) -> None:
    for _ in range(minutes):
        await engine.after(minutes=0.8)  # and 12 s in which all that is due is done


async def refused(engine: Engine, *names: str, **query: str) -> list[str]:
    """The ids of incidents whose escalation ServiceNow has refused for some seconds."""
    ids = []
    for name in names or ("DiskFull",):
        [created] = (await engine.post(firing(name), **query))["incidents"]
        ids.append(str(created["id"]))
    change_password(engine)
    await engine.after(minutes=5)
    return ids


def replies(engine: Engine) -> list[str]:
    return [reply for message in engine.slack.messages for reply in message.replies]


@pytest.mark.parametrize("slack_settings", [EVERYBODY])
async def test_a_refused_login_is_said_at_once_and_once_with_the_mention(engine, logs):
    [incident_id] = await refused(engine)
    await minutes_pass(engine, 12)

    error = logs.expect_error("credentials.refused")
    assert (error["system"], "check username, password" in error["error"]) == ("servicenow", True)
    assert "being retried: ServiceNow answered 401" in engine.slack.messages[0].shown
    [said] = replies(engine)
    assert said.startswith(":warning: escalation to ServiceNow is being retried: ServiceNow answered 401")
    assert said.endswith(f"; tried again every 5 minutes {MENTION}")
    assert (await engine.detail(incident_id))["outcome"] is None


async def test_what_is_refused_is_owed_for_as_long(engine, logs):
    await refused(engine)
    await minutes_pass(engine, 4)

    standing = await engine.watchdog.look()

    logs.expect_error("credentials.refused")
    logs.expect_error("escalation.overdue")
    assert (standing.pending, standing.overdue, standing.failed) == (1, 1, 0)


@pytest.mark.parametrize("servicenow_settings", [{}, OAUTH], ids=["basic", "oauth"])
async def test_credentials_that_are_mended_after_ten_minutes_have_the_record_within_six(engine, logs):
    engine.servicenow._login._client = (CLIENT_ID, "changed")
    await refused(engine)
    await minutes_pass(engine, 10)
    mend_password(engine)
    engine.servicenow._login._client = (CLIENT_ID, CLIENT_SECRET)

    await minutes_pass(engine, 6)

    logs.expect_error("credentials.refused")
    [record] = engine.servicenow.incidents
    assert f"Escalated to ServiceNow as <{record_url(engine, record)}|{record['number']}>" in replies(engine)[-1]
    assert "being retried" not in engine.slack.messages[0].shown


def record_url(engine: Engine, record) -> str:
    return f"{engine.config.oncall.servicenow.instance_url}/incident.do?sys_id={record['sys_id']}"


async def test_a_role_that_is_given_back_has_the_record_too(engine, logs):
    engine.servicenow.closed_tables.add("incident")
    await engine.post(firing())
    await engine.after(minutes=5)
    await minutes_pass(engine, 10)
    assert "User Not Authorized" in logs.expect_error("credentials.refused")["error"]
    engine.servicenow.closed_tables.clear()

    await minutes_pass(engine, 6)

    assert len(engine.servicenow.incidents) == 1


async def test_while_they_are_refused_one_request_in_five_minutes_tries_them(engine, logs):
    await refused(engine, *(f"Alert{number}" for number in range(30)), oncall_wait_minutes="1")
    assert len(engine.servicenow.calls) == 1

    await minutes_pass(engine, 20)

    logs.expect_error("credentials.refused")
    assert 4 <= len(engine.servicenow.calls) <= 5


async def test_replicas_share_that_request(engine, clock, session, logs):
    await refused(engine, *(f"Alert{number}" for number in range(8)))
    other = make_worker(engine.config, clock, engine.store, session, engine.links)
    await other.run_due()  # its start is one more
    known = len(engine.servicenow.calls)

    for _ in range(20):
        clock.advance(minutes=1)
        await other.run_due()
        await engine.worker.run_due()

    logs.expect_error("credentials.refused")
    assert 3 <= len(engine.servicenow.calls) - known <= 4


async def test_as_soon_as_one_request_is_accepted_all_others_follow(engine, logs):
    names = [f"Alert{number}" for number in range(8)]
    await refused(engine, *names)
    mend_password(engine)
    before = engine.servicenow.calls.copy()

    while not engine.servicenow.incidents:
        engine.clock.advance(seconds=1)
        await engine.worker.run_due()

    logs.expect_error("credentials.refused")
    assert len(engine.servicenow.incidents) == len(names)
    assert len(engine.servicenow.calls) == len(before) + 2 * len(names)


async def test_a_replica_that_starts_tries_them_at_once(engine, clock, session, logs):
    await refused(engine, "DiskFull", "HostDown")
    mend_password(engine)

    await make_worker(engine.config, clock, engine.store, session, engine.links).run_due()

    logs.expect_error("credentials.refused")
    assert len(engine.servicenow.incidents) == 2


async def test_a_replica_that_starts_with_wrong_ones_sends_one_request(engine, clock, session, logs):
    await refused(engine, *(f"Alert{number}" for number in range(8)))
    known = len(engine.servicenow.calls)

    await make_worker(engine.config, clock, engine.store, session, engine.links).run_due()

    logs.expect_error("credentials.refused")
    assert len(engine.servicenow.calls) == known + 1


@pytest.mark.parametrize("path", ["/api/incidents/{}/retry", "/api/retry"])
async def test_a_retry_tries_them_at_once(engine, logs, path):
    [first, _] = await refused(engine, "DiskFull", "HostDown")
    mend_password(engine)

    response = await engine.http.post(path.format(first), json={"by": "ana"})
    await engine.worker.run_due()

    logs.expect_error("credentials.refused")
    assert response.status == 201
    assert len(engine.servicenow.incidents) == 2
    assert await engine.store.refusals.systems() == frozenset()


async def test_another_replica_learns_that_they_are_accepted(engine, clock, session, logs):
    await refused(engine, "DiskFull")
    mend_password(engine)
    other = make_worker(engine.config, clock, engine.store, session, engine.links)
    await other.run_due()
    assert engine.worker.refusing == ("servicenow",)

    await engine.worker._credentials.refresh()

    logs.expect_error("credentials.refused")
    assert engine.worker.refusing == ()


async def test_metrics_and_readiness_tell_who_refuses(engine, logs):
    assert engine.measured("versus_credentials_refused", target="servicenow") == 0
    await refused(engine)
    logs.expect_error("credentials.refused")

    ready = await (await engine.http.get("/readyz")).json()

    assert (ready["status"], ready["targets"]["servicenow"]) == ("degraded", "refused")
    assert engine.measured("versus_credentials_refused", target="servicenow") == 1
    mend_password(engine)
    await minutes_pass(engine, 6)
    assert engine.measured("versus_credentials_refused", target="servicenow") == 0


@pytest.mark.parametrize("fallback", [{"servicenow_other_instance": "infra"}])
async def test_the_fallback_steps_in_at_once(engine, servicenow_infra, logs):
    [incident_id] = await refused(engine)

    logs.expect_error("credentials.refused")
    assert len(servicenow_infra.incidents) == 1
    assert (await engine.detail(incident_id))["outcome"] == "escalated"


@pytest.mark.parametrize("settings", [{}])
async def test_credentials_that_stay_refused_are_given_up_in_the_end(engine, logs):
    [incident_id] = await refused(engine)
    for _ in range(30):
        await engine.after(hours=1)

    logs.expect_error("credentials.refused")
    assert "failing for" in logs.expect_error("sync.failed")["error"]
    assert (await engine.detail(incident_id))["outcome"] == "failed"


async def test_an_acknowledgment_needs_no_request_to_be_shown(engine, logs):
    [incident_id] = await refused(engine)

    await engine.http.post(f"/api/incidents/{incident_id}/acknowledge?by=ana")
    await engine.settle()

    logs.expect_error("credentials.refused")
    assert "*Acknowledged*" in engine.slack.messages[0].text
    assert len(engine.servicenow.calls) == 1


async def test_a_slack_that_refuses_the_token_ends_the_wait_and_gets_the_message_later(engine, logs):
    engine.slack._token = "xoxb-another"
    [created] = (await engine.post(firing()))["incidents"]
    await engine.settle()

    error = logs.expect_error("credentials.refused")
    assert (error["system"], "alert.slack.token is not valid" in error["error"]) == ("slack", True)
    [record] = engine.servicenow.incidents
    [note] = engine.servicenow.notes[record["sys_id"]]
    assert "not shown, and tried again every 5 minutes: Slack: Slack says invalid_auth" in note
    assert (await (await engine.http.get("/readyz")).json())["targets"]["slack"] == "refused"
    engine.slack._token = TOKEN
    await minutes_pass(engine, 6)

    [message] = engine.slack.messages
    assert message.channel == CHANNEL
    assert record["number"] in message.shown
    assert (await engine.detail(created["id"]))["deliveries"]["slack"]["error"] is None


async def test_an_incident_that_comes_while_slack_refuses_does_not_wait_for_an_acknowledgment_either(engine, logs):
    engine.slack._token = "xoxb-another"
    await engine.post(firing("DiskFull"))
    await engine.settle()
    calls = len(engine.slack.calls)

    await engine.post(firing("HostDown"))
    await engine.settle()

    logs.expect_error("credentials.refused")
    assert len(engine.servicenow.incidents) == 2
    assert len(engine.slack.calls) == calls


@pytest.mark.parametrize("slack_settings", [{"storm": {"threshold": 2}}])
async def test_an_alert_storm_that_slack_refuses_is_shown_once_it_takes_the_token(engine, logs):
    engine.slack._token = "xoxb-another"
    for number in range(12):
        await engine.post(firing(f"Alert{number}"), oncall_enable="false")
    await engine.settle()
    await minutes_pass(engine, 10)
    engine.slack._token = TOKEN

    await minutes_pass(engine, 8)

    logs.expect_error("credentials.refused")
    assert engine.worker.refusing == ()
    posted = sum("*Triggered*" in it.text for it in engine.slack.messages)
    digests = [it.text for it in engine.slack.messages if "lert storm" in it.text]
    assert f"{12 - posted} incidents" in "".join(digests)


def guarded(credentials: Credentials, error: Exception | None = None) -> Callable[[int], Awaitable[bool]]:
    """What sends a request about the incident of a number, which ends so; whether it was sent."""

    async def send(number: int) -> bool:
        with suppress(CredentialsRefused, StillRefused):
            async with credentials.guard("servicenow", IncidentId(f"i-{number}"), "servicenow") as request:
                sent.append(number)
                await asyncio.sleep(0)
                if error is not None:
                    raise error
                request.was_accepted = True
        return number in sent

    sent: list[int] = []
    return send


async def test_a_process_that_starts_sends_one_login_and_not_one_for_each_that_waits(engine):
    refusals, clock = engine.store.refusals, engine.clock
    await refusals.refuse("servicenow", "401", next_probe_ms=clock.now_ms())
    await refusals.accept("servicenow", now_ms=clock.now_ms())
    await refusals.refuse("servicenow", "401", next_probe_ms=clock.now_ms() + 300_000)
    clock.advance(minutes=1)
    credentials = Credentials(refusals, clock)
    await credentials.begin(["servicenow"])
    send = guarded(credentials, CredentialsRefused("401"))

    assert (await asyncio.gather(*map(send, range(8)))).count(True) == 1


async def test_what_a_replica_with_other_credentials_put_aside_comes_now(engine, logs):
    refusals, clock = engine.store.refusals, engine.clock
    await guarded(Credentials(refusals, clock), CredentialsRefused("401"))(1)
    logs.expect_error("credentials.refused")
    assert await engine.store._redis.zcard(keys.waiting_for_probe("servicenow")) == 1

    assert await guarded(Credentials(refusals, clock))(2)

    assert await engine.store._redis.zcard(keys.waiting_for_probe("servicenow")) == 0


async def test_a_success_that_cannot_be_noted_counts_and_is_noted_by_the_next(engine, monkeypatch, logs):
    refusals, clock = engine.store.refusals, engine.clock
    credentials = Credentials(refusals, clock)
    await guarded(credentials, CredentialsRefused("401"))(1)
    logs.expect_error("credentials.refused")
    clock.advance(minutes=6)

    async def lost(*_, **__):
        raise StoreUnavailable("away")

    with monkeypatch.context() as broken:
        broken.setattr(refusals, "accept", lost)
        assert await guarded(credentials)(2)
    assert credentials.refused_systems == ("servicenow",)
    assert "credentials.not_noted" in [line["event"] for line in logs]
    clock.advance(minutes=2)

    assert await guarded(credentials)(3)

    assert not credentials.refused_systems
