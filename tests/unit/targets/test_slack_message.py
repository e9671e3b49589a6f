"""What people see in Slack: escaped, bounded, and telling the truth about the escalation."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block

from tests.support.clock import START_MS
from tests.support.factories import POLICY, make_alert, make_incident, make_policy
from versus_py.config import MessageProperties, SlackConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Incident
from versus_py.incidents.policies import Policy, Step, made
from versus_py.incidents.rounds import begun
from versus_py.incidents.transitions import acknowledge, begin_step, resolve, snooze
from versus_py.simulators.slack import read_content
from versus_py.systems import called
from versus_py.targets.slack.default_body import default_body
from versus_py.targets.slack.message import build, build_plain, mention_of
from versus_py.targets.slack.mrkdwn import Mrkdwn, date, escape, link, shorten, with_channels

ACK_URL = "https://versus.example/api/ack/x?exp=1&sig=abc"
DUE = START_MS + 5 * 60_000


def message_of(incident: Incident, *, ack_url: str | None = ACK_URL, body: str | None = None, **properties):
    found = build(
        incident,
        default_body(incident) if body is None else body,
        SlackConfig(message_properties=MessageProperties(**properties)),
        called=called(),
        ack_url=ack_url,
    )
    read_content({"text": found.text, "attachments": list(found.attachments)}, text_max=4000)  # Slack would take it
    return found


def everything(incident: Incident, **options):
    found = message_of(incident, **options)
    return found.text + json.dumps(found.attachments, ensure_ascii=False)


def acknowledged() -> Incident:
    change = acknowledge(make_incident(), Actor("ana <b>"), START_MS)
    assert change
    return change.incident


def escalated(**delivery) -> Incident:
    change = begin_step(make_incident(), DUE)
    assert change
    return replace(change.incident, deliveries={"servicenow": Delivery(synced_at_ms=DUE, **delivery)})


def test_a_triggered_incident_says_when_it_escalates_and_has_a_button():
    found = message_of(make_incident())
    text = everything(make_incident())

    assert found.text == ":red_circle: *Triggered* · critical · DiskFull"
    assert f"escalates to ServiceNow <!date^{DUE // 1000}^" in text
    button = found.attachments[0]["blocks"][-1]["elements"][0]
    assert button["url"] == ACK_URL
    assert button["text"]["text"] == "Acknowledge Alert"
    assert button["style"] == "primary"


def test_the_buttons_properties_are_honoured():
    found = message_of(make_incident(), button_text="Take it", button_style="default")

    button = found.attachments[0]["blocks"][-1]["elements"][0]
    assert button["text"]["text"] == "Take it"
    assert "style" not in button


def test_a_disabled_button_is_a_link_in_the_text():
    found = message_of(make_incident(), disable_button=True)

    assert [block["type"] for block in found.attachments[0]["blocks"]] == ["section", "section", "context", "context"]
    assert found.attachments[0]["blocks"][1]["text"]["text"] == f"<{ACK_URL.replace('&', '&amp;')}|Acknowledge Alert>"


def test_a_long_line_costs_neither_the_rest_of_the_body_nor_the_link():
    blocks = message_of(make_incident(), body="x" * 4000 + "\nlast line", disable_button=True).attachments[0]["blocks"]

    texts = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    assert "more characters" in texts[0]
    assert texts[1] == "last line"
    assert "Acknowledge Alert" in texts[2]


def test_a_link_that_is_too_long_for_slack_leaves_its_label():
    assert link("https://prometheus.example/graph?g0.expr=" + "x" * 3000, "DiskFull") == "DiskFull"


def test_a_title_or_severity_of_any_length_leaves_a_headline_that_can_be_edited():
    assert len(message_of(replace(make_incident(), severity="s" * 50_000)).text) <= 1000


def test_a_warning_that_comes_from_several_sides_is_shown_once():
    incident = replace(make_incident(), warnings=("two rows of sys_user", "another", "another"))
    noted = Delivery(reference={"sys_id": "1"}, label="INC1", note="two rows of sys_user")
    incident = replace(incident, deliveries={"servicenow": noted})

    found = build(incident, "body", SlackConfig(), called=called(), ack_url=None, warnings=("another",))

    assert [str(found.attachments).count(text) for text in ("two rows of sys_user", "another")] == [1, 1]


def test_what_happened_to_the_message_itself_is_told_before_older_warnings():
    incident = replace(make_incident(), warnings=tuple(f"w{number}" for number in range(9)))

    found = build(incident, "body", SlackConfig(), called=called(), ack_url=None, warnings=("the template failed",))

    assert "the template failed" in json.dumps(found.attachments)


def test_an_acknowledged_incident_says_who_and_when():
    text = everything(acknowledged(), ack_url=None)

    assert "*Acknowledged*" in text
    assert f"acknowledged by *ana &lt;b&gt;* <!date^{START_MS // 1000}^" in text
    assert "escalates" not in text
    assert '"actions"' not in text


def test_an_escalated_incident_links_its_record():
    text = everything(escalated(reference={"sys_id": "1"}, label="INC1", url="https://sn.example/incident.do?sys_id=1"))

    assert "*Escalated*" in text
    assert "ServiceNow <https://sn.example/incident.do?sys_id=1|INC1>" in text


@pytest.mark.parametrize(
    ("targets", "said"), [(("slack:leads",), "Escalated"), (("slack:leads", "servicenow"), "Escalating")]
)
def test_the_message_of_a_channel_is_the_escalation_where_no_provider_is_called(targets, said):
    incident = make_incident(policy=Policy((Step(("slack",)), Step(targets, 5 * 60_000)), providers=("servicenow",)))
    change = begin_step(incident, DUE)
    assert change

    found = build(change.incident, "body", SlackConfig(), called=called(), ack_url=None, name="slack:leads")

    assert f"*{said}*" in found.text


def test_an_incident_that_waits_again_says_so_beside_its_old_record():
    record = Delivery(reference={"sys_id": "1"}, label="INC1", synced_at_ms=START_MS)

    text = everything(replace(make_incident(), deliveries={"servicenow": record}))

    assert "*Triggered*" in text
    assert f"INC1 · escalates again <!date^{DUE // 1000}^" in text


def test_an_escalation_in_trouble_is_shown():
    assert "is being retried: ServiceNow answered 503" in everything(
        escalated(failing_since_ms=DUE, error="ServiceNow answered 503")
    )
    assert "escalation to ServiceNow failed: ServiceNow answered 401" in everything(
        escalated(failed_at_ms=DUE, error="ServiceNow answered 401")
    )


@pytest.mark.parametrize("trouble", [{}, {"failed_at_ms": START_MS - 1}], ids=["retried", "given up"])
def test_the_trouble_of_an_earlier_escalation_is_not_shown_in_the_next_wait(trouble):
    earlier = {"servicenow": Delivery(failing_since_ms=START_MS - 2, error="ServiceNow answered 503", **trouble)}
    waiting = replace(make_incident(), deliveries=earlier)

    assert f"escalates to ServiceNow <!date^{DUE // 1000}^" in everything(waiting)
    assert "escalating to ServiceNow now" in everything(begun(waiting, DUE, DUE))


def test_a_resolved_incident_says_by_whom():
    change = resolve(acknowledged(), Actor("alertmanager"), START_MS + 1000)
    assert change

    text = everything(change.incident, ack_url=None)

    assert "*Resolved*" in text
    assert "resolved by *alertmanager*" in text
    assert "acknowledged by" in text


def test_the_colour_follows_the_status():
    change = resolve(acknowledged(), Actor("x"), START_MS)
    assert change
    incidents = (make_incident(), acknowledged(), change.incident)

    assert len({message_of(incident).attachments[0]["color"] for incident in incidents}) == 3


def test_the_attachment_is_the_one_that_slack_sdk_makes_of_the_blocks():
    [attachment] = message_of(make_incident(), ack_url=ACK_URL).attachments

    blocks = Block.parse_all(attachment["blocks"])
    same = BlockAttachment(blocks=blocks, color=attachment["color"], fallback=attachment["fallback"])
    assert len(blocks) >= 3
    assert attachment == same.to_dict()


def test_without_oncall_it_says_that_nothing_escalates():
    assert "no escalation" in everything(make_incident(policy=made(channels=("slack",))), ack_url=None)


def test_a_wait_of_zero_says_now():
    assert "escalating to ServiceNow now" in everything(make_incident(policy=make_policy(wait_ms=0)), ack_url=None)


def test_alerts_and_warnings_beyond_the_bounds_are_counted():
    alerts = [make_alert(f"A{number}") for number in range(13)]
    text = everything(replace(make_incident(*alerts), warnings=tuple(f"w{number}" for number in range(9))))

    assert "13 alerts" in text
    assert "… 7 more" in text
    assert "… 4 more warnings" in text


def test_alerts_that_the_sender_cut_off_are_counted():
    assert "1 alert and 7 more that the sender cut off" in everything(replace(make_incident(), truncated_alerts=7))


HOSTILE = "<!channel> <@U1> <https://evil.example|click> & *bold*"


def test_labels_cannot_ping_anybody_or_disguise_links():
    alert = make_alert(HOSTILE, instance=HOSTILE)
    incident = replace(make_incident(alert), title=HOSTILE, severity=HOSTILE, source=HOSTILE, warnings=(HOSTILE,))

    text = everything(incident)

    assert "<!channel>" not in text
    assert "<@U1>" not in text
    assert "<https://evil" not in text
    assert "&lt;!channel&gt;" in text


def test_escaping_is_what_slack_asks_for():
    assert escape("a & b < c > \"d\" 'e'") == "a &amp; b &lt; c &gt; \"d\" 'e'"
    assert escape(Mrkdwn("<!here>")) == "<!here>"
    assert escape(3) == "3"


@pytest.mark.parametrize(
    ("url", "label", "shown"),
    [
        ("https://a.example/?b=1&c=2", "go", "<https://a.example/?b=1&amp;c=2|go>"),
        ("https://a.example/x|y>z", "go", "<https://a.example/x%7Cy%3Ez|go>"),
        ("https://a.example", "<!channel>|x", "<https://a.example|&lt;!channel&gt;¦x>"),
        ("https://a.example", "", "<https://a.example|https://a.example>"),
        ("javascript:alert(1)", "go", "go"),
        ("", "", ""),
    ],
)
def test_links(url, label, shown):
    assert link(url, label) == shown


def test_dates_are_in_the_readers_time_zone_with_a_fallback():
    assert date(1_777_890_000_000) == "<!date^1777890000^{date_short_pretty} {time_secs}|2026-05-04 10:20:00 UTC>"
    assert date(None) == ""


def test_a_long_text_says_how_much_is_missing_and_cuts_nothing_in_two():
    entity = shorten("x" * 66 + "&amp;" + "y" * 500, 100)
    whole = shorten("x" * 500, 100)

    assert entity == "x" * 66 + "… 505 more characters"
    assert len(whole) <= 100
    assert whole.endswith("more characters")
    assert shorten("short", 100) == "short"


def test_equal_states_have_equal_digests_and_different_ones_have_not():
    assert message_of(make_incident()).digest == message_of(make_incident()).digest
    assert message_of(make_incident()).digest != message_of(acknowledged()).digest


def test_the_least_that_can_be_said_still_has_the_link():
    found = build_plain(make_incident(), SlackConfig(), called=called(), ack_url=ACK_URL)

    assert found.attachments == ()
    assert "Triggered" in found.text
    assert "|Acknowledge>" in found.text


texts = st.text(st.characters(codec="utf-8"), max_size=200) | st.builds(
    lambda text, times: text * times, st.text("<>&|`*\n ", max_size=20), st.integers(1, 500)
)


@given(title=texts, label=texts, value=texts, summary=texts, warning=texts, count=st.integers(1, 40))
def test_whatever_an_alert_says_slack_takes_the_message(title, label, value, summary, warning, count):
    alert = replace(make_alert(), labels={label: value, "alertname": title}, annotations={"summary": summary})
    alerts = tuple(replace(alert, fingerprint=str(number)) for number in range(count))
    incident = replace(
        make_incident(*alerts), title=title[:250], warnings=tuple(f"{warning}{number}" for number in range(9))
    )

    message_of(incident, disable_button=True)
    message_of(incident, body=(value + summary) * 20)


def interactive(incident: Incident, **settings) -> str:
    found = build(incident, "body", SlackConfig(signing_secret="secret", **settings), called=called(), ack_url=ACK_URL)
    read_content({"text": found.text, "attachments": list(found.attachments)}, text_max=4000)
    return found.text + json.dumps(found.attachments, ensure_ascii=False)


def test_with_buttons_that_tell_who_presses_them_the_link_stands_beside_the_facts():
    text = interactive(make_incident())

    assert f"<{ACK_URL.replace('&', '&amp;')}|Acknowledge by link>" in text
    assert '"action_id": "acknowledge"' in text


def test_who_has_acted_is_named_and_not_pinged():
    change = acknowledge(make_incident(), Actor("Ana", "ana@example.com", {"slack": "U0ANA"}), START_MS)
    assert change

    text = interactive(change.incident)

    assert f"acknowledged by *Ana* <!date^{START_MS // 1000}^" in text
    assert "U0ANA" not in text


def test_a_snoozed_incident_says_who_until_when_and_what_comes_then():
    change = snooze(make_incident(), DUE, Actor("ana"), START_MS)
    assert change
    text = interactive(change.incident)

    assert text.startswith(":zzz: *Snoozed*")
    assert f"snoozed by *ana* until <!date^{DUE // 1000}^" in text
    assert f"escalates to ServiceNow <!date^{(DUE + 5 * 60_000) // 1000}^" in text
    assert "({ago})" in text


def test_mentions_are_those_of_the_route_and_else_of_the_severity():
    config = SlackConfig(mention={"critical": "<!here>"})
    of_a_route = make_incident(policy=replace(POLICY, mentions={"slack": "<@U0ANA>"}))

    assert build(make_incident(), "", config, called=called(), ack_url=None).text.endswith(" <!here>")
    assert build(of_a_route, "", config, called=called(), ack_url=None).text.endswith(" <@U0ANA>")
    assert build(replace(make_incident(), severity="warning"), "", config, called=called(), ack_url=None).text.endswith(
        "DiskFull"
    )


def test_what_fires_and_what_does_not_are_counted():
    incident = make_incident(make_alert("DiskFull"), make_alert("HostDown", firing=False))

    assert "1 of 2 alerts firing" in interactive(incident)


def test_pages_that_all_alerts_share_are_linked_once():
    links = {"Runbook": "https://runbooks.example/disk"}
    alerts = [replace(make_alert(name), links=links) for name in ("DiskFull", "HostDown")]
    incident = make_incident(*alerts)

    text = everything(incident)

    assert text.count("<https://runbooks.example/disk|Runbook>") == 1


@pytest.mark.parametrize("severity", ["Critical", "P1", "disaster"])
def test_who_is_mentioned_for_a_severity_is_mentioned_for_its_other_names_too(severity):
    config = SlackConfig(mention={"critical": "<!here>"})

    assert mention_of(make_incident(severity=severity), config) == "<!here>"
    assert mention_of(make_incident(severity="warning"), config) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to C0ALERTS and (G012AB3CD4E)", "to <#C0ALERTS> and (<#G012AB3CD4E>)"),
        ("to policy CRITICAL of GRAFANA", "to policy CRITICAL of GRAFANA"),
    ],
)
def test_ids_of_channels_are_links_and_words_in_capitals_are_not(text, shown):
    assert with_channels(text) == shown
