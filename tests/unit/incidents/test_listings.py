"""When an alert is over, by what everybody who lists it says."""

import pytest

from tests.support.factories import make_alert, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.listings import LISTERS_MAX, PAST_STARTS_MAX, ended, merged, seen
from versus_py.incidents.model import Alert, AlertStatus, Listing
from versus_py.incidents.updates import MAX_ALERTS

NOW = 1_777_890_000_000
EU, US = "http://am-eu:9093", "http://am-us:9093"


def told(known: tuple[Alert, ...], *alerts: Alert, url: str = EU, group: str = "g", **fields: object):
    return merged(known, make_notification(*alerts, url=url, group=group, **fields), NOW)


def firing(alerts: tuple[Alert, ...]) -> list[str]:
    return [alert.labels["alertname"] for alert in alerts if alert.is_firing]


A, B = make_alert("A", starts_at_ms=1000), make_alert("B", starts_at_ms=1000)


def over(alert: Alert, starts_at_ms: int | None = 1000) -> Alert:
    ended = make_alert(alert.labels["alertname"], firing=False, starts_at_ms=starts_at_ms)
    return replace(ended, ends_at_ms=NOW)


def test_what_is_said_again_is_the_same_object():
    known = told((), A, B)

    assert told(known, A, B) is known
    assert told(known, B, A) is known


@pytest.mark.parametrize("start_ms", [None, NOW], ids=["without a start", "with the time of the end"])
def test_an_end_moves_no_start(start_ms):
    [alert] = told(told((), A), over(A, start_ms))

    assert (alert.is_firing, alert.starts_at_ms) == (False, 1000)
    assert told((alert,), make_alert("A", starts_at_ms=NOW))[0].starts_at_ms == NOW


@pytest.mark.parametrize(
    ("resolved", "url", "sender", "left"),
    [
        pytest.param(over(A), EU, "", [], id="by who lists it"),
        pytest.param(over(A), US, "", [], id="by a peer, which knows the same start"),
        pytest.param(over(A, 2000), US, "", ["A"], id="by somebody else with an alert of the same labels"),
        pytest.param(over(A, None), US, "", ["A"], id="by somebody else who gives no start"),
    ],
)
def test_a_resolve_ends_it_for_whom_it_speaks(resolved, url, sender, left):
    assert firing(told(told((), A), resolved, url=url, sender=sender)) == left


def test_a_resolve_with_the_same_token_ends_it_whatever_the_address_and_the_start():
    known = told((), A, url=EU, sender="prod")

    assert firing(told(known, over(A, 2000), url=US, sender="prod")) == []


def test_it_is_over_when_it_is_for_everybody():
    both = told(told((), A), make_alert("A", starts_at_ms=500), url=US)

    half = told(both, over(A))

    assert firing(half) == ["A"]
    assert firing(told(half, over(A, 500), url=US)) == []


def test_a_late_copy_of_what_is_over_fires_nothing():
    anew = told(told(told((), A), over(A)), make_alert("A", starts_at_ms=2000))

    assert told(anew, A) == anew
    assert firing(told(told(anew, over(A, 2000)), A)) == []


def test_an_end_of_before_the_start_is_stale():
    known = told((), make_alert("A", starts_at_ms=NOW + 1))

    assert told(known, over(A)) is known


def test_without_a_list_an_older_start_is_stale():
    known = merged((), make_notification(make_alert("A", starts_at_ms=2000)), NOW)

    assert merged(known, make_notification(A), NOW) is known


@pytest.mark.parametrize("start_ms", [500, 2000], ids=["back", "forward"])
@pytest.mark.parametrize("group", ["g", "another"], ids=["in its list", "in a list of another name"])
def test_a_start_that_moved_is_one_alert_with_one_end(start_ms, group):
    moved = told(told((), A), make_alert("A", starts_at_ms=start_ms), group=group)

    assert firing(moved) == ["A"]
    assert firing(told(moved, over(A, start_ms), group=group)) == []


