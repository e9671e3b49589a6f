"""Which buttons a message has, and what a press of one asks for."""

from datetime import UTC, datetime

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident, make_policy
from versus_py.config import SlackActions, SlackConfig, SlackSnooze
from versus_py.incidents.actions import Action, snoozed_until_ms
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Incident
from versus_py.incidents.transitions import Change, acknowledge, begin_step, resolve
from versus_py.targets.slack.actions import MORE, action_block, offered, read_value

INTERACTIVE = SlackConfig(signing_secret="secret")
ANA = Actor("ana")
DUE = START_MS + 5 * 60_000
MORE_ACTIONS = {Action.SEVERITY, Action.ROUTE}
EVERY = {Action.ACKNOWLEDGE, Action.RESOLVE, Action.ESCALATE, Action.SNOOZE} | MORE_ACTIONS


def after(change: Change | None) -> Incident:
    assert change
    return change.incident


def escalated(record: Delivery) -> Incident:
    return replace(after(begin_step(make_incident(), DUE)), deliveries={"servicenow": record})


@pytest.mark.parametrize(
    ("incident", "expected"),
    [
        pytest.param(make_incident(), EVERY, id="triggered"),
        pytest.param(
            after(acknowledge(make_incident(), ANA, START_MS)),
            {Action.UNACKNOWLEDGE, Action.RESOLVE, Action.ESCALATE} | MORE_ACTIONS,
            id="acknowledged",
        ),
        pytest.param(
            escalated(Delivery(reference={"sys_id": "x"}, label="INC1", synced_at_ms=DUE)),
            {Action.ACKNOWLEDGE, Action.RESOLVE} | MORE_ACTIONS,
            id="escalated",
        ),
        pytest.param(
            escalated(Delivery(failed_at_ms=DUE)),
            {Action.ACKNOWLEDGE, Action.RESOLVE, Action.ESCALATE} | MORE_ACTIONS,
            id="failed",
        ),
        pytest.param(after(resolve(make_incident(), ANA, START_MS)), set(), id="resolved"),
        pytest.param(
            make_incident(policy=make_policy(oncall=None)),
            {Action.ACKNOWLEDGE, Action.RESOLVE} | MORE_ACTIONS,
            id="no escalation",
        ),
    ],
)
def test_what_would_change_nothing_is_not_offered(incident, expected):
    assert set(offered(incident, INTERACTIVE)) == expected


def lasting(ends: bool) -> Incident:
    policy = make_policy(ack_timeout_ms=4 * 3600_000 if ends else 0)
    return after(acknowledge(make_incident(policy=policy), ANA, START_MS))


@pytest.mark.parametrize(("ends", "label"), [(True, "Renew acknowledgment"), (False, "Un-acknowledge")])
def test_an_acknowledgment_that_ends_can_be_renewed(ends, label):
    block = action_block(lasting(ends), INTERACTIVE, ack_url=None)

    assert block is not None
    assert block.to_dict()["elements"][0]["text"]["text"] == label
    assert (Action.ACKNOWLEDGE in offered(lasting(ends), INTERACTIVE)) is ends


@pytest.mark.parametrize("action", sorted(EVERY))
def test_each_action_can_be_switched_off(action):
    config = SlackConfig(signing_secret="secret", actions=SlackActions(**{action: False}))

    assert set(offered(make_incident(), config)) == EVERY - {action}


def test_without_choices_there_is_no_snooze():
    config = SlackConfig(signing_secret="secret", snooze=SlackSnooze(minutes=(), until=()))

    assert Action.SNOOZE not in offered(make_incident(), config)


def test_escalating_asks_before_and_promises_no_provider():
    """The next step of a policy may be another channel."""
    block = action_block(make_incident(), INTERACTIVE, ack_url=None)
    assert block is not None
    [button] = [it for it in block.to_dict()["elements"] if it["action_id"] == Action.ESCALATE]

    assert button["confirm"]["text"]["text"].startswith("The next step of the escalation begins at once.")


def test_buttons_say_which_incident_they_are_about():
    incident = make_incident()
    block = action_block(incident, INTERACTIVE, ack_url="https://versus.example/ack")
    assert block is not None
    shown = block.to_dict()

    ack, *_, snooze, more = shown["elements"]
    assert (ack["action_id"], ack["value"]) == ("acknowledge", incident.id)
    assert "url" not in ack
    assert [option["value"] for option in snooze["options"]] == [
        f"{incident.id} {choice}" for choice in ("15", "60", "09:00")
    ]
    assert [option["text"]["text"] for option in snooze["options"]] == ["for 15 min", "for 1 h", "until 09:00 (UTC)"]
    assert [option["value"] for option in more["options"]] == [f"{incident.id} severity", f"{incident.id} route"]


@pytest.mark.parametrize(
    ("actions", "offered_more"),
    [
        (SlackActions(severity=False), ["Route…"]),
        (SlackActions(route=False), ["Set severity…"]),
        (SlackActions(severity=False, route=False), None),
    ],
)
def test_the_menu_of_further_actions_has_what_is_switched_on(actions, offered_more):
    config = SlackConfig(signing_secret="secret", actions=actions)
    block = action_block(make_incident(), config, ack_url=None)
    assert block is not None
    menus = [it for it in block.to_dict()["elements"] if it["action_id"] == MORE]

    assert [[option["text"]["text"] for option in it["options"]] for it in menus] == (
        [offered_more] if offered_more else []
    )


