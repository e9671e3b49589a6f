"""What a block_actions payload says that somebody pressed."""

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given

from tests.support.payloads import damaged, json_values
from versus_py.errors import BadPayload
from versus_py.incidents.actions import Action
from versus_py.targets.interactive import FormPress, IncidentPress, StormPress
from versus_py.targets.slack.actions import ACKNOWLEDGE_ALL, LINK_ACTION, MORE, RESOLVE_WITH_COMMENT
from versus_py.targets.slack.press import read_presses

INCIDENT = "0123456789abcdef0123-2"
PAYLOAD: dict[str, Any] = {
    "type": "block_actions",
    "team": {"id": "T1", "domain": "acme"},
    "user": {"id": "U1", "username": "ana", "name": "ana", "team_id": "T1"},
    "api_app_id": "A1",
    "container": {"type": "message", "message_ts": "1700000000.000100", "channel_id": "C1", "is_ephemeral": False},
    "trigger_id": "13345224609.738474920.8088930838d88f",
    "channel": {"id": "C1", "name": "alerts"},
    "message": {"ts": "1700000000.000100", "text": "…", "blocks": []},
    "response_url": "https://hooks.slack.com/actions/T1/1/abc",
    "actions": [
        {
            "type": "button",
            "action_id": "acknowledge",
            "block_id": "versus",
            "value": INCIDENT,
            "text": {"type": "plain_text", "text": "ACK"},
            "action_ts": "1700000042.123456",
        }
    ],
}


def payload(**action):
    """A press of a button, with something else about it."""
    changed = copy.deepcopy(PAYLOAD)
    changed["actions"][0] |= action
    return changed


def snooze(choice):
    option = {"text": {"type": "plain_text", "text": "…"}, "value": f"{INCIDENT} {choice}"}
    return payload(action_id="snooze", type="static_select", selected_option=option)


def test_a_press_of_a_button_says_who_pressed_what_and_where():
    [press] = read_presses(PAYLOAD)

    assert isinstance(press, IncidentPress)
    assert (press.action, press.incident_id, press.choice) == (Action.ACKNOWLEDGE, INCIDENT, "")
    assert (press.user_id, press.actor.name) == ("U1", "ana")
    assert press.where == {"channel": "C1"}


@pytest.mark.parametrize("choice", ["15", "10080", "09:00", "23:59"])
def test_a_choice_in_a_menu_is_a_press_with_a_choice(choice):
    [press] = read_presses(snooze(choice))

    assert isinstance(press, IncidentPress)
    assert (press.action, press.incident_id, press.choice) == (Action.SNOOZE, INCIDENT, choice)


def test_a_press_in_a_storm_names_its_place_and_its_id():
    [press] = read_presses(payload(action_id=ACKNOWLEDGE_ALL, value="C0ALERTS 0123456789abcdef"))

    assert isinstance(press, StormPress)
    assert (press.action, press.place, press.storm_id) == (Action.ACKNOWLEDGE, "C0ALERTS", "0123456789abcdef")


@pytest.mark.parametrize("value", ["", " ", "C0ALERTS", "C0ALERTS storm", "0123456789abcdef", f"C1 {'a' * 41}"])
def test_a_storm_that_no_button_names_is_refused(value):
    with pytest.raises(BadPayload):
        read_presses(payload(action_id=ACKNOWLEDGE_ALL, value=value))


@pytest.mark.parametrize("choice", ["", "0", "-5", "10081", "99999999", "24:00", "9:00", "1e3", "soon", "٣"])
def test_a_choice_that_was_never_offered_is_refused(choice):
    with pytest.raises(BadPayload):
        read_presses(snooze(choice))


@pytest.mark.parametrize("action_id", [LINK_ACTION, "somebody-elses", "", None, 7, ["acknowledge"]])
def test_what_is_only_a_link_or_not_ours_asks_for_nothing(action_id):
    assert read_presses(payload(action_id=action_id)) == ()


SUBMITTED: dict[str, Any] = {
    "type": "view_submission",
    "user": PAYLOAD["user"],
    "view": {
        "id": "V1",
        "callback_id": "versus_resolve",
        "private_metadata": f'{{"incident":"{INCIDENT}","channel":"C1"}}',
        "state": {"values": {"comment": {"comment": {"type": "plain_text_input", "value": " Rebooted "}}}},
    },
}


