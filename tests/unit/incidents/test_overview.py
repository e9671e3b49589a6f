import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from versus_py.incidents.copies import replace
from versus_py.incidents.labels import LABELS_A_LINE, names_of, told_apart
from versus_py.incidents.model import Status
from versus_py.incidents.overview import overview, subject


def crash(pod, **labels):
    alert = make_alert("KubePodCrashLooping", fingerprint=pod, namespace="shop", pod=pod, **labels)
    without = {name: text for name, text in alert.labels.items() if name != "fingerprint"}
    return replace(alert, labels=without)


def told(alert, **annotations):
    return replace(alert, annotations=annotations)


def test_alerts_of_a_group_are_told_apart_by_the_label_that_differs():
    shown = overview(make_incident(crash("a-1"), crash("b-2")))

    assert [it.lead for it in shown.lines] == ["pod=a-1", "pod=b-2"]
    assert shown.name == "KubePodCrashLooping"
    assert shown.labels == {"namespace": "shop", "severity": "critical"}


def test_a_single_alert_has_nothing_to_be_told_from():
    (line,) = overview(make_incident(crash("a-1"))).lines

    assert line.labels == {}
    assert line.lead == "KubePodCrashLooping"


def test_alerts_of_two_clusters_that_look_alike_are_told_apart_by_where_they_came_from():
    alike = [replace(crash("a-1"), fingerprint=str(number), url=f"http://prom-{number}/g") for number in range(2)]

    assert told_apart(alike, alike) == ({"from": "prom-0"}, {"from": "prom-1"})


def test_alerts_with_the_same_labels_of_one_host_are_told_apart_by_their_fingerprints():
    alike = [replace(crash("a-1"), fingerprint=f"{number}" * 20) for number in range(2)]

    assert told_apart(alike, alike) == ({"fingerprint": "0" * 12}, {"fingerprint": "1" * 12})


def test_the_labels_that_tell_most_alerts_apart_are_chosen_among_many():
    busy = {f"a{number:02}": "x" for number in range(20)}
    alerts = [crash(f"pod-{number}", **(busy if number % 2 else {})) for number in range(6)]

    found = told_apart(alerts, alerts)

    assert [it["pod"] for it in found] == [f"pod-{number}" for number in range(6)]
    assert all(len(it) <= LABELS_A_LINE for it in found)


def test_a_value_stands_once_on_a_line_whatever_its_names():
    alerts = [crash(pod, pod_name=pod, kubernetes_pod=pod) for pod in ("a-1", "b-2")]

    assert told_apart(alerts, alerts) == ({"pod": "a-1"}, {"pod": "b-2"})


def test_places_come_before_other_labels_from_the_largest_to_the_smallest():
    shown = overview(make_incident(crash("a-1", team="shop-team", cluster="eu")))

    assert [*shown.labels] == ["cluster", "namespace", "pod", "severity", "team"]


def test_a_place_is_one_also_within_a_nested_name():
    shown = overview(make_incident(replace(crash("a-1"), labels={"check.interval": "60", "event.host": "pay-3"})))

    assert [*shown.labels] == ["event.host", "interval"]


def test_what_tools_keep_for_themselves_and_names_are_no_labels_to_read():
    shown = overview(make_incident(crash("a-1", __alert_rule_uid__="u1")))

    assert not {"alertname", "__alert_rule_uid__"} & shown.labels.keys()


def test_labels_are_cut():
    (label,) = overview(make_incident(replace(crash("a-1"), labels={"n" * 500: "v" * 5000}))).labels.items()

    assert len(label[0]) == 40
    assert len(label[1]) == 80


def test_rules_without_data_are_told_apart_by_their_names():
    alerts = [
        replace(
            make_alert("DatasourceNoData"), fingerprint=name, labels={"alertname": "DatasourceNoData", "rulename": name}
        )
        for name in ("Checkout errors", "Queue length")
    ]

    assert [it.lead for it in overview(make_incident(*alerts)).lines] == [
        "rulename=Checkout errors",
        "rulename=Queue length",
    ]


