"""The default body: what differs is on each line, the same text appears once, and no more than fits a phone."""

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident
from versus_py.targets.slack.default_body import default_body
from versus_py.targets.slack.mrkdwn import clock_time, since

SINCE = f"since {since(START_MS)}"


def pod(name, **annotations):
    alert = make_alert("KubePodCrashLooping", namespace="shop", pod=name)
    return replace(alert, fingerprint=name, annotations=annotations, url="")


def lines_of(incident: Incident, **options) -> list[str]:
    return default_body(incident, **options).split("\n")


def test_a_single_alert_says_what_since_when_and_where():
    alert = replace(pod("a-1", summary="Pod a-1 crashes", description="5 restarts in 10 min"), url="http://prom/g")

    assert lines_of(make_incident(alert, title="KubePodCrashLooping: Pod a-1 crashes")) == [
        f"{SINCE} · <http://prom/g|Open alert>",
        "5 restarts in 10 min",
        "`namespace=shop` `pod=a-1`",
    ]


def test_the_second_line_is_what_it_is_about_which_no_label_repeats():
    alert = replace(pod("a-1"), resource="a-1")

    [first, *more] = lines_of(make_incident(alert, title="Checkout is down"))

    assert first == f"*KubePodCrashLooping* on *a-1* · {SINCE}"
    assert not any("a-1" in line for line in more)


def test_without_a_start_it_says_when_it_came():
    alert = replace(pod("a-1"), starts_at_ms=None)

    assert f"received {since(START_MS)}" in lines_of(make_incident(alert))[0]


def test_the_page_of_an_unknown_tools_alert_is_a_link_in_the_body():
    incident = replace(make_incident(pod("a-1")), source="generic", url="https://tool/1")

    assert lines_of(incident)[0].endswith("<https://tool/1|Open alert>")


def test_alerts_of_a_group_are_a_line_each_with_what_differs():
    alerts = [pod(name, summary=f"Pod {name} crashes", description="See the runbook") for name in ("a-1", "b-2")]

    assert lines_of(make_incident(*alerts, title="KubePodCrashLooping")) == [
        SINCE,
        "See the runbook",
        "• `pod=a-1` · Pod a-1 crashes",
        "• `pod=b-2` · Pod b-2 crashes",
        "`namespace=shop`",
    ]


def test_the_title_is_not_said_again_as_the_alerts_name():
    alert = replace(make_alert(), labels={"team": "shop"}, title="Checkout is down", annotations={}, url="http://x/1")

    [first, *_] = lines_of(make_incident(alert, title="Checkout is down"))

    assert first == f"{SINCE} · <http://x/1|Open alert>"


def test_values_are_shown_once_or_at_each_alert():
    alone = lines_of(make_incident(pod("a-1", values="A=93.1")))
    apart = lines_of(make_incident(pod("a-1", values="A=93.1"), pod("b-2", values="A=95")))

    assert "*Values* `A=93.1`" in alone
    assert "• `pod=b-2` · `A=95`" in apart


def test_alerts_that_began_apart_say_since_when_by_the_clock_and_by_the_date_a_day_later():
    later = replace(pod("b-2"), starts_at_ms=START_MS + 600_000)
    next_day = replace(pod("c-3"), starts_at_ms=START_MS + 86_400_000)

    shown = lines_of(make_incident(pod("a-1"), later, next_day))

    assert f"• `pod=b-2` · since {clock_time(START_MS + 600_000)}" in shown
    assert f"• `pod=c-3` · since {since(START_MS + 86_400_000)}" in shown


def test_what_does_not_fit_a_phone_is_behind_a_link_to_alertmanagers_page_of_the_group():
    incident = make_incident(*(pod(f"a-{number}") for number in range(20)), url="http://am")

    shown = lines_of(incident)

    assert sum(line.startswith("• ") for line in shown) == 6
    assert any(line.startswith("<http://am/#/alerts?filter=%7Balertname%3D%22KubePodCrashLooping") for line in shown)
    assert any(line.endswith("|… 14 more>") for line in shown)


def test_without_a_source_to_go_to_the_rest_is_behind_the_page_of_the_incident():
    incident = make_incident(*(pod(f"a-{number}") for number in range(9)), url="")

    assert "<https://versus/ack|… 3 more>" in lines_of(incident, more_url="https://versus/ack")
    assert "… 3 more" in lines_of(incident)


def test_alerts_that_the_sender_cut_off_are_counted_among_the_rest():
    assert "… 7 more" in lines_of(make_incident(pod("a-1"), truncated_alerts=7))


def test_a_long_message_stays_short():
    alerts = [
        replace(
            pod(f"a-{number}", summary=f"{number} " + "word " * 2000, description="d" * 4000, values="v" * 4000),
            labels={"pod": f"{number}" * 500, **{f"l{at}": f"{at}" * 500 for at in range(90)}},
        )
        for number in range(50)
    ]

    assert len(default_body(make_incident(*alerts))) < 4500


def test_labels_beyond_the_bound_are_counted_and_texts_leave_room_for_fewer():
    alert = replace(pod("a-1"), labels={f"l{number}": f"v{number}" for number in range(14)})
    saying = replace(alert, annotations={"summary": "It happened"})

    assert lines_of(make_incident(alert))[-1].endswith("`l11=v11` … 2 more")
    assert lines_of(make_incident(saying))[-1].endswith("`l7=v7` … 6 more")


def test_a_long_id_is_cut_in_the_middle():
    alert = replace(pod("a-1"), labels={"target": f"/subscriptions/{'1' * 50}/shop-vm-1"})

    assert lines_of(make_incident(alert))[-1] == f"`target=/subscriptions/{'1' * 8}…{'1' * 14}/shop-vm-1`"


def test_what_is_not_listed_any_more_says_so():
    gone = replace(pod("a-1"), unlisted_since_ms=START_MS)

    alone, among = (replace(make_incident(), alerts=alerts) for alerts in ((gone,), (gone, pod("b-2"))))

    assert any(line.startswith("_not listed since") for line in lines_of(alone))
    assert any("`pod=a-1` · _not listed since" in line for line in lines_of(among))


def test_pages_of_one_alert_alone_are_linked_on_its_line():
    runbook = {"Runbook": "https://wiki/x"}

    shown = lines_of(make_incident(replace(pod("a-1"), links=runbook), pod("b-2")))

    assert "• `pod=a-1` · <https://wiki/x|Runbook>" in shown


def test_label_text_of_anybody_breaks_out_of_nothing():
    alert = replace(pod("a-1"), labels={"x`y": "`<!channel>`\n• fake"}, annotations={"summary": "<!here> & co"})

    shown = default_body(make_incident(alert, pod("b-2")))

    assert "<!channel>" not in shown
    assert "<!here>" not in shown
    assert "`x'y='&lt;!channel&gt;' • fake`" in shown


def test_what_it_is_about_is_bold_on_one_line():
    alert = replace(pod("a-1"), resource="db-1\n> fake")

    assert " on *db-1 &gt; fake* · " in lines_of(make_incident(alert))[0]
