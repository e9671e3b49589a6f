"""Records in ServiceNow, from their creation to their end: what is written, once each, and what is left alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.conftest import LEASE_MS, Engine, make_turns, make_worker
from tests.support.stored import packed, unpacked
from versus_py.config import ServiceNowConfig
from versus_py.engine.retries import SPREAD
from versus_py.simulators import Fault
from versus_py.store import keys
from versus_py.targets.servicenow.target import ServiceNowTarget

START = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)

FIELDS = {
    "short_description": "{{ severity | upper }}: {{ incident.title }}",
    "description": "{% for alert in firing %}{{ alert.name }}: {{ alert.annotations.summary }}\n{% endfor %}",
    "impact": "{{ by_severity.impact }}",
    "urgency": "{{ by_severity.urgency }}",
    "category": "software",
    "contact_type": "monitoring",
    "caller_id": "ana@example.com",
    "assignment_group": "{{ labels.team or by_severity.group }}",
}
SEVERITIES = {
    "critical": {"impact": 1, "urgency": 1, "group": "Network"},
    "default": {"impact": 3, "urgency": 3, "group": "Network"},
}


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch):
    monkeypatch.setattr(SPREAD, "uniform", lambda low, _high: low)


def group(*names: str, resolved: tuple[str, ...] = (), minutes: float = 0, **labels: str) -> dict[str, Any]:
    """What Alertmanager posts for a group in which *names* fire."""
    alerts = [
        {
            "status": "resolved" if name in resolved else "firing",
            "labels": {"alertname": name, "severity": "critical", "instance": "db-7"} | labels,
            "annotations": {"summary": f"{name} is bad"},
            "startsAt": (START + timedelta(minutes=minutes)).isoformat(),
            "endsAt": (START + timedelta(minutes=minutes + 1)).isoformat() if name in resolved else "",
            "fingerprint": f"fp-{name}",
        }
        for name in (*names, *resolved)
    ]
    return {"receiver": "versus", "alerts": alerts, "groupKey": "{}:{}", "groupLabels": {}, "version": "4"}


async def escalated(engine: Engine, *names: str, **labels: Any) -> dict[str, str]:
    """The record of a group that nobody acknowledged."""
    await engine.post(group(*(names or ("DiskFull",)), **labels))
    await engine.after(minutes=6)
    [record] = engine.servicenow.incidents
    return record


def notes(engine: Engine) -> list[str]:
    """The lines of the only record's work notes, without their times."""
    [record] = engine.servicenow.incidents
    lines = "\n".join(engine.servicenow.notes.get(record["sys_id"], [])).splitlines()
    return [line.partition(" UTC: ")[2] or line for line in lines]


def sys_id_of(engine: Engine, table: str, **wanted: str) -> str:
    return next(row["sys_id"] for row in engine.servicenow.tables[table] if wanted.items() <= row.items())


async def snapshot(engine: Engine) -> dict[str, Any]:
    """What Redis holds, but for the stream of changes."""
    redis = engine.store._redis
    names = [name async for name in redis.scan_iter("*") if await redis.type(name) != "stream"]
    return {name: await redis.dump(name) for name in names}


async def set_back(engine: Engine, before: dict[str, Any]) -> None:
    """Redis has forgotten what came after the snapshot."""
    redis = engine.store._redis
    await redis.flushall()
    for name, dump in before.items():
        await redis.restore(name, 0, dump)


async def acknowledge(engine: Engine) -> None:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    response = await engine.http.post(f"/api/incidents/{listed['id']}/acknowledge?by=ana")
    assert response.status == 201
    await engine.settle()


@pytest.mark.parametrize("servicenow_settings", [{"fields": FIELDS, "severities": SEVERITIES}])
async def test_fields_are_written_by_templates_and_names_become_references(engine):
    record = await escalated(engine)

    assert record["short_description"] == "CRITICAL: DiskFull is bad"
    assert record["description"] == "DiskFull on db-7: DiskFull is bad"
    assert (record["impact"], record["urgency"], record["priority"]) == ("1", "1", "1")
    assert (record["category"], record["contact_type"]) == ("software", "monitoring")
    assert record["caller_id"] == sys_id_of(engine, "sys_user", email="ana@example.com")
    assert record["assignment_group"] == sys_id_of(engine, "sys_user_group", name="Network")
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    assert record["correlation_id"] == listed["id"]


@pytest.mark.parametrize("servicenow_settings", [{"fields": FIELDS, "severities": SEVERITIES}])
async def test_an_unknown_severity_has_the_default_row(engine):
    record = await escalated(engine, severity="purple")

    assert (record["impact"], record["urgency"], record["priority"]) == ("3", "3", "5")


