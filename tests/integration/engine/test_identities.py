"""Which incident a payload is about: senders with one chart, moved routes, tools that number things alike."""

from datetime import timedelta

import pytest

from tests.integration.conftest import DAY_MS, Engine
from tests.support.groups import START, alert, group
from versus_py.engine.lifecycle import Lifecycle
from versus_py.incidents.model import IncidentId
from versus_py.incidents.repeats import NAMED_AGAIN_MAX
from versus_py.store import keys

EU, US = "http://am-eu:9093", "http://am-us:9093"


async def posted(engine: Engine, payload, **query: str) -> dict[str, str]:
    answer: dict[str, str]
    [answer] = (await engine.post(payload, **query))["incidents"]
    return answer


async def records(engine: Engine) -> list[str]:
    return [it["state"] for it in engine.servicenow.incidents]


# Two senders with one chart


async def test_two_alertmanagers_with_one_chart_do_not_end_each_others_alerts(engine):
    first = await posted(engine, group(alert("HostDown", cluster="eu"), sender=EU))
    second = await posted(engine, group(alert("HostDown", cluster="us", minutes=1), sender=US))
    over = await posted(engine, group(alert("HostDown", cluster="eu", over=True), sender=EU))
    await engine.after(minutes=6)

    assert first["id"] == second["id"] == over["id"]
    assert over["status"] == "triggered"
    detail = await engine.detail(first["id"])
    assert [it["status"] for it in detail["alerts"]] == ["resolved", "firing"]
    assert await records(engine) == ["1"]
    await posted(engine, group(alert("HostDown", cluster="us", minutes=1), sender=US))
    assert (await engine.detail(first["id"]))["url"] == US  # where it can be silenced

    end = await posted(engine, group(alert("HostDown", cluster="us", minutes=1, over=True), sender=US))
    await engine.settle()

    assert end["outcome"] == "resolved"
    assert await records(engine) == ["6"]


async def test_an_alert_with_the_same_labels_in_two_clusters_is_over_when_it_is_in_both(engine):
    await posted(engine, group(alert("HostDown"), sender=EU))
    await posted(engine, group(alert("HostDown", minutes=3), sender=US))

    half = await posted(engine, group(alert("HostDown", over=True), sender=EU))
    again = await posted(engine, group(alert("HostDown", minutes=3), sender=US))
    whole = await posted(engine, group(alert("HostDown", minutes=3, over=True), sender=US))

    assert (half["status"], again["outcome"], whole["outcome"]) == ("triggered", "updated", "resolved")


@pytest.mark.parametrize("first", ["the earlier one", "the later one"])
async def test_an_alert_of_two_alertmanagers_with_one_address_is_over_when_it_is_at_both(engine, first):
    """As two clusters are that were installed with the same chart, and nobody gave them an address of their own."""
    eu, us = 0, 3
    for minutes in (eu, us, eu, us):
        await posted(engine, group(alert("HostDown", minutes=minutes)))
    one, other = (eu, us) if first == "the earlier one" else (us, eu)

    half = await posted(engine, group(alert("HostDown", minutes=one, over=True)))
    whole = await posted(engine, group(alert("HostDown", minutes=other, over=True)))

    assert (half["status"], whole["outcome"]) == ("triggered", "resolved")


async def test_an_alert_whose_start_and_route_moved_ends_with_what_is_listed_now(engine):
    created = await posted(engine, group(alert("HostDown")))
    await posted(engine, group(alert("HostDown", minutes=30), route='{}/{severity="warning"}'))

    over = await posted(engine, group(alert("HostDown", minutes=30, over=True), route='{}/{severity="warning"}'))

    assert (over["id"], over["outcome"]) == (created["id"], "resolved")


async def test_an_end_that_came_after_a_person_said_so_is_known_when_it_fires_again(engine):
    a, b = (alert("HostDown", instance=name) for name in "ab")
    created = await posted(engine, group(a, b))
    await engine.http.post(f"/api/incidents/{created['id']}/resolve?by=ana")
    ends = [alert("HostDown", instance=name, over=True) for name in "ab"]
    ignored = await posted(engine, group(*ends))

    again = await posted(engine, group(alert("HostDown", instance="a", minutes=5)))
    over = await posted(engine, group(alert("HostDown", instance="a", minutes=5, over=True)))

    assert (ignored["outcome"], again["outcome"], over["outcome"]) == ("ignored", "reopened", "resolved")
    assert again["id"] == over["id"] == created["id"]


