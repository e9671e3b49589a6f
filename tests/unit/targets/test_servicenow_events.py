"""Tickets, read from what business rules post."""

import json
from typing import Any

import pytest

from tests.support.factories import make_incident
from tests.support.tickets import BETH, GROUP, MAIN, OURS, RAW, SYS_ID, TOKEN, body_of, feed_of, ticket_config
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, incident_id
from versus_py.incidents.policies import Asked
from versus_py.incidents.sides import Side, Standing, Ticket
from versus_py.targets.feed import FeedSource, UnknownState
from versus_py.targets.servicenow.instances import match

OUR_ID = incident_id("a key", 1)


def read(
    record: Any = RAW, *, source: FeedSource = MAIN, settings: dict[str, Any] | None = None, **changes: Any
) -> Ticket:
    return feed_of(ticket_config(**(settings or {}))).read(source, body_of(record, **changes))


def test_the_columns_of_a_glide_record_are_a_ticket():
    ticket = read()

    assert ticket.report.side == Side(
        3, Standing.IN_PROGRESS, "", GROUP, "error", "", "Disk full on db-7", priority="2"
    )
    assert (ticket.report.target, ticket.report.by, ticket.report.is_own) == ("servicenow", "beth.anglin", False)
    assert (ticket.number, ticket.description, ticket.sender) == ("INC0012345", "Disk full on db-7", "")
    assert ticket.locator == f"default\n{SYS_ID}"
    assert ticket.dedup_key == f"servicenow\ndefault\n{SYS_ID}"
    assert ticket.url == f"https://dev12345.service-now.com/incident.do?sys_id={SYS_ID}"
    assert ticket.incident_id == ""
    assert ticket.warnings == ()


def test_a_ticket_is_linked_where_browsers_reach_the_instance():
    ticket = read(settings={"public_url": "https://tickets.example"})

    assert ticket.url == f"https://tickets.example/incident.do?sys_id={SYS_ID}"
    assert ticket.reference["instance"] == "https://dev12345.service-now.com"


def test_what_our_own_script_adds_are_names_and_e_mail_addresses():
    report = read(OURS).report

    assert (report.by, report.email, report.user) == ("Beth Anglin", "beth@example.com", "beth.anglin")
    assert (report.assignee, report.group, report.side.assignee) == ("Beth Anglin", "Leads", BETH)
    assert report.assignee_email == "beth@example.com"


def test_the_reference_leads_back_to_the_instance():
    config = ticket_config(
        other_instance_urls={"infra": {"instance_url": "https://infra.example", "events": {"token": TOKEN[::-1]}}}
    )
    infra = feed_of(config).read(FeedSource("infra", ""), body_of(RAW))
    configured = config.oncall.servicenow.instances()

    assert read().reference == {
        "sys_id": SYS_ID,
        "instance": "https://dev12345.service-now.com",
        "table": "incident",
        "key": "oncall.servicenow",
        "source": "1",
    }
    assert (infra.report.target, infra.locator) == ("servicenow:infra", f"infra\n{SYS_ID}")
    assert infra.url.startswith("https://infra.example/")
    assert [match(it.reference, None, configured).name for it in (read(), infra)] == [None, "infra"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"value": GROUP, "display_value": "Leads"}, id="both"),
        pytest.param({"link": f"https://x.example/api/now/table/sys_user_group/{GROUP}", "value": GROUP}, id="a link"),
        pytest.param({"link": f"https://x.example/api/now/table/g/{GROUP}", "display_value": "Leads"}, id="as shown"),
    ],
)
def test_values_of_the_table_api_are_read_too(value):
    ticket = read(assignment_group=value, state={"value": "2", "display_value": "In Progress"}, sys_mod_count=3)

    assert ticket.report.side.group == GROUP
    assert ticket.report.side.standing is Standing.IN_PROGRESS
    assert ticket.report.group == value.get("display_value", "")


def test_a_record_one_level_down_is_read_too():
    assert feed_of(ticket_config()).read(MAIN, json.dumps({"result": dict(OURS)}).encode()).report.by == "Beth Anglin"
    assert feed_of(ticket_config()).read(MAIN, json.dumps({"current": dict(RAW)}).encode()).number == "INC0012345"