@pytest.mark.parametrize("servicenow_settings", [{"fields": FIELDS, "severities": SEVERITIES}])
async def test_each_name_is_looked_up_once(engine):
    await engine.post(group("DiskFull"))
    await engine.post(group("HostDown") | {"groupLabels": {"alertname": "HostDown"}})
    await engine.after(minutes=6)

    calls = engine.servicenow.calls
    assert len(engine.servicenow.incidents) == 2
    assert calls.count("GET /api/now/table/sys_user") == calls.count("GET /api/now/table/sys_user_group") == 1


@pytest.mark.parametrize(
    ("servicenow_settings", "said"),
    [
        ({"fields": {"caller_id": "ben@example.com"}}, "2 rows of sys_user"),
        ({"fields": {"caller_id": "carla@example.com"}}, "no row of sys_user"),
        ({"fields": {"assignment_group": "Database"}}, "2 rows of sys_user_group"),
        ({"fields": {"assignment_group": "Nowhere"}}, "no row of sys_user_group"),
        ({"fields": {"cmdb_ci": "db-7"}}, "2 rows of cmdb_ci"),
        ({"fields": {"caller_id": "x^ORactive=true"}}, "mean something in a query"),
        ({"fields": {"caller_id": "javascript:gs.getUserID()"}}, "mean something in a query"),
        ({"fields": {"short_description": "{{ 1 / 0 }}"}}, "ZeroDivisionError"),
        ({"fields": {"u_owner": "x"}, "references": {"u_owner": "u_missing_table.name"}}, "no row of u_missing_table"),
        ({"fields": {"u_owner": "x"}, "references": {"u_owner": "sys_secret.name"}}, "cannot be read"),
    ],
)
async def test_a_field_that_cannot_be_made_is_left_out_and_everybody_is_told(engine, logs, said):
    record = await escalated(engine)

    assert record["short_description"] == f"Incident {record['correlation_id']}"
    assert (record["caller_id"], record["assignment_group"], record["cmdb_ci"]) == ("", "", "")
    assert said in engine.slack.messages[0].shown
    assert said in next(line["warning"] for line in logs if line["event"] == "servicenow.field_left_out")


@pytest.mark.parametrize(
    "servicenow_settings",
    [
        {
            "fields": {
                "short_description": "{{ 'x' * 500 }}",
                "description": "{{ 'y' * 5000 }}",
                "u_other": "{{ 'z' * 500 }}",
            }
        }
    ],
)
async def test_what_is_too_long_is_cut_with_an_ellipsis(engine):
    record = await escalated(engine)

    assert record["short_description"] == "x" * 159 + "…"
    assert record["description"] == "y" * 3999 + "…"
    assert len(record["correlation_id"]) == 22


@pytest.mark.parametrize("servicenow_settings", [{"fields": {"caller_id": "ana@example.com"}}])
async def test_while_names_cannot_be_looked_up_the_record_waits_once_and_then_does_without(engine):
    engine.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_user", times=None))
    await engine.post(group("DiskFull"))
    await engine.after(minutes=5)
    await engine.after(minutes=1)

    [record] = engine.servicenow.incidents
    assert record["caller_id"] == ""
    assert "names cannot be looked up" in engine.slack.messages[0].shown


@pytest.mark.parametrize("servicenow_settings", [{"fields": {"description": "x"}}])
async def test_when_the_fields_are_refused_there_is_a_record_without_them(engine, monkeypatch):
    engine.servicenow.requires_caller = True
    record_of_two = []
    create = engine.servicenow._writer.create

    def lenient(table, fields, **options):
        engine.servicenow.requires_caller = "description" in fields
        record_of_two.append(sorted(fields))
        return create(table, fields, **options)

    monkeypatch.setattr(engine.servicenow._writer, "create", lenient)
    await escalated(engine)

    assert record_of_two == [
        ["correlation_id", "description", "short_description"],
        ["correlation_id", "short_description"],
    ]
    assert "created without its fields" in engine.slack.messages[0].shown


async def test_alerts_that_join_and_leave_are_noted_once_and_the_record_stays_one(engine):
    await escalated(engine, "DiskFull")

    await engine.post(group("DiskFull", "HostDown", "QueueStuck"))
    await engine.settle()
    await engine.post(group("DiskFull", "HostDown", "QueueStuck"))
    await engine.settle()
    await engine.post(group("DiskFull", "HostDown", resolved=("QueueStuck",)))
    await engine.settle()

    assert notes(engine) == [
        "2 alerts joined: HostDown on db-7, QueueStuck on db-7",
        "1 alert resolved: QueueStuck on db-7",
    ]
    [message] = engine.slack.messages
    assert message.replies[0].startswith(":rotating_light: Escalated to ServiceNow as <http")
    assert message.replies[1:] == [":heavy_plus_sign: 2 alerts joined: HostDown on db-7, QueueStuck on db-7"]