@pytest.mark.parametrize("start_ms", [500, 2000], ids=["before", "after"])
@pytest.mark.parametrize("group", ["g", "another"], ids=["with one list", "with lists of other names"])
@pytest.mark.parametrize("first", [1000, "other"], ids=["the first", "the second"])
def test_starts_that_come_in_turns_are_of_two_senders_and_each_has_its_own_end(start_ms, group, first):
    other = make_alert("A", starts_at_ms=start_ms)
    known = told(told(told((), A), other, group=group), A)
    known = told(known, other, group=group)
    ends = [(over(A), "g"), (over(A, start_ms), group)]
    if first == "other":
        ends.reverse()

    half = told(known, ends[0][0], group=ends[0][1])

    assert firing(half) == ["A"]
    assert firing(told(half, ends[1][0], group=ends[1][1])) == []


def test_the_end_of_a_start_that_another_displaced_is_that_ones_alone():
    both = told(told((), A), make_alert("A", starts_at_ms=2000))

    assert firing(told(both, over(A))) == ["A"]


def test_of_two_with_one_address_a_list_ends_nothing_by_leaving_out():
    two = told(told(told((), A), make_alert("A", starts_at_ms=2000)), A)

    after = told(two, B)

    assert firing(after) == ["A", "B"]
    assert after[0].unlisted_since_ms == NOW


@pytest.mark.parametrize("end_ms", [1000, 2000])
def test_of_two_with_one_address_the_next_alert_of_one_leaves_the_others_alone(end_ms):
    two = told(told(told((), A), make_alert("A", starts_at_ms=2000)), A)
    half = told(two, over(A, end_ms))

    again = told(half, make_alert("A", starts_at_ms=3000))

    assert firing(told(again, over(A, 3000))) == ["A"]
    assert firing(told(told(again, over(A, 3000)), over(A, 3000 - end_ms))) == []


def test_an_alert_of_which_the_last_word_is_that_it_is_over_is_in_doubt():
    """A pair of Prometheus whose alerts were merged anew after a restart looks like two senders."""
    known = told(told(told((), A), make_alert("A", starts_at_ms=1020)), A)

    [alert] = told(known, over(A))

    assert (alert.is_firing, alert.is_in_doubt) == (True, True)


def test_what_was_said_before_it_was_over_makes_nobody_a_sender_of_what_fires_now():
    moved = told(told(told((), A, url=US), make_alert("A", starts_at_ms=2000), url=US), over(A, 2000), url=US)

    [alert] = told(moved, make_alert("A", starts_at_ms=9000))

    assert (alert.senders.total(), alert.is_in_doubt) == (1, False)
    assert firing(told((alert,), over(A, 9000))) == []


def test_what_was_left_out_and_is_over_for_everybody_does_not_come_back():
    known = told(told((), A, B, reports_resolves=True), B, reports_resolves=True)

    gone = ended(known, NOW)

    assert firing(told(gone, over(B))) == []
    assert firing(told(gone, make_alert("C"), reports_resolves=True)) == ["C"]


def test_older_starts_are_forgotten_in_the_end():
    known = told((), A)
    for number in range(10):
        known = told(told(known, over(A, 1000 + number)), make_alert("A", starts_at_ms=1001 + number))

    assert len(known[0].listings) <= 1 + PAST_STARTS_MAX


def test_what_did_not_fit_when_people_dealt_with_it_is_no_news():
    kept = tuple(make_alert(f"A{number}", starts_at_ms=1000) for number in range(MAX_ALERTS))
    known = seen(told((), *kept))

    was_there = merged(known, make_notification(A, url=EU, group="g", is_complete=True), NOW, seen_at_ms=1500)
    came_later = merged(
        known, make_notification(make_alert("A", starts_at_ms=1501), url=EU, group="g"), NOW, seen_at_ms=1500
    )
    few = merged(known[:-1], make_notification(A, url=EU, group="g"), NOW, seen_at_ms=1500)

    assert [it[-1].is_seen for it in (was_there, came_later, few)] == [True, False, False]


def test_what_is_left_out_is_over_for_the_lister_that_never_lists_what_is():
    known = told(told((), A, B), B, url=US, group="g")

    assert firing(told(known, A)) == ["A", "B"]
    assert firing(told(told(known, A), make_alert("C"), url=US)) == ["A", "C"]