def submitted(**view):
    """A form that was sent, with something else about it."""
    return SUBMITTED | {"view": SUBMITTED["view"] | view}


def test_the_button_for_a_comment_asks_for_a_form():
    [press] = read_presses(payload(action_id=RESOLVE_WITH_COMMENT))

    assert isinstance(press, FormPress)
    assert (press.action, press.incident_id) == (Action.RESOLVE, INCIDENT)
    assert press.where == {"channel": "C1", "trigger_id": PAYLOAD["trigger_id"]}


def test_a_form_that_was_sent_resolves_with_its_comment():
    [press] = read_presses(SUBMITTED)

    assert isinstance(press, IncidentPress)
    assert (press.action, press.incident_id, press.comment) == (Action.RESOLVE, INCIDENT, "Rebooted")
    assert (press.user_id, press.where) == ("U1", {"channel": "C1"})
    assert press.request_id == read_presses(SUBMITTED)[0].request_id
    assert press.request_id != read_presses(submitted(id="V2"))[0].request_id


def more(choice):
    option = {"text": {"type": "plain_text", "text": "…"}, "value": f"{INCIDENT} {choice}".strip()}
    return payload(action_id=MORE, type="overflow", selected_option=option)


@pytest.mark.parametrize("action", [Action.SEVERITY, Action.ROUTE])
def test_a_further_action_asks_for_a_form(action):
    [press] = read_presses(more(action))

    assert isinstance(press, FormPress)
    assert (press.action, press.incident_id) == (action, INCIDENT)
    assert press.where == {"channel": "C1", "trigger_id": PAYLOAD["trigger_id"]}


@pytest.mark.parametrize("choice", ["", "acknowledge", "snooze", "severity critical"])
def test_a_further_action_that_was_never_offered_is_refused(choice):
    with pytest.raises(BadPayload):
        read_presses(more(choice))


@pytest.mark.parametrize("action", [Action.SEVERITY, Action.ROUTE])
def test_a_further_action_is_none_without_its_form(action):
    assert read_presses(payload(action_id=str(action))) == ()


SEVERITY = {"severity": {"severity": {"type": "static_select", "selected_option": {"value": "critical"}}}}
PLACE = {"place": {"place": {"type": "conversations_select", "selected_conversation": "C0DBA"}}}
POLICY = {"policy": {"policy": {"type": "static_select", "selected_option": {"value": "the leads"}}}}
NO_POLICY = {"policy": {"policy": {"type": "static_select", "selected_option": None}}}


@pytest.mark.parametrize(
    ("callback_id", "values", "action", "choice", "place"),
    [
        ("versus_severity", SEVERITY, Action.SEVERITY, "critical", ""),
        ("versus_route", PLACE, Action.ROUTE, "", "C0DBA"),
        ("versus_route", PLACE | POLICY, Action.ROUTE, "the leads", "C0DBA"),
        ("versus_route", PLACE | NO_POLICY, Action.ROUTE, "", "C0DBA"),
    ],
)
def test_a_form_that_was_sent_says_what_was_chosen(callback_id, values, action, choice, place):
    [press] = read_presses(submitted(callback_id=callback_id, state={"values": values}))

    assert isinstance(press, IncidentPress)
    assert (press.action, press.choice, press.place) == (action, choice, place)


@pytest.mark.parametrize(
    ("callback_id", "values"),
    [
        ("versus_severity", {}),
        ("versus_severity", PLACE),
        ("versus_route", POLICY),
        ("versus_route", {"place": {"place": {"selected_conversation": "slack:x y"}}}),
    ],
)
def test_a_form_with_other_inputs_is_refused(callback_id, values):
    with pytest.raises(BadPayload):
        read_presses(submitted(callback_id=callback_id, state={"values": values}))


@pytest.mark.parametrize("value", [None, ""])
def test_a_form_without_a_comment_resolves_all_the_same(value):
    state = {"values": {"comment": {"comment": {"type": "plain_text_input", "value": value}}}}
    [press] = read_presses(submitted(state=state))

    assert isinstance(press, IncidentPress)
    assert press.comment == ""