async def test_the_severity_is_the_highest_of_what_fires(engine):
    await engine.post(group("DiskFull", severity="warning"))
    both = group("DiskFull", severity="warning")
    both["alerts"] += group("HostDown", severity="critical")["alerts"]
    await engine.post(both)
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    assert listed["severity"] == "critical"

    gone = group("DiskFull", severity="warning")
    gone["alerts"] += group(resolved=("HostDown",), severity="critical")["alerts"]
    await engine.post(gone)

    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    assert listed["severity"] == "warning"


async def test_joining_alerts_leave_an_acknowledgment_as_it_is(engine):
    await escalated(engine)
    await acknowledge(engine)

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert notes(engine) == ["acknowledged by ana", "1 alert joined: HostDown on db-7"]
    assert "*Acknowledged*" in engine.slack.messages[0].text
    assert engine.servicenow.incidents[0]["state"] == "2"


@pytest.mark.parametrize("servicenow_settings", [{"on_update": "nothing"}])
async def test_on_update_nothing_notes_no_alerts(engine):
    await escalated(engine)

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert notes(engine) == []


COUNTS = {"description": "{{ firing | length }} firing", "short_description": "{{ firing | length }} alerts"}
UPDATES = {
    "on_update": "fields",
    "fields": {"description": "{{ firing | length }} firing", "short_description": "{{ firing | length }} alerts"},
    "update_fields": {
        "description": "{{ firing | length }} firing",
        "short_description": "{{ firing | length }} alerts",
    },
}


@pytest.mark.parametrize("servicenow_settings", [UPDATES])
async def test_on_update_fields_follow_the_alerts_but_not_where_somebody_wrote_something_else(engine):
    record = await escalated(engine)
    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    assert (record["description"], record["short_description"]) == ("2 firing", "2 alerts")
    record["short_description"] = "The disk array of building 4"

    await engine.post(group("DiskFull", "HostDown", "QueueStuck"))
    await engine.settle()

    assert record["description"] == "3 firing"
    await engine.post(group("DiskFull", resolved=("HostDown", "QueueStuck")))
    await engine.settle()
    assert record["description"] == "1 firing"
    assert record["short_description"] == "The disk array of building 4"
    assert len(notes(engine)) == 3


@pytest.mark.parametrize("method", ["PATCH", "GET"])
@pytest.mark.parametrize("kind", ["lost_reply", "503", "truncated", "down"])
async def test_a_note_is_written_once_also_after_failures(engine, kind, method):
    await escalated(engine)
    engine.servicenow.faults.order(Fault(kind=kind, method=method))

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    await engine.after(minutes=2)
    await engine.post(group("DiskFull", "HostDown"))
    await engine.after(minutes=2)

    assert notes(engine) == ["1 alert joined: HostDown on db-7"]


async def test_a_note_is_written_once_also_when_the_worker_dies_before_it_says_so(engine):
    await escalated(engine)
    complete = engine.store.complete

    async def dies(claim, *_, **__):
        return claim.target != "servicenow"

    engine.worker._store.complete = dies
    await engine.post(group("DiskFull", "HostDown"))
    await engine.worker.run_due()
    assert len(notes(engine)) == 1

    engine.worker._store.complete = complete
    await engine.after(minutes=LEASE_MS / 60_000)

    assert notes(engine) == ["1 alert joined: HostDown on db-7"]


@pytest.mark.parametrize("is_readable", [True, False], ids=["journal", "formatted"])
async def test_what_was_resolved_by_an_attempt_that_nobody_recorded_is_not_noted_again(engine, is_readable):
    await escalated(engine)
    engine.servicenow.journal_is_readable = is_readable
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="PATCH"))

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    await engine.after(minutes=2)

    assert notes(engine) == ["resolved by alertmanager"]
    assert engine.servicenow.incidents[0]["state"] == "6"


@pytest.mark.parametrize(
    ("servicenow_settings", "state", "said"),
    [
        ({"on_resolve": "resolve"}, "6", ["resolved by alertmanager"]),
        ({"on_resolve": "note"}, "1", ["resolved by alertmanager"]),
        ({"on_resolve": "nothing"}, "1", []),
    ],
)
async def test_what_a_resolve_does_is_a_choice(engine, state, said):
    record = await escalated(engine)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert record["state"] == state
    assert notes(engine) == said


@pytest.mark.parametrize(
    "servicenow_settings",
    [
        {
            "resolve_fields": {
                "close_code": "Workaround provided",
                "close_notes": "{{ incident.title }} is over",
                "u_x": "y",
            }
        }
    ],
)
async def test_the_resolve_has_fields_of_its_own(engine):
    record = await escalated(engine)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert (record["state"], record["close_code"]) == ("6", "Workaround provided")
    assert record["close_notes"] == "DiskFull is bad is over"