async def test_alerts_that_are_incidents_of_their_own_from_now_on_do_not_end_those_beside_them(engine):
    a, b = (alert("HostDown", instance=name) for name in "ab")
    created = await posted(engine, group(a, b))

    await engine.post(group(a, b), incident_per="alert")
    await engine.post(group(alert("HostDown", instance="a", over=True), b), incident_per="alert")

    detail = await engine.detail(created["id"])
    assert [(it["status"], it["not_listed_since"]) for it in detail["alerts"]] == [("resolved", None), ("firing", None)]
    over = await posted(engine, group(alert("HostDown", instance="b", over=True)), incident_per="alert")
    assert (over["id"], over["outcome"]) == (created["id"], "resolved")


async def test_the_peers_of_one_cluster_speak_for_each_other(engine):
    """They have addresses of their own, and agree on when an alert began."""
    created = await posted(engine, group(alert("HostDown"), sender="http://vm:28997"))
    over = await posted(engine, group(alert("HostDown", over=True), sender="http://vm:28998"))

    assert (over["id"], over["outcome"]) == (created["id"], "resolved")


async def test_what_a_list_leaves_out_goes_on_for_as_long_as_somebody_else_lists_it(engine):
    a, b = alert("HostDown", instance="a"), alert("HostDown", instance="b")
    created = await posted(engine, group(a, b, sender=EU))
    await posted(engine, group(b, sender=US))

    await posted(engine, group(a, sender=EU))
    detail = await engine.detail(created["id"])
    assert [it["status"] for it in detail["alerts"]] == ["firing", "firing"]

    await posted(engine, group(alert("HostDown", instance="c"), sender=US))
    detail = await engine.detail(created["id"])
    assert [it["status"] for it in detail["alerts"]] == ["firing", "resolved", "firing"]


TOKENS = {"intake": {"tokens": [{"name": name, "token": f"{name}-token-0123456789"} for name in ("eu", "us")]}}


async def posted_by(engine: Engine, token: str, payload) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}-token-0123456789"}
    response = await engine.http.post("/api/incidents", json=payload, headers=headers)
    assert response.status == 201
    answer: dict[str, str]
    [answer] = (await response.json())["incidents"]
    return answer


@pytest.mark.parametrize("settings", [TOKENS])
@pytest.mark.parametrize(
    "payload",
    [
        group(alert("HostDown")),
        {"title": "T", "dedup_key": "k"},
        {"title": "T", "id": "k"},
        {"alarm_id": "k", "alarm_name": "cpu", "state": "ALARM"},
        {"date": 1777888800.5, "log": "checkout crashed", "level": "error"},
    ],
    ids=["alertmanager", "dedup_key", "id", "monasca", "fluentbit"],
)
async def test_senders_with_tokens_of_their_own_have_incidents_of_their_own(engine, payload):
    one, other = await posted_by(engine, "eu", payload), await posted_by(engine, "us", payload)

    assert (one["outcome"], other["outcome"]) == ("created", "created")
    assert (await posted_by(engine, "eu", payload))["id"] == one["id"]


@pytest.mark.parametrize("settings", [TOKENS])
async def test_with_a_token_a_sender_may_have_any_number_of_addresses(engine):
    """Such as those of pods, which have another one after each restart."""
    created = await posted_by(engine, "eu", group(alert("HostDown"), sender="http://am-7f9c:9093"))
    over = await posted_by(engine, "eu", group(alert("HostDown", minutes=1, over=True), sender="http://am-d81e:9093"))

    assert (over["id"], over["outcome"]) == (created["id"], "resolved")


async def test_two_organisations_of_one_grafana_have_incidents_of_their_own(engine):
    grafana = group(alert("HighCPU"), sender="https://grafana.example/") | {"version": "1"}

    one, other = await posted(engine, grafana | {"orgId": 1}), await posted(engine, grafana | {"orgId": 2})

    assert one["id"] != other["id"]
    assert (await posted(engine, grafana | {"orgId": 2}))["id"] == other["id"]


# What another tool calls the same


