"""A recording runs through the real transitions, with nothing but its own times."""

from datetime import UTC

import orjson
import pytest

from tests.support.clock import START_MS
from tests.support.factories import POLICY, make_alert, make_incident, make_notification, make_policy
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, incident_id
from versus_py.incidents.policies import Policy, Step, made
from versus_py.incidents.rounds import as_before
from versus_py.incidents.transitions import snooze
from versus_py.incidents.triage import set_severity
from versus_py.tools.recordings import Acted, Action, Posted, read_lines
from versus_py.tools.replay import Line, Replay

MINUTE_MS = 60_000
AT = "2026-05-04T10:20:01Z"
AT_MS = 1_777_890_001_000
LATER_START_MS = START_MS + 60 * MINUTE_MS
BODIES = {
    b"firing": [make_notification()],
    b"resolved": [make_notification(make_alert(firing=False))],
    b"again": [make_notification(make_alert(starts_at_ms=LATER_START_MS))],
    b"over again": [make_notification(replace(make_alert(firing=False), ends_at_ms=LATER_START_MS))],
    b"other": [make_notification(make_alert("HostDown"), title="HostDown", dedup_key="other")],
    b"namesake": [make_notification(make_alert("DiskFull"), dedup_key="namesake")],
    b"anonymous": [make_notification(make_alert(starts_at_ms=None), dedup_key=None, source="generic")],
    b"nothing": [],
}


def read(it):
    """What a body of BODIES says; the query is the wait in minutes, never, or when acknowledgments end."""
    body, query = it.body, it.query
    if body not in BODIES:
        raise BadPayload(f"no body {body!r}")
    if query == "an hour":
        return BODIES[body], lambda *_: make_policy(ack_timeout_ms=60 * MINUTE_MS), []
    wait = 5 if query == "" else float(query) if query != "never" else None
    policy = made(channels=POLICY.channels) if wait is None else make_policy(wait_ms=round(wait * MINUTE_MS))
    return BODIES[body], lambda *_: policy, ["odd query"] if query == "odd" else []


def posted(minute, body, query=""):
    return Posted(f"x:{minute}", START_MS + round(minute * MINUTE_MS), body, query)


def acted(minute, action="acknowledge", incident="DiskFull", **more):
    return Acted(f"x:{minute}", START_MS + round(minute * MINUTE_MS), Action(action), incident, "ana", **more)


def run(*records):
    """The replay, its timeline as (minute, what), and the events of it."""
    story = Replay(read, reopen_ms=5 * MINUTE_MS, places={"slack": "C0ALERTS"})
    events = list(story.run(records))
    return story, [((event.at_ms - START_MS) / MINUTE_MS, event.what) for event in events], events


