"""A real Prometheus and Alertmanager, with the stack's own configuration files, all the way to the record."""

import json
import signal
import urllib.error
from datetime import UTC, datetime
from functools import partial

import pytest

from tests.acceptance.conftest import ROOT, Alertmanager, request, start_alertmanager, start_alertmanagers
from tests.support.forking import IN_QUICK_TEMPO
from tests.support.servers import free_port
from tests.support.waiting import wait_until


def faster(text: str, server: str) -> str:
    """The stack's Alertmanager configuration, with the server's address and waits that a test can sit out."""
    for old, new in (
        ("http://versus:3000", server),
        ("group_wait: 10s", "group_wait: 1s"),
        ("group_interval: 1m", "group_interval: 2s"),
        ("oncall_wait_minutes=5", "oncall_wait_minutes=0.1"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def test_the_stacks_receivers_and_the_end_of_the_alerts(world, prometheus):
    server, _ = world.serve()
    alertmanager = start_alertmanager(
        world, faster((ROOT / "config" / "alertmanager" / "alertmanager.yml").read_text(), server)
    )
    rules, process = prometheus(alertmanager)
    slack, servicenow, infra = world.slack, world.servicenow, world.infra

    wait_until(lambda: slack.messages("ExampleWarning"), what="the example that fires at once")
    assert servicenow.records == []
    assert "no escalation" in json.dumps(slack.messages("ExampleWarning"))

    rules.write_text(rules.read_text().replace("vector(0)", "vector(1)"))
    process.send_signal(signal.SIGHUP)

    wait_until(lambda: len(servicenow.records) == 2, what="the records of ExampleCritical and ExampleUrgent")
    wait_until(lambda: len(infra.records) == 1, what="the record of ExampleInfrastructure")
    for name in ("ExampleCritical", "ExampleUrgent", "ExampleInfrastructure"):
        wait_until(partial(slack.shows, name, "Escalated"), what=f"{name} to be shown as escalated")
    [critical] = slack.messages("ExampleCritical")
    assert any(record["number"] in json.dumps(critical) for record in servicenow.records)
    assert "runbooks.example.com" in json.dumps(critical)

    rules.write_text(rules.read_text().replace("vector(1)", "vector(0)"))
    process.send_signal(signal.SIGHUP)

    records = lambda: servicenow.records + infra.records  # noqa: E731
    wait_until(lambda: {it["state"] for it in records()} == {"6"}, timeout_s=60, what="all records to be resolved")
    wait_until(lambda: all("Resolved" in it["text"] for it in slack.messages()), what="all messages to say so")
    assert len(records()) == 3
    assert len(slack.messages()) == 4
    assert request(f"{server}/api/incidents?status=triggered")["incidents"] == []


def test_the_alertmanager_configuration_of_versus_incident_works_as_it_is(world):
    server, _ = world.serve()
    text = (ROOT / "tests" / "data" / "versus_incident_alertmanager.yml").read_text()
    text = text.replace("http://versus-service:3000", server).replace("minutes=5", "minutes=0.05")
    alertmanager = start_alertmanager(world, text)

    labels = [
        {"alertname": "Warning", "severity": "warning"},
        {"alertname": "Critical", "severity": "critical"},
        {"alertname": "Urgent", "severity": "urgent"},
        {"alertname": "Infra", "team": "infrastructure"},
    ]
    now = datetime.now(UTC).isoformat()
    alertmanager.post(*({"labels": it, "startsAt": now} for it in labels))

    wait_until(lambda: len(world.servicenow.records) == 2, what="two records")
    wait_until(lambda: len(world.infra.records) == 1, what="the record of the other instance")
    wait_until(lambda: len(world.slack.messages()) == 4, what="four messages")
    outcomes = {it["title"]: it["outcome"] for it in request(f"{server}/api/incidents")["incidents"]}
    assert outcomes == {"Warning": None, "Critical": "escalated", "Urgent": "escalated", "Infra": "escalated"}


def test_alertmanager_hands_over_what_it_could_not_deliver_when_the_server_is_back(world):
    """Nobody listens when the alert fires; Alertmanager tries again, and nothing is lost or doubled."""
    port = free_port()
    text = faster((ROOT / "config" / "alertmanager" / "alertmanager.yml").read_text(), f"http://127.0.0.1:{port}")
    alertmanager = start_alertmanager(world, text)
    early = {"alertname": "Early", "severity": "critical"}
    alertmanager.post({"labels": early, "startsAt": datetime.now(UTC).isoformat()})
    wait_until(lambda: "connection refused" in world.logged(), what="Alertmanager's first try to fail")

    world.serve(port=port)

    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    assert len(world.slack.messages("Early")) == 1


def send(alertmanagers: list[Alertmanager], **changes: str) -> None:
    """One alert, as Prometheus does: to each of them."""
    for it in alertmanagers:
        it.post({"labels": {"alertname": "DiskFull", "severity": "critical"}, "startsAt": STARTS_AT} | changes)


STARTS_AT = datetime.now(UTC).isoformat()


@pytest.mark.parametrize(
    "is_only_one_asked",
    [pytest.param(True, marks=pytest.mark.long), False],
    ids=["one is asked", "both are asked"],
)
def test_of_two_peers_both_have_to_say_that_an_alert_is_over(world, is_only_one_asked):
    """With a resolve that comes late, the last look decides: here the first peer has not the alert any more."""
    port = free_port()
    route = "{receiver: versus, group_by: [alertname], group_wait: 0s, group_interval: 1h}"
    webhook = f"{{url: 'http://127.0.0.1:{port}/api/incidents?oncall_wait_minutes=0.1'}}"
    peers = start_alertmanagers(
        world, f"{{route: {route}, receivers: [{{name: versus, webhook_configs: [{webhook}]}}]}}"
    )
    world.main = IN_QUICK_TEMPO  # an Alertmanager that has been up for two seconds is believed
    asked = peers[:1] if is_only_one_asked else peers
    server, _ = world.serve(port=port, alertmanager={"url": ",".join(f"http://{it.address}" for it in asked)})
    send(peers)
    wait_until(lambda: world.slack.messages("DiskFull"), what="the alert")

    send(asked, endsAt=datetime.now(UTC).isoformat())
    wait_until(lambda: not any(it.ask("alerts") for it in asked), what="the alert to be over")

    def outcome() -> str | None:
        [incident] = request(f"{server}/api/incidents")["incidents"]
        found: str | None = incident["outcome"]
        return found

    wait_until(outcome, what="the outcome")
    assert outcome() == ("escalated" if is_only_one_asked else "resolved")
    wait_until(lambda: len(world.servicenow.records) == is_only_one_asked, what="the record, or none")
    assert ("reaches 1 of the cluster's 2 peers" in world.logged()) is is_only_one_asked


INTAKE_TOKEN = "acceptance-intake-token"


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(f"authorization: {{credentials: {INTAKE_TOKEN}}}", id="authorization"),
        pytest.param(f"basic_auth: {{username: alertmanager, password: {INTAKE_TOKEN}}}", id="basic_auth"),
    ],
)
def test_alertmanager_shows_its_token(world, credentials):
    server, _ = world.serve(intake={"tokens": [{"name": "alertmanager", "token": INTAKE_TOKEN}]})
    alertmanager = start_alertmanager(
        world,
        f"""
route: {{receiver: versus, group_wait: 0s}}
receivers:
  - name: versus
    webhook_configs:
      - url: {server}/api/incidents
        http_config:
          {credentials}
""",
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        request(f"{server}/api/incidents", {"title": "Without a token"})

    alertmanager.post({"labels": {"alertname": "WithAToken", "severity": "critical"}})

    wait_until(lambda: world.slack.messages("WithAToken"), what="the alert that came with a token")
    assert len(world.slack.messages()) == 1
    assert '"sender": "alertmanager"' in world.logged()
    assert INTAKE_TOKEN not in world.logged()


@pytest.mark.parametrize(
    ("receiver", "path"),
    [
        pytest.param(f"pagerduty_configs: [{{routing_key: {INTAKE_TOKEN}, url", "/v2/enqueue?", id="pagerduty"),
        pytest.param(
            f"opsgenie_configs: [{{api_key: {INTAKE_TOKEN}, update_alerts: true, api_url", "/?", id="opsgenie"
        ),
        pytest.param(
            f"opsgenie_configs: [{{api_key: {INTAKE_TOKEN}, api_url",
            "/jsm/ops/integration/?",
            id="jira service management",
            marks=pytest.mark.long,  # which differs from Opsgenie in its path only
        ),
    ],
)
def test_a_receiver_of_another_service_needs_only_another_address(world, receiver, path):
    server, _ = world.serve(intake={"tokens": [{"name": "alertmanager", "token": INTAKE_TOKEN}]})
    route = "{receiver: versus, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}"
    url = f"'{server}{path}oncall_wait_minutes=0.05'"
    alertmanager = start_alertmanager(world, f"{{route: {route}, receivers: [{{name: versus, {receiver}: {url}}}]}}]}}")

    send([alertmanager])

    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    [incident] = request(f"{server}/api/incidents")["incidents"]
    assert "DiskFull" in incident["title"]
    wait_until(
        lambda: request(f"{server}/api/incidents/{incident['id']}")["occurrences"] > 1, what="Alertmanager's repeat"
    )

    send([alertmanager], endsAt=datetime.now(UTC).isoformat())

    wait_until(lambda: world.servicenow.records[0]["state"] == "6", what="the record to be resolved")
    assert [it["status"] for it in request(f"{server}/api/incidents")["incidents"]] == ["resolved"]
    assert INTAKE_TOKEN not in json.dumps(world.slack.messages()) + json.dumps(world.servicenow.records)
