"""Which incident an alert is in and when it is over, as real Alertmanagers tell it.

Several of them list one alert, their configuration is edited and reloaded, and silences hide a part of a group.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import dropwhile
from typing import Any

import pytest

from tests.acceptance.conftest import Alertmanager, World, kill, request, start_alertmanager, start_alertmanagers
from tests.support.servers import free_port
from tests.support.waiting import wait_until

QUICK = {"group_wait": "0s", "group_interval": "200ms", "repeat_interval": "1s"}
EARLIER = datetime.now(UTC) - timedelta(minutes=2)
LATER = EARLIER + timedelta(seconds=7)


def config(server: str, *, receiver: str = "versus", wait_minutes: float = 0.1, **route: Any) -> str:
    """Alertmanager's, as JSON, which is YAML too: everything goes to *server*."""
    url = f"{server}/api/incidents?oncall_wait_minutes={wait_minutes}"
    return json.dumps(
        {
            "route": {"receiver": receiver, "group_by": ["alertname"], **QUICK, **route},
            "receivers": [{"name": receiver, "webhook_configs": [{"url": url, "send_resolved": True}]}],
        }
    )


def alert(name: str, *, starts_at: datetime = EARLIER, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "severity": "critical", **labels}, "startsAt": starts_at.isoformat()}


def ended(fired: dict[str, Any]) -> dict[str, Any]:
    return fired | {"endsAt": datetime.now(UTC).isoformat()}


def incidents(server: str) -> list[dict[str, Any]]:
    """All of them in detail."""
    listed = request(f"{server}/api/incidents")["incidents"]
    return [request(f"{server}/api/incidents/{it['id']}") for it in listed]


def statuses(incident: dict[str, Any], label: str) -> dict[str, str]:
    return {it["labels"][label]: it["status"] for it in incident["alerts"]}


def events(incident: dict[str, Any], event: str) -> int:
    return [it["event"] for it in incident["timeline"]].count(event)


def sent(world: World, alertmanager: Alertmanager) -> list[dict[str, Any]]:
    """The payloads that the server got from it."""
    lines = [json.loads(line) for line in world.logged().splitlines() if '"intake.body"' in line]
    bodies = [json.loads(line["body"]) for line in lines]
    return [it for it in bodies if it["externalURL"] == alertmanager.external_url]


def is_of(payload: dict[str, Any], **parts: Any) -> bool:
    return all(payload[name] == part for name, part in parts.items())


def lists(fired: dict[str, Any], payload: dict[str, Any]) -> bool:
    return any(
        it["labels"] == fired["labels"]
        and datetime.fromisoformat(it["startsAt"]) == datetime.fromisoformat(fired["startsAt"])
        for it in payload["alerts"]
    )


def wait_for_payload(world: World, alertmanager: Alertmanager, what: Callable[[dict[str, Any]], object] = bool) -> None:
    """And for the next one, so that the server is done with it."""

    def is_taken() -> bool:
        [*bodies, _] = sent(world, alertmanager) or [{}]
        return any(map(what, bodies))

    wait_until(is_taken, what="the payload")


def wait_for_the_end(world: World, server: str, *, number: int = 1) -> None:
    """Of everything: that many incidents, each with one message and one record, have ended once."""
    wait_until(lambda: [it["state"] for it in world.servicenow.records] == ["6"] * number, what="closed records")
    wait_until(lambda: all("Resolved" in it["text"] for it in world.slack.messages()), what="messages to say so")
    assert len(world.slack.messages()) == number
    found = incidents(server)
    assert [it["status"] for it in found] == ["resolved"] * number
    assert [(events(it, "resolved"), events(it, "reopened")) for it in found] == [(1, 0)] * number


def silence(alertmanager: Alertmanager, name: str) -> str:
    """The id of a silence of the alerts of that name."""
    said = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "createdBy": "ana",
        "comment": "maintenance",
    }
    found: str = alertmanager.ask("silences", said)["silenceID"]
    return found