@pytest.mark.parametrize(
    ("state", "standing"),
    [("1", "new"), ("2", "in progress"), ("3", "on hold"), ("6", "resolved"), ("7", "closed"), ("8", "closed")],
)
def test_states_stand_for_what_they_are(state, standing):
    assert read(state=state).report.side.standing == standing


def test_a_state_of_the_instances_own_is_what_the_configuration_says():
    states = {"states": {"open": ["3", "4"], "closed": ["-7"]}}

    assert read(state="4", settings=states).report.side.standing is Standing.ON_HOLD
    assert read(state="-7", settings=states).report.side.standing is Standing.CLOSED
    with pytest.raises(UnknownState, match="'8'"):
        read(state="8", settings=states)


@pytest.mark.parametrize("state", ["9", "", None, "New", ["1"], {"value": "99"}, False, 2.5])
def test_a_state_that_nobody_named_is_refused_with_what_to_set(state):
    with pytest.raises(UnknownState, match=r"oncall\.servicenow\.states"):
        read(state=state)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sys_id": ...}, "sys_id is missing"),
        ({"sys_id": None}, "sys_id is missing"),
        ({"sys_id": "x" * 5000}, "sys_id is 'xxx"),
        ({"sys_id": f"{SYS_ID}^ORsys_idISNOTEMPTY"}, "sys_id is"),
        ({"sys_id": f"{SYS_ID[:-1]}٣"}, "sys_id is"),
        ({"sys_id": {"value": {"value": SYS_ID}}}, "sys_id is missing"),
        ({"sys_mod_count": ...}, "sys_mod_count is ''"),
        ({"sys_mod_count": "-1"}, "sys_mod_count is '-1'"),
        ({"sys_mod_count": "1e3"}, "sys_mod_count is '1e3'"),
        ({"sys_mod_count": 10**30}, "sys_mod_count is"),
        ({"sys_mod_count": "٣"}, "sys_mod_count is"),
        ({"number": ...}, "number is missing"),
        ({"number": " "}, "number is missing"),
        ({"number": "INC 1"}, "number is 'INC 1'"),
        ({"number": "I" * 5000}, "number is 'III"),
        ({"number": "INC1\n<!channel>"}, "number is"),
        ({"number": "INC\u202e1"}, "number is"),
    ],
)
def test_what_lacks_its_identity_is_refused_in_a_sentence(changes, said):
    with pytest.raises(BadPayload) as caught:
        read(**changes)

    assert said in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"{",
        b"null",
        b'"x"',
        b"[]",
        b"[{}]",
        b"{}",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"sys_id":' + b"9" * 100_000 + b"}",
        b" " * 1_048_577,
        b'{"versus": [], "sys_id": {}, "number": [[]]}',
        json.dumps([dict(RAW)]).encode(),
        json.dumps({"a": dict(RAW), "b": dict(RAW)}).encode(),
    ],
    ids=lambda it: it[:20].decode(errors="replace"),
)
def test_what_is_no_record_is_refused_in_a_sentence(body):
    with pytest.raises(BadPayload) as caught:
        feed_of(ticket_config()).read(MAIN, body)

    assert len(str(caught.value)) < 250


def test_whatever_is_sent_has_bounds():
    long = "x" * 20_000
    names: Any = {f"u_{number}": long for number in range(5)}
    ticket = read(
        OURS,
        short_description=long,
        description=long,
        close_notes=long,
        category=long,
        assignment_group=long,
        state="6",
        sys_updated_by=long,
        versus={"display": {"assignment_group": long, long: "x"}, "updated_by": {"name": long, "email": f"{long}@x"}},
        **names,
    )
    report = ticket.report

    assert max(map(len, (ticket.description, report.comment))) <= 4000
    assert max(map(len, (report.side.title, report.side.group, *report.labels.values(), *report.labels))) <= 255
    assert max(map(len, (report.by, report.email, report.user, report.group))) <= 100


@pytest.mark.parametrize("versus", [None, [], "x", 7, {"display": [1], "updated_by": "beth", "assigned_to": [None]}])
def test_what_our_script_would_not_add_is_left_out(versus):
    assert read(OURS, versus=versus).report.by == "beth.anglin"


def test_what_is_told_of_another_user_is_not_of_who_changed_it():
    someone = {"updated_by": {"user_name": "eve", "name": "Eve", "email": "eve@example.com"}}

    report = read(OURS, versus=someone).report

    assert (report.by, report.email) == ("beth.anglin", "")