STORIES = [
    pytest.param([posted(0, b"firing")], [(0, "triggered"), (5, "escalated")], id="nobody acknowledges"),
    pytest.param([posted(0, b"firing", "0")], [(0, "triggered"), (0, "escalated")], id="at once"),
    pytest.param([posted(0, b"firing", "never")], [(0, "triggered")], id="without on-call"),
    pytest.param(
        [posted(0, b"firing"), acted(4.9)], [(0, "triggered"), (4.9, "acknowledged")], id="acknowledged in time"
    ),
    pytest.param(
        [posted(0, b"firing"), acted(6)],
        [(0, "triggered"), (5, "escalated"), (6, "acknowledged")],
        id="acknowledged after the escalation",
    ),
    pytest.param(
        [posted(0, b"firing"), acted(1), acted(2)],
        [(0, "triggered"), (1, "acknowledged"), (2, "ignored")],
        id="acknowledged twice",
    ),
    pytest.param(
        [posted(0, b"firing", "an hour"), acted(1), posted(90, b"firing", "an hour")],
        [(0, "triggered"), (1, "acknowledged"), (61, "unacknowledged"), (66, "escalated"), (90, "updated")],
        id="an acknowledgment that ends",
    ),
    pytest.param(
        [posted(0, b"firing", "an hour"), acted(1)],
        [(0, "triggered"), (1, "acknowledged")],
        id="an acknowledgment that outlasts the recording",
    ),
    pytest.param(
        [posted(0, b"firing"), posted(4, b"resolved")], [(0, "triggered"), (4, "resolved")], id="resolved in time"
    ),
    pytest.param(
        [posted(0, b"firing"), acted(4, "resolve")], [(0, "triggered"), (4, "resolved")], id="resolved by a person"
    ),
    pytest.param(
        [posted(0, b"firing"), posted(4, b"firing")],
        [(0, "triggered"), (4, "updated"), (5, "escalated")],
        id="a repeat does not move the wait",
    ),
    pytest.param(
        [posted(0, b"firing"), posted(1, b"resolved"), posted(2, b"again")],
        [(0, "triggered"), (1, "resolved"), (2, "reopened"), (7, "escalated")],
        id="flapping",
    ),
    pytest.param(
        [posted(0, b"firing"), posted(1, b"resolved"), posted(6, b"again")],
        [(0, "triggered"), (1, "resolved"), (6, "triggered"), (11, "escalated")],
        id="a new incident after the time to reopen",
    ),
    pytest.param(
        [posted(0, b"firing"), posted(1, b"resolved"), posted(60, b"firing")],
        [(0, "triggered"), (1, "resolved"), (60, "reopened"), (65, "escalated")],
        id="the same episode reopens however late",
    ),
    pytest.param([posted(0, b"resolved")], [(0, "ignored")], id="a resolve of nothing known"),
    pytest.param(
        [posted(0, b"firing"), posted(1, b"resolved"), posted(2, b"resolved")],
        [(0, "triggered"), (1, "resolved"), (2, "ignored")],
        id="resolved twice",
    ),
    pytest.param(
        [posted(0, b"firing"), posted(1, b"resolved"), posted(7, b"resolved")],
        [(0, "triggered"), (1, "resolved"), (7, "ignored")],
        id="resolved again after the time to reopen",
    ),
    pytest.param(
        [posted(2, b"firing"), posted(0, b"other"), acted(6)],
        [(0, "triggered"), (2, "triggered"), (5, "escalated"), (6, "acknowledged")],
        id="records in the order of their times",
    ),
    pytest.param(
        [posted(0, b"anonymous", "never"), posted(0, b"anonymous", "never")],
        [(0, "triggered"), (0, "triggered")],
        id="without identity each is an incident",
    ),
    pytest.param([posted(0, b"nothing")], [(0, "ignored")], id="no notification at all"),
    pytest.param(
        [posted(0, b"firing"), acted(1), acted(2, "unacknowledge")],
        [(0, "triggered"), (1, "acknowledged"), (2, "unacknowledged"), (7, "escalated")],
        id="given back",
    ),
    pytest.param(
        [posted(0, b"firing"), acted(1, "escalate"), acted(2, "escalate")],
        [(0, "triggered"), (1, "escalated"), (2, "ignored")],
        id="escalated by a person, once",
    ),
    pytest.param(
        [posted(0, b"firing"), acted(1, "snooze", until_ms=START_MS + 30 * MINUTE_MS)],
        [(0, "triggered"), (1, "snoozed"), (34, "escalated")],
        id="snoozed",
    ),
    pytest.param(
        [posted(0, b"firing"), acted(1, "set_severity", severity="info"), acted(2, "unacknowledge")],
        [(0, "triggered"), (1, "severity set"), (2, "ignored"), (5, "escalated")],
        id="a severity that is set, and an act that changes nothing",
    ),
]


@pytest.mark.parametrize(("records", "expected"), STORIES)
def test_stories(records, expected):
    story, timeline, _ = run(*records)

    assert timeline == expected
    assert story.problems == []


def test_a_record_is_created_once_and_moved_from_then_on():
    records = [posted(0, b"firing"), acted(6), posted(7, b"resolved"), posted(8, b"again"), posted(20, b"over again")]

    story, timeline, events = run(*records)

    assert [what for _, what in timeline] == [
        "triggered",
        "escalated",
        "acknowledged",
        "resolved",
        "reopened",
        "escalated",
        "resolved",
    ]
    effects = [detail.removeprefix("ServiceNow record ") for event in events for detail in event.details]
    assert [effect for effect in effects if effect.startswith("would")] == [
        "would be created",
        "would be moved to In Progress",
        "would be resolved",
        "would be moved to In Progress again",
        "would be resolved",
    ]
    assert story.summary.records_created == 1
    assert story.summary.records_resolved == 2


def test_a_resolve_after_a_reopening_leaves_the_resolved_record_alone():
    records = [posted(0, b"firing"), posted(6, b"resolved"), posted(7, b"again"), acted(8), posted(9, b"over again")]

    story, _, events = run(*records)

    assert not any("record" in detail for event in events[3:] for detail in event.details)
    assert story.summary.records_resolved == 1