def test_the_same_text_is_shown_once():
    alert = told(
        crash("a-1"), summary="Pod a-1 crashes.", description="pod a-1  crashes", message="It restarted 5 times"
    )

    assert overview(make_incident(alert)).texts == ("Pod a-1 crashes.", "It restarted 5 times")


def test_a_text_that_the_title_says_is_not_repeated():
    alert = told(crash("a-1"), summary="Pod a-1 crashes", description="Pod a-1 crashes and was restarted 5 times")

    shown = overview(make_incident(alert, title="KubePodCrashLooping: Pod a-1 crashes"))

    assert shown.texts == ("Pod a-1 crashes and was restarted 5 times",)


def test_a_summary_that_the_description_repeats_is_left_to_it():
    alert = told(crash("a-1"), summary="Pod a-1 crashes", description="Pod a-1 crashes: see the runbook")

    assert overview(make_incident(alert)).texts == ("Pod a-1 crashes: see the runbook",)


def test_what_all_alerts_say_is_said_once_and_the_rest_at_each():
    alerts = [told(crash(pod), summary=f"Pod {pod}", description="Restarts") for pod in ("a-1", "b-2")]

    shown = overview(make_incident(*alerts))

    assert shown.texts == ("Restarts",)
    assert [it.texts for it in shown.lines] == [("Pod a-1",), ("Pod b-2",)]


def test_the_error_of_a_data_source_is_a_text_and_unusual_texts_have_their_names():
    alert = told(
        crash("a-1"), Error="dial tcp: timeout", impact="nobody can pay", runbook="https://wiki/x", __orgId__="1"
    )

    assert overview(make_incident(alert)).texts == ("dial tcp: timeout", "impact: nobody can pay")


def test_values_are_shown_without_the_labels_that_grafana_repeats():
    said = "[ var='B' labels={instance=host-1:9100, job=node} value=97.31234567 ], [ var='C' labels={} value=1 ]"
    shown = [
        overview(make_incident(told(crash("a-1"), values=it))).values for it in (said, "A=93.123456789, C=1", "12 %")
    ]

    assert shown == ["B=97.3123, C=1", "A=93.1235, C=1", "12 %"]


def test_values_that_differ_are_at_each_alert():
    alerts = [told(crash(pod), values=f"A={number}") for number, pod in enumerate(("a-1", "b-2"))]

    shown = overview(make_incident(*alerts))

    assert shown.values == ""
    assert [it.values for it in shown.lines] == ["A=0", "A=1"]


def test_starts_within_a_minute_are_one_start_and_others_are_at_each_alert():
    def starting(*offsets_ms):
        alerts = [replace(crash(f"p-{at}"), starts_at_ms=START_MS + at) for at in offsets_ms]
        return overview(make_incident(*alerts))

    together, apart = starting(5000, 0), starting(120_000, 0)

    assert (together.since_ms, [it.since_ms for it in together.lines]) == (START_MS, [None, None])
    assert (apart.since_ms, [it.since_ms for it in apart.lines]) == (START_MS, [START_MS + 120_000, START_MS])


def test_the_gravest_alerts_have_the_lines():
    alerts = [replace(crash(f"p-{number}"), severity="warning") for number in range(10)]
    worst = replace(crash("worst"), severity="critical")

    shown = overview(make_incident(*alerts, worst), lines=3)

    assert [it.labels["pod"] for it in shown.lines] == ["worst", "p-0", "p-1"]
    assert shown.left_out == 8


def test_an_open_incident_shows_what_fires_and_a_resolved_one_everything():
    incident = make_incident(crash("a-1"), replace(make_alert("Other", firing=False), title="Other"))

    assert overview(incident).count == "1 of 2 alerts firing"
    assert len(overview(incident).lines) == 1
    assert overview(replace(incident, status=Status.RESOLVED)).count == "2 alerts"
    assert len(overview(replace(incident, status=Status.RESOLVED)).lines) == 2