@pytest.mark.parametrize("servicenow_settings", [{"resolve_fields": {"close_notes": "{{ 1 / 0 }}"}}])
async def test_a_template_that_fails_does_not_keep_a_record_open(engine):
    record = await escalated(engine)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert (record["state"], record["close_notes"]) == ("6", "Resolved by alertmanager.")


SORTED = {"resolve_fields": {"close_code": "Sorted"}}


@pytest.mark.parametrize(
    ("servicenow_settings", "refused"),
    [
        (SORTED, {}),
        ({"resolve_fields": {"u_cause": "unknown"}}, {"refused_columns": {"u_cause"}}),
        ({"resolve_fields": {"close_notes": "Over.", "category": "x"}}, {"refused_columns": {"category"}}),
        ({}, {"refused_columns": {"work_notes"}}),
    ],
)
async def test_a_record_whose_close_fields_are_refused_is_resolved_with_the_default_ones(engine, refused, logs):
    record = await escalated(engine)
    for name, columns in refused.items():
        setattr(engine.servicenow, name, columns)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    await engine.settle()

    assert (record["state"], record["close_code"]) == ("6", "Solution provided")
    assert record["close_notes"].startswith("Resolved by alertmanager.")
    said = f"{record['number']} was resolved with the close code Solution provided: ServiceNow answered 403"
    assert said in engine.slack.messages[0].shown
    assert [said in reply for reply in engine.slack.messages[0].replies[1:]] == [True]
    assert [line["event"] for line in logs if line["event"].startswith("servicenow.resolved")] == [
        "servicenow.resolved_otherwise"
    ]


async def test_an_older_release_gets_its_own_close_code(engine):
    record = await escalated(engine)
    choices = engine.servicenow.tables["sys_choice"]
    for row in choices:
        if row["element"] == "close_code":
            row["inactive"] = str(row["value"] != "Solved (Permanently)").lower()

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert (record["state"], record["close_code"]) == ("6", "Solved (Permanently)")
    assert notes(engine) == ["resolved by alertmanager"]


@pytest.mark.parametrize(
    "switch",
    [{"abort_rule": "Keep open"}, {"ignored_columns": {"state"}}, {"refused_columns": {"state"}}],
    ids=["rule", "ignored", "refused"],
)
async def test_a_record_that_cannot_be_resolved_is_told_in_the_thread(engine, switch, logs):
    record = await escalated(engine)
    for name, value in switch.items():
        setattr(engine.servicenow, name, value)

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    await engine.settle()

    logs.expect_error("sync.failed")
    assert record["state"] == "1"
    assert "not up to date" in engine.slack.messages[0].shown
    said = f":warning: ServiceNow {record['number']} is not up to date, and may still be open: ServiceNow "
    assert [reply.startswith(said) for reply in engine.slack.messages[0].replies[1:]] == [True]
    assert len(notes(engine)) <= 1


@pytest.mark.parametrize(
    "servicenow_settings", [{"states": {"new": 1, "acknowledged": 3, "open": [2], "resolved": 6}}], ids=["own numbers"]
)
async def test_the_states_numbers_are_a_setting(engine):
    record = await escalated(engine)
    record["hold_reason"] = "1"

    await acknowledge(engine)

    assert record["state"] == "3"


@pytest.mark.parametrize("state", ["7", "8"])
async def test_a_record_that_is_over_is_never_touched(engine, state):
    record = await escalated(engine)
    record["state"] = state
    before = dict(record)

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    await acknowledge(engine)
    assert "was closed in ServiceNow and is left so" in engine.slack.messages[0].shown
    await engine.post(group(resolved=("DiskFull", "HostDown")))
    await engine.settle()

    assert record == before
    assert not [call for call in engine.servicenow.calls if call.startswith("PATCH")]


async def test_a_record_that_somebody_resolved_stays_resolved_and_is_told_the_rest(engine):
    record = await escalated(engine)
    record["state"] = "6"

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert record["state"] == "6"
    assert notes(engine) == ["1 alert joined: HostDown on db-7"]
    assert "was resolved in ServiceNow and is left so" in engine.slack.messages[0].shown


async def test_a_record_on_hold_is_not_taken_back_by_an_acknowledgment_but_resolved_at_the_end(engine):
    record = await escalated(engine)
    record["state"] = "3"

    await acknowledge(engine)
    assert record["state"] == "3"
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert record["state"] == "6"
    assert notes(engine) == ["acknowledged by ana", "resolved by alertmanager"]


async def test_acknowledged_in_time_after_a_reopening_servicenow_is_not_written_to(engine):
    await escalated(engine)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    written = [call for call in engine.servicenow.calls if not call.startswith("GET")]

    await engine.post(group("DiskFull"))
    await engine.settle()
    await acknowledge(engine)
    await engine.after(hours=1)

    assert [call for call in engine.servicenow.calls if not call.startswith("GET")] == written
    assert engine.servicenow.incidents[0]["state"] == "6"