@pytest.mark.parametrize("email", ["beth", "<@U1>@example.com", "a b@example.com", "x@" + "y" * 300, ["a@b"], None])
def test_what_is_no_e_mail_address_is_left_out(email):
    told = {"updated_by": {"user_name": "beth.anglin", "name": "Beth", "email": email}}

    assert (read(OURS, versus=told).report.by, read(OURS, versus=told).report.email) == ("Beth", "")


def test_broken_characters_cost_only_themselves():
    body = body_of(RAW).replace(b"Disk full", b"Disk \xff\\ud800 full\\u0000")

    title = feed_of(ticket_config()).read(MAIN, body).report.side.title

    title.encode()
    assert "\x00" not in title
    assert title.endswith("full on db-7")


@pytest.mark.parametrize(
    ("updated_by", "is_own"),
    [("versus.integration", True), ("VERSUS.Integration", True), ("beth.anglin", False), (None, False)],
)
def test_what_the_integration_wrote_is_its_own(updated_by, is_own):
    assert read(sys_updated_by=updated_by).report.is_own is is_own


def test_without_the_name_of_the_integration_nothing_is_its_own():
    keyed = {"auth": {"type": "api_key", "api_key": "k"}}

    assert read(sys_updated_by="", settings=keyed).report.is_own is False
    assert read(sys_updated_by="svc", settings=keyed | {"events": {"user": "SVC"}}).report.is_own is True


@pytest.mark.parametrize(
    ("settings", "column", "found"),
    [
        pytest.param({}, {"correlation_id": OUR_ID}, OUR_ID, id="the key"),
        pytest.param({}, {"correlation_id": "order-77"}, "", id="of another service"),
        pytest.param({}, {"correlation_id": f"{OUR_ID}x"}, "", id="longer"),
        pytest.param({"key_field": "u_key"}, {"u_key": OUR_ID}, OUR_ID, id="another column"),
        pytest.param({"key_field": "u_key"}, {"correlation_id": OUR_ID}, OUR_ID, id="the column before"),
        pytest.param(
            {"key_field": "short_description"}, {"short_description": f"Incident {OUR_ID}"}, OUR_ID, id="a title"
        ),
        pytest.param(
            {"key_field": "short_description", "fields": {"short_description": "x"}},
            {"short_description": f"Disk [{OUR_ID}]"},
            OUR_ID,
            id="within a title",
        ),
        pytest.param(
            {"key_field": "short_description", "fields": {"short_description": "x"}},
            {"short_description": f"as in {OUR_ID} before"},
            "",
            id="somebody only names it",
        ),
    ],
)
def test_a_record_of_ours_names_its_incident(settings, column, found):
    assert read(settings=settings, **column).incident_id == found


PRIORITIES = {"1": {"severity": "critical", "wait": "2m"}, "2": "warning", "4": {"severity": "notice", "oncall": False}}


@pytest.mark.parametrize(
    ("priority", "severity", "wait_ms", "escalates"),
    [("1", "critical", 120_000, None), ("2", "warning", None, None), ("4", "notice", None, False)],
)
def test_a_priority_asks_for_what_it_is_mapped_to(priority, severity, wait_ms, escalates):
    ticket = read(priority=priority, settings={"priority_map": PRIORITIES})

    assert ticket.report.side.severity == severity
    assert ticket.report.asked == Asked(severity=severity, wait_ms=wait_ms, escalates=escalates, origin="servicenow")


def test_an_unknown_priority_is_warned_about_with_its_number():
    ticket = read(priority="77", settings={"priority_map": PRIORITIES})

    assert ticket.warnings == ("priority '77' is not in oncall.servicenow.priority_map, which names 1, 2, 4",)
    assert ticket.report.side.severity == ""


def test_a_rule_of_its_own_has_a_policy_and_a_severity():
    rules = {"sources": [{"name": "network", "token": TOKEN[::-1], "policy": "leads", "severity": "Sev-3"}]}
    config = ticket_config(events={"token": "", **rules}, priority_map={"1": "critical"})
    feed = feed_of(config)
    source, token = feed.tokens("")[0]

    graver, other = (feed.read(source, body_of(RAW, priority=number)) for number in "12")

    assert (token, source.name, graver.sender) == (TOKEN[::-1], "network", "network")
    assert (graver.report.side.severity, other.report.side.severity) == ("critical", "Sev-3")
    assert other.report.asked is not None
    assert (other.report.asked.policy, other.report.asked.severity) == ("leads", "Sev-3")


