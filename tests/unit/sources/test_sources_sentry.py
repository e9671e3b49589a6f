"""Webhooks of Sentry's integration platform, as its documentation shows them."""

import hmac
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import assert_is_sound, damaged, sample
from versus_py import sources
from versus_py.errors import NotAnAlert
from versus_py.sources.sentry import is_signed

SECRET = "client-secret"
BODY = b'{"action":"triggered"}'
SIGNATURE = hmac.new(SECRET.encode(), BODY, sha256).hexdigest()


@pytest.fixture
def event_alert():
    return sample("sentry_event_alert")


@pytest.fixture
def issue():
    return sample("sentry_issue_resolved")


@pytest.fixture
def metric_alert():
    return sample("sentry_metric_alert")


def test_an_issue_alert_fires_for_its_issue(event_alert):
    found = sources.parse(event_alert)

    assert found.source == "sentry"
    assert (found.title, found.severity) == ("KeyError: sku", "error")
    assert found.dedup_key == "sentry\n4711"
    assert found.url == "https://acme.sentry.io/issues/4711/events/e487/"
    assert found.warnings == ()
    [alert] = found.alerts
    assert alert.is_firing
    assert alert.resource == "17"
    assert (alert.starts_at_ms, alert.ends_at_ms) == (1777890000000, None)
    assert alert.labels == {
        "alertname": "KeyError: sku",
        "environment": "prod",
        "level": "error",
        "platform": "python",
        "project": "17",
        "triggered_rule": "Checkout errors",
    }
    assert alert.annotations == {"culprit": "cart.add"}


def test_two_events_of_one_issue_are_one_incident(event_alert):
    first = sources.parse(event_alert)
    event_alert["data"]["event"] |= {"event_id": "other", "datetime": "2026-05-04T10:21:00Z"}

    assert sources.parse(event_alert).dedup_key == first.dedup_key


@pytest.mark.parametrize("action", ["resolved", "archived", "ignored"])
def test_an_issue_that_is_over_resolves_what_its_alert_fired(event_alert, issue, action):
    over = sources.parse(issue | {"action": action})

    assert not over.is_firing
    assert over.dedup_key == sources.parse(event_alert).dedup_key
    assert over.alerts[0].fingerprint == sources.parse(event_alert).alerts[0].fingerprint
    assert over.alerts[0].starts_at_ms is None  # when it ended is not said, so it must not look like old news


@pytest.mark.parametrize(("action", "starts_at_ms"), [("created", 1777622400000), ("unresolved", None)])
def test_an_issue_that_is_new_or_back_fires(issue, action, starts_at_ms):
    found = sources.parse(issue | {"action": action})

    assert found.is_firing
    assert (found.title, found.severity, found.url) == (
        "KeyError: sku",
        "error",
        "https://acme.sentry.io/issues/4711/",
    )
    assert found.alerts[0].starts_at_ms == starts_at_ms
    assert found.alerts[0].resource == "shop"
    assert found.alerts[0].labels["shortId"] == "SHOP-1"


@pytest.mark.parametrize("action", ["critical", "warning"])
def test_a_metric_alert_fires_as_grave_as_its_action_says(metric_alert, action):
    found = sources.parse(metric_alert | {"action": action})

    assert found.is_firing
    assert (found.title, found.severity) == ("Critical: Too many errors", action)
    assert found.url == "https://sentry.io/organizations/acme/alerts/rules/details/7/?alert=1"
    assert found.alerts[0].starts_at_ms == 1600000000000
    assert found.alerts[0].resource == "bar"
    assert found.alerts[0].annotations["description"].startswith("1000 events")


def test_a_metric_alert_that_is_resolved_resolves(metric_alert):
    firing = sources.parse(metric_alert)
    metric_alert["action"] = "resolved"
    metric_alert["data"]["metric_alert"]["date_closed"] = "2020-09-13T12:36:40Z"

    over = sources.parse(metric_alert)

    assert not over.is_firing
    assert over.dedup_key == firing.dedup_key
    assert over.alerts[0].ends_at_ms == 1600000600000