@pytest.mark.parametrize("how", ["closed", "gone"])
@pytest.mark.parametrize("servicenow_settings", [{}, {"fields": {"description": "after {{ previous_record }}"}}])
async def test_a_new_record_after_a_closed_or_deleted_one_names_it(engine, servicenow_settings, how):
    old = await escalated(engine)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    if how == "closed":
        old["state"] = "7"
    else:
        engine.servicenow.incidents.remove(old)

    await engine.post(group("DiskFull"))
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="PATCH"))
    await engine.after(minutes=8)

    new = engine.servicenow.incidents[-1]
    assert new["number"] != old["number"]
    said = "\n".join(engine.servicenow.notes[new["sys_id"]])
    assert said.count("Follows ") == said.count(f"Follows {old['number']}, which is {how}.") == 1
    assert new["description"] == (f"after {old['number']}" if servicenow_settings else "")


async def test_a_successor_names_its_predecessor_once_although_that_was_deleted_meanwhile(engine):
    old = await escalated(engine)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    old["state"] = "7"
    await engine.post(group("DiskFull"))
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="PATCH"))
    await engine.after(minutes=5)
    engine.servicenow.incidents.remove(old)

    await engine.after(minutes=3)

    [new] = engine.servicenow.incidents
    assert "\n".join(engine.servicenow.notes[new["sys_id"]]).count("Follows ") == 1


NOBODY = (
    "caller_id 'nobody@example.com': no row of sys_user with this email; it takes exactly one; the field was left out"
)


async def note_of(engine: Engine) -> str:
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    detail = await engine.detail(listed["id"])
    return str(detail["deliveries"]["servicenow"]["note"] or "")


async def escalated_again_after_a_closed_record(engine: Engine) -> None:
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    engine.servicenow.incidents[-1]["state"] = "7"
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)


@pytest.mark.parametrize("servicenow_settings", [{"fields": {"caller_id": "nobody@example.com"}}])
async def test_a_note_that_holds_for_a_successor_too_stands_there_once(engine):
    await escalated(engine)
    assert await note_of(engine) == NOBODY

    for _ in range(2):
        await escalated_again_after_a_closed_record(engine)

    assert len(engine.servicenow.incidents) == 3
    assert await note_of(engine) == NOBODY
    assert engine.slack.messages[0].shown.count("nobody@example.com") == 1


@pytest.mark.parametrize("servicenow_settings", [{"fields": {"caller_id": "nobody@example.com"}}])
async def test_a_note_about_a_record_does_not_go_on_with_its_successor(engine):
    await escalated(engine)
    user = next(row for row in engine.servicenow.tables["sys_user"] if row["email"] == "ana@example.com")
    engine.servicenow.tables["sys_user"].append(user | {"sys_id": "f" * 32, "email": "nobody@example.com"})

    await escalated_again_after_a_closed_record(engine)

    assert engine.servicenow.incidents[-1]["caller_id"] == "f" * 32
    assert await note_of(engine) == ""


UNRESOLVED = {"caller_id": "nobody@example.com"}


@pytest.mark.parametrize(
    "servicenow_settings", [{"on_update": "fields", "fields": UNRESOLVED, "update_fields": UNRESOLVED}]
)
async def test_a_note_of_the_creation_and_of_an_update_stands_there_once(engine):
    await escalated(engine)

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert await note_of(engine) == NOBODY


async def test_of_several_records_the_oldest_open_one_is_taken_and_a_warning_says_so(engine, logs):
    await engine.post(group("DiskFull"))
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    for state in ("7", "1", "1"):
        await (
            engine.worker._targets["servicenow"]
            ._instances[None]
            .api.create("incident", {"correlation_id": listed["id"]})
        )
        engine.servicenow.incidents[-1]["state"] = state

    await engine.after(minutes=6)

    assert len(engine.servicenow.incidents) == 3
    assert engine.servicenow.incidents[1]["number"] in engine.slack.messages[0].shown
    assert any(line["event"] == "servicenow.duplicates" for line in logs)


@pytest.mark.parametrize("kind", ["lost_reply", "truncated", "503", "down", "cut_off", "html200", "302", "400", "401"])
async def test_whatever_answer_gets_lost_there_is_one_record(engine, kind, logs):
    engine.servicenow.faults.order(Fault(kind=kind, method="POST", seconds=0))
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown
    if kind in {"400", "401"}:
        logs.expect_error("sync.failed" if kind == "400" else "credentials.refused")


async def test_a_redis_that_lost_everything_finds_the_record_again(engine):
    record = await escalated(engine)
    await engine.store._redis.flushall()

    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert engine.servicenow.incidents == [record]
    assert record["state"] == "6"