def test_alerts_that_the_sender_cut_off_are_left_out_too():
    assert overview(make_incident(crash("a-1"), truncated_alerts=7)).left_out == 7


def test_names_in_the_timeline_tell_alerts_from_those_that_are_not_named():
    first, second, third = crash("a-1"), crash("b-2"), crash("c-3")

    assert names_of([first], [first, second], limit=10) == "KubePodCrashLooping pod=a-1"
    assert names_of([first, second, third], [first, second, third], limit=2) == (
        "KubePodCrashLooping pod=a-1, KubePodCrashLooping pod=b-2 and 1 more"
    )


def test_a_name_that_says_where_it_is_needs_no_label_for_that():
    alerts = [replace(crash(pod), resource=pod) for pod in ("a-1", "b-2")]

    assert names_of(alerts, alerts, limit=10) == "KubePodCrashLooping on a-1, KubePodCrashLooping on b-2"


def test_a_name_that_no_other_alert_has_needs_no_label():
    alerts = [crash("a-1"), make_alert("DiskFull")]

    assert names_of(alerts, alerts, limit=10) == "KubePodCrashLooping, DiskFull"


def test_a_label_that_is_a_sentence_is_a_text():
    said = "CRITICAL - 192.0.2.77 does not answer, all packets are lost"
    shown = overview(make_incident(replace(crash("a-1"), labels={"pod": "a-1", "output": said})))

    assert f"output: {said}" in shown.texts
    assert shown.labels == {"pod": "a-1"}


def test_a_label_that_is_a_url_is_a_link_and_none_is_there_twice():
    labels = {"pod": "a-1", "log_url": "https://logs/1", "again": "https://wiki/x"}
    shown = overview(make_incident(replace(crash("a-1"), labels=labels, links={"Runbook": "https://wiki/x"})))

    assert shown.links == {"Runbook": "https://wiki/x", "Log": "https://logs/1"}
    assert shown.labels == {"pod": "a-1"}


def test_ids_and_times_come_after_what_people_know_things_by():
    labels = {"orgId": "1", "event_id": "7", "time": "2026", "team": "shop", "instance_id": "i-1"}

    shown = overview(make_incident(replace(crash("a-1"), labels=labels)))

    assert [*shown.labels] == ["instance_id", "team", "orgId", "event_id", "time"]


def test_words_of_the_title_are_no_label_to_read_again():
    labels = {"ruleName": "Disk of the database", "pod": "database"}

    shown = overview(make_incident(replace(crash("a-1"), labels=labels), title="[Alerting] Disk of the database"))

    assert shown.labels == {"pod": "database"}


def test_a_place_that_is_a_url_tells_alerts_apart():
    alerts = [
        replace(crash(url), labels={"alertname": "ProbeFailed", "instance": url})
        for url in ("https://shop/health", "https://pay/health")
    ]

    shown = overview(make_incident(*alerts))

    assert [it.lead for it in shown.lines] == ["instance=https://shop/health", "instance=https://pay/health"]


def test_nested_names_are_shown_by_their_end_where_that_tells_them_apart():
    labels = {"data.essentials.signalType": "Metric", "org.name": "acme", "a.0.state": "x", "b.state": "y"}

    shown = overview(make_incident(replace(crash("a-1"), labels=labels)))

    assert shown.labels == {"signalType": "Metric", "org.name": "acme", "a.0.state": "x", "b.state": "y"}


def test_times_and_hashes_come_last_whatever_they_are_called():
    labels = {"seen": "2026-11-27T03:00:00Z", "code": "25c55e7c-8092-4d21-ad06-7dacfbb6fc10", "threshold": "100"}

    shown = overview(make_incident(replace(crash("a-1"), labels=labels)))

    assert [*shown.labels] == ["threshold", "seen", "code"]


def test_a_page_that_acts_when_it_is_opened_is_no_link():
    labels = {"meta.unsubscribe": "https://x/u", "icon_url": "https://x/i", "policy_url": "https://x/p"}

    assert overview(make_incident(replace(crash("a-1"), labels=labels))).links == {"Policy": "https://x/p"}


