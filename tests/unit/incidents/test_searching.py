"""What a search is written as, and which incidents it finds."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery
from versus_py.incidents.searching import QUERY_MAX, SEARCHED_MAX, parse_search, searched_text

ANA = Actor("Ana Diaz")
DISK = make_incident(make_alert("DiskFull", team="storage", env="prod", instance="db-7"), title="Disk of db-7 is full")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "disk",
        "FULL disk",
        "db-7",
        '"disk of"',
        "team=storage",
        "team = storage",
        '{team="storage"}',
        '{team="storage", env=~"prod|stage"} disk',
        'team=storage env=~"prod|stage" disk',
        "team=storage,env=prod",
        "team!=payments",
        "nosuch=",
        'env!~"dev.*"',
        '"team"="storage"',
        "alertmanager",
        '"team=storage"',
    ],
)
def test_what_finds_it(query):
    assert parse_search(query).matches(DISK)


@pytest.mark.parametrize(
    "query",
    ["memory", "disk memory", "team=payments", "team!=storage", 'env=~"pro"', '"of disk"', "{team=storage} memory"],
)
def test_what_does_not(query):
    assert not parse_search(query).matches(DISK)


def test_one_alert_has_to_match_all_matchers():
    incident = make_incident(make_alert("A", team="storage", env="dev"), make_alert("B", team="payments", env="prod"))

    assert parse_search("team=storage env=dev").matches(incident)
    assert not parse_search("team=storage env=prod").matches(incident)


def test_by_record():
    incident = replace(DISK, deliveries={"servicenow": Delivery(label="INC0010427", reference={"sys_id": "x"})})

    assert parse_search("inc0010427").matches(incident)


def test_by_status_and_outcome():
    change = transitions.acknowledge(DISK, ANA, START_MS + 1)
    assert change is not None
    acknowledged = change.incident

    assert parse_search("", status="triggered").matches(DISK)
    assert parse_search("", status="acknowledged").matches(acknowledged)
    assert not parse_search("", status="triggered").matches(acknowledged)
    assert parse_search("", outcome="acknowledged").matches(acknowledged)
    assert not parse_search("", outcome="escalated").matches(acknowledged)


@pytest.mark.parametrize(("severity", "is_found"), [("critical", True), ("P1", True), ("warning", False), ("x", False)])
def test_by_severity_of_any_name(severity, is_found):
    assert parse_search("", severity=severity).matches(DISK) is is_found


def test_a_severity_that_nobody_knows_is_compared_by_its_name():
    odd = replace(DISK, severity="Purple Alert")

    assert parse_search("", severity="purple-alert").matches(odd)
    assert not parse_search("", severity="green").matches(odd)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ('team="x', "'team=\"x' has a double quote that is not closed"),
        ("a==b", "'a==b' has a value that has to be in double quotes as a whole"),
        ('env=~"("', "has a regular expression that cannot be used"),
        ('env=~"(?=a)"', "'env=~\"(?=a)\"' has a regular expression that cannot be used: invalid perl operator: (?="),
        ('{a="b"', "has a brace at one end only"),
        ("x" * (QUERY_MAX + 1), f"the search has {QUERY_MAX + 1} characters; it may have {QUERY_MAX}"),
    ],
)
def test_what_is_not_understood_is_said_in_a_sentence(query, why):
    with pytest.raises(ValueError) as found:  # noqa: PT011 - compared below
        parse_search(query)

    assert why in str(found.value)


@pytest.mark.parametrize("fields", [{"status": "open"}, {"outcome": "lost"}])
def test_other_fields_name_what_is_allowed(fields):
    with pytest.raises(ValueError, match=r"allowed: .*resolved"):
        parse_search("", **fields)


def test_of_an_incident_with_many_labels_only_so_much_is_looked_at():
    alert = replace(make_alert("A"), labels={f"label{it}": "x" * 500 for it in range(100)})
    incident = make_incident(alert)

    text, pairs = searched_text(incident)

    assert len(text) < SEARCHED_MAX + 500
    assert len(pairs) < 20