async def test_a_redis_that_lost_what_came_of_the_creation_makes_no_second_one(engine):
    await engine.post(group("DiskFull"))
    await engine.settle()
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    key = keys.incident(listed["id"])
    before = await snapshot(engine)
    await engine.after(minutes=6)
    await set_back(engine, before)
    assert await engine.store._redis.exists(key)

    await engine.after(minutes=6)

    [record] = engine.servicenow.incidents
    assert record["number"] in engine.slack.messages[0].shown


async def test_two_replicas_make_one_record(engine, config, clock, session):
    other = make_worker(config, clock, engine.store, session, engine.links)
    await engine.post(group("DiskFull"))
    engine.clock.advance(minutes=6)

    for _ in range(5):
        await engine.worker.run_due()
        await other.run_due()
        engine.clock.advance(seconds=1)

    assert len(engine.servicenow.incidents) == 1


PLAIN = {
    "table": "u_versus_alert",
    "lifecycle": "plain",
    "fields": {"short_description": "{{ incident.title }}"},
    "on_update": "fields",
    "update_fields": {"description": "{{ firing | length }} firing"},
    "resolve_fields": {"description": "over"},
}


@pytest.mark.parametrize("servicenow_settings", [PLAIN])
async def test_a_plain_table_gets_its_fields_and_nothing_of_an_incidents_life(engine):
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.tables["u_versus_alert"]
    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()
    assert record["description"] == "2 firing"
    await acknowledge(engine)
    patches = [call for call in engine.servicenow.calls if call.startswith("PATCH")]

    await engine.post(group(resolved=("DiskFull", "HostDown")))
    await engine.settle()

    assert record["short_description"] == "DiskFull is bad"
    assert record["description"] == "over"
    assert len(patches) == 1
    assert engine.servicenow.notes == {}


async def test_each_alert_of_a_group_has_a_record_of_its_own(engine):
    answer = await engine.post(group("DiskFull", "HostDown", "QueueStuck"), incident_per="alert")
    assert answer["count"] == 3
    await engine.settle()
    assert len(engine.slack.messages) == 3

    await engine.post(group("DiskFull", "HostDown", resolved=("QueueStuck",)), incident_per="alert")
    await engine.after(minutes=6)
    await engine.post(group("DiskFull", resolved=("HostDown",)), incident_per="alert")
    await engine.settle()

    assert sorted(record["state"] for record in engine.servicenow.incidents) == ["1", "6"]
    assert sum("*Resolved*" in message.text for message in engine.slack.messages) == 2


OTHERS = {
    "other_instance_urls": {
        "plain": {
            "table": "u_versus_alert",
            "lifecycle": "plain",
            "fields": {"description": "{{ incident.title }}"},
            "resolve_fields": {"description": "over"},
        }
    }
}


@pytest.mark.parametrize("servicenow_settings", [OTHERS])
async def test_another_instance_can_be_another_table_with_fields_of_its_own(engine):
    await engine.post(group("DiskFull"), servicenow_other_instance="plain")
    await engine.after(minutes=6)
    [record] = engine.servicenow.tables["u_versus_alert"]
    assert record["description"] == "DiskFull is bad"

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert record["description"] == "over"
    assert engine.servicenow.incidents == []


async def test_another_instance_gets_credentials_of_its_own_and_not_the_defaults(
    engine, config, session, clock, servicenow_infra
):
    auth = {"type": "oauth_client_credentials", "client_id": "versus-client", "client_secret": "client-secret"}
    url = config.oncall.servicenow.other_instance_urls["infra"].instance_url
    own = {"instance_url": url, "auth": auth}
    settings = config.oncall.servicenow.model_dump() | {"other_instance_urls": {"infra": own}}
    target = ServiceNowTarget(
        ServiceNowConfig.model_validate(settings), clock=clock, session=session, turns=make_turns()
    )
    engine.worker._targets["servicenow"] = target
    seen: list[str] = []
    check = servicenow_infra._login.check

    def noting(request):
        seen.append(request.headers["Authorization"])
        check(request)

    servicenow_infra._login.check = noting

    await engine.post(group("DiskFull"), servicenow_other_instance="infra")
    await engine.after(minutes=6)

    assert len(servicenow_infra.incidents) == 1
    assert seen
    assert all(header.startswith("Bearer ") for header in seen)


async def test_a_record_in_an_instance_that_is_not_configured_any_more_is_told(engine, config, session, clock, logs):
    await engine.post(group("DiskFull"), servicenow_other_instance="infra")
    await engine.after(minutes=6)
    gone = config.oncall.servicenow.model_copy(update={"other_instance_urls": {}})
    engine.worker._targets["servicenow"] = ServiceNowTarget(gone, clock=clock, session=session, turns=make_turns())

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert "not configured any more" in logs.expect_error("sync.failed")["error"]