async def test_a_number_of_one_tool_is_not_that_of_another(engine):
    mine = await posted(engine, {"id": 17, "title": "backup is late"})
    await engine.http.post(f"/api/incidents/{mine['id']}/acknowledge?by=ana")

    theirs = await posted(engine, {"id": 17, "title": "payment database is down", "severity": "critical"})
    ignored = await posted(engine, {"id": 17, "status": "closed"})
    await engine.after(minutes=6)

    assert theirs["outcome"] == "created"
    assert ignored["outcome"] == "ignored"
    assert len(engine.slack.messages) == 2
    assert [it["correlation_id"] for it in engine.servicenow.incidents] == [theirs["id"]]


@pytest.mark.parametrize("source", [{}, {"source": "alertmanager"}], ids=["by its shape", "said to be so"])
async def test_alerts_without_a_group_are_alertmanagers_and_each_its_own(engine, source):
    """As senders post that were written by hand: no receiver, no groupKey, no times."""

    def hand_made(status: str, *names: str):
        alerts = [
            {
                "status": status,
                "labels": {"alertname": name, "severity": "critical"},
                "annotations": {"summary": "full"},
            }
            for name in names
        ]
        return {"status": status, "alerts": alerts}

    answers = (await engine.post(hand_made("firing", "X", "Y"), **source))["incidents"]
    again = await posted(engine, hand_made("firing", "X"), **source)
    over = await posted(engine, hand_made("resolved", "X"), **source)

    assert [it["outcome"] for it in answers] == ["created", "created"]
    assert (again["id"], over["id"], over["outcome"]) == (answers[0]["id"], answers[0]["id"], "resolved")
    assert (await engine.detail(answers[0]["id"]))["title"] == "X: full"


async def test_the_same_identity_with_the_same_start_is_never_refused(engine):
    first = {"dedup_key": "x1", "startsAt": "2026-05-04T10:00:00Z", "host": "h", "title": "Disk 90%"}
    created = await posted(engine, first)
    await posted(engine, first | {"status": "resolved"})
    incident = await engine.store.get(IncidentId(created["id"]))
    assert incident is not None
    engine.clock.advance(minutes=30)
    await engine.store._redis.delete(keys.dedup(incident.dedup_key))

    again = await posted(engine, first | {"title": "Node is unreachable", "zone": "a"})

    assert (again["id"], again["status"]) == (created["id"], "triggered")


# Routes that move while an alert fires


MOVED = {
    "a matcher": ({"route": '{}/{severity="warning"}'}, {}),
    "finer groups": ({"by": ("alertname", "instance")}, {}),
    "coarser groups": ({"by": ()}, {}),
    "another receiver": ({"receiver": "versus-new"}, {}),
    "everything": ({"receiver": "versus-new", "by": ("instance",), "route": "{}/{}"}, {}),
    "an incident per alert": ({}, {"incident_per": "alert"}),
}


@pytest.mark.parametrize(("moved", "query"), MOVED.values(), ids=MOVED)
@pytest.mark.parametrize("when", [0, 6], ids=["within the wait", "after the record"])
async def test_an_alert_whose_group_is_another_now_stays_in_its_incident(engine, moved, query, when):
    created = await posted(engine, group(alert("Disk", instance="a")))
    await engine.after(minutes=when)

    again = await posted(engine, group(alert("Disk", instance="a"), **moved), **query)
    await engine.after(minutes=6)
    over = await posted(engine, group(alert("Disk", instance="a", over=True), **moved), **query)
    await engine.settle()

    assert (again["id"], again["outcome"]) == (created["id"], "updated")
    assert (over["id"], over["outcome"]) == (created["id"], "resolved")
    assert len(engine.slack.messages) == 1
    assert await records(engine) == ["6"]


async def test_a_resolve_under_another_group_than_the_alert_ends_it(engine):
    created = await posted(engine, group(alert("Disk", instance="a")))
    over = await posted(engine, group(alert("Disk", instance="a", over=True), by=("instance",)))

    assert (over["id"], over["outcome"]) == (created["id"], "resolved")


async def test_an_alert_whose_name_was_lost_is_found_after_a_repeat(engine):
    """The process was killed right after it had written the incident, and its sender tried again."""
    created = await posted(engine, group(alert("Disk", instance="a")))
    redis = engine.store._redis
    assert await redis.delete(*[key async for key in redis.scan_iter("*:alerts:*")])

    await posted(engine, group(alert("Disk", instance="a")))
    moved = await posted(engine, group(alert("Disk", instance="a"), by=("instance",)))

    assert (moved["id"], moved["outcome"]) == (created["id"], "updated")