@pytest.mark.parametrize("fields", [{"is_complete": False}, {"reports_resolves": True}], ids=["cut off", "reports"])
def test_what_is_left_out_goes_on_otherwise(fields):
    assert firing(told(told((), A, B), A, **fields)) == ["A", "B"]


def test_what_is_left_out_by_who_reports_resolves_says_since_when():
    known = told((), A, B)

    after = merged(known, make_notification(A, url=EU, group="g", reports_resolves=True), NOW + 1)
    later = merged(after, make_notification(A, url=EU, group="g", reports_resolves=True), NOW + 2)

    assert [alert.unlisted_since_ms for alert in later] == [None, NOW + 1]
    assert [alert.unlisted_since_ms for alert in told(later, A, B)] == [None, None]


def test_what_seemed_over_by_being_left_out_fires_again_when_its_lister_lists_what_is():
    partly = told(told((), A, B, make_alert("C")), A)

    after = told(partly, over(A))

    assert firing(partly) == ["A"]
    assert firing(after) == ["B", "C"]


def test_a_list_of_somebody_else_revives_nothing():
    partly = told(told((), A, B), A)

    assert firing(told(partly, over(make_alert("D")), url=US)) == ["A"]


def test_an_alert_without_a_lister_is_everybodys():
    known = merged((), make_notification(A), NOW)

    assert firing(told(known, over(A, 5000))) == []
    assert firing(told(known, B)) == ["B"]


@pytest.mark.parametrize(
    ("later", "url", "is_seen"),
    [
        pytest.param(A, EU, True, id="the same"),
        pytest.param(make_alert("A", starts_at_ms=500), EU, True, id="with a start that moved"),
        pytest.param(A, US, True, id="by a peer"),
        pytest.param(make_alert("A", starts_at_ms=500), US, False, id="in another cluster"),
    ],
)
def test_what_was_seen_stays_so_for_as_long_as_it_fires(later, url, is_seen):
    known = seen(told((), A))
    only = told(known, later, url=url)
    if url == US and not is_seen:
        only = told(only, over(A))  # so that the other one is left

    assert [alert.is_seen for alert in only if alert.is_firing] == [is_seen]


def test_what_fires_again_was_not_seen():
    known = told(seen(told((), A)), over(A))

    assert not told(known, make_alert("A", starts_at_ms=NOW))[0].is_seen
    assert told(known, A)[0].is_seen  # a late copy of what was


def test_listers_are_bounded_and_those_for_whom_it_is_over_go_first():
    known = told((), A)
    for number in range(2 * LISTERS_MAX):
        url = f"http://am-{number}:9093"
        known = told(known, make_alert("A", starts_at_ms=number), url=url)
        known = told(known, over(A, number), url=url)

    [alert] = known

    assert len(alert.listings) == LISTERS_MAX
    assert alert.is_firing
    assert Listing(1000, is_firing=True) in alert.listings.values()


def test_an_end_that_only_names_the_alert_keeps_what_it_was_about():
    fires = Alert(
        "checkout",
        AlertStatus.FIRING,
        labels={"host": "web-7"},
        annotations={"summary": "Slow"},
        title="Checkout slow",
        severity="critical",
        url="https://g.example",
        resource="web-7",
        links={"Runbook": "https://r.example"},
    )
    over = Alert("checkout", AlertStatus.RESOLVED, annotations={"note": "restarted"})

    [alert] = merged(merged((), make_notification(fires), NOW), make_notification(over), NOW)

    assert not alert.is_firing
    assert alert.annotations == {"summary": "Slow", "note": "restarted"}
    about = replace(alert, status=fires.status, annotations=fires.annotations, listings={}, ends_at_ms=None)
    assert about == fires


def test_what_an_end_says_itself_counts():
    fires = Alert(
        "a", AlertStatus.FIRING, labels={"host": "db-1", "state": "DOWN"}, title="db-1 DOWN", severity="critical"
    )
    over = Alert("a", AlertStatus.RESOLVED, labels={"state": "UP"}, title="db-1 UP", severity="ok")

    [alert] = merged(merged((), make_notification(fires), NOW), make_notification(over), NOW)

    assert (alert.labels, alert.title, alert.severity) == ({"host": "db-1", "state": "UP"}, "db-1 UP", "ok")
