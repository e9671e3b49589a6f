"""The benchmarks themselves: that a ratio is one within a round, and that what is shown comes from the results."""

import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest

from benchmarks import load, payloads, plots, profiled, report, stub
from benchmarks.__main__ import FULL, SHORT
from benchmarks.goals import Goal
from benchmarks.peers import run as peers
from benchmarks.results import Results, Spread
from benchmarks.svg import Bar, bars, lines

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results() -> Results:
    found = Results(about={"form": "made up"})
    for number, (bare, mine) in enumerate([(100, 50), (1000, 100), (10, 4)]):
        found.add("intake", "5 alerts: bare", number, rate=bare, cpu_us=10, generator=0.25)
        found.add("intake", "5 alerts: new groups", number, rate=mine, p50_ms=1.5, p99_ms=20.25, cpu_us=40)
    return found


def test_the_baseline_has_at_most_thirty_lines():
    assert len((ROOT / "benchmarks" / "baseline.py").read_text().splitlines()) <= 30


def test_both_forms_have_five_rounds_at_least():
    assert min(SHORT.rounds, FULL.rounds) >= 5


@pytest.mark.parametrize(
    ("files", "stage"),
    [
        (["/x/json/encoder.py", "/x/structlog/_base.py", "/p/versus_py/web/app.py"], "log and metrics"),
        (["/p/versus_py/incidents/redaction.py", "/p/versus_py/engine/lifecycle.py"], "packing the kept payload"),
        (["/p/versus_py/engine/worker.py", "/x/asyncio/runners.py"], "worker"),
        (["/x/typer/main.py"], "event loop"),
    ],
)
def test_a_stage_is_that_of_the_innermost_file_that_has_one(files, stage):
    frame = None
    for path in reversed(files):
        frame = SimpleNamespace(f_code=SimpleNamespace(co_filename=path), f_back=frame)

    assert profiled.stage(frame) == stage  # type: ignore[arg-type]  # all that it looks at


def test_a_ratio_is_the_median_of_those_within_the_rounds(results):
    found = results.ratio("intake", "5 alerts: new groups", "5 alerts: bare", "rate")

    assert found == Spread(median=0.4, least=0.1, most=0.5, rounds=3)


def test_a_ratio_needs_both_in_the_same_round(results):
    results.add("intake", "5 alerts: new groups", 3, rate=1000)

    found = results.ratio("intake", "5 alerts: new groups", "5 alerts: bare", "rate")

    assert found is not None
    assert found.rounds == 3


def test_results_that_are_written_are_read_again(results, tmp_path):
    results.void = "too slow"
    results.write(tmp_path / "results.json")

    assert Results.read(tmp_path / "results.json") == results


def test_the_page_shows_the_ratio_first_and_says_how_far_the_rounds_are_apart(results):
    page = report.page(results)

    assert "| 5 alerts: new groups | 0.400 (0.100 to 0.500) | 50 | 1.5 | 20.2 | 40 | 4.00 (4.00 to 4.00) |" in page
    assert "the load generator was busy for at most 25 %" in page
    assert "void:" not in page


def test_the_page_of_a_void_run_says_so_and_why(results):
    results.void = "the machine is too slow"

    assert "**This run is void:** the machine is too slow." in report.page(results)


def test_what_could_not_be_measured_is_named(results):
    results.missing["peer"] = "cannot be installed"

    assert "- peer: cannot be installed" in report.page(results)


def test_the_page_and_the_plots_of_the_tree_are_those_of_its_results():
    path = ROOT / "benchmarks" / report.RESULTS
    if not path.exists():  # as long as no run is committed
        assert not [*(ROOT / report.PLOTS).glob("*.svg")]
        return
    found = Results.read(path)

    assert (ROOT / "BENCHMARKS.md").read_text() == report.page(found)
    for name, svg in plots.written(found).items():
        assert (ROOT / report.PLOTS / f"{name}.svg").read_text() == svg


def test_plots_are_xml_and_show_their_figures():
    spread = Spread(0.25, 0.2, 0.3, 5)

    for svg in (
        bars("Title <1>", "ratio", [Bar("case", spread, "0.25")]),
        lines("Title", "x", "y", {"one": [(1, spread), (100, Spread(2, 1, 3, 5))]}),
    ):
        assert ET.fromstring(svg).tag.endswith("svg")


def test_a_bar_is_as_long_as_its_figure():
    rows = [Bar("whole", Spread(1, 1, 1, 5), "1"), Bar("half", Spread(0.5, 0.5, 0.5, 5), "0.5")]

    _, whole, half = map(float, re.findall(r'<rect [^>]*width="([\d.]+)"', bars("", "", rows)))

    assert half == pytest.approx(whole / 2, abs=0.1)


