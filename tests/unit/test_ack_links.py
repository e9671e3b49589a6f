"""Links that acknowledge: ours, for one incident, for a time."""

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.factories import make_incident, make_policy
from versus_py.ack_links import AckLinks, Verdict
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId


@pytest.fixture
def links(clock):
    return AckLinks("https://versus.example", clock, "key")


def parts(url: str) -> tuple[IncidentId, str, str]:
    split = urlsplit(url)
    query = parse_qs(split.query)
    return IncidentId(split.path.rpartition("/")[2]), query["exp"][0], query["sig"][0]


def test_a_link_is_valid_for_at_least_a_day_and_not_for_ever(links, clock):
    incident = make_incident(now_ms=clock.now_ms())
    link = parts(links.url(incident))

    clock.advance(hours=24)
    assert links.check(*link) is Verdict.VALID
    clock.advance(hours=26)
    assert links.check(*link) is Verdict.EXPIRED


def test_a_longer_wait_makes_a_longer_link(links, clock):
    week_ms = 7 * 24 * 3600 * 1000
    incident = make_incident(policy=make_policy(wait_ms=week_ms), now_ms=clock.now_ms())
    link = parts(links.url(incident))

    clock.advance(hours=24 * 7 + 23)
    assert links.check(*link) is Verdict.VALID


def test_the_link_looks_the_same_all_day(links, clock):
    incident = make_incident(now_ms=clock.now_ms())
    first = links.url(incident)
    clock.advance(minutes=10)

    assert links.url(incident) == first


@pytest.mark.parametrize("field", [0, 1, 2])
def test_a_link_that_was_changed_is_invalid(links, field):
    link = list(parts(links.url(make_incident())))
    link[field] = "9" + link[field][1:] if link[field][0] != "9" else "8" + link[field][1:]

    assert links.check(*link) is Verdict.INVALID


@pytest.mark.parametrize("signature", ["", "x", "ä", "\udcff", "0" * 64])
@pytest.mark.parametrize("expires", ["", "99999999999", "soon"])
def test_rubbish_is_invalid(links, expires, signature):
    assert links.check(IncidentId("x-0"), expires, signature) is Verdict.INVALID


def test_another_key_signs_other_links(links, clock):
    other = AckLinks("https://versus.example", clock, "other")

    assert other.check(*parts(links.url(make_incident()))) is Verdict.INVALID


def test_without_a_key_nothing_is_signed_or_checked(clock):
    links = AckLinks("https://versus.example", clock)

    with pytest.raises(StoreUnavailable):
        links.url(make_incident())
    with pytest.raises(StoreUnavailable):
        links.check(IncidentId("x-0"), "1", "")


def test_after_a_change_of_the_key_links_from_before_are_still_good_for_as_long_as_they_last(links, clock):
    old = parts(links.url(make_incident(now_ms=clock.now_ms())))

    changed = AckLinks("https://versus.example", clock, "new key", previous=["older key", "key"])

    assert changed.check(*old) is Verdict.VALID
    clock.advance(hours=50)
    assert changed.check(*old) is Verdict.EXPIRED


def test_after_a_change_of_the_key_links_are_signed_with_the_new_one(links, clock):
    changed = AckLinks("https://versus.example", clock, "new key", previous=["key"])

    new = parts(changed.url(make_incident(now_ms=clock.now_ms())))

    assert changed.check(*new) is Verdict.VALID
    assert links.check(*new) is Verdict.INVALID


def test_a_key_that_was_taken_away_is_worth_nothing(links, clock):
    old = parts(links.url(make_incident(now_ms=clock.now_ms())))

    assert AckLinks("https://versus.example", clock, "new key").check(*old) is Verdict.INVALID