@pytest.mark.parametrize(
    ("name", "page"),
    [("violation_chart_url", "Violation chart"), ("event.service.html_url", "Event service"), ("AlertURL", "Alert")],
)
def test_pages_are_called_by_words(name, page):
    alert = replace(crash("a-1"), labels={name: "https://x/1"})

    assert overview(make_incident(alert)).links == {page: "https://x/1"}


def test_what_is_written_for_people_is_a_text_however_short():
    labels = {"alert.custom_message": "Call the team", "detail.longer.ruleExpression": "Response Code is not OK (2xx)"}

    shown = overview(make_incident(replace(crash("a-1"), labels=labels, annotations={})))

    assert shown.texts == ("Call the team", "ruleExpression: Response Code is not OK (2xx)")


def test_a_text_is_compared_with_the_title_without_its_name():
    labels = {"condition_name": "Memory of the shop is used up"}
    alert = replace(crash("a-1"), labels=labels, annotations={})

    assert overview(make_incident(alert, title="Memory of the shop is used up")).texts == ()


def test_times_as_numbers_and_what_a_sender_did_not_fill_in_are_not_shown():
    labels = {
        "createdAt": "1795834000000",
        "timestamp": "1795834000",
        "recovery": "{EVENT.RECOVERY.DATE}",
        "port": "1795834000",
    }

    assert overview(make_incident(replace(crash("a-1"), labels=labels))).labels == {"port": "1795834000"}


def test_what_all_alerts_are_about_is_their_resource():
    about = [replace(crash(pod), resource=resource) for pod, resource in (("a-1", "db"), ("b-2", "db"), ("c-3", "web"))]

    assert overview(make_incident(*about[:2])).resource == "db"
    assert overview(make_incident(*about)).resource == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("&lt;p&gt;Look at the load&lt;/p&gt;", "Look at the load"),
        ("<html><body>Bad Gateway</body></html>", "Bad Gateway"),
        ("%%%\nThe queue grows\n%%%", "The queue grows"),
        ("a < b and <b>", "a < b and <b>"),
        ("&amp; stays", "&amp; stays"),
    ],
)
def test_texts_are_shown_without_their_markup(said, shown):
    assert overview(make_incident(told(crash("a-1"), description=said))).texts == (shown,)


@pytest.mark.parametrize(
    ("title", "resources", "shown"),
    [
        ("Pod crash loop", ["node-1"], "Pod crash loop on node-1"),
        ("Pod crash loop on Node-1", ["node-1"], "Pod crash loop on Node-1"),
        ("Pod crash loop", ["node-1", "node-1"], "Pod crash loop on node-1"),
        ("Pod crash loop", ["node-1", "node-2"], "Pod crash loop"),
        ("Pod crash loop", [""], "Pod crash loop"),
        ("Disk full on DB-7", ["db-7:9100"], "Disk full on DB-7"),
        ("Disk full on db-70", ["db-7:9100"], "Disk full on db-70 on db-7:9100"),
        ("Disk full on db-7-replica", ["db-7:9100"], "Disk full on db-7-replica on db-7:9100"),
        ("10.0.0.7 is down", ["10.0.0.7:9100"], "10.0.0.7 is down"),
        ("db.example is down", ["db.example:9100"], "db.example is down"),
        ("High latency on the api gateway", ["api:443"], "High latency on the api gateway on api:443"),
        ("fe80::2 is down", ["fe80::1"], "fe80::2 is down on fe80::1"),
        ("Foo (bar)", [":9100"], "Foo (bar) on :9100"),
    ],
)
def test_the_subject_says_what_it_is_about_where_the_title_does_not(title, resources, shown):
    alerts = [replace(make_alert(f"A{number}"), resource=it) for number, it in enumerate(resources)]

    assert subject(replace(make_incident(*alerts), title=title)) == shown