@pytest.mark.parametrize("alerts", [1, 5])
def test_new_groups_differ_and_repeats_do_not(alerts):
    template = payloads.request(payloads.alertmanager(alerts), {"incident_per": "alert"})
    new, repeated = payloads.new_groups(template), payloads.repeats(template)

    requests = {next(new) for _ in range(10)}

    assert len(requests) == 10
    assert len({next(repeated) for _ in range(10)}) == 1
    for it in requests:
        head, _, body = it.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert payloads.NUMBER.encode() not in it


def test_a_percentile_is_a_value_that_was_measured():
    assert load.percentile([3, 1, 2, 4], 0.5) == 3
    assert load.percentile([3, 1, 2, 4], 0.99) == 4
    assert load.percentile([], 0.99) == 0


def test_the_stub_tells_what_it_was_asked():
    asked = stub.Stub()
    asked.answer(b"GET", b"/api/now/table/incident?sysparm_query=x", b"")
    created = asked.answer(b"POST", b"/api/now/table/incident", b'{"correlation_id":"c1"}')
    asked.answer(b"POST", b"/api/chat.postMessage", b'{"channel":"C1"}')

    assert created.startswith(b"HTTP/1.1 201")
    assert asked.answer(b"GET", b"/control/count", b"").endswith(b'{"records":1,"posts":1}')
    assert b'"records":[["c1",' in asked.answer(b"GET", b"/control/seen", b"")
    assert b'"records":[]' in asked.answer(b"GET", b"/control/seen", b"")


@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda it: it.name)
def test_each_peer_has_its_script_and_is_pinned(peer):
    assert (ROOT / "benchmarks" / "peers" / f"{peer.module}.py").exists()
    assert all("==" in it for it in peer.requirements)
    assert bool(peer.requirements) == (peer.name != peers.OURS)


def test_the_others_are_shown_beside_our_timers(results):
    results.add("peers", "arq", 0, lost=0, twice=1)
    results.add("peers", "arq: burst", 0, rate=500, enqueued_rate=1000, bytes=900, ran=50, jobs=100)
    results.add("peers", f"{peers.OURS}: burst", 0, rate=2000, enqueued_rate=4000, bytes=300, ran=100, jobs=100)

    assert "| arq | 0.25 × (1,000) | 0.25 × (500) | - | - | - | 3.00 × (900) | 50.0% | - | 0 | 1 |" in report.page(
        results
    )


@pytest.mark.parametrize(
    ("what", "least", "goal", "value", "verdict"),
    [
        pytest.param("× bare", 0.25, 0.33, 0.4, "reached", id="more is better, reached"),
        pytest.param("× bare", 0.25, 0.33, 0.3, "accepted", id="more is better, accepted"),
        pytest.param("× bare", 0.25, 0.33, 0.2, "**missed**", id="more is better, missed"),
        pytest.param("p99 ms", 30, 20, 15, "reached", id="less is better, reached"),
        pytest.param("p99 ms", 30, 20, 25, "accepted", id="less is better, accepted"),
        pytest.param("p99 ms", 10, 10, 11, "**missed**", id="less is better, one bound"),
    ],
)
def test_a_goal_is_reached_or_accepted_or_missed(what, least, goal, value, verdict):
    assert Goal(what, lambda _: None, least, goal).verdict(value) == verdict


def test_the_page_says_which_goals_are_missed(results):
    assert "| new groups of 5 alerts, × bare | 0.4 | 0.25 | 0.33 | reached |" in report.page(results)
    assert "drain" not in report.page(results)


def test_an_escalation_that_ran_twice_misses_its_goal(results):
    for number, twice in enumerate((0, 1, 0)):
        results.add("replicas", "one Redis: 2 replicas: drain", number, rate=100, twice=twice)

    assert "| of several replicas' escalations, most that ran twice | 1 | 0 | 0 | **missed** |" in report.page(results)


def test_replicas_are_beside_one_on_the_same_redis(results):
    for name, rate in (("1 replica", 100), ("2 replicas", 150)):
        results.add("replicas", f"one Redis: {name}: new groups", 0, rate=rate, p99_ms=5, cpu_us=9, redis_us=3, nodes=1)
        results.add("replicas", f"one Redis: {name}: drain", 0, rate=10 * rate, cpu_us=9, redis_us=3, nodes=3, twice=0)

    page = report.page(results)

    new = "1.50 (1.50 to 1.50) | 150 | 5 | 9 | 3 | 333,333"
    drain = "1.50 (1.50 to 1.50) | 1,500 | 9 | 3 | 1,000,000"
    assert f"| one Redis: 2 replicas | {new} | {drain} | 0 |" in page