def test_what_has_no_identity_is_the_same_incident_with_another_configuration():
    """Else `--against` would find its message missing, and another one in its place."""
    records = [posted(0, b"firing"), posted(1, b"resolved"), posted(2, b"again"), posted(3, b"anonymous")]
    stories = [Replay(read, reopen_ms=reopen_ms, places={}) for reopen_ms in (5 * MINUTE_MS, 0)]
    for story in stories:
        list(story.run(records))

    assert [it.summary.incidents for it in stories] == [2, 3]
    told = [{it.incident for it in story.tellings if it.at_ms == posted(3, b"").at_ms} for story in stories]
    assert told[0] == told[1] != set()


def test_the_summary_counts_what_happened():
    records = [
        posted(0, b"firing"),
        posted(0, b"other"),
        posted(1, b"firing"),
        acted(2),
        posted(3, b"nothing"),
        posted(4, b"namesake"),
        acted(4.5, "resolve", "namesake"),
    ]

    story, _, _ = run(*records)

    assert story.summary.as_json() == {
        "payloads": 5,
        "incidents": 3,
        "held": 0,
        "messages": 3,
        "reminders": 0,
        "edits": 4,  # a repeat, an acknowledgment, a resolve, an escalation
        "acknowledged": 1,
        "resolved_in_time": 1,
        "reopened": 0,
        "records_created": 1,
        "records_resolved": 0,
        "still_open": 2,
    }
    assert story.summary.line().startswith("payloads 5, incidents 3, ")
    assert "resolved in time 1" in story.summary.line()


def test_messages_go_to_the_channel_of_the_request_or_the_default_one():
    def to_channel(it):
        body, query = it.body, it.query
        policy = replace(POLICY, destinations={"slack": query} if query else {})
        return BODIES[body], lambda *_: policy, []

    story = Replay(to_channel, reopen_ms=0, places={"slack": "C0ALERTS"})
    events = list(story.run([posted(0, b"firing", "C0OTHER"), posted(1, b"other")]))

    assert [event.details[1] for event in events[:2]] == ["Slack C0OTHER", "Slack C0ALERTS"]


CHAIN = Policy(
    name="critical",
    steps=(
        Step(("slack",)),
        Step(("slack:leads",), 2 * MINUTE_MS),
        Step(("servicenow", "slack"), 3 * MINUTE_MS, fields={"urgency": "1"}),
    ),
    providers=("servicenow",),
    repeat=1,
)


def by(policy, *records, policy_of=as_before):
    """The replay with that policy, and its events."""

    def by_policy(it):
        return BODIES[it.body], lambda _, now_ms: policy, []

    places = {"slack": "C0ALERTS", "slack:leads": "C0LEADS0"}
    story = Replay(by_policy, reopen_ms=5 * MINUTE_MS, places=places, policy_of=policy_of)
    return story, list(story.run(records))