def test_as_many_snoozes_as_can_be_configured_are_what_slack_takes():
    many = SlackSnooze(minutes=tuple(range(1, 11)), until=tuple(f"{hour:02}:00" for hour in range(10)))
    block = action_block(make_incident(), SlackConfig(app_token="xapp-1", snooze=many), ack_url=None)

    assert block is not None
    assert len(block.to_dict()["elements"][-2]["options"]) == 20


def test_without_interactivity_there_is_the_link_alone_or_nothing():
    link = action_block(make_incident(), SlackConfig(), ack_url="https://versus.example/ack")
    assert link is not None
    assert [it["url"] for it in link.to_dict()["elements"]] == ["https://versus.example/ack"]
    assert action_block(make_incident(), SlackConfig(), ack_url=None) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("abc-1", ("abc-1", "")), ("abc-1 15", ("abc-1", "15")), ("abc-1 09:00", ("abc-1", "09:00"))],
)
def test_values_are_read_back(value, expected):
    assert read_value(value) == expected


@pytest.mark.parametrize(
    ("choice", "timezone", "now", "until"),
    [
        ("15", "UTC", "2026-05-04T10:20:00+00:00", "2026-05-04T10:35:00+00:00"),
        ("09:00", "UTC", "2026-05-04T08:59:59+00:00", "2026-05-04T09:00:00+00:00"),
        ("09:00", "UTC", "2026-05-04T09:00:00+00:00", "2026-05-05T09:00:00+00:00"),
        ("09:00", "Europe/Berlin", "2026-05-04T06:30:00+00:00", "2026-05-04T07:00:00+00:00"),
        ("09:00", "America/New_York", "2026-05-04T20:00:00+00:00", "2026-05-05T13:00:00+00:00"),
        # The night in which clocks go forward, and the one in which they go back.
        ("09:00", "Europe/Berlin", "2026-03-28T20:00:00+00:00", "2026-03-29T07:00:00+00:00"),
        ("09:00", "Europe/Berlin", "2026-10-24T20:00:00+00:00", "2026-10-25T08:00:00+00:00"),
        # A time that this night does not have: before the clock is set forward, and from then on.
        ("02:30", "Europe/Berlin", "2026-03-28T20:00:00+00:00", "2026-03-29T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T00:10:00+00:00", "2026-03-29T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T00:59:59+00:00", "2026-03-29T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T01:10:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T01:30:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-03-29T01:40:00+00:00", "2026-03-30T00:30:00+00:00"),
        ("02:15", "Australia/Lord_Howe", "2026-10-03T15:29:00+00:00", "2026-10-03T15:45:00+00:00"),
        ("02:15", "Australia/Lord_Howe", "2026-10-03T15:31:00+00:00", "2026-10-04T15:15:00+00:00"),
        ("00:30", "America/Santiago", "2026-09-06T04:10:00+00:00", "2026-09-07T03:30:00+00:00"),
        # Times around those that it does not have.
        ("02:00", "Europe/Berlin", "2026-03-29T01:00:00+00:00", "2026-03-30T00:00:00+00:00"),
        ("03:00", "Europe/Berlin", "2026-03-29T00:59:00+00:00", "2026-03-29T01:00:00+00:00"),
        ("03:30", "Europe/Berlin", "2026-03-29T01:10:00+00:00", "2026-03-29T01:30:00+00:00"),
        # A day that a place did not have.
        ("09:00", "Pacific/Apia", "2011-12-30T06:00:00+00:00", "2011-12-30T19:00:00+00:00"),
        # A time that this night has twice: before it, between the two, at the second, and after it.
        ("02:30", "Europe/Berlin", "2026-10-25T00:20:00+00:00", "2026-10-25T00:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-10-25T00:40:00+00:00", "2026-10-25T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-10-25T01:20:00+00:00", "2026-10-25T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-10-25T01:30:00+00:00", "2026-10-26T01:30:00+00:00"),
        ("02:50", "Europe/Berlin", "2026-10-25T00:55:00+00:00", "2026-10-25T01:50:00+00:00"),
        ("02:50", "Europe/Berlin", "2026-10-25T01:55:00+00:00", "2026-10-26T01:50:00+00:00"),
        # Midnight, which came twice where the clock was set back just after it.
        ("00:00", "America/St_Johns", "2010-11-07T02:45:00+00:00", "2010-11-07T03:30:00+00:00"),
        ("23:30", "America/St_Johns", "2010-11-07T02:30:30+00:00", "2010-11-07T03:00:00+00:00"),
        # Another time, in the hour that comes a second time.
        ("03:00", "Europe/Berlin", "2026-10-25T01:40:00+00:00", "2026-10-25T02:00:00+00:00"),
        ("01:30", "Europe/Berlin", "2026-10-25T01:40:00+00:00", "2026-10-26T00:30:00+00:00"),
    ],
)
def test_a_snooze_ends_when_it_says(choice, timezone, now, until):
    now_ms = round(datetime.fromisoformat(now).timestamp() * 1000)

    found_ms = snoozed_until_ms(choice, timezone, now_ms)

    assert datetime.fromtimestamp(found_ms / 1000, UTC) == datetime.fromisoformat(until)


def test_a_choice_that_is_none_is_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        snoozed_until_ms("soon", "UTC", START_MS)
