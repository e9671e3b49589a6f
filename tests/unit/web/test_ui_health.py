"""What the page of health says of a server: how it stands, and what to do about it."""

from typing import Any

import pytest

from versus_py.engine.health import Readiness
from versus_py.engine.presence import GONE_MS
from versus_py.incidents.copies import replace
from versus_py.store import Standing
from versus_py.store.replicas import Circuit, Replica
from versus_py.systems import called
from versus_py.targets.check import Check, CheckStatus
from versus_py.telemetry.logs import Redactor
from versus_py.web.pages.ui.health_views import (
    BEATS_MAX,
    Beat,
    Facts,
    Finding,
    Kept,
    count_of,
    findings,
    masked,
    of_doctor,
    replicas_shown,
)

NOW_MS = 1_795_834_934_000
READY = Readiness("ok", "ok", {"slack": "ok", "slack:leads": "ok", "servicenow:infra": "ok"}, 0)
HERE = Replica("a 1", "versus-0", "1.2.0", NOW_MS - 60_000, NOW_MS - 4_000)
WELL = Facts(NOW_MS, READY, Standing(pending=3), "", [HERE], [], Kept())


def facts(**changes: Any) -> Facts:
    return replace(WELL, **changes)


def said(found: Facts) -> list[tuple[str, str, str]]:
    """Of what is not well."""
    rows = findings(found, called())
    return [(it.name, it.status, it.found) for it in rows if it.status in {CheckStatus.FAILED, CheckStatus.WARNING}]


def test_a_server_that_is_well_has_nothing_to_do():
    rows = findings(WELL, called())

    assert {it.name: it.found for it in rows} == {
        "Redis": "takes writes",
        "Escalations": "none is overdue; 3 may still come",
        "Slack": "no trouble",
        "Slack leads": "no trouble",
        "ServiceNow infra": "no trouble",
        "Journal": "is not kept: journal.keep is none",
    }
    assert count_of(rows) == {"failed": 0, "warning": 0}


CIRCUIT = {"slack": Circuit("no answer in time", NOW_MS + 60_000)}
TROUBLE = {
    "redis": (
        facts(readiness=replace(READY, redis="unavailable")),
        (
            "Redis",
            "failed",
            "takes no writes, or not as surely as redis.durability asks for: alerts are refused, to be ",
        ),
    ),
    "full": (
        facts(readiness=replace(READY, redis="full")),
        ("Redis", "failed", "is full: new alerts are refused, what was accepted goes on"),
    ),
    "loss": (
        facts(readiness=replace(READY, redis="emptied"), loss="emptied in 1 of 16 partitions"),
        ("Redis", "failed", "lost its data: emptied in 1 of 16 partitions"),
    ),
    "disk": (
        facts(readiness=replace(READY, redis="not_on_disk")),
        ("Redis", "failed", "cannot write its files: a restart would lose everything"),
    ),
    "word of a later version": (facts(readiness=replace(READY, redis="odd")), ("Redis", "failed", "odd")),
    "worker": (
        facts(readiness=replace(READY, worker="stalled")),
        ("Worker", "failed", "is stalled: this replica sends nothing"),
    ),
    "overdue": (facts(standing=Standing(overdue=1)), ("Escalations", "failed", "1 escalation is overdue")),
    "several overdue": (facts(standing=Standing(overdue=2)), ("Escalations", "failed", "2 escalations are overdue")),
    "not looked": (facts(standing=None), ("Escalations", "warning", "nobody has looked yet at what is overdue")),
    "cluster": (
        facts(standing=Standing(partitions_lost=4)),
        ("Redis cluster", "failed", "4 partitions cannot be looked at"),
    ),
    "failed": (facts(standing=Standing(failed=1)), ("Failed deliveries", "warning", "1 delivery failed for good")),
    "refused": (
        facts(replicas=[replace(HERE, refused={"servicenow:infra": "User Not Authenticated"})]),
        ("ServiceNow infra", "failed", "refuses the credentials of versus-0: User Not Authenticated"),
    ),
    "known by this replica only": (
        facts(replicas=[], readiness=replace(READY, targets={"slack": "refused"})),
        ("Slack", "failed", "refuses our credentials"),
    ),
    "circuit": (
        facts(replicas=[replace(HERE, circuits=CIRCUIT)]),
        ("Slack", "failed", "does not answer versus-0: no answer in time; it is tried again at 03:03:14 UTC"),
    ),
    "versions": (
        facts(replicas=[HERE, replace(HERE, version="1.1.0")]),
        ("Replicas", "warning", "run different versions: 1.1.0, 1.2.0"),
    ),
    "gone": (
        facts(replicas=[HERE, replace(HERE, host="versus-1", version="1.1.0", seen_ms=NOW_MS - GONE_MS - 135_000)]),
        ("Replicas", "warning", "versus-1 said nothing for 3 min"),
    ),
    "stalled elsewhere": (
        facts(replicas=[replace(HERE, worker="stalled")]),
        ("Replicas", "warning", "the worker of versus-0 is stalled"),
    ),
    "clock": (
        facts(replicas=[replace(HERE, ahead_ms=-7_000)]),
        ("Clock", "warning", "the clock of versus-0 is 7 s behind"),
    ),
    "silence": (
        facts(beats=[Beat("nightly", NOW_MS - 9_000, "prom", is_silent=True, incident_id="ab-1")]),
        ("Heartbeat nightly", "failed", "is silent; the last one came from prom"),
    ),
    "never": (
        facts(beats=[Beat("nightly", path="/api/heartbeats/nightly")]),
        ("Heartbeat nightly", "warning", "has never come"),
    ),
    "journal": (
        facts(journal=Kept("/data/journal.jsonl", 3)),
        ("Journal", "failed", "3 notifications could not be written to /data/journal.jsonl since the start"),
    ),
}