def told(story):
    return [((it.at_ms - START_MS) // MINUTE_MS, str(it.kind), it.place) for it in story.tellings]


def test_every_step_of_every_round_tells_its_targets_at_its_time():
    story, events = by(CHAIN, posted(0, b"firing"))

    assert told(story) == [
        (0, "message", "Slack C0ALERTS"),
        (2, "message", "Slack leads C0LEADS0"),
        (5, "reminder", "Slack C0ALERTS"),
        (5, "record", "ServiceNow"),
        (8, "reminder", "Slack C0ALERTS"),
        (10, "reminder", "Slack leads C0LEADS0"),
        (13, "reminder", "Slack C0ALERTS"),
        (13, "reminder", "ServiceNow"),
    ]
    assert events[1].details[:2] == ("step 2 of 3, round 1: not acknowledged for 120 s", "Slack leads C0LEADS0")
    assert "ServiceNow record would be given a work note" in events[-1].details
    assert (story.summary.messages, story.summary.records_created, story.summary.reminders) == (2, 1, 5)


def test_what_is_acknowledged_between_two_steps_tells_nobody_of_later_ones():
    story, events = by(CHAIN, posted(0, b"firing"), acted(3))

    assert told(story)[-1] == (2, "message", "Slack leads C0LEADS0")
    assert [event.what for event in events] == ["triggered", "escalated", "acknowledged"]
    assert events[-1].details == ("Slack message edited", "Slack leads message edited")


def test_what_is_held_is_told_when_its_hours_begin():
    story, events = by(replace(CHAIN, opens_at_ms=START_MS + 60 * MINUTE_MS), posted(0, b"firing"), acted(61))

    assert [event.what for event in events] == ["triggered", "opened", "acknowledged"]
    assert told(story) == [(60, "message", "Slack C0ALERTS")]
    assert events[0].escalates_at_ms is None
    assert any(it.startswith("held until ") for it in events[0].details)
    assert story.summary.held == 1


def test_a_first_step_that_waits_is_told_at_its_time():
    late = Policy(steps=(Step(("slack",), 5 * MINUTE_MS),))

    story, events = by(late, posted(0, b"firing"))

    assert [event.what for event in events] == ["triggered", "told"]
    assert (told(story), story.summary.held) == ([(5, "message", "Slack C0ALERTS")], 0)


def test_what_is_over_while_it_is_held_is_never_told():
    story, events = by(
        replace(CHAIN, opens_at_ms=START_MS + 60 * MINUTE_MS), posted(0, b"firing"), posted(9, b"resolved")
    )

    assert [event.what for event in events] == ["triggered", "resolved"]
    assert told(story) == []
    assert (story.summary.edits, story.summary.resolved_in_time) == (0, 1)


def test_a_further_round_goes_by_the_policy_that_the_configuration_has_for_it_then():
    shorter = replace(CHAIN, steps=CHAIN.steps[:1])
    story, _ = by(CHAIN, posted(0, b"firing"), policy_of=lambda incident, now_ms: shorter)

    assert told(story)[-1] == (8, "reminder", "Slack C0ALERTS")


def test_a_record_of_a_first_step_is_created_at_once():
    story, events = by(Policy(steps=(Step(("servicenow",)),), providers=("servicenow",)), posted(0, b"firing"))

    assert [event.details[-1] for event in events] == ["ServiceNow record would be created"]
    assert story.summary.records_created == 1


def test_each_notification_has_its_own_policy():
    def by_title(_):
        return (
            [*BODIES[b"firing"], *BODIES[b"other"]],
            lambda it, _: make_policy(destinations={"slack": f"C0{it.title}"}, wait_ms=len(it.title) * MINUTE_MS),
            [],
        )

    story = Replay(by_title, reopen_ms=0, places={"slack": "C0ALERTS"})
    first, second, *_ = story.run([posted(0, b"")])

    assert [event.details[1] for event in (first, second)] == ["Slack C0DiskFull", "Slack C0HostDown"]
    assert [event.escalates_at_ms for event in (first, second)] == [START_MS + 8 * MINUTE_MS] * 2


def test_warnings_of_the_request_are_in_the_timeline():
    def warning(it):
        return BODIES[it.body], lambda *_: POLICY, ["query parameter odd is not known"]

    story = Replay(warning, reopen_ms=0, places={})
    first, *_ = story.run([posted(0, b"firing")])

    assert "warning: query parameter odd is not known" in first.details


def test_a_body_that_is_no_news_of_an_alert_says_why():
    def no_news(_):
        return [], POLICY, ["nothing to do: it is a test"]

    [event] = Replay(no_news, reopen_ms=0, places={}).run([posted(0, b"test")])

    assert (event.what, event.details) == ("ignored", ("nothing to do: it is a test",))


@pytest.mark.parametrize(
    "name", ["DiskFull", "group", incident_id("group", START_MS)], ids=["title", "dedup key", "id"]
)
def test_an_open_incident_goes_by_its_title_dedup_key_or_id(name):
    _, timeline, _ = run(posted(0, b"firing"), posted(0, b"other", "never"), acted(1, incident=name))

    assert timeline[-1] == (1, "acknowledged")


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([acted(1)], "x:1: no incident is open whose title, dedup key or id is 'DiskFull'"),
        ([posted(0, b"firing"), acted(1, "resolve"), acted(2)], "x:2: no incident is open whose"),
        (
            [posted(0, b"firing"), posted(0, b"namesake"), acted(1)],
            "x:1: 2 open incidents are called 'DiskFull'; name one by its dedup key or id",
        ),
        ([posted(3, b"broken")], "x:3: no body b'broken'"),
    ],
)
def test_a_record_that_cannot_be_used_is_left_out_and_reported(records, problem):
    story, timeline, _ = run(*records, posted(30, b"other", "never"))

    assert [it[: len(problem)] for it in story.problems] == [problem]
    assert timeline[-1] == (30, "triggered")


