"""The generic reader: the usual names in any case and at any place, how it stands, and what is never shown."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import assert_is_sound, json_values
from versus_py import sources
from versus_py.errors import NotAnAlert
from versus_py.sources.generic import read, tables
from versus_py.sources.generic.search import FIELDS_MAX, LEVELS_MAX, Table
from versus_py.sources.generic.words import is_over


def parse(**payload):
    return sources.parse(payload)


def within(objects, body):
    """*body* in the objects of these names, the outermost first."""
    for name in reversed(objects):
        body = {name: body}
    return body


@pytest.mark.parametrize(
    "name", ["Title", "TITLE", "alertName", "Alert Name", "search_name", "CHECK-NAME", "shortMessage"]
)
def test_a_title_is_found_under_its_name_in_any_case_and_with_any_separators(name):
    assert sources.parse({name: "Disk full"}).title == "Disk full"


@pytest.mark.parametrize("objects", [["incident"], ["event", "data"], ["data", "context", "activityLog"], ["foo"]])
def test_everything_is_found_up_to_three_objects_deep(objects):
    body = {
        "id": "f2e0",
        "title": "CPU high",
        "severity": "major",
        "state": "open",
        "url": "https://x.example/1",
        "host": "db-1",
    }
    fires, ends = (within(objects, body | {"state": state}) | {"version": "1"} for state in ("open", "closed"))

    found, over = sources.parse(fires), sources.parse(ends)

    assert (found.title, found.severity, found.url) == ("CPU high", "major", "https://x.example/1")
    assert found.alerts[0].resource == "db-1"
    assert (found.is_firing, over.is_firing) == (True, False)
    assert found.dedup_key == over.dedup_key is not None


@pytest.mark.parametrize("about", ["user", "sender", "service", "previous_state", "lastIncident", "repository"])
def test_an_object_about_something_else_gives_no_title_identity_or_status(about):
    found = sources.parse({about: {"title": "Engineer", "id": "7", "status": "resolved"}, "message": "Disk full"})

    assert (found.title, found.is_firing, found.dedup_key) == ("Disk full", True, None)
    assert found.alerts[0].labels[f"{about}.title"] == "Engineer"


def test_the_identity_beside_the_title_counts_more_than_that_of_the_event():
    payload = {"event": {"id": "of the event", "data": {"id": "PGR0VU2", "title": "A bump"}}}

    assert sources.parse(payload).alerts[0].fingerprint == "PGR0VU2"


def test_without_a_title_the_pairs_are_the_title():
    found = sources.parse({"zone": {"a": {"b": 1, "c": "hot"}}, "tries": [1, 2]})

    assert found.title == "tries=1, 2, zone.a.b=1, zone.a.c=hot"
    assert found.alerts[0].labels == {"tries": "1, 2", "zone.a.b": "1", "zone.a.c": "hot"}
    assert found.warnings[0].startswith("no title found; looked for title, summary, subject")


def test_json_in_a_text_is_read_as_json():
    found = sources.parse({"message": json.dumps({"title": "Disk full", "host": "db-1"})})

    assert (found.title, found.alerts[0].resource) == ("Disk full", "db-1")


@pytest.mark.parametrize("text", ['{"cut": "of', '[{"a": 1}', "{}", "[]"])
def test_a_text_that_looks_like_json_is_no_title(text):
    assert sources.parse({"message": text, "reason": "Disk full"}).title == "Disk full"


@pytest.mark.parametrize("word", sorted(tables.OVER))
def test_every_word_for_over_is_known_in_any_case(word):
    assert is_over(word) is is_over(word.upper()) is is_over(f"ALERT_{word.upper()}") is True


@pytest.mark.parametrize("word", sorted(tables.FIRING))
def test_every_word_for_firing_is_known(word):
    assert is_over(word) is False


@pytest.mark.parametrize(
    ("value", "over"),
    [
        ("incident.resolved", True),
        ("uptimeCheckRecoveredNotification", True),
        ("Back to normal", True),
        ("OK -> ALARM", False),
        ("not ok", None),
        ("recovery failed", False),
        ("partially resolved", None),
        ("Not Responding", None),
        ("unresolved", False),
        ("failure resolved", True),
        ("DOWN -> UP", True),
        ("resolve_failed", False),
        ("failed, not resolved", False),
        ("No problem", True),
        ("not_firing", True),
        ("no longer active", True),
        ("not acknowledged", False),
        (7, None),
        (None, None),
        ("resolved " * 50, None),
    ],
)
def test_a_value_of_several_words(value, over):
    assert is_over(value) is over


@pytest.mark.parametrize(
    "name",
    [*tables.CONCLUSIONS, *tables.STATUS, *tables.KINDS],
)
def test_each_field_that_says_how_it_stands_is_read(name):
    *objects, last = name.split(".")

    payload = {"id": "c1", "title": "T"} | within(objects, {last: "recovered"})

    assert not sources.parse(payload).is_firing


@pytest.mark.parametrize(
    ("over", "fires"),
    [
        ({"resolved": True}, {"resolved": False}),
        ({"firing": False}, {"firing": True}),
        ({"heartbeat": {"status": 1}}, {"heartbeat": {"status": 0}}),
        ({"check": {"status": 0}}, {"check": {"status": 2}}),
        ({"alertType": "2"}, {"alertType": "1"}),
        ({"resolved_at": "2026-05-04T10:20:00Z"}, {"resolved_at": None}),
        ({"severity": "OK"}, {"severity": "CRITICAL"}),
        ({"action": "completed", "conclusion": "success"}, {"action": "completed", "conclusion": "failure"}),
    ],
    ids=lambda it: str(it)[:30],
)
def test_flags_numbers_times_and_severities_say_how_it_stands(over, fires):
    body = {"id": "c1", "title": "T"}

    assert not sources.parse(body | over).is_firing
    assert sources.parse(body | fires).is_firing
    assert sources.parse(body | over).dedup_key == sources.parse(body | fires).dedup_key


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "workflow-completed", "workflow": {"id": "w1", "name": "build", "status": "failed"}},
        {"action": "completed", "run": {"id": "w1", "title": "build", "result": "failure"}},
        {"status": "completed", "conclusion": "failure", "id": "w1", "title": "build"},
    ],
    ids=["in an object", "in another object", "beside it"],
)
def test_what_ran_to_its_end_and_failed_fires(payload):
    assert sources.parse(payload).is_firing


def test_a_field_whose_name_ends_like_a_title_is_one_where_there_is_no_other():
    assert sources.parse({"kind": "x", "long_fault_description": "The pump is hot"}).title == "The pump is hot"
    assert sources.parse({"long_fault_description": "The pump is hot", "name": "pump"}).title == "pump"


def test_a_word_for_how_it_stands_is_no_title():
    assert sources.parse({"trigger": "failure", "execution": {"id": 58, "job": {"name": "Backup"}}}).title == "Backup"
    assert sources.parse({"title": "Down"}).title == "Down"


def test_an_end_may_lack_what_only_an_alert_has():
    fires = parse(
        id="c1", title="shop down", status="DOWN", reason="timeout", severity="critical", url="https://x.example"
    )

    assert parse(id="c1", title="shop up", status="UP", duration=17, resolved_at="now").dedup_key == fires.dedup_key


@pytest.mark.parametrize(
    "title", ["[RESOLVED] Disk full", "Resolved in 5m: Disk full", "Device db-1 recovered from Disk full"]
)
def test_a_title_may_say_that_it_is_over(title):
    assert not parse(id="c1", title=title).is_firing


@pytest.mark.parametrize("title", ["Closed orders are lost", "[OK] button is broken", "Recovery of the database fails"])
def test_a_title_about_something_that_was_closed_fires(title):
    assert parse(id="c1", title=title).is_firing


def test_what_nothing_identifies_and_is_grave_fires_whatever_its_status():
    found = parse(message="refund failed", level="error", state="closed")

    assert found.is_firing
    assert "it fires although state is 'closed'" in found.warnings[0]
    assert "dedup_key" in found.warnings[0]


@pytest.mark.parametrize(
    "about",
    [
        {"id": "r-1"},
        {"uuid": "7f0b3a52-1111-4222-8333-123456789abc"},
        {"correlation_id": "request-17"},
        {"event": {"id": "1", "action": "order-closed"}},
        {"service": "pay", "host": "h1"},
    ],
    ids=lambda it: next(iter(it)),
)
def test_a_grave_line_of_a_log_fires_whatever_was_closed_in_it(about):
    found = sources.parse({"@timestamp": "2026-01-01T00:00:00Z", "message": "refund failed", "level": "error"} | about)

    assert found.is_firing
    assert parse(message="refund failed", level="error", status="closed", **about).is_firing


def test_a_grave_level_of_syslog_fires_whatever_was_closed():
    assert parse(version="1.1", host="h1", short_message="refund failed", level=3, state="closed").is_firing


def test_an_alert_with_a_level_ends_by_an_identity_that_only_alerts_have():
    for identity in ("alert_id", "dedup_key", "incident_id"):
        assert not parse(message="Disk full", level="critical", status="resolved", **{identity: "7"}).is_firing


def test_a_record_of_node_is_known_by_no_process_and_ends_nothing():
    line = {"name": "shop", "hostname": "h1", "pid": 4016, "level": 50, "msg": "refund failed", "v": 0}

    found, other = sources.parse(line | {"status": "closed"}), sources.parse(line | {"msg": "disk full"})

    assert (found.is_firing, found.severity) == (True, "error")
    assert other.dedup_key is None


@pytest.mark.parametrize(
    "around", [{"status": "ok"}, {"status": "success"}, {"result": "success", "status": "OK"}], ids=str
)
def test_how_a_request_went_is_not_how_its_alert_stands(around):
    alert = {"id": "7", "title": "Disk full"}

    assert sources.parse(around | {"data": {"alert": alert | {"state": "firing"}}}).is_firing
    assert not sources.parse({"status": "resolved", "data": {"alert": alert}}).is_firing


def test_an_acknowledgment_that_nothing_identifies_fires():
    found = parse(message="payment ack missing", level="error", event="ack")

    assert found.is_firing
    assert "it fires although event is 'ack'" in found.warnings[0]


@pytest.mark.parametrize("only_an_end", ["resolution_type", "resolver_id", "closed_by_id", "ended_source"])
def test_fields_that_only_an_end_has_do_not_change_what_it_is_of(only_an_end):
    fires, over = (
        parse(id="c1", title="x", state="open"),
        parse(id="c1", title="x", state="closed", **{only_an_end: "7"}),
    )

    assert over.dedup_key == fires.dedup_key


def test_an_end_without_an_identity_says_so():
    assert "nothing identifies it" in parse(message="backup is done", state="done").warnings[0]


def test_an_unknown_word_fires_with_a_warning_that_names_the_field():
    found = parse(title="T", id="c1", status="frobnicated")

    assert found.is_firing
    assert found.warnings == ("it fires: status is 'frobnicated', which is no known word for firing or over",)


def test_news_of_an_acknowledgment_is_no_alert():
    with pytest.raises(NotAnAlert, match=r"event\.event_type is 'incident\.acknowledged'"):
        parse(event={"event_type": "incident.acknowledged", "data": {"title": "T", "id": "1"}})


@pytest.mark.parametrize(
    ("alert", "end"),
    [
        ({"host": "web1", "service": "HTTP", "state": "CRITICAL"}, {"host": "web1", "service": "HTTP", "state": "OK"}),
        (
            {"HOSTNAME": "web1", "SERVICEDESC": "HTTP", "NOTIFICATIONTYPE": "PROBLEM", "SERVICEOUTPUT": "timeout"},
            {"HOSTNAME": "web1", "SERVICEDESC": "HTTP", "NOTIFICATIONTYPE": "RECOVERY", "SERVICEOUTPUT": "200"},
        ),
        ({"title": "db-1 is DOWN", "status": "down"}, {"title": "db-1 is UP", "status": "up"}),
        (
            {"alert": "disk_full", "chart": "disk /", "severity": "critical"},
            {"alert": "disk_full", "chart": "disk /", "severity": "clear"},
        ),
    ],
    ids=["host and service", "of Nagios", "a title and a status", "a check and what it is about"],
)
def test_what_it_is_about_identifies_where_nothing_else_does(alert, end):
    fires, over = sources.parse(alert), sources.parse(end)

    assert fires.dedup_key == over.dedup_key is not None
    assert (fires.is_firing, over.is_firing) == (True, False)


@pytest.mark.parametrize(
    "other",
    [
        {"title": "Disk full", "service": "shop"},
        {"title": "Queue full", "service": "shop", "host": "web1"},
        {"title": "Disk full", "status": "down", "host": "web2"},
    ],
)
def test_events_without_an_identity_are_incidents_of_their_own(other):
    keys = [sources.parse(it).dedup_key for it in ({"title": "Disk full", "service": "shop", "host": "web1"}, other)]

    assert keys[0] is None
    assert keys[1] is None or keys[0] != keys[1]


@pytest.mark.parametrize("name", ["alert_uid", "alert_cycle_key", "incident_key", "alertCorrelationId", "entity_id"])
def test_a_field_that_is_there_to_identify_is_the_identity(name):
    assert sources.parse({"title": "T", name: "abc"}).dedup_key == "generic\nabc"


@pytest.mark.parametrize("name", ["ProblemID", "PID", "monitorID", "check_id", "event_id"])
def test_a_field_that_numbers_things_is_one_together_with_what_it_is_about(name):
    one, other = (sources.parse({"title": "T", name: "abc", "host": host}).dedup_key for host in ("a", "b"))

    assert one is not None
    assert one != other


def test_one_alert_of_alertmanager_as_the_whole_body_is_known_by_its_labels():
    body = {
        "labels": {"alertname": "DiskFull", "instance": "db-1"},
        "annotations": {"summary": "Disk 97 %"},
        "status": "firing",
    }

    fires, ends = sources.parse(body), sources.parse(body | {"status": "resolved"})

    assert (fires.title, fires.alerts[0].resource) == ("DiskFull: Disk 97 %", "db-1")
    assert fires.dedup_key == ends.dedup_key
    assert not ends.is_firing


@pytest.mark.parametrize(
    ("payload", "severity"),
    [
        ({"priority": 1}, "P1"),
        ({"priority": "5"}, "P5"),
        ({"level": 2, "short_message": "x"}, "critical"),
        ({"level": "3", "facility": "kern"}, "error"),
        ({"level": 6, "short_message": "x"}, "info"),
        ({"severity": 2}, "2"),
        ({"event": {"priority": 3}}, "high"),
        ({"severity": "frob", "importance_level": "HIGH"}, "HIGH"),
        ({"service_state": "CRITICAL"}, "CRITICAL"),
        ({"status": "ok"}, "unknown"),
        ({"labels": {"severity": "major"}}, "major"),
    ],
    ids=str,
)
def test_how_bad_it_is(payload, severity):
    assert sources.parse({"title": "T"} | payload).severity == severity


@pytest.mark.parametrize(
    "name", ["routing_key", "API-Key", "serviceKey", "token", "Password", "client_secret", "Authorization"]
)
@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: {"payload": it}, lambda it: {"a": {"b": it}}])
def test_a_secret_is_never_shown(name, wrap):
    found = sources.parse(wrap({name: "hunter2"}))

    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("payload", "severity"),
    [
        ({"message": "CRITICAL - 93 % used"}, "CRITICAL"),
        ({"message": "CRITICALITY is high"}, "unknown"),
        ({"criticality": "ALERT_CRITICALITY_LEVEL_WARNING"}, "WARNING"),
        ({"data": {"essentials": {"severity": "Sev1"}}}, "error"),
        ({"severity": {"id": 1, "name": "critical"}}, "critical"),
        ({"alert_type": "http_origin_error"}, "unknown"),
    ],
    ids=str,
)
def test_how_bad_it_is_in_other_words(payload, severity):
    assert sources.parse({"host": "db-1"} | payload).severity == severity


@pytest.mark.parametrize(
    ("payload", "url"),
    [
        ({"dashboard_of_it_link": "https://x.example/d"}, "https://x.example/d"),
        ({"icon_url": "https://x.example/i.png", "snooze_link": "https://x.example/s"}, ""),
        ({"url": "https://x.example/a", "other_link": "https://x.example/b"}, "https://x.example/a"),
    ],
    ids=["any link", "no page", "the better name"],
)
def test_the_link_is_any_url_that_is_called_one(payload, url):
    assert sources.parse({"title": "T"} | payload).url == url


def test_a_number_that_no_other_tool_has_needs_nothing_beside_it():
    fires = parse(issue={"id": "53650436-8e35-49a3-a610-56b442ae7620", "text": "GC", "state": "OPEN", "host": "shop-7"})
    ends = parse(issue={"id": "53650436-8e35-49a3-a610-56b442ae7620", "state": "CLOSED", "end": 1795835000000})

    assert fires.dedup_key == ends.dedup_key
    assert not ends.is_firing
    assert ends.warnings == ()


def test_a_host_is_known_by_itself_where_its_own_state_is_told():
    fires = parse(hostname="edge-7", hoststate="DOWN", hostoutput="CRITICAL - lost 100%")
    ends = parse(hostname="edge-7", hoststate="UP", hostoutput="OK - rta 0.4ms")
    other = parse(hostname="edge-7", message="the disk failed", status="failed")

    assert fires.dedup_key == ends.dedup_key is not None
    assert other.dedup_key is None


def test_without_a_resource_it_is_what_the_metric_is_measured_of():
    metric = {"metric": {"name": "Messages", "dimensions": {"QueueName": "orders"}}}

    assert sources.parse({"title": "T", "detail": metric}).alerts[0].resource == "orders"


@pytest.mark.parametrize(
    ("payload", "title"),
    [
        ({"msg": "[shop] Down: timeout", "monitor": {"name": "shop"}}, "[shop] Down: timeout"),
        ({"message": "web-1 needs you", "alert": "disk_full"}, "web-1 needs you"),
        ({"rule_name": "disk", "message": "93 %"}, "disk"),
        ({"check": {"output": "93 %", "metadata": {"name": "disk"}}}, "disk"),
        ({"alert": "disk_full", "info": "93 %"}, "disk_full"),
    ],
    ids=["a sentence before a name below", "before a noun", "a name beside it", "a name below alone", "a noun"],
)
def test_of_a_name_and_a_sentence_the_better_is_the_title(payload, title):
    assert sources.parse(payload).title == title


def test_the_same_text_is_shown_once():
    found = sources.parse(
        {
            "title": "Disk full",
            "summary": "disk  full",
            "description": "on db-1",
            "message": "On db-1",
            "x": {"y": "Disk full"},
        }
    )

    assert found.alerts[0].annotations == {"description": "on db-1"}
    assert found.alerts[0].labels == {}


def test_names_and_values_in_a_list_are_labels():
    fields = [{"title": "Host", "value": "db-1", "short": True}, {"title": "Env", "value": "prod"}]

    found = sources.parse({"text": "Build failed", "fields": fields, "tags": [["team", "shop"]]})

    assert found.alerts[0].labels == {"fields.Host": "db-1", "fields.Env": "prod", "team": "shop"}


@pytest.mark.parametrize("name", ["started_at", "firedDateTime", "triggered_at"])
@pytest.mark.parametrize("moment", ["2026-05-04T10:20:00Z", 1777890000, 1777890000000])
def test_the_start_is_found(name, moment):
    assert sources.parse({"incident": {"title": "T", name: moment}}).alerts[0].starts_at_ms == 1777890000000


@pytest.mark.parametrize("name", ["timestamp", "date", "time", "updated_at"])
def test_a_time_that_is_another_one_in_a_repeat_is_no_start(name):
    assert sources.parse({"title": "T", name: 1777890000}).alerts[0].starts_at_ms is None


def test_very_many_fields_and_levels_are_read_in_reasonable_time():
    deep: dict[str, object] = {"title": "deep"}
    for _ in range(500):
        deep = {"x": deep, **{f"k{number}": number for number in range(50)}}

    found = read(deep)

    assert len(found.fields.all) <= FIELDS_MAX
    assert found.title is None


def test_of_a_list_only_the_first_elements_are_read():
    [listed] = read({"listed": ["a"] * (FIELDS_MAX + 1)}).fields.all

    assert len(listed.value) == FIELDS_MAX


def test_what_is_deeper_than_three_objects_is_only_shown():
    payload: dict[str, object] = {"title": "deep"}
    for _ in range(LEVELS_MAX + 1):
        payload = {"data": payload}

    assert sources.parse(payload).title == "data.data.data.data.title=deep"


ALL_NAMES = sorted(
    {name for table in vars(tables).values() if isinstance(table, tuple | frozenset | dict) for name in table}
)


def test_the_tables_name_nothing_twice():
    for name in ("HEADLINES", "NAMES", "TEXTS", "STATUS", "IDENTITIES", "NUMBERS", "RESOURCES", "LINKS", "SEVERITIES"):
        table = getattr(tables, name)
        assert len(Table(table).ranks) == len(table), name


names = st.sampled_from(ALL_NAMES) | st.text(max_size=8)
values = json_values | st.sampled_from(["resolved", "ok", "critical", '{"a": 1}', '{"a', "[]", "x"])
objects = st.recursive(
    st.dictionaries(names, values, max_size=5),
    lambda inner: st.dictionaries(names, inner | values, max_size=4),
    max_leaves=6,
)


@given(objects)
def test_whatever_comes_is_an_alert_with_a_title_that_is_no_json_or_no_news(payload):
    try:
        found = sources.parse(payload)
    except NotAnAlert:
        return

    assert_is_sound(found)
    assert found.title.strip()
    assert not isinstance(_json(found.title), dict | list)


def _json(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.mark.parametrize("word", ["DOWN", "FAILURE", "no_data", "degraded", "investigating"])
def test_a_word_that_says_more_than_that_it_fires_is_shown(word):
    found = sources.parse({"id": "7", "name": "Shop front", "status": word})

    assert found.is_firing
    assert found.alerts[0].labels["status"] == word


@pytest.mark.parametrize("word", ["firing", "open", "Triggered", "incident.triggered", "resolved", "UP"])
def test_a_word_that_says_only_how_it_stands_is_no_label(word):
    assert "status" not in sources.parse({"id": "7", "name": "Shop front", "status": word}).alerts[0].labels


@pytest.mark.parametrize(
    "name", ["basic_auth_pass", "smtpPass", "DB_PASS", "proxy-pwd", "monitor.basic_auth_pass", "userPwd2"]
)
def test_what_is_called_as_short_for_a_password_is_shown_nowhere(name):
    found = sources.parse({"title": "Down", name: "hunter2"})

    assert "hunter2" not in repr(found)


@pytest.mark.parametrize("name", ["bypass", "compass", "passenger", "passed_checks"])
def test_what_only_sounds_like_a_password_is_shown(name):
    assert sources.parse({"title": "Down", name: "north"}).alerts[0].labels[name] == "north"


def test_the_resource_of_an_alert_is_narrower_than_its_project():
    found = sources.parse({"title": "Busy", "project": {"name": "shop"}, "affected_resources": [{"name": "nb-5"}]})

    assert found.alerts[0].resource == "nb-5"