@pytest.mark.parametrize("how", ["deleted", "hidden"])
async def test_a_record_that_is_gone_in_the_same_wait_is_not_made_again(engine, how):
    record = await escalated(engine)
    if how == "deleted":
        engine.servicenow.incidents.remove(record)
    else:
        engine.servicenow.readable = False

    for names in (("DiskFull", "A"), ("DiskFull", "A", "B")):
        await engine.post(group(*names))
        await engine.settle()

    assert len([call for call in engine.servicenow.calls if call.startswith("POST")]) == 1
    assert "is gone, or the user may not read it any more" in engine.slack.messages[0].shown


async def test_each_reopening_after_a_closed_record_has_a_record_of_its_own(engine):
    await escalated(engine)
    for count in (2, 3):
        await engine.post(group(resolved=("DiskFull",)))
        await engine.after(minutes=1)
        engine.servicenow.incidents[-1]["state"] = "7"

        await engine.post(group("DiskFull"))
        await engine.after(minutes=6)

        assert len(engine.servicenow.incidents) == count


@pytest.mark.parametrize("how", ["acknowledged", "resolved"])
async def test_a_successor_whose_reply_was_lost_is_found_also_after_the_incident_moved_on(engine, how):
    old = await escalated(engine)
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    old["state"] = "7"
    await engine.post(group("DiskFull"))
    engine.servicenow.faults.order(Fault(kind="lost_reply", method="POST"))
    await engine.after(minutes=5)

    if how == "acknowledged":
        await acknowledge(engine)
    else:
        await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=5)

    _, successor = engine.servicenow.incidents
    assert successor["state"] == {"acknowledged": "2", "resolved": "6"}[how]


@pytest.mark.parametrize("servicenow_settings", [PLAIN | {"on_update": "nothing", "fields": {"description": "open"}}])
async def test_a_plain_record_is_written_anew_when_its_incident_escalates_again(engine):
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)
    [record] = engine.servicenow.tables["u_versus_alert"]
    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=1)
    assert record["description"] == "over"

    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)

    assert record["description"] == "open"
    assert len(engine.servicenow.tables["u_versus_alert"]) == 1


@pytest.mark.parametrize("servicenow_settings", [{"lifecycle": "plain", "resolve_fields": {"description": "over"}}])
async def test_a_plain_tables_own_state_means_nothing(engine):
    record = await escalated(engine)
    record["state"] = "101"

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    assert record["description"] == "over"
    assert record["state"] == "101"


async def test_after_a_long_outage_no_fact_is_cut_off(engine):
    await escalated(engine)
    for number in range(15):
        await engine.post(group("DiskFull", *(f"A{number}-{index}-{'x' * 80}" for index in range(10))))

    await acknowledge(engine)

    assert notes(engine)[-1] == "acknowledged by ana"
    assert len("\n".join(engine.servicenow.notes[engine.servicenow.incidents[0]["sys_id"]])) <= 4000


async def test_a_note_is_written_once_also_when_redis_lost_its_last_second(engine):
    await escalated(engine)
    [listed] = (await (await engine.http.get("/api/incidents")).json())["incidents"]
    await engine.http.post(f"/api/incidents/{listed['id']}/acknowledge?by=ana")
    before = await snapshot(engine)
    await engine.settle()
    await set_back(engine, before)

    await engine.settle()

    assert notes(engine) == ["acknowledged by ana"]


async def test_an_escalation_of_an_earlier_version_is_told_what_happens_next(engine):
    await escalated(engine)
    redis = engine.store._redis
    [key] = [name async for name in redis.scan_iter("*incident:*")]
    stored = unpacked(await redis.hget(key, "delivery:servicenow"))
    stored["reference"].pop("told")
    stored["reference"].pop("table")
    await redis.hset(key, "delivery:servicenow", packed(stored))

    await acknowledge(engine)

    assert notes(engine) == ["acknowledged by ana"]


@pytest.mark.parametrize("servicenow_settings", [{"resolve_fields": {"assigned_to": "ana@example.com"}}])
async def test_a_name_that_cannot_be_looked_up_keeps_no_record_open(engine):
    record = await escalated(engine)
    engine.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_user", times=None))

    await engine.post(group(resolved=("DiskFull",)))
    await engine.after(minutes=2)

    assert record["state"] == "6"


async def test_what_is_refused_is_at_least_noted_and_once(engine, logs):
    await escalated(engine)
    engine.servicenow.refused_columns = {"state"}

    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()
    await engine.post(group("DiskFull"))
    await engine.post(group(resolved=("DiskFull",)))
    await engine.settle()

    logs.expect_error("sync.failed")
    assert notes(engine).count("resolved by alertmanager") == 2
    assert len(set(engine.servicenow.notes[engine.servicenow.incidents[0]["sys_id"]])) == 2