def as_line(**fields):
    return orjson.dumps(fields)


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (as_line(at=AT, payload={"a": 1}), Posted("f:1", AT_MS, b'{"a":1}', "")),
        (as_line(at=AT, payload={}, sender="kube"), Posted("f:1", AT_MS, b"{}", "", "kube")),
        (
            as_line(timestamp=AT, event="intake.body", body="{}", query="", sender="kube"),
            Posted("f:1", AT_MS, b"{}", "", "kube"),
        ),
        (as_line(at=AT, payload=[{}], query="a=b"), Posted("f:1", AT_MS, b"[{}]", "a=b")),
        (as_line(at="2026-05-04T12:20:01+02:00", payload={}), Posted("f:1", AT_MS, b"{}", "")),
        (as_line(at=AT, acknowledge="x", by="ana"), Acted("f:1", AT_MS, Action.ACKNOWLEDGE, "x", "ana")),
        (as_line(at=AT, unacknowledge="x"), Acted("f:1", AT_MS, Action.UNACKNOWLEDGE, "x", "somebody")),
        (
            as_line(at=AT, snooze="x", until="2026-05-04T10:21:01Z"),
            Acted("f:1", AT_MS, Action.SNOOZE, "x", "somebody", AT_MS + MINUTE_MS),
        ),
        (
            as_line(at=AT, set_severity="x", severity="critical"),
            Acted("f:1", AT_MS, Action.SET_SEVERITY, "x", "somebody", severity="critical"),
        ),
        (as_line(at=AT, resolve="x"), Acted("f:1", AT_MS, Action.RESOLVE, "x", "somebody")),
        (
            as_line(timestamp="2026-05-04T10:20:01.000999Z", event="intake.body", level="info", body="{}", query="a=b"),
            Posted("f:1", AT_MS, b"{}", "a=b"),
        ),
        (as_line(timestamp=AT, event="intake.body", body="{}", query=None), Posted("f:1", AT_MS, b"{}", "")),
    ],
)
def test_lines_are_read(line, record):
    assert read_lines("f", [line]) == ([record], [])


@pytest.mark.parametrize("line", [b"", b"  \n", as_line(event="service.started"), as_line(event=None)])
def test_lines_that_are_no_record_are_left_out_silently(line):
    assert read_lines("f", [line]) == ([], [])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "this is not JSON"),
        (b"\xff", "this is not JSON"),
        (b"12:00 [info] intake.body", "this is not JSON"),
        (b"[]", "this is no JSON object"),
        (b"{}", "at is None; write an RFC 3339 time"),
        (as_line(at="10:20", payload={}), "at is '10:20'; write an RFC 3339 time"),
        (as_line(at="2026-05-04T10:20:01", payload={}), "at is '2026-05-04T10:20:01'; write an RFC 3339"),
        (as_line(at=1777890001, payload={}), "at is 1777890001; write an RFC 3339"),
        (
            as_line(at=AT),
            "one of payload, acknowledge, unacknowledge, resolve, escalate, snooze, set_severity is required",
        ),
        (as_line(at=AT, payload={}, query=5), "query is 5; write text"),
        (as_line(at=AT, acknowledge=None), "acknowledge is None; write text"),
        (as_line(at=AT, resolve="x", by=[]), "by is []; write text"),
        (as_line(at=AT, snooze="x"), "until is None; write an RFC 3339 time"),
        (as_line(at=AT, set_severity="x", severity="grave"), "severity is 'grave'; write one such as critical"),
        (
            as_line(timestamp=AT, event="incident.changed", incident="x", what="snoozed", by="ana", detail="for long"),
            "detail is 'for long'; of a snooze, it is until when it lasts",
        ),
        (as_line(timestamp=AT, event="intake.body"), "body is None; write text"),
        (as_line(event="intake.body", body="{}"), "timestamp is None; write an RFC 3339"),
    ],
)
def test_a_broken_line_is_reported_with_its_place_and_the_others_are_read(line, problem):
    records, problems = read_lines("morning.jsonl", [as_line(at=AT, payload={}), line, as_line(at=AT, payload={})])

    assert len(records) == 2
    assert len(problems) == 1
    assert problems[0].startswith(f"morning.jsonl:2: {problem}")