IN_EU, IN_US = (alert("HostDown", cluster=name) for name in ("eu", "us"))
IN_BOTH = "http://alertmanager.monitoring:9093"
CLUSTERS = {
    "labels that differ": (IN_EU, IN_US, ""),
    "labels that differ, one address": (IN_EU, IN_US, IN_BOTH),
    "equal labels": (alert("HostDown"), alert("HostDown", starts_at=LATER), ""),
    "equal labels, one address": (alert("HostDown"), alert("HostDown", starts_at=LATER), IN_BOTH),
}
CLUSTERS_TRIED = {"equal labels, one address"}
"""The hardest to tell apart; the others are in `make faults`."""


@pytest.mark.parametrize(
    "is_escalated",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["ends before the record", "ends after the record"],
)
@pytest.mark.parametrize(
    ("in_eu", "in_us", "external_url"),
    [
        pytest.param(*it, id=name, marks=() if name in CLUSTERS_TRIED else pytest.mark.long)
        for name, it in CLUSTERS.items()
    ],
)
def test_what_ends_in_one_cluster_still_fires_in_another_of_the_same_chart(
    world, in_eu, in_us, external_url, is_escalated
):
    server, _ = world.serve()
    eu, us = (start_alertmanager(world, config(server), name=it, external_url=external_url) for it in ("eu", "us"))
    for cluster, fired in ((eu, in_eu), (us, in_us)):
        cluster.post(fired)
        wait_for_payload(world, cluster, partial(lists, fired))
    if external_url:  # before they have told in turns, the alert is that of one, and its start has moved

        def is_told_in_turns() -> bool:
            return any(lists(in_eu, it) for it in dropwhile(lambda it: not lists(in_us, it), sent(world, us)))

        wait_until(is_told_in_turns, what="the first one's alert again")
    if is_escalated:
        wait_until(lambda: world.servicenow.records, what="the record")

    eu.post(ended(in_eu))
    wait_until(lambda: any(it["status"] == "resolved" for it in sent(world, eu)), what="the end in one cluster")
    repeats = len(sent(world, us))
    wait_until(lambda: len(sent(world, us)) > repeats + 1, what="the other cluster to say again that it fires")
    wait_until(lambda: world.servicenow.records, what="the record of what fires in the other cluster")

    [incident] = incidents(server)
    assert incident["status"] == "triggered"
    if in_eu["labels"] == in_us["labels"]:
        assert statuses(incident, "alertname") == {"HostDown": "firing"}
    else:
        assert statuses(incident, "cluster") == {"eu": "resolved", "us": "firing"}
    us.post(ended(in_us))
    wait_for_the_end(world, server)


@pytest.mark.long
def test_of_two_peers_the_one_that_has_notified_dies_and_the_other_tells_the_end(world):
    port = free_port()
    peers = start_alertmanagers(world, config(f"http://127.0.0.1:{port}"))
    server, _ = world.serve(port=port)
    fired = alert("HostDown")
    for it in peers:
        it.post(fired)
    wait_until(lambda: world.slack.messages("HostDown"), what="the message")

    notified, other = sorted(peers, key=lambda it: it.external_url != incidents(server)[0]["url"])
    kill(notified.process)
    wait_for_payload(world, other)
    wait_until(lambda: world.servicenow.records, what="the record")
    other.post(ended(fired))

    wait_for_the_end(world, server)


def routed(matcher: str) -> dict[str, Any]:
    return {"routes": [{"matchers": [matcher]}]}


RELOADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a matcher is added": ({}, routed('severity="critical"')),
    "a matcher is edited": (routed('severity="critical"'), routed('severity=~"critical|page"')),
    "group_by has another label": ({}, {"group_by": ["alertname", "cluster"]}),
    "group_by has one label less": ({"group_by": ["alertname", "cluster"]}, {}),
    "group_by is everything": ({}, {"group_by": ["..."]}),
    "the receiver is renamed": ({}, {"receiver": "versus-py"}),
}
RELOADS_TRIED = {"group_by is everything", "the receiver is renamed"}
"""One of each kind, of the key and of the name; the others are in `make faults`."""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(*it, id=name, marks=() if name in RELOADS_TRIED else pytest.mark.long)
        for name, it in RELOADS.items()
    ],
)
def test_an_alert_that_fires_through_a_reload_stays_one_incident(world, before, after):
    server, _ = world.serve()
    alertmanager = start_alertmanager(world, config(server, **before))
    fired = alert("DiskFull", cluster="eu")
    alertmanager.post(fired)
    wait_for_payload(world, alertmanager)
    first = sent(world, alertmanager)[0]

    alertmanager.reload(config(server, **after))
    wait_for_payload(
        world, alertmanager, lambda it: (it["groupKey"], it["receiver"]) != (first["groupKey"], first["receiver"])
    )
    wait_until(lambda: world.servicenow.records, what="the record")
    alertmanager.post(ended(fired))

    wait_for_the_end(world, server)


def test_a_group_that_is_split_by_a_reload_stays_one_incident(world):
    server, _ = world.serve()
    alertmanager = start_alertmanager(world, config(server, group_by=["cluster"]))
    disk, host = (alert(name, cluster="eu") for name in ("DiskFull", "HostDown"))
    alertmanager.post(disk, host)
    wait_for_payload(world, alertmanager, lambda it: len(it["alerts"]) == 2)

    alertmanager.reload(config(server, group_by=["alertname"]))
    for name in ("DiskFull", "HostDown"):
        wait_for_payload(world, alertmanager, partial(is_of, groupLabels={"alertname": name}))
    wait_until(lambda: world.servicenow.records, what="the record")
    alertmanager.post(ended(disk))
    wait_until(lambda: statuses(incidents(server)[0], "alertname")["DiskFull"] == "resolved", what="one to end")

    [incident] = incidents(server)
    assert (incident["status"], statuses(incident, "alertname")["HostDown"]) == ("triggered", "firing")
    alertmanager.post(ended(host))
    wait_for_the_end(world, server)


@pytest.mark.parametrize(
    "is_in_part", [pytest.param(False, marks=pytest.mark.long), True], ids=["at once", "one after the other"]
)
def test_groups_that_become_one_by_a_reload_stay_incidents_of_their_own(world, is_in_part):
    """After a reload, a group may be told in part at first; here as the other alert is silenced."""
    server, _ = world.serve()
    alertmanager = start_alertmanager(world, config(server, group_by=["alertname"]))
    disk, host = (alert(name, cluster="eu") for name in ("DiskFull", "HostDown"))
    alertmanager.post(disk, host)
    wait_until(lambda: len(world.slack.messages()) == 2, what="both messages")

    silenced = silence(alertmanager, "HostDown") if is_in_part else ""
    alertmanager.reload(config(server, group_by=["cluster"]))
    if silenced:
        wait_for_payload(world, alertmanager, partial(is_of, groupLabels={"cluster": "eu"}))
        alertmanager.ask(f"silence/{silenced}", method="DELETE")
    wait_for_payload(world, alertmanager, lambda it: len(it["alerts"]) == 2)
    wait_until(lambda: len(world.servicenow.records) == 2, what="both records")
    alertmanager.post(ended(disk))
    wait_until(partial(world.slack.shows, "DiskFull", "Resolved"), what="one to end")

    by_name = {it["title"]: (it["status"], it["firing"]) for it in request(f"{server}/api/incidents")["incidents"]}
    assert by_name == {"DiskFull": ("resolved", 0), "HostDown": ("triggered", 1)}
    alertmanager.post(ended(host))
    wait_for_the_end(world, server, number=2)


