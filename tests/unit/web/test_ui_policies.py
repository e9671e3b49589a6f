"""The page of policies: pictures of steps and hours, what is said of each policy, and the dry run."""

from itertools import pairwise
from typing import Any

import pytest

from tests.support.policies import CRITICAL, LOW, NIGHT_MS, OFFICE, make_config
from versus_py.config import Config
from versus_py.config.policies import PolicyConfig
from versus_py.engine.courses import shown_policy
from versus_py.incidents.policies import Policy, Step
from versus_py.systems import called
from versus_py.web.pages.ui import moments
from versus_py.web.pages.ui.hours import Week, named_hours, week_of
from versus_py.web.pages.ui.ladder import ROUNDS_DRAWN, Ladder, ladder_of
from versus_py.web.pages.ui.policy_views import LABELS_MAX, Asking, DryRun, dry_run, policies_shown, zones

CONFIG = make_config(CRITICAL, LOW)
MINUTE_MS = 60_000


def policy(*minutes: float, repeat: int = 0) -> Policy:
    """With steps so many minutes after each other."""
    return Policy(tuple(Step(("slack",), round(it * MINUTE_MS)) for it in minutes), repeat=repeat)


def plain(text: str) -> str:
    return text.replace(moments.TO, "-")


def drawn(steps: Policy) -> Ladder:
    found = ladder_of(steps)
    assert found is not None
    return found


def week(known: PolicyConfig) -> Week:
    found = week_of(known, NIGHT_MS)
    assert found is not None
    return found


def at_percent(text: str) -> float:
    return float(text.removesuffix("%"))


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0, "0 s"), (90_000, "1 min 30 s"), (5_400_000, "1 h 30 min"), (86_400_500, "1 d 500 ms"), (2_400_000, "40 min")],
)
def test_a_setting_is_written_to_the_millisecond(ms, text):
    assert moments.span(ms) == text


def test_rounds_and_steps_stand_where_their_times_are():
    found = drawn(policy(0, 10, 15, repeat=2))

    assert [(it.name, it.begins) for it in found.rounds] == [
        ("round 1", "at once"),
        ("round 2", "after 40 min"),
        ("round 3", "after 1 h 20 min"),
    ]
    first, second, third = (at_percent(it.x) for it in found.rounds[0].marks)
    assert first == 0
    assert third == pytest.approx(2.5 * second, abs=0.02)
    assert [mark.word for mark in found.rounds[1].marks] == ["1", "2", "3"]
    assert [mark.title for mark in found.rounds[1].marks] == [
        "step 1 after 40 min",
        "step 2 after 50 min",
        "step 3 after 1 h 5 min",
    ]
    assert "round 2 after 40 min: step 1 after 40 min, step 2 after 50 min" in found.text
    assert (found.left_out, found.ends) == (0, "")


def test_steps_that_are_close_share_a_mark():
    found = drawn(policy(0, 1, 1, 120))

    assert [(plain(mark.word), mark.is_many) for mark in found.rounds[0].marks] == [("1-3", True), ("4", False)]
    assert found.ends == "2 h 2 min"


@pytest.mark.parametrize(
    "steps",
    [policy(0, 0, 0), policy(0, 0, repeat=9), policy(7, 30, 2, repeat=4), policy(*[1] * 40), policy(0, 10_000, 1)],
)
def test_every_mark_is_within_the_picture_and_apart_from_the_next(steps):
    found = drawn(steps)

    assert len(found.rounds) == min(steps.repeat + 1, ROUNDS_DRAWN)
    assert len(found.rounds) + found.left_out == steps.repeat + 1
    places = [at_percent(mark.x) for it in found.rounds for mark in it.marks]
    assert all(0 <= it < 95 for it in places)
    assert all(after - before > 4.5 for before, after in pairwise(places))
    for it in found.rounds:
        numbers = [int(word) for mark in it.marks for word in mark.word.split(moments.TO)]
        assert (numbers[0], numbers[-1]) == (1, len(steps.timed))


def test_a_single_step_needs_no_picture():
    assert ladder_of(policy(0)) is None