def test_a_line_of_the_timeline_reads_well():
    event = Line(AT_MS, "triggered", "DiskFull", "id", ("1 alert from x", "Slack C1"), "", AT_MS + 300_000)

    assert event.line(UTC) == (
        "2026-05-04 10:20:01  DiskFull                      triggered     1 alert from x; Slack C1; "
        "escalates 10:25:01 unless acknowledged"
    )


def test_a_long_title_is_cut_in_lines_and_whole_in_json():
    event = Line(AT_MS, "ignored", "x" * 100)

    assert event.line(UTC) == f"2026-05-04 10:20:01  {'x' * 27}…  ignored"
    assert event.as_json()["title"] == "x" * 100


def test_a_servers_log_holds_bodies_and_what_people_did():
    lines = [
        {"event": "intake.body", "timestamp": AT, "body": "firing", "query": "oncall_wait_minutes=5"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "acknowledged", "by": "ana"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "resolved", "by": "ben"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "resolved", "by": "alertmanager"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "escalated"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "escalating", "detail": "it waited"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "escalating", "by": "ana"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "unacknowledged", "by": "ana"},
        {"event": "sync.done", "timestamp": AT},
    ]

    records, problems = read_lines("log", [orjson.dumps(line) for line in lines])

    assert problems == []
    assert records == [
        Posted("log:1", AT_MS, b"firing", "oncall_wait_minutes=5"),
        Acted("log:2", AT_MS, Action.ACKNOWLEDGE, "x-1", "ana"),
        Acted("log:3", AT_MS, Action.RESOLVE, "x-1", "ben"),
        Acted("log:7", AT_MS, Action.ESCALATE, "x-1", "ana"),
        Acted("log:8", AT_MS, Action.UNACKNOWLEDGE, "x-1", "ana"),
    ]


def test_what_people_did_to_the_incident_of_a_silent_heartbeat_is_left_out():
    """Nothing in the recording leads to it, so that each would be about an incident that is not known."""
    lines = [
        {"event": "heartbeat.silent", "timestamp": AT, "heartbeat": "watchdog", "incident": "h-1"},
        {"event": "incident.changed", "timestamp": AT, "incident": "h-1", "what": "acknowledged", "by": "ana"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "acknowledged", "by": "ana"},
        {"event": "incident.changed", "timestamp": AT, "incident": "h-0", "what": "resolved", "by": "heartbeat"},
    ]

    records, problems = read_lines("log", [orjson.dumps(line) for line in lines])

    assert problems == []
    assert records == [Acted("log:3", AT_MS, Action.ACKNOWLEDGE, "x-1", "ana")]


def test_what_people_did_to_the_incident_of_a_ticket_is_left_out():
    accepted = {"event": "intake.accepted", "timestamp": AT, "source": "servicenow", "ticket": "INC0010001"}
    lines = [
        {"event": "incident.changed", "timestamp": AT, "incident": "t-1", "what": "acknowledged", "by": "ben"},
        {**accepted, "incident": "t-1", "outcome": "created"},
        {**accepted, "incident": "x-1", "outcome": "updated"},
        {"event": "incident.changed", "timestamp": AT, "incident": "x-1", "what": "acknowledged", "by": "ben"},
    ]

    records, problems = read_lines("log", [orjson.dumps(line) for line in lines])

    assert problems == []
    assert records == [Acted("log:4", AT_MS, Action.ACKNOWLEDGE, "x-1", "ben")]


@pytest.mark.parametrize("severity", ["critical", "P1 - Critical"])
def test_what_the_log_says_of_acts_is_what_the_engine_writes(severity):
    incident = make_incident(make_alert(severity="warning"), severity="warning")
    later_ms = START_MS + 10 * MINUTE_MS
    changes = [
        snooze(incident, later_ms, Actor("ana"), START_MS),
        set_severity(incident, severity, Actor("ana"), AT_MS),
    ]
    lines = [
        {
            "event": "incident.changed",
            "timestamp": AT,
            "incident": "x",
            "what": it.event,
            "by": "ana",
            "detail": it.detail,
        }
        for change in changes
        for it in (change.entries if change else ())
        if it.by
    ]

    records, problems = read_lines("log", [orjson.dumps(line) for line in lines])

    assert problems == []
    assert [(it.action, it.until_ms, it.severity) for it in records if isinstance(it, Acted)] == [
        (Action.SNOOZE, later_ms // MINUTE_MS * MINUTE_MS, ""),
        (Action.SET_SEVERITY, None, severity),
    ]