def test_a_form_that_is_not_ours_asks_for_nothing():
    assert read_presses(submitted(callback_id="another")) == ()


@pytest.mark.parametrize(
    "view",
    [
        {"private_metadata": "{"},
        {"private_metadata": '"x"'},
        {"private_metadata": '{"incident":"","channel":"C1"}'},
        {"private_metadata": '{"incident":"x","channel":"#alerts"}'},
        {"private_metadata": '{"incident":7,"channel":"C1"}'},
        {"state": {}},
        {"state": {"values": {"comment": {"comment": {"value": 7}}}}},
        {"id": None},
    ],
)
def test_a_form_that_slack_would_not_send_so_is_refused(view):
    with pytest.raises(BadPayload):
        read_presses(submitted(**view))


@given(damaged(SUBMITTED))
def test_a_damaged_form_is_refused_or_read(damage):
    with suppress(BadPayload):
        read_presses(damage)


@pytest.mark.parametrize("kind", ["view_closed", "block_suggestion", "shortcut", "message_action"])
def test_interactions_of_other_kinds_ask_for_nothing(kind):
    assert read_presses({"type": kind}) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"type": 3},
        {"actions": None},
        {"actions": "acknowledge"},
        {"actions": ["acknowledge"]},
        {"actions": [{"action_id": "x"}] * 26},
        {"user": None},
        {"user": {}},
        {"user": {"id": "u1 or others"}},
        {"user": {"id": "U1\n"}},
        {"container": {}},
        {"container": {"channel_id": "#alerts", "message_ts": "1.1"}},
        {"container": {"channel_id": "C1", "message_ts": 1.5}},
    ],
    ids=str,
)
def test_what_slack_never_sends_is_refused(change):
    with pytest.raises(BadPayload):
        read_presses(PAYLOAD | change)


@pytest.mark.parametrize(
    "action", [{"value": None}, {"value": ""}, {"value": "x" * 300}, {"action_ts": "now"}], ids=str
)
def test_an_action_of_ours_that_is_damaged_is_refused(action):
    with pytest.raises(BadPayload):
        read_presses(payload(**action))


@given(json_values)
def test_any_json_is_read_or_refused(value):
    with suppress(BadPayload):
        assert isinstance(read_presses(value), tuple)


@given(damaged(PAYLOAD))
def test_a_damaged_payload_is_read_or_refused(value):
    try:
        presses = read_presses(value)
    except BadPayload:
        return
    for press in presses:
        assert press.actor.name
        assert press.incident_id if isinstance(press, IncidentPress) else isinstance(press, StormPress)
        assert press.request_id


def test_the_same_press_has_the_same_id_and_another_one_another():
    [press] = read_presses(PAYLOAD)
    others = [
        payload(action_ts="1700000043.000000"),
        payload(action_id="resolve"),
        payload(value="other-1"),
        PAYLOAD | {"user": {"id": "U2"}},
        PAYLOAD | {"container": {"channel_id": "C1", "message_ts": "1700000001.000100"}},
        PAYLOAD | {"container": {"channel_id": "C2", "message_ts": "1700000000.000100"}},
    ]

    assert read_presses(copy.deepcopy(PAYLOAD) | {"trigger_id": "another"})[0].request_id == press.request_id
    assert len({read_presses(it)[0].request_id for it in others} | {press.request_id}) == len(others) + 1


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"id": "U1", "name": " Ana\n\tDiaz\u202e "}, "Ana Diaz"),
        ({"id": "U1", "name": "x" * 5000}, "x" * 100),
        ({"id": "U1", "username": "ana"}, "ana"),
        ({"id": "U1", "name": 7, "username": " "}, "U1"),
        ({"id": "U1", "name": "\ud800"}, "U1"),
    ],
    ids=["control characters", "long", "only a handle", "none", "half a character"],
)
def test_names_are_one_line_of_bounded_printable_text(user, name):
    [press] = read_presses(PAYLOAD | {"user": user})

    assert press.actor.name == name