def test_the_coming_week_begins_today_by_the_clock_of_the_interval():
    [low] = [it for it in CONFIG.policies if it.name == "low"]

    found = week(low)

    assert found.zone == "Europe/Berlin"
    assert plain(found.text) == (
        "Sun 28: closed; Mon 29: 08:00-18:00; Tue 30: 08:00-18:00; Wed 31: 08:00-18:00; Thu 1: 08:00-18:00; "
        "Fri 2: 08:00-18:00; Sat 3: closed"
    )
    monday = found.days[1]
    [office] = monday.open
    day, width = at_percent(monday.x), at_percent(monday.width)
    assert at_percent(office.x) == pytest.approx(day + width * 8 / 24, abs=0.02)
    assert at_percent(office.width) == pytest.approx(width * 10 / 24, abs=0.02)


def test_a_day_on_which_the_clock_is_put_forward_is_an_hour_shorter():
    until_six = {"times": [{"start_time": "00:00", "end_time": "06:00"}], "location": "Europe/Berlin"}
    night = {"name": "night", "time_intervals": [until_six]}
    config = make_config({**LOW, "in": ["night"]}, time_intervals=[night])

    sunday, monday, *_ = week(config.policies[0]).days

    assert [plain(it.text) for it in (*sunday.open, *monday.open)] == ["00:00-06:00", "00:00-06:00"]
    assert at_percent(sunday.open[0].width) / at_percent(sunday.width) == pytest.approx(5 / 23, abs=0.01)


def test_what_is_open_until_midnight_says_so():
    config = make_config({"name": "rest", "steps": [{"notify": ["slack"]}], "not_in": ["office"]})

    monday = week(config.policies[0]).days[1]

    assert [plain(it.text) for it in monday.open] == ["00:00-08:00", "18:00-24:00"]


def test_intervals_are_said_in_words():
    first = {"weekdays": ["monday:friday", "sunday"], "days_of_month": ["1:5", "-1"], "months": ["may:august", "12"]}
    named: list[dict[str, Any]] = [
        {"name": "rare", "time_intervals": [{**first, "years": ["2026:2028"]}, {"location": "Asia/Tokyo"}]},
        OFFICE,
    ]
    config = make_config(CRITICAL, time_intervals=named)

    assert [(name, plain(text)) for name, text in named_hours(config, ["rare", "office"])] == [
        ("rare", "Mon-Fri, Sun, day 1-5, day -1 May-Aug, 12, 2026-2028 UTC; always Asia/Tokyo"),
        ("office", "Mon-Fri 08:00-18:00 Europe/Berlin"),
    ]


def test_each_policy_says_whom_it_tells_when_and_how_often():
    critical, low, rest = policies_shown(CONFIG, called(), NIGHT_MS)

    assert [(it.number, it.name, it.is_made) for it in (critical, low, rest)] == [
        (1, "critical", False),
        (2, "low", False),
        (3, "everything else", True),
    ]
    assert [(it.targets, it.when, it.mentions) for it in critical.steps] == [
        ("Slack (C0ALERTS)", "at once", ()),
        ("Slack leads (C0LEADS0)", "after 10 min", ("<!subteam^S0123456789>",)),
        ("ServiceNow", "after 1 h 40 min", ()),
    ]
    assert critical.steps[2].more == ("urgency: 1", "the next step keeps its time if this one fails")
    assert critical.again == ("once more", "from the start, every 3 h 10 min")
    assert critical.notes == ("An acknowledgment ends after 4 h if it still fires; then it starts again.",)
    assert [(it.is_open, it.name) for it in low.hours] == [(True, "office")]
    assert rest.notes[0] == "If ServiceNow fails for 15 min, Slack C0FALLBK is notified."


def with_mentions(*policies: dict[str, Any]) -> Config:
    slack = {"enable": True, "channel_id": "C0ALERTS", "mention": {"critical": "<!here>", "warning": "<@U0NIGHT>"}}
    return make_config(*policies, alert={"slack": slack}, oncall={"enable": True})