def test_what_a_rule_says_of_its_tickets_is_not_said_of_records_that_we_made():
    rules = {"sources": [{"name": "network", "token": TOKEN[::-1], "policy": "leads", "severity": "critical"}]}
    settings = {"events": rules, "priority_map": {"1": "critical"}}

    report = read(RAW, source=FeedSource("", "network"), settings=settings, correlation_id=OUR_ID).report

    assert (report.side.severity, report.asked and report.asked.policy) == ("error", "")


def test_a_severity_of_ones_own_counts_as_what_the_configuration_says():
    config = ticket_config(priority_map={"2": "Hair on fire"}).model_copy(
        update={"severity_map": {"haironfire": "critical"}}
    )

    assert feed_of(config).read(MAIN, body_of(RAW)).report.side.severity == "critical"


def test_another_instance_has_the_mappings_of_the_main_one_unless_it_has_its_own():
    others = {"infra": {"events": {"token": TOKEN[::-1]}}}
    feed = feed_of(ticket_config(priority_map={"2": "info"}, other_instance_urls=others))

    assert feed.read(FeedSource("infra", ""), body_of(RAW)).report.side.severity == "info"


ROUTES = {
    "Leads": "leads",
    GROUP[::-1]: {"channel": "leads", "wait": "30m", "mention": "<!here>"},
    "Both": {"policy": "leads", "channel": "slack:C0OTHER0001"},
}
ROUTED = {"routing_field": "assignment_group", "routing": ROUTES}


@pytest.mark.parametrize(
    ("group", "display", "asked", "routed"),
    [
        pytest.param(GROUP, "Leads", Asked(policy="leads"), "to policy leads", id="by its name"),
        pytest.param(GROUP, "leads", Asked(policy="leads"), "to policy leads", id="in any case"),
        pytest.param(
            GROUP[::-1],
            "Night",
            Asked(wait_ms=1_800_000, mention="<!here>", destinations={"slack": "C0LEADS001"}),
            "to leads",
            id="by its sys_id",
        ),
        pytest.param(
            GROUP,
            "Both",
            Asked(policy="leads", destinations={"slack": "C0OTHER0001"}),
            "to policy leads and to slack:C0OTHER0001",
            id="to a policy and a channel",
        ),
        pytest.param(GROUP, "Nobody's", Asked(), "", id="not known"),
        pytest.param(None, None, Asked(), "", id="none"),
    ],
)
def test_a_routing_key_leads_where_the_configuration_says(group, display, asked, routed):
    ticket = read(assignment_group=group, versus={"display": {"assignment_group": display}}, settings=ROUTED)
    found = ticket.report.asked

    assert found is not None
    assert (found.policy, found.wait_ms, found.mention, found.destinations) == (
        asked.policy,
        asked.wait_ms,
        asked.mention,
        asked.destinations,
    )
    assert ticket.report.routed == routed


@pytest.mark.parametrize(
    "category", ["Network", {"value": "Network", "display_value": "Network"}], ids=["bare", "shown"]
)
def test_a_value_that_people_see_as_it_is_is_a_key_in_any_case(category):
    ticket = read(category=category, settings={"routing_field": "category", "routing": {"network": "leads"}})

    assert (ticket.report.side.route, ticket.report.routed) == ("network", "to policy leads")


def test_an_unknown_key_is_warned_about_only_once():
    feed = feed_of(ticket_config(**ROUTED))
    said = [
        feed.read(MAIN, body_of(RAW, sys_mod_count=number, assignment_group=key)).warnings
        for number, key in enumerate("aab")
    ]

    assert said == [
        ("assignment_group 'a' is not in oncall.servicenow.routing: the ticket goes by default",),
        (),
        ("assignment_group 'b' is not in oncall.servicenow.routing: the ticket goes by default",),
    ]


def test_the_wait_of_a_route_counts_before_that_of_a_priority():
    both = {
        "routing_field": "category",
        "routing": {"network": {"wait": "10m"}},
        "priority_map": {"2": PRIORITIES["1"]},
    }

    asked = [read(category=it, settings=both).report.asked for it in ("network", "disk")]

    assert [it and it.wait_ms for it in asked] == [600_000, 120_000]