@pytest.mark.parametrize(
    "servicenow_settings",
    [{"on_update": "fields", "fields": {"category": "software"}, "update_fields": {"category": "software"}}],
)
async def test_a_column_that_somebody_cleared_stays_empty(engine):
    record = await escalated(engine)
    record["category"] = ""

    await engine.post(group("DiskFull", "HostDown"))
    await engine.settle()

    assert record["category"] == ""


async def test_in_a_busy_incident_the_thread_is_told_too(engine):
    await engine.post(group("DiskFull"))
    await engine.settle()

    for _ in range(10):
        await engine.post(group("DiskFull", "HostDown"))
        await engine.worker.run_due()
        engine.clock.advance(seconds=1)

    [message] = engine.slack.messages
    assert message.replies == [":heavy_plus_sign: 1 alert joined: HostDown on db-7"]
    assert message.edits > 5


@pytest.mark.parametrize("settings", [{"dedup_key": "{{ labels.service }}"}])
async def test_hosts_without_identity_under_one_key_end_each_by_itself(engine):
    await engine.post({"title": "disk full", "host": "a", "service": "x"})
    await engine.post({"title": "disk full", "host": "b", "service": "x"})

    answer = await engine.post({"title": "disk full", "host": "a", "service": "x", "status": "resolved"})

    assert answer["incidents"][0]["status"] == "triggered"


async def test_an_acknowledgment_stands_over_an_alarm_that_had_no_data(engine):
    alarm = {"alarm_id": "a1", "alarm_definition_id": "d", "alarm_name": "cpu", "metrics": []}
    now_s = engine.clock.now_ms() // 1000
    await engine.post(alarm | {"state": "ALARM", "old_state": "OK", "alarm_timestamp": now_s})
    await engine.settle()
    await acknowledge(engine)

    await engine.post(alarm | {"state": "UNDETERMINED", "old_state": "ALARM", "alarm_timestamp": now_s + 60})
    answer = await engine.post(alarm | {"state": "ALARM", "old_state": "UNDETERMINED", "alarm_timestamp": now_s + 120})

    assert answer["incidents"][0]["status"] == "acknowledged"


async def listed(engine: Engine) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = await (await engine.http.get("/api/incidents")).json()
    return found["incidents"]


async def resolve(engine: Engine, **said: Any) -> Any:
    """By a person, and all that follows from it."""
    [incident] = await listed(engine)
    response = await engine.http.post(f"/api/incidents/{incident['id']}/resolve", json={"by": "ana", **said})
    await engine.settle()
    return response


async def test_a_comment_on_the_resolve_is_in_the_close_notes_the_work_note_the_thread_and_the_timeline(engine):
    record = await escalated(engine)

    answer = await (await resolve(engine, comment=" Replaced <the> disk ")).json()

    assert record["close_notes"] == "Replaced <the> disk\nResolved by ana."
    assert notes(engine)[-1].endswith("resolved by ana: Replaced <the> disk")
    [message] = engine.slack.messages
    assert message.replies[-1] == ":white_check_mark: Resolved by *ana*: Replaced &lt;the&gt; disk"
    assert answer["timeline"][-1]["detail"] == "Replaced <the> disk"


async def test_a_resolve_without_a_comment_is_not_told_in_the_thread(engine):
    record = await escalated(engine)

    await resolve(engine)

    assert record["close_notes"] == "Resolved by ana."
    assert not any("Resolved" in reply for message in engine.slack.messages for reply in message.replies)


@pytest.mark.parametrize("comment", ["x" * 1001, 7, ["x"]])
async def test_a_comment_that_is_none_resolves_nothing_and_says_what_is_allowed(engine, comment):
    await escalated(engine)

    answer = await resolve(engine, comment=comment)

    assert answer.status == 400
    assert (await answer.json())["error"] == "comment is not a text of up to 1000 characters"
    assert [it["status"] for it in await listed(engine)] == ["triggered"]


async def test_an_incident_that_reopens_has_the_comment_of_its_next_resolve(engine):
    record = await escalated(engine)
    await resolve(engine, comment="Restarted")
    await engine.post(group("DiskFull"))
    await engine.after(minutes=6)

    await resolve(engine)

    assert (record["state"], record["close_notes"]) == ("6", "Resolved by ana.")


@pytest.mark.parametrize("name", ["closenotes", "close_notes", "CloseNotes"])
async def test_close_notes_in_annotations_or_labels_of_alerts_are_those_of_the_record(engine, name):
    payload = group("DiskFull", "HostDown")
    payload["alerts"][0]["labels"][name] = "See KB0042"
    payload["alerts"][1]["annotations"][name] = "Reboot done"
    await engine.post(payload)
    await engine.after(minutes=6)

    await resolve(engine, comment="All quiet")

    [record] = engine.servicenow.incidents
    assert record["close_notes"] == "All quiet\nSee KB0042\nReboot done\nResolved by ana."