async def test_of_many_alerts_whose_names_were_lost_each_repeat_names_some(engine):
    alerts = [alert("Disk", instance=f"{number}") for number in range(2 * NAMED_AGAIN_MAX + 1)]
    await posted(engine, group(*alerts))
    redis = engine.store._redis
    await redis.delete(*[key async for key in redis.scan_iter("*:alerts:*")])

    numbers = []
    for _ in range(3):
        await posted(engine, group(*alerts))
        numbers.append(sum([await redis.hlen(key) async for key in redis.scan_iter("*:alerts:*")]))

    assert numbers == [NAMED_AGAIN_MAX, 2 * NAMED_AGAIN_MAX, len(alerts)]


async def test_groups_that_become_one_end_each_with_its_own_alerts(engine):
    ids = [(await posted(engine, group(alert("Disk", instance=it), by=("instance",))))["id"] for it in "abc"]

    await posted(engine, group(*(alert("Disk", instance=it) for it in "abcd")))
    await posted(engine, group(alert("Disk", instance="b", over=True), alert("Disk", instance="a")))
    await engine.after(minutes=6)

    details = [await engine.detail(it) for it in ids]
    assert [it["status"] for it in details] == ["triggered", "resolved", "triggered"]
    assert len(engine.slack.messages) == 3
    assert len(engine.servicenow.incidents) == 2
    assert sorted(it["labels"]["instance"] for detail in details for it in detail["alerts"]) == ["a", "b", "c", "d"]

    await posted(engine, group(*(alert("Disk", instance=it, over=True) for it in "abcd")))
    await engine.settle()

    assert {(await engine.detail(it))["status"] for it in ids} == {"resolved"}
    assert await records(engine) == ["6", "6"]


async def test_groups_that_become_one_and_are_listed_in_part_at_first_end_each_with_its_own_alerts(engine):
    """Right after a reload, the list need not be whole; and what is silenced comes later."""
    disk, host = (alert(name, cluster="eu") for name in ("Disk", "Host"))
    ids = [(await posted(engine, group(it)))["id"] for it in (disk, host)]

    await posted(engine, group(disk, by=("cluster",)))
    await posted(engine, group(disk, host, by=("cluster",)))
    await posted(engine, group(disk, alert("Host", cluster="eu", over=True), by=("cluster",)))

    details = [await engine.detail(it) for it in ids]
    assert [(it["status"], len(it["alerts"])) for it in details] == [("triggered", 1), ("resolved", 1)]


async def test_incidents_of_groups_that_became_one_are_called_by_their_own_alerts(engine):
    disk, host = (alert(name, cluster="eu") for name in ("Disk", "Host"))
    ids = [(await posted(engine, group(it)))["id"] for it in (disk, host)]
    before = [(await engine.detail(it))["title"] for it in ids]

    await posted(engine, group(disk, host, by=("cluster",)))

    assert [(await engine.detail(it))["title"] for it in ids] == before


async def test_both_incidents_of_an_alert_for_two_receivers_go_on_when_its_group_is_another(engine):
    channels = {"storage": "C0STORAGE", "leads": "C0LEADS"}

    async def post(by: str, *, over: bool = False) -> list[tuple[str, str]]:
        payloads = [group(alert("Disk", cluster="eu", over=over), receiver=it, by=(by,)) for it in channels]
        answers = [await posted(engine, it, slack_channel_id=channels[it["receiver"]]) for it in payloads]
        return [(it["id"], it["outcome"]) for it in answers]

    ids = [incident_id for incident_id, _ in await post("alertname")]

    again, over = await post("cluster"), await post("cluster", over=True)

    assert again == [(it, "updated") for it in ids]
    assert over == [(it, "resolved") for it in ids]


async def test_an_alert_for_two_receivers_that_tell_other_people_is_two_incidents(engine):
    one = await posted(engine, group(alert("Disk"), receiver="storage"), slack_channel_id="C0STORAGE")
    other = await posted(engine, group(alert("Disk"), receiver="leads"), slack_channel_id="C0LEADS")

    assert one["id"] != other["id"]
    assert (await posted(engine, group(alert("Disk"), receiver="leads"), slack_channel_id="C0LEADS"))["id"] == other[
        "id"
    ]


async def test_a_fingerprint_alone_joins_nothing(engine):
    """Some senders make up their own, the same for everything."""
    same = {"fingerprint": "0123456789abcdef"}

    one = await posted(engine, group(alert("Disk") | same))
    other = await posted(engine, group(alert("Host") | same))

    assert one["id"] != other["id"]