def test_matchers_see_columns_as_people_do_and_numbers_as_they_are():
    labels = read(
        OURS, category="network", u_team="x", settings={"routing_field": "u_team", "routing": {"y": "leads"}}
    ).report.labels

    assert labels == {
        "number": "INC0012345",
        "priority": "2",
        "impact": "2",
        "urgency": "1",
        "category": "network",
        "assignment_group": "Leads",
        "u_team": "x",
    }


def test_the_close_notes_are_a_comment_once_it_is_over():
    assert read(close_notes="Replaced it", state="6").report.comment == "Replaced it"
    assert read(close_notes="Replaced it", state="2").report.comment == ""


def test_only_instances_with_a_token_may_send():
    others = {
        "infra": {"instance_url": "https://infra.example"},
        "app": {"events": {"sources": [{"name": "a", "token": "t" * 16}]}},
    }
    feed = feed_of(ticket_config(events={"previous_tokens": ["old-token-0123456789"]}, other_instance_urls=others))

    assert list(feed.instances) == ["", "app"]
    assert [token for _, token in feed.tokens("")] == [TOKEN, "old-token-0123456789"]
    assert [(it.name, token) for it, token in feed.tokens("app")] == [("a", "t" * 16)]
    assert list(feed.tokens("infra")) == list(feed.tokens("nobody")) == []


@pytest.mark.parametrize(("minutes", "every_ms"), [(10, 600_000), (0, None)])
def test_how_often_records_are_compared_is_a_setting(minutes, every_ms):
    feed = feed_of(ticket_config(events={"compare_every_minutes": minutes, "on_hold": "nothing"}))

    assert feed.compares_every_ms("servicenow") == every_ms
    assert feed.compares_every_ms("slack") is None
    assert feed.on_hold("servicenow", make_incident()) == "nothing"


def test_a_record_that_a_request_had_made_in_another_instance_goes_by_the_settings_of_that():
    events = {"token": TOKEN, "on_hold": "nothing", "compare_every_minutes": 3}
    infra = {"instance_url": "https://infra.example", "on_resolve": "note", "events": events}
    feed = feed_of(ticket_config(events={"token": ""}, other_instance_urls={"infra": infra}))
    in_main, in_infra = (
        replace(make_incident(), deliveries={"servicenow": Delivery({"sys_id": SYS_ID, "key": key})})
        for key in ("oncall.servicenow", "infra")
    )

    assert feed.compares_every_ms("servicenow") == 180_000
    assert [feed.on_hold("servicenow", it) for it in (in_main, in_infra)] == ["snooze", "nothing"]
    assert [feed.writes_ends("servicenow", it) for it in (in_main, in_infra)] == [True, False]


TICKET = Delivery(reference={"source": "1"})


@pytest.mark.parametrize(
    ("settings", "delivery", "is_ended"),
    [
        pytest.param({}, Delivery(), True, id="a record that we made"),
        pytest.param({}, TICKET, True, id="a ticket"),
        pytest.param({"bidirectional": False}, TICKET, False, id="a ticket that is not written to"),
        pytest.param({"bidirectional": False}, Delivery(), True, id="a record that we made, beside such tickets"),
        pytest.param({"on_resolve": "note"}, Delivery(), False, id="the end is only noted"),
    ],
)
def test_whether_the_end_of_an_incident_ends_its_record_is_a_setting(settings, delivery, is_ended):
    feed = feed_of(ticket_config(**settings))
    incident = replace(make_incident(), deliveries={"servicenow": delivery})

    assert feed.writes_ends("servicenow", incident) is is_ended


def test_a_group_whose_name_was_not_sent_leads_nowhere_before_a_sync_has_read_it():
    by_name = {"routing_field": "assignment_group", "routing": {"Leads": "leads"}}

    unnamed, named = read(RAW, settings=by_name), read(OURS, settings=by_name)

    assert (unnamed.report.side.route, unnamed.report.side.is_route_unread) == ("", True)
    assert unnamed.report.news_since(replace(unnamed.report.side, route="Leads")) == frozenset()
    assert unnamed.warnings == ()
    assert named.report.news_since(replace(named.report.side, route="other")) == {"route"}


def test_a_group_that_is_named_by_its_sys_id_needs_no_name():
    by_id = {"routing_field": "assignment_group", "routing": {GROUP: "leads"}}

    report = read(RAW, settings=by_id).report

    assert report.news_since(replace(report.side, route="other")) == {"route"}