def test_who_is_mentioned_follows_the_severity_where_that_is_known():
    steps = [{"notify": ["slack"]}]
    config = with_mentions(
        {"name": "critical", "match": ['severity="critical"'], "steps": steps}, {"name": "rest", "steps": steps}
    )

    critical, rest = policies_shown(config, called(), NIGHT_MS)

    assert critical.steps[0].mentions == ("<!here>",)
    assert rest.steps[0].mentions == ("<!here> if critical", "<@U0NIGHT> if warning")


def test_a_policy_says_who_names_it():
    tokens = [
        {"name": "ci", "token": "token-of-ci-0123456789", "policy": "low"},
        {"name": "lab", "token": "token-of-lab-012345678", "overrides": {"policies": ["low"]}},
    ]
    beats = [{"name": "nightly", "every": "1h", "policy": "low"}]
    config = make_config(CRITICAL, LOW, intake={"tokens": tokens}, heartbeats=beats)

    _, low, _ = policies_shown(config, called(), NIGHT_MS)

    assert low.named_by == (
        "all that comes with the token ci",
        "what the token lab asks for by its name",
        "the heartbeat nightly",
    )


def tried(labels: str = "", severity: str = "", at: str = "", zone: str = "Europe/Berlin") -> DryRun:
    return dry_run(CONFIG, called(), Asking(labels, severity, at, zone), NIGHT_MS)


def test_a_dry_run_shows_every_step_of_every_round():
    found = tried("team=db", "critical", "2026-11-28T01:30")

    assert found.policy == "critical"
    assert found.labels == {"team": "db", "severity": "critical"}
    assert found.at == "2026-11-28 01:30:00 +01:00"
    assert [(it.round, it.step, it.at, it.after) for it in found.dues] == [
        (1, 1, "Sat 28 Nov 01:30", "at once"),
        (1, 2, "Sat 28 Nov 01:40", "10 min"),
        (1, 3, "Sat 28 Nov 03:10", "1 h 40 min"),
        (2, 1, "Sat 28 Nov 04:40", "3 h 10 min"),
        (2, 2, "Sat 28 Nov 04:50", "3 h 20 min"),
        (2, 3, "Sat 28 Nov 06:20", "4 h 50 min"),
    ]
    assert found.dues[1].exactly == "2026-11-28 01:40:00 +01:00"


def test_a_dry_run_outside_of_the_hours_is_held():
    found = tried("severity=info")

    assert (found.policy, found.held_until) == ("low", "Mon 29 Mar 08:00")
    assert [it.at for it in found.dues] == ["Mon 29 Mar 08:00"]


def test_a_dry_run_says_of_a_time_that_comes_twice():
    assert "comes twice" in tried("severity=info", at="2026-10-25T02:30").warning


def test_what_no_policy_matches_has_the_one_from_oncall():
    assert tried("team=db").policy == "everything else"
    assert shown_policy(CONFIG, "").settings is None


@pytest.mark.parametrize(
    ("asking", "problem"),
    [
        (Asking("severity", zone="UTC"), "is no matcher"),
        (Asking("severity=info", "critical", zone="UTC"), "label severity is both 'info' and 'critical'"),
        (Asking(at="yesterday", zone="UTC"), "'yesterday' is no time"),
        (Asking(at="2027-03-28T02:30", zone="Europe/Berlin"), "does not exist: the clock is put forward"),
        (Asking("a=b", zone="Mars/Base"), "no time zone 'Mars/Base': choose one of Europe/Berlin, UTC"),
        (Asking("a=" + "b" * LABELS_MAX, zone="UTC"), "longer than 2000 characters"),
    ],
)
def test_what_is_no_label_or_time_is_said(asking, problem):
    with pytest.raises(ValueError, match=problem):
        dry_run(CONFIG, called(), asking, NIGHT_MS)


def test_the_zones_are_those_of_the_intervals_and_utc():
    assert zones(CONFIG) == ["Europe/Berlin", "UTC"]
    assert zones(make_config(CRITICAL, time_intervals=[])) == ["UTC"]