# Installations


async def test_two_installations_that_write_to_one_servicenow_do_not_take_each_others_records(engine):
    staging = Lifecycle(engine.store, engine.clock, installation="staging.example")
    production = Lifecycle(engine.store, engine.clock, installation="versus.example")
    ids = []
    for lifecycle in (staging, production):
        engine.lifecycle._installation = lifecycle._installation
        engine.redis_server.empty()
        ids.append((await posted(engine, group(alert("Disk"))))["id"])
        await engine.after(minutes=6)

    assert ids[0] != ids[1]
    assert sorted(it["correlation_id"] for it in engine.servicenow.incidents) == sorted(ids)


async def test_after_everything_was_forgotten_the_same_alert_has_the_same_id(engine):
    before = await posted(engine, group(alert("Disk")))
    engine.redis_server.empty()

    assert (await posted(engine, group(alert("Disk"))))["id"] == before["id"]


async def test_an_alert_leads_to_its_incident_by_what_an_earlier_version_wrote_too(engine):
    created = await posted(engine, group(alert("Disk", instance="a")))
    redis, [fired] = engine.store._redis, (await engine.store.get(IncidentId(created["id"]))).alerts
    await redis.delete(keys.alert(fired.fingerprint, fired.starts_at_ms)[0])
    await redis.sadd(keys.older_alert(fired.fingerprint, fired.starts_at_ms), created["id"])

    again = await posted(engine, group(alert("Disk", instance="a"), by=("instance",)))

    assert (again["id"], again["outcome"]) == (created["id"], "updated")


async def test_a_bucket_of_alerts_is_kept_for_the_one_that_is_kept_for_longest(engine, monkeypatch):
    monkeypatch.setattr(keys, "ALERT_BUCKETS", 1)
    monkeypatch.setattr(keys, "partition_of", lambda _: 0)
    redis = engine.store._redis
    longer = await posted(engine, group(alert("Disk", instance="a")), oncall_wait_minutes="10080")
    shorter = await posted(engine, group(alert("Host", instance="a")), incident_per="alert")

    ids = [IncidentId(it["id"]) for it in (longer, shorter)]
    found = [await engine.store.get(it) for it in ids]
    [bucket] = {keys.alert(fired.fingerprint, fired.starts_at_ms)[0] for it in found for fired in it.alerts}
    assert set((await redis.hgetall(bucket)).values()) == {*ids}
    assert await redis.pexpiretime(bucket) == await redis.pexpiretime(keys.incident(ids[0])) + 3600_000


# How long a key names an incident


async def test_what_is_open_is_kept_however_long_nothing_happens(engine):
    created = await posted(engine, group(alert("Disk", instance="a")))
    await posted(engine, group(alert("Disk", instance="a"), by=("instance",)))
    await engine.after(minutes=6)
    redis = engine.store._redis
    incident = await engine.store.get(IncidentId(created["id"]))
    assert incident is not None
    assert incident.aliases
    [fired] = incident.alerts
    assert fired.starts_at_ms is not None
    names = [
        keys.incident(incident.id),
        keys.timeline(incident.id),
        keys.payload(incident.id),
        keys.dedup(incident.dedup_key),
        *map(keys.dedup, incident.aliases),
        keys.alert(fired.fingerprint, fired.starts_at_ms)[0],
    ]
    for name in names:  # the server's clock is not moved by tests
        assert await redis.pexpire(name, DAY_MS), name

    await engine.watchdog.renew()

    until_ms = engine.clock.now_ms() + 7 * DAY_MS
    kept = {name: await redis.pexpiretime(name) - until_ms for name in names}
    assert kept.pop(names[-1]) in {0, 3600_000}  # what is in the same bucket shares it
    assert kept == dict.fromkeys(names[:-1], 0)


async def test_what_is_over_is_forgotten_in_its_time(engine):
    created = await posted(engine, group(alert("Disk")))
    await posted(engine, group(alert("Disk", over=True)))
    await engine.settle()
    name = keys.incident(IncidentId(created["id"]))
    await engine.store._redis.pexpireat(name, before_ms := engine.clock.now_ms() + DAY_MS)

    await engine.watchdog.renew()

    assert await engine.store._redis.pexpiretime(name) == before_ms