@pytest.mark.parametrize(("found", "expected"), TROUBLE.values(), ids=TROUBLE)
def test_each_trouble_is_one_finding_that_says_what_to_do(found, expected):
    [(name, status, text)] = said(found)

    assert (name, status) == expected[:2]
    assert text.startswith(expected[2])
    assert all(it.advice for it in findings(found, called()) if it.status is CheckStatus.FAILED and it.found != "odd")
    assert all(it.advice for it in findings(found, called()) if it.status is CheckStatus.WARNING)


def test_the_gravest_finding_comes_first():
    grave = facts(standing=Standing(failed=1, overdue=1), journal=Kept("Redis"))

    rows = findings(grave, called())

    assert [it.status for it in rows[:3]] == [CheckStatus.FAILED, CheckStatus.WARNING, CheckStatus.OK]
    assert rows[-1].status is CheckStatus.OK


def test_a_target_of_a_system_in_trouble_is_not_said_to_be_well():
    rows = findings(facts(replicas=[replace(HERE, circuits=CIRCUIT)]), called())

    assert [it.name for it in rows if it.found == "no trouble"] == ["ServiceNow infra"]


def test_what_a_gone_replica_said_last_does_not_count():
    gone = replace(HERE, seen_ms=NOW_MS - GONE_MS - 1, circuits=CIRCUIT, worker="stalled", version="0.9.0")

    assert [name for name, _, _ in said(facts(replicas=[HERE, gone]))] == ["Replicas"]
    assert [it.word for it in replicas_shown(facts(replicas=[HERE, gone]))] == ["Ready", "Gone"]


def test_while_redis_is_away_nothing_is_said_of_what_it_holds():
    away = facts(readiness=replace(READY, redis="unavailable"), replicas=[], beats=None)

    assert not away.reaches_redis
    assert [name for name, _, _ in said(away)] == ["Redis"]


def test_without_health_the_page_says_what_is_known():
    assert [it.name for it in findings(facts(readiness=None), called())] == ["Escalations", "Journal"]


def test_many_heartbeats_are_counted():
    rows = findings(facts(beats=[Beat(f"b{at}", NOW_MS) for at in range(BEATS_MAX + 2)]), called())

    assert [it.found for it in rows if it.name == "Heartbeats"] == ["2 more: versus doctor"]
    assert sum(it.name.startswith("Heartbeat ") for it in rows) == BEATS_MAX


def test_the_doctor_comes_gravest_first_and_leaves_heartbeats_to_what_is_known_now():
    checks = [
        Check("Redis", CheckStatus.OK, "version 7"),
        Check("Heartbeats", CheckStatus.FAILED, "nightly: silent"),
        Check("Slack", CheckStatus.FAILED, "Slack says invalid_auth", "set the token"),
    ]

    assert [(it.name, it.advice) for it in of_doctor(checks)] == [("Slack", "set the token"), ("Redis", "")]


@pytest.mark.parametrize("part", ["name", "found", "advice"])
def test_secrets_and_logins_in_addresses_are_masked_wherever_they_stand(part):
    secret = "hunter2-token"
    text = f"GET https://ana:pass@example.com/x?key={secret} failed"
    texts = {"name": "", "found": "", "advice": "", part: text}
    finding = Finding(texts["name"], CheckStatus.FAILED, texts["found"], texts["advice"])

    [found] = masked([finding], Redactor([secret]).masked)

    assert getattr(found, part) == "GET https://**********@example.com/x?key=********** failed"


@pytest.mark.parametrize(("ms", "text"), [(3, "+3 ms"), (-11, "-11 ms"), (0, "+0 ms"), (-3_600_000, "-3600 s")])
def test_how_far_a_clock_is_off(ms, text):
    [row] = replicas_shown(facts(replicas=[replace(HERE, ahead_ms=ms)]))

    assert row.clock == text