@pytest.mark.parametrize(
    "is_known", [pytest.param(False, marks=pytest.mark.long), True], ids=["the first end", "not the first end"]
)
def test_what_is_silenced_is_not_over_when_the_rest_of_its_group_ends(world, is_known):
    """Alertmanager leaves out what is silenced, and says neither that it fires nor that it is over."""
    server, _ = world.serve()
    alertmanager = start_alertmanager(world, config(server, group_by=["cluster"]))
    disk, host, net = fired = [alert(name, cluster="eu") for name in ("DiskFull", "HostDown", "NetDown")]
    if is_known:
        earlier = alert("Earlier", cluster="us")
        alertmanager.post(earlier)
        wait_until(lambda: world.slack.messages("Earlier"), what="an earlier alert")
        alertmanager.post(ended(earlier))
        wait_until(lambda: incidents(server)[0]["status"] == "resolved", what="its end")
    alertmanager.post(*fired)
    wait_for_payload(world, alertmanager, lambda it: len(it["alerts"]) == len(fired))
    wait_until(lambda: world.servicenow.records, what="the record")

    silences = [silence(alertmanager, name) for name in ("HostDown", "NetDown")]
    wait_for_payload(world, alertmanager, lambda it: [it["labels"]["alertname"] for it in it["alerts"]] == ["DiskFull"])
    alertmanager.post(ended(disk))
    newest = lambda: incidents(server)[0]  # noqa: E731
    wait_until(
        lambda: statuses(newest(), "alertname")["DiskFull"] == "resolved", what="the end of what is not silenced"
    )

    incident = newest()
    assert incident["status"] == "triggered"
    assert statuses(incident, "alertname") == {"DiskFull": "resolved", "HostDown": "firing", "NetDown": "firing"}
    assert [bool(it["not_listed_since"]) for it in incident["alerts"]] == [False, True, True]
    assert [it["state"] for it in world.servicenow.records] == ["1"]
    for silence_id in silences:
        alertmanager.ask(f"silence/{silence_id}", method="DELETE")
    wait_until(lambda: not any(it["not_listed_since"] for it in newest()["alerts"]), what="both to be listed again")
    alertmanager.post(ended(host), ended(net))
    wait_until(lambda: [it["state"] for it in world.servicenow.records] == ["6"], what="the closed record")
    assert newest()["status"] == "resolved"
    assert len(world.slack.messages()) == 1 + is_known


CHANNELS = {"storage": "C0STORAGE", "oncall": "C0ONCALL"}


def for_two_channels(server: str, *, group_by: str) -> str:
    """A configuration with a receiver for each, both of which get everything."""
    url = f"{server}/api/incidents?oncall_wait_minutes=0.05"
    routes = [{"receiver": name, "matchers": ['alertname!=""'], "continue": True} for name in CHANNELS]
    return json.dumps(
        {
            "route": {"receiver": "oncall", "group_by": [group_by], **QUICK, "routes": routes},
            "receivers": [
                {"name": name, "webhook_configs": [{"url": f"{url}&slack_channel_id={channel}"}]}
                for name, channel in CHANNELS.items()
            ],
        }
    )


@pytest.mark.parametrize(
    "is_reloaded", [pytest.param(False, marks=pytest.mark.long), True], ids=["as it is", "through a reload"]
)
def test_one_alert_of_two_receivers_that_lead_to_different_channels_is_two_incidents(world, is_reloaded):
    server, _ = world.serve()
    alertmanager = start_alertmanager(world, for_two_channels(server, group_by="alertname"))
    fired = alert("DiskFull", cluster="eu")

    alertmanager.post(fired)
    wait_until(lambda: len(world.servicenow.records) == 2, what="a record of each")
    if is_reloaded:
        alertmanager.reload(for_two_channels(server, group_by="cluster"))
        for name in CHANNELS:
            wait_for_payload(world, alertmanager, partial(is_of, receiver=name, groupLabels={"cluster": "eu"}))
    alertmanager.post(ended(fired))

    wait_for_the_end(world, server, number=2)
    assert {it["channel"] for it in world.slack.messages("DiskFull")} == set(CHANNELS.values())