async def test_a_silence_that_outlasts_the_retention_keeps_the_key_as_well(engine):
    created = await posted(engine, group(alert("Disk")), oncall_wait_minutes="10080")
    await engine.settle()
    redis = engine.store._redis
    incident = await engine.store.get(IncidentId(created["id"]))
    assert incident is not None

    expiries = {await redis.pexpiretime(it) for it in (keys.incident(incident.id), keys.dedup(incident.dedup_key))}

    assert len(expiries) == 1


async def test_a_late_copy_of_what_is_over_does_not_make_a_new_problem_the_old_one(engine):
    for minutes in (0, 2):  # it flaps
        created = await posted(engine, group(alert("Disk", minutes=minutes)))
        await posted(engine, group(alert("Disk", minutes=minutes, over=True)))
    incident = await engine.store.get(IncidentId(created["id"]))
    assert incident is not None
    await engine.settle()
    engine.clock.advance(minutes=10)
    await engine.store._redis.delete(keys.dedup(incident.dedup_key))  # by the server's clock it has not expired

    late = await posted(engine, group(alert("Disk", minutes=0)))
    named = await engine.store._redis.exists(keys.dedup(incident.dedup_key))
    new = await posted(engine, group(alert("Disk", minutes=2880)))
    await engine.settle()

    assert (late["id"], late["outcome"], named) == (created["id"], "ignored", 0)
    assert new["outcome"] == "created"
    assert len(engine.slack.messages) == 2


# A grouping that changes back and forth


def pod(name: str, minutes: float, *, ended: float | None = None):
    """An alert that began then, and is over since then."""
    found = alert("Crash", minutes=minutes, over=ended is not None, pod=name)
    return found if ended is None else found | {"endsAt": (START + timedelta(minutes=ended)).isoformat()}


async def ends_of(engine: Engine) -> set[tuple[str, str]]:
    listed = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    return {(it["status"], it["outcome"]) for it in listed}


async def test_what_fires_anew_is_one_incident_while_one_of_a_pair_groups_otherwise(engine):
    """As in a rollout: the peer of the new grouping came first, and the other one tells the end of all."""
    await posted(engine, group(pod("a", 0), pod("b", 0)))
    await posted(engine, group(pod("a", 0, ended=1), pod("b", 0)))
    await posted(engine, group(pod("a", 7), by=("alertname", "pod"), sender=US))
    await posted(engine, group(pod("a", 7), pod("b", 0)))
    await posted(engine, group(pod("a", 7, ended=9), pod("b", 0)))
    await posted(engine, group(pod("b", 0, ended=10)))

    await engine.after(minutes=10)

    assert await ends_of(engine) == {("resolved", "resolved")}
    assert await records(engine) == []


async def test_what_fires_anew_is_one_incident_when_incident_per_changes_and_changes_back(engine):
    await posted(engine, group(pod("a", 0), pod("b", 0)))
    await posted(engine, group(pod("a", 0, ended=1), pod("b", 0)))
    await engine.post(group(pod("a", 6), pod("b", 0)), incident_per="alert")
    await posted(engine, group(pod("a", 6, ended=7), pod("b", 0)))
    await posted(engine, group(pod("b", 0, ended=8)))

    await engine.after(minutes=10)

    assert await ends_of(engine) == {("resolved", "resolved")}
    assert await records(engine) == []


async def test_an_end_that_came_before_its_start_is_one(engine):
    """As with clocks that differ: a rule is evaluated here, and its alert ends there."""
    await posted(engine, group(pod("a", 5)))

    over = await posted(engine, group(pod("a", 5, ended=4)))
    await engine.after(minutes=10)

    assert over["outcome"] == "resolved"
    assert await records(engine) == []


async def test_a_sender_that_only_says_that_it_cut_alerts_off_is_understood(engine):
    first = await posted(engine, group(alert("HostDown")) | {"truncatedAlerts": True})
    again = await posted(engine, group(alert("HostDown")) | {"truncatedAlerts": True})
    await engine.after(minutes=6)

    assert again["id"] == first["id"]
    assert await records(engine) == ["1"]


@pytest.mark.parametrize("settings", [{"dedup_key": "{{ labels.service }}"}])
@pytest.mark.parametrize("per", ["group", "alert"])
async def test_what_is_over_does_not_make_a_new_incident_graver(engine, per):
    fires, over = alert("Slow", service="s"), alert("Down", service="s", severity="critical", over=True)

    first = await posted(engine, group(fires, over), incident_per=per)

    assert (await engine.detail(first["id"]))["severity"] == "warning"