def test_a_metric_alert_and_an_issue_of_the_same_number_are_two_incidents(metric_alert, issue):
    metric_alert["data"]["metric_alert"]["id"] = issue["data"]["issue"]["id"]

    assert sources.parse(metric_alert).dedup_key != sources.parse(issue).dedup_key


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sentry_issue_resolved", {"action": "assigned"}, "issue 'assigned'"),
        ("sentry_metric_alert", {"action": "created"}, "metric alert 'created'"),
        ("sentry_event_alert", {"action": None}, "event ''"),
        ("sentry_comment", {}, "comment 'created'"),
        ("sentry_comment", {"action": "deleted", "data": {"installation": {}}}, "installation 'deleted'"),
        ("sentry_comment", {"data": {"error": {}}}, "error 'created'"),
        ("sentry_comment", {"action": "a" * 99, "data": {"d" * 99: {}}}, f"{'d' * 50} '{'a' * 50}'"),
        ("sentry_comment", {"action": ["x"], "data": {}}, "nothing ''"),
    ],
)
def test_everything_else_is_no_alert_and_said_to_be_what_it_is(name, change, told):
    with pytest.raises(NotAnAlert) as raised:
        sources.parse(sample(name) | change)

    assert str(raised.value) == f"Sentry tells of {told}, which neither fires nor resolves anything"


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (None, "its data is no JSON object"),
        ({"event": []}, "its data.event is no JSON object"),
        ({"event": {"title": "x"}}, "its data.event.issue_id is empty"),
        ({"event": {"issue_id": {}}}, "its data.event.issue_id is empty"),
    ],
)
def test_a_broken_one_is_read_as_generic_with_a_warning(event_alert, data, wrong):
    found = sources.parse(event_alert | {"data": data})

    assert found.source == "sentry"
    assert found.warnings[0] == f"this looks like sentry, but {wrong}; it was read as a generic alert"


@pytest.mark.parametrize(
    "page",
    [
        {"issue_url": "https://sentry.io/api/0/issues/4711/"},
        {"web_url": "https://acme.sentry.io/issues/4711/events/e487/"},
        {"permalink": "https://sentry.example.com/organizations/acme/issues/4711"},
    ],
    ids=lambda page: next(iter(page)),
)
def test_an_issue_without_its_number_is_known_by_the_address_of_its_page(event_alert, issue, page):
    kept = {
        name: value for name, value in event_alert["data"]["event"].items() if "issue" not in name and "url" not in name
    }
    event_alert["data"]["event"] = kept | page

    found = sources.parse(event_alert)

    assert (found.source, found.title, found.warnings) == ("sentry", "KeyError: sku", ())
    assert found.dedup_key == sources.parse(issue).dedup_key


def test_what_is_broken_is_read_from_its_event(event_alert):
    event_alert["data"]["event"] = {"title": "KeyError: sku", "level": "fatal"}

    found = sources.parse(event_alert)

    assert (found.title, found.severity) == ("KeyError: sku", "fatal")
    assert "its data.event.issue_id is empty" in found.warnings[0]


def test_a_permalink_is_the_link(issue):
    issue["data"]["issue"] = {"id": "4711", "title": "x", "permalink": "https://sentry.example.com/issues/4711/"}

    assert sources.parse(issue).url == "https://sentry.example.com/issues/4711/"


def test_a_metric_alert_without_its_description_is_called_as_itself_or_as_its_rule(metric_alert):
    del metric_alert["data"]["description_title"]
    named = sources.parse(metric_alert | {}).title
    metric_alert["data"]["metric_alert"] |= {"title": "", "alert_rule": {"name": "Errors of the shop"}}

    assert (named, sources.parse(metric_alert).title) == ("Too many errors", "Errors of the shop")


@pytest.mark.parametrize("tags", [None, "prod", {"environment": "prod"}, [["environment"], "ab", 3, None, [{}, []]]])
def test_tags_that_are_no_pairs_are_left_out(event_alert, tags):
    event_alert["data"]["event"]["tags"] = tags

    assert "environment" not in sources.parse(event_alert).alerts[0].labels


def test_an_app_that_sends_actions_of_another_shape_is_not_taken_for_sentry(event_alert):
    del event_alert["installation"]

    assert sources.parse(event_alert).source == "generic"


def test_the_signature_of_the_bytes_as_they_came_is_accepted():
    assert is_signed(BODY, SIGNATURE, SECRET)


@pytest.mark.parametrize(
    ("body", "signature", "secret"),
    [
        pytest.param(BODY + b" ", SIGNATURE, SECRET, id="another body"),
        pytest.param(BODY, SIGNATURE, "other", id="another secret"),
        pytest.param(BODY, SIGNATURE[:-1], SECRET, id="cut off"),
        pytest.param(BODY, "", SECRET, id="empty"),
        pytest.param(BODY, "é\udcff", SECRET, id="no hexadecimal"),
        pytest.param(BODY, hmac.new(b"", BODY, sha256).hexdigest(), "", id="no secret"),
    ],
)
def test_every_other_signature_is_refused(body, signature, secret):
    assert not is_signed(body, signature, secret)


@given(
    st.sampled_from(["sentry_event_alert", "sentry_issue_resolved", "sentry_metric_alert"]).map(sample).flatmap(damaged)
)
def test_whatever_is_in_a_webhook_it_is_read_or_no_alert(payload):
    with suppress(NotAnAlert):
        assert_is_sound(sources.parse(payload))
