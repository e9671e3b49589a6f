"""Incidents go where their labels say, and wait as long as their route says."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import CHANNEL, TOKEN
from versus_py.tools.samples import alertmanager

NOW = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
ROUTES = [{"matchers": ['team=~"storage|db"', "severity=critical"], "channel_id": "C0STORAGE", "wait_minutes": 20}]


@pytest.fixture
def settings(slack_url):
    slack = {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{slack_url}/api", "routes": ROUTES}
    return {"alert": {"slack": slack}}


def group(*teams):
    """A notification group with an alert of each team."""
    payload = alertmanager(starts_at=NOW)
    [alert] = payload["alerts"]
    alerts = [
        alert | {"labels": alert["labels"] | {"team": team}, "fingerprint": f"{number:016x}"}
        for number, team in enumerate(teams)
    ]
    return payload | {"alerts": alerts}


def channels(engine):
    return [message.channel for message in engine.slack.messages]


async def test_an_incident_lands_in_its_routes_channel_and_waits_as_long_as_that_says(engine):
    [created] = (await engine.post(group("storage")))["incidents"]
    await engine.after(minutes=19)
    assert channels(engine) == ["C0STORAGE"]
    assert engine.servicenow.calls == []

    await engine.after(minutes=1)

    assert len(engine.servicenow.incidents) == 1
    policy = (await engine.detail(created["id"]))["policy"]
    assert (policy["wait_minutes"], policy["destinations"]) == (20, {"slack": "C0STORAGE"})


async def test_what_no_route_matches_goes_to_the_default_channel_with_the_default_wait(engine):
    await engine.post(group("web"))
    await engine.after(minutes=5)

    assert channels(engine) == [CHANNEL]
    assert len(engine.servicenow.incidents) == 1


async def test_what_the_request_asks_for_wins_over_the_route(engine):
    await engine.post(group("storage"), slack_channel_id="C0OTHER", oncall_wait_minutes="1")
    await engine.after(minutes=1)

    assert channels(engine) == ["C0OTHER"]
    assert len(engine.servicenow.incidents) == 1


async def test_a_group_whose_alerts_disagree_goes_to_the_default_channel(engine):
    await engine.post(group("storage", "web"))
    await engine.settle()

    assert channels(engine) == [CHANNEL]


async def test_of_one_request_each_incident_goes_by_its_own_labels(engine):
    answer = await engine.post(group("storage", "web", "db"), incident_per="alert")
    await engine.settle()

    found = [(await engine.detail(it["id"]))["policy"]["destinations"].get("slack") for it in answer["incidents"]]
    assert found == ["C0STORAGE", None, "C0STORAGE"]
    assert sorted(channels(engine)) == [CHANNEL, "C0STORAGE", "C0STORAGE"]


async def test_an_incident_stays_where_it_is_when_others_join_it(engine):
    await engine.post(group("storage"))
    await engine.settle()

    await engine.post(group("storage", "web"))
    await engine.settle()

    assert set(channels(engine)) == {"C0STORAGE"}


async def test_a_routes_channel_that_does_not_exist_falls_back_to_the_default_one(engine):
    engine.slack.archived.add("C0STORAGE")

    await engine.post(group("storage"))
    await engine.settle()

    [message] = engine.slack.messages
    assert message.channel == CHANNEL
    assert "channel C0STORAGE cannot be used" in message.shown
