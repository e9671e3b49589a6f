"""The whole chain: Prometheus, Alertmanager, versus and ServiceNow, from the first alert to the end of the last."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import World, request, start_alertmanager
from tests.support.waiting import wait_until

ALERTMANAGER = """
route:
  receiver: versus
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 3s
receivers:
  - name: versus
    webhook_configs:
      - url: SERVER/api/incidents?oncall_wait_minutes=0.06&incident_per=PER
        send_resolved: true
"""
OAUTH = {"type": "oauth_client_credentials", "client_id": "versus-client", "client_secret": "client-secret"}
FIELDS = {"short_description": "{{ incident.title }}", "caller_id": "ana@example.com", "impact": "1", "urgency": "1"}


def rules(*firing: str) -> str:
    """A rule for each instance, of which those of *firing* fire.

    A rule that is there, and does not fire any more, is resolved at the next evaluation. One that is gone takes four
    times the delay after which Prometheus sends again.
    """
    listed = [
        {
            "alert": "HostDown",
            "expr": "vector(1)" if name in firing else "vector(1) > 1",
            "labels": {"severity": "critical", "instance": name},
            "annotations": {"summary": "it is down"},
        }
        for name in ("a", "b")
    ]
    return yaml.safe_dump({"groups": [{"name": "chain", "rules": listed}]})


@pytest.fixture
def chain(world: World, prometheus) -> Callable[..., tuple[str, Callable[..., None]]]:
    """Starts everything; the server's URL, and what makes the alerts of these instances fire."""

    def start(per: str, **servicenow: Any) -> tuple[str, Callable[..., None]]:
        oncall = world.settings["oncall"]
        settings = oncall | {"servicenow": oncall["servicenow"] | {"fields": FIELDS} | servicenow}
        server, _ = world.serve(oncall=settings)
        path, process = prometheus(
            start_alertmanager(world, ALERTMANAGER.replace("SERVER", server).replace("PER", per))
        )

        def fire(*instances: str) -> None:
            path.write_text(rules(*instances))
            process.send_signal(signal.SIGHUP)

        return server, fire

    return start


def incidents(server: str, **query: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = request(f"{server}/api/incidents")["incidents"]
    return [it for it in listed if query.items() <= it.items()]


def said_in_notes(world: World, text: str) -> int:
    return "\n".join(note for notes in world.servicenow.state()["notes"].values() for note in notes).count(text)


@pytest.mark.parametrize(
    ("per", "problems", "auth"),
    [
        pytest.param("group", 1, {"auth": OAUTH, "username": "", "password": ""}, marks=pytest.mark.long),
        ("alert", 2, {}),
    ],
    ids=["group-oauth", "alert-basic"],
)
def test_from_the_first_alert_to_the_end_there_is_one_record_for_each_problem(world, chain, per, problems, auth):
    server, fire = chain(per, **auth)
    servicenow = world.servicenow

    fire("a")
    wait_until(lambda: len(servicenow.records) == 1, what="the first record")
    assert servicenow.records[0]["short_description"] == "HostDown: it is down"
    assert servicenow.records[0]["priority"] == "1"
    assert servicenow.records[0]["caller_id"]

    fire("a", "b")
    if per == "group":
        wait_until(lambda: said_in_notes(world, "1 alert joined: HostDown on b"), what="the note of what joined")
    wait_until(lambda: len(servicenow.records) == problems, what="the records of all problems")
    wait_until(lambda: len(incidents(server, outcome="escalated")) == problems, what="all to be escalated")

    for incident in incidents(server):
        request(f"{server}/api/incidents/{incident['id']}/acknowledge?by=ana", method="POST")
    wait_until(lambda: {it["state"] for it in servicenow.records} == {"2"}, what="the records to be in progress")

    fire()
    wait_until(lambda: {it["state"] for it in servicenow.records} == {"6"}, what="the records to be resolved")
    assert len(servicenow.records) == problems
    assert len(world.slack.messages()) == problems
    assert said_in_notes(world, "acknowledged by ana") == problems
    assert said_in_notes(world, "resolved by alertmanager") == problems
    assert said_in_notes(world, "joined") == (1 if per == "group" else 0)
    calls = servicenow.state()["calls"]
    assert [call for call in calls if "oauth_token" in call] == (["POST /oauth_token.do"] if auth else [])


@pytest.mark.long
@pytest.mark.parametrize(("per", "problems"), [("group", 1), ("alert", 2)])
def test_servicenow_that_is_down_for_the_whole_wait_gets_its_records_when_it_is_back(world, chain, per, problems):
    world.servicenow.fault(kind="down", times=None)
    server, fire = chain(per)
    fire("a", "b")
    wait_until(
        lambda: sum(bool(it["updated_at"]) and it["escalates_at"] is None for it in incidents(server)) == problems,
        what="the waits to be over",
    )
    wait_until(
        lambda: len(world.slack.messages("is being retried")) == problems, what="Slack to say that it is being retried"
    )
    assert world.servicenow.records == []

    world.servicenow.repair()

    wait_until(lambda: len(world.servicenow.records) == problems, timeout_s=60, what="the records")
    wait_until(lambda: len(incidents(server, outcome="escalated")) == problems, what="all to be escalated")
    fire()
    wait_until(lambda: {it["state"] for it in world.servicenow.records} == {"6"}, timeout_s=60, what="their end")
    assert len(world.servicenow.records) == problems
