"""A check that cannot fail checks nothing: a made-up history that is wrong in one way is found by its judgment."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED, Course
from tests.simulation.history import Act, Did
from tests.simulation.judgments import Bounds, Message, Record, Seen, judge
from tests.simulation.redis import Server
from tests.simulation.waits import Rules, Wait
from tests.simulation.watch import EditWatch, Keys, Losses, MessageWatch, RecordWatch, Watched, without_looks
from versus_py.incidents.copies import replace

RULES = Rules(wait_ms=60_000)
BOUNDS = Bounds(late_ms=8000)
NUMBER = "INC0010001"


def escalated() -> tuple[Course, Seen]:
    """Nobody acknowledged, and all is as it should be."""
    course = Course(RULES, id="i-0", statuses=frozenset({TRIGGERED}), waits=[Wait(0, 0, 60_000, 60_000)])
    return course, Seen(
        incident={"status": TRIGGERED, "outcome": "escalated", "record": NUMBER},
        records=[Record(NUMBER, "1", 61_000)],
        messages=[
            Message("C0ALERTS", "*Escalated* · Disk", f"ServiceNow {NUMBER}", [f"Escalated to ServiceNow as {NUMBER}"])
        ],
    )


def acknowledged() -> tuple[Course, Seen]:
    """In time."""
    wait = Wait(0, 0, 60_000, 60_000, end_lo_ms=5000, end_hi_ms=5100)
    course = Course(RULES, id="i-0", statuses=frozenset({ACKNOWLEDGED}), waits=[wait])
    return course, Seen(
        incident={"status": ACKNOWLEDGED, "outcome": "acknowledged", "record": None},
        messages=[Message("C0ALERTS", "*Acknowledged* · Disk", "by ana")],
    )


def acknowledged_late() -> tuple[Course, Seen]:
    course, seen = escalated()
    course.waits[0].end_lo_ms, course.waits[0].end_hi_ms = 90_000, 90_100
    course.statuses = frozenset({ACKNOWLEDGED})
    return course, replace(
        seen,
        incident={"status": ACKNOWLEDGED, "outcome": "acknowledged", "record": NUMBER},
        records=[Record(NUMBER, "2", 61_000)],
        messages=[replace(seen.messages[0], text="*Acknowledged* · Disk")],
    )


def resolved_late() -> tuple[Course, Seen]:
    course, seen = acknowledged_late()
    course.statuses = frozenset({RESOLVED})
    return course, replace(
        seen,
        incident={"status": RESOLVED, "outcome": "escalated", "record": NUMBER},
        records=[Record(NUMBER, "6", 61_000)],
        messages=[replace(seen.messages[0], text="*Resolved* · Disk")],
    )


def broken(course: Course, seen: Seen) -> list[str]:
    return [what for what, _ in judge(course, seen, BOUNDS)]


@pytest.mark.parametrize("made", [escalated, acknowledged, acknowledged_late, resolved_late])
def test_what_is_as_it_should_be_breaks_nothing(made: Callable[[], tuple[Course, Seen]]):
    assert broken(*made()) == []


def test_a_record_that_redis_forgot_may_be_there_before_what_people_were_answered_since():
    course, seen = escalated()

    assert broken(course, with_records(seen, Record(NUMBER, "1", 59_000, may_be_forgotten=True))) == []


def test_a_link_may_be_refused_once_redis_lost_the_key_of_all_links():
    course, seen = escalated()
    course.problems.append(("acknowledgment refused", "i-0 401"))

    assert broken(course, seen) == ["acknowledgment refused"]
    assert [*judge(course, seen, replace(BOUNDS, may_refuse_links=True))] == []


def with_records(seen: Seen, *records: Record) -> Seen:
    return replace(seen, records=records)


def with_incident(seen: Seen, **fields: Any) -> Seen:
    return replace(seen, incident={**(seen.incident or {}), **fields})


def with_message(seen: Seen, **fields: Any) -> Seen:
    return replace(seen, messages=[replace(seen.messages[0], **fields)])


WRONG: dict[str, tuple[Callable[[], tuple[Course, Seen]], Callable[[Seen], Seen]]] = {
    "lost": (acknowledged, lambda seen: replace(seen, incident=None)),
    "two records": (
        escalated,
        lambda seen: with_records(seen, *seen.records, Record("INC0010002", "1", 62_000)),
    ),
    "two messages": (escalated, lambda seen: replace(seen, messages=[*seen.messages, *seen.messages])),
    "a record of what was ended in time": (
        acknowledged,
        lambda seen: with_records(seen, Record(NUMBER, "2", 61_000)),
    ),
    "no record": (escalated, with_records),
    "escalates, and has no record": (escalated, with_records),
    "a record too early": (escalated, lambda seen: with_records(seen, Record(NUMBER, "1", 59_000))),
    "a record too late": (escalated, lambda seen: with_records(seen, Record(NUMBER, "1", 69_000))),
    "wrong status": (acknowledged, lambda seen: with_incident(seen, status=RESOLVED)),
    "no outcome": (acknowledged, lambda seen: with_incident(seen, outcome=None)),
    "a record that is not there": (acknowledged, lambda seen: with_incident(seen, record=NUMBER)),
    "a record that is not known": (escalated, lambda seen: with_incident(seen, record=None)),
    "a record that is open though all is over": (
        resolved_late,
        lambda seen: with_records(seen, Record(NUMBER, "2", 61_000)),
    ),
    "a record that is over though it goes on": (
        escalated,
        lambda seen: with_records(seen, Record(NUMBER, "6", 61_000)),
    ),
    "a record that is not in progress though acknowledged": (
        acknowledged_late,
        lambda seen: with_records(seen, Record(NUMBER, "1", 61_000)),
    ),
    "no message": (escalated, lambda seen: replace(seen, messages=[])),
    "a message that is not up to date": (escalated, lambda seen: with_message(seen, text="*Escalating* · Disk")),
    "a message without its record": (escalated, lambda seen: with_message(seen, shown="ServiceNow")),
    "a thread that was told twice": (
        escalated,
        lambda seen: with_message(seen, replies=["1 joined", "2 joined"], told=[{"news": 1}, {"news": 1}]),
    ),
    "a line too often": (escalated, lambda seen: with_message(seen, replies=[*seen.messages[0].replies] * 2)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_found(what: str):
    made, spoil = WRONG[what]
    course, seen = made()

    assert what in broken(course, spoil(seen))


def test_a_comment_that_is_told_twice_is_found():
    course, seen = escalated()
    course.comments = 1

    said = "*ana* in INC0010001: Comment 1 on Disk"

    assert "a line too often" in broken(course, with_message(seen, replies=[said, said]))


def test_a_wrong_answer_is_told():
    course, seen = escalated()
    course.problems.append(("status answered", "i-0"))

    assert broken(course, seen) == ["status answered"]


@pytest.mark.parametrize(
    "what", ["two records", "two messages", "escalates, and has no record", "a record that is not known"]
)
def test_doubt_hides_nothing_that_may_never_be(what: str):
    made, spoil = WRONG[what]
    course, seen = made()
    course.put_in_doubt("Redis was emptied")

    assert what in broken(course, spoil(seen))


def test_a_record_that_people_closed_may_have_a_successor():
    course, seen = escalated()
    course.closings = 1
    last = Record("INC0010002", "1", 99_000)
    seen = with_message(with_incident(seen, record=last.number), shown=last.number)

    assert broken(course, with_records(seen, Record(NUMBER, "7", 61_000), last)) == []


def test_where_slack_refuses_the_credentials_it_may_escalate_at_once():
    course, seen = escalated()
    seen = with_records(seen, Record(NUMBER, "1", 50_000))

    assert list(judge(course, seen, replace(BOUNDS, may_refuse=True))) == []


def test_a_fallback_channel_stands_for_a_record():
    course, seen = acknowledged_late()
    called = Message("C0ONCALL", "*Escalated* · Disk", "")

    seen = replace(seen, records=[], messages=[*seen.messages, called])

    assert broken(course, with_incident(seen, record="message 1.0 in C0ONCALL")) == []


def test_two_open_records_are_seen_when_the_second_comes():
    found: list[str] = []
    watch = RecordWatch(lambda: 5.0, lambda what, _: found.append(what))
    rows = Watched([], watch.come)

    for number in range(2):
        rows.append({"sys_id": str(number), "number": str(number), "correlation_id": "i-0", "state": "1"})

    assert found == ["two records at once"]
    assert watch.created_ms == {"0": 5.0, "1": 5.0}


class Posted:
    channel, thread_ts = "C0ALERTS", None

    def __init__(self, about: str, ts: str = "1.0") -> None:
        self.ts = ts
        self.versions: list[str] = ["*Triggered* · Disk"]
        self.metadata = {"event_payload": {"incident": about}}


def test_two_messages_are_seen_when_the_second_comes():
    found: list[str] = []
    watch = MessageWatch(Losses(), lambda what, _: found.append(what))

    for about in ("i-0", "i-1", "i-0"):
        watch.come(Posted(about))

    assert found == ["two messages at once"]


def test_a_message_whose_claim_was_lost_may_be_posted_again():
    losses, found = Losses(), list[str]()
    watch = MessageWatch(losses, lambda what, _: found.append(what))
    losses.note(1500, 2000)

    for posted in (Posted("i-0", "1.6"), Posted("i-0", "90.0"), Posted("i-0", "99.0")):
        watch.come(posted)

    assert found == ["two messages at once"]


def forgotten() -> tuple[Course, Seen]:
    """It was acknowledged, and nobody knows of its record, which stays open."""
    course, seen = acknowledged_late()
    message = replace(seen.messages[0], shown="", replies=[])
    return course, replace(
        with_records(with_incident(seen, record=None), Record(NUMBER, "1", 61_000)), messages=[message]
    )


def test_a_record_may_be_forgotten_when_redis_lost_the_moment_in_which_it_was_created():
    course, seen = forgotten()
    lost = with_records(seen, replace(seen.records[0], may_be_forgotten=True))
    course.put_in_doubt("Redis lost its last moment")

    assert broken(course, lost) == []
    assert broken(course, seen) == ["a record that is not known", "a message without its record"]


@pytest.mark.parametrize(("replies", "found"), [(["1 joined", "Given back"], []), (["1 joined"] * 2, ["told twice"])])
def test_what_redis_lost_is_counted_anew_and_lines_of_one_number_are_told_apart_by_their_texts(replies, found):
    course, seen = escalated()
    course.put_in_doubt("Redis was emptied")

    seen = with_message(seen, replies=replies, told=[{"news": 2}, {"news": 2}])
    assert broken(course, seen) == [f"a thread that was {it}" for it in found]


def test_a_further_record_may_be_forgotten_too():
    course, seen = forgotten()
    assert seen.incident is not None
    first, lost = Record("INC0000009", "7", 61_000), replace(seen.records[0], may_be_forgotten=True)
    course.closings = 1
    seen = replace(with_records(seen, first, lost), incident={**seen.incident, "record": first.number})

    assert broken(course, seen) == []
    known = with_records(seen, first, Record(NUMBER, "1", 61_000))
    assert broken(course, known) == ["a message without its record"]


def test_a_record_may_stay_closed_when_redis_lost_the_moment_in_which_it_was_closed():
    course, seen = escalated()
    course.put_in_doubt("Redis lost its last moment")
    closed = Record(NUMBER, "6", 61_000)

    assert broken(course, with_records(seen, closed)) == ["a record that is over though it goes on"]
    assert broken(course, with_records(seen, replace(closed, may_be_outdated=True))) == []


def test_what_redis_lost_when_it_was_shown_may_be_shown_until_the_next_change():
    course, seen = acknowledged()
    seen = with_message(seen, text="*Resolved* · Disk")

    assert broken(course, with_message(seen, may_be_outdated=True)) == []


def test_each_edit_of_a_message_is_noted():
    now_ms, message = [5.0], Posted("i-0")
    watch = EditWatch(lambda: now_ms[0])

    watch.come(message)
    assert watch.edited_ms == {}

    message.versions.append("*Resolved* · Disk")
    assert watch.edited_ms == {"1.0": 5.0}


def server() -> Server:
    return Server(lambda: 1_000_000)


@pytest.mark.parametrize(
    ("commands", "what"),
    [
        ([], "a timer without its incident"),
        ([["HSET", "versus:{0}:incident:i-0", "version", "1"]], "an incident without an end"),
        (
            [
                ["HSET", "versus:{0}:incident:i-0", "version", "1"],
                ["PEXPIREAT", "versus:{0}:incident:i-0", "1400000"],
            ],
            "an incident that ends before its timer",
        ),
    ],
)
def test_an_incident_that_does_not_outlive_its_timer_is_found(commands: list[list[str]], what: str):
    redis = server()
    for command in [["ZADD", "versus:{0}:timers", "1500000", "i-0|slack"], *commands]:
        redis.execute(command)

    assert [found for found, _ in Keys(redis).outlived()] == [what]


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["ZADD", "versus:{1}:timers", "1100000", "i-1|slack"], "timers"),
        (["ZADD", "versus:{1}:running", "1100000", "i-1|slack"], "running"),
        (["HSET", "versus:{1}:attempts", "i-1|slack", "2"], "attempts"),
        (["ZADD", "versus:{1}:pending", "900000", "i-1"], "pending"),
    ],
)
def test_what_is_left_is_found(command: list[str], name: str):
    redis = server()
    redis.execute(command)

    assert list(Keys(redis).left(1_000_000, 3_600_000)) == [name]


def test_what_is_due_much_later_is_no_unfinished_work():
    redis = server()
    redis.execute(["ZADD", "versus:{1}:timers", "9000000", "i-1|slack"])

    assert Keys(redis).left(1_000_000, 3_600_000) == {}


def test_a_record_that_is_looked_at_again_and_again_is_no_unfinished_work():
    assert without_looks({"timers": ["i-1|servicenow"]}) == {}


@pytest.mark.parametrize(
    "left",
    [
        {"timers": ["i-1|servicenow"], "attempts": ["i-1|servicenow"]},
        {"timers": ["i-1|servicenow"], "running": ["i-1|servicenow"]},
        {"timers": ["i-1|slack"]},
        {"pending": ["i-1"]},
    ],
)
def test_what_is_left_where_records_are_looked_at_again_is_found(left: dict[str, list[str]]):
    assert without_looks(left) == left


def test_an_act_tells_itself():
    act = Act(Did.ACKNOWLEDGE, 1, 2, 3, 201, {"escalates_at": "2026-05-04T10:25:00.000Z"})

    assert str(act) == "acknowledge 1-3 201 x1 2026-05-04T10:25:00.000Z"


STEPS = replace(RULES, record_after_ms=60_000, repeat=1, has_steps=True)
STEPS_BOUNDS = replace(BOUNDS, later_channel="C0LEADS")


def told_by_steps(**rules: Any) -> tuple[Course, Seen]:
    """The leads were told when the wait was over, and the record came a minute later."""
    course, seen = escalated()
    course.rules = replace(STEPS, **rules)
    course.waits[0].due_lo_ms = course.waits[0].due_hi_ms = 60_000 + course.rules.opens_ms
    [message] = seen.messages
    leads = replace(message, channel="C0LEADS", posted_ms=course.rules.opens_ms + 61_000)
    messages = [replace(message, posted_ms=course.rules.opens_ms + 100), leads]
    return course, replace(seen, records=[Record(NUMBER, "1", course.rules.opens_ms + 121_000)], messages=messages)


def ended_before_its_hours() -> tuple[Course, Seen]:
    """Acknowledged while nobody was told."""
    course, seen = acknowledged()
    course.rules = replace(STEPS, opens_ms=90_000)
    course.waits[0].due_lo_ms = course.waits[0].due_hi_ms = 150_000
    return course, replace(seen, messages=[])


def broken_by_steps(course: Course, seen: Seen) -> list[str]:
    return [what for what, _ in judge(course, seen, STEPS_BOUNDS)]


@pytest.mark.parametrize("made", [told_by_steps, lambda: told_by_steps(opens_ms=90_000), ended_before_its_hours])
def test_steps_that_were_told_in_time_break_nothing(made: Callable[[], tuple[Course, Seen]]):
    assert broken_by_steps(*made()) == []


def test_a_step_that_was_not_told_is_found():
    course, seen = told_by_steps()

    assert broken_by_steps(course, replace(seen, messages=seen.messages[:1])) == ["a step that was not told"]


@pytest.mark.parametrize(
    ("posted_ms", "what"), [(50_000, "a step too early"), (70_000, "a step too late")], ids=["early", "late"]
)
def test_a_step_that_was_not_told_in_its_time_is_found(posted_ms: float, what: str):
    course, seen = told_by_steps()
    messages = [seen.messages[0], replace(seen.messages[1], posted_ms=posted_ms)]

    assert broken_by_steps(course, replace(seen, messages=messages)) == [what]


def test_a_step_of_what_was_ended_in_time_is_found():
    course, seen = acknowledged()
    course.rules = STEPS
    leads = replace(seen.messages[0], channel="C0LEADS", posted_ms=61_000)

    assert broken_by_steps(course, replace(seen, messages=[*seen.messages, leads])) == [
        "a step of what was ended in time"
    ]


def test_a_record_before_its_step_is_found():
    course, seen = told_by_steps()

    assert broken_by_steps(course, replace(seen, records=[Record(NUMBER, "1", 61_000)])) == ["a record too early"]


def test_a_message_before_the_hours_is_found():
    course, seen = told_by_steps(opens_ms=90_000)
    messages = [replace(seen.messages[0], posted_ms=1000), seen.messages[1]]

    assert broken_by_steps(course, replace(seen, messages=messages)) == ["told before its hours"]


def test_a_message_of_what_was_ended_before_its_hours_is_found():
    course, seen = ended_before_its_hours()
    message = Message("C0ALERTS", "*Acknowledged* · Disk", "by ana", posted_ms=90_100)

    assert broken_by_steps(course, replace(seen, messages=[message])) == ["told although it was ended before its hours"]


def test_a_round_that_was_told_too_often_is_found():
    course, seen = told_by_steps()
    messages = [replace(seen.messages[0], replies=["Nobody has acknowledged"] * 2), seen.messages[1]]

    assert broken_by_steps(course, replace(seen, messages=messages)) == ["a line too often"]


@pytest.mark.parametrize(("second", "found"), [("14:25:07", []), ("14:25:05", ["a thread that was told twice"])])
def test_two_acknowledgments_below_a_message_that_cannot_be_edited_are_no_repetition(second: str, found: list[str]):
    course, seen = escalated()
    standing = {"told_news": "1", "standing": "acknowledged"}
    replies = [f"*Acknowledged* by ana {at}" for at in ("14:25:05", second)]
    message = replace(seen.messages[0], replies=[*seen.messages[0].replies, *replies], told=[{}, standing, standing])

    assert broken(course, replace(seen, messages=[message])) == found
