"""The plots below docs/benchmarks, from the results."""

from collections.abc import Callable, Mapping

from benchmarks import draining, intake, replicas, stored
from benchmarks.peers import run as peers
from benchmarks.results import Results, Spread
from benchmarks.svg import Bar, bars, lines
from benchmarks.tables import sizes


def written(results: Results) -> dict[str, str]:
    """SVG by name; without those that there are no results for."""
    return {name: plot(results) for name, (section, plot) in PLOTS.items() if results.cases(section)}


def _intake(results: Results) -> str:
    rows = []
    for case, beside in intake.beside().items():
        found = results.ratio(intake.SECTION, case, beside, "rate")
        if found is not None:
            rows.append(Bar(case, found, f"{found.median:.3f}", colour=1 if "EVALSHA" in case else 0))
    return bars(
        "Accepting alerts", "requests a second, as a part of what a bare aiohttp + orjson handler reaches", rows
    )


def _drain(results: Results) -> str:
    rows = []
    for case in results.cases(draining.SECTION):
        found = results.spread(draining.SECTION, case, "rate")
        if found is not None:
            rows.append(Bar(case, found, f"{found.median:,.0f}", colour=1 if draining.BARE in case else 0))
    return bars("Due in the same second", "escalations a second, each completed in Redis", rows)


def _alerts(results: Results) -> str:
    def each(to: str) -> list[tuple[float, Spread]]:
        found = ((it, results.spread(stored.SIZE, f"{it}: {to}", "cpu_us")) for it in sizes(results))
        return [(alerts, _over(it, alerts)) for alerts, it in found if it is not None]

    series = {"versus serve": each("versus"), "bare handler": each("bare")}
    return lines("Cost of an alert", "alerts in a request", "server CPU µs an alert", series)


def _stored(results: Results) -> str:
    series = {
        "new group of 5 alerts, CPU µs": _by_incidents(results, "new groups", "cpu_us"),
        "bare handler, CPU µs": _by_incidents(results, "bare", "cpu_us"),
        "first page of the list, p50 µs": _by_incidents(results, "first page", "p50_ms", 1000),
    }
    return lines("With many incidents waiting", "incidents that wait", "µs", series)


def _late(results: Results) -> str:
    series = {it: _by_incidents(results, "one due", f"late_{it}_ms") for it in ("p50", "p99", "max")}
    return lines("How late one escalation is among many that wait", "incidents that wait", "ms", series)


def _replicas(results: Results) -> str:
    rows = []
    for what in ("new groups", "drain"):
        for case in (it for it in results.cases(replicas.SECTION) if it.endswith(f": {what}")):
            beside = f"{case.partition(':')[0]}: 1 replica: {what}"
            found = results.ratio(replicas.SECTION, case, beside, "rate")
            if found is not None:
                rows.append(Bar(case, found, f"{found.median:.2f}", colour=1 if what == "drain" else 0))
    return bars("Several replicas", "throughput, as a multiple of one replica's on the same Redis", rows)


def _peers(results: Results) -> str:
    rows = []
    for case in (it for it in results.cases(peers.SECTION) if ":" not in it):
        found = results.spread(peers.SECTION, f"{case}: burst", "rate")
        if found is not None:
            rows.append(Bar(case, found, f"{found.median:,.0f}", colour=0 if case == peers.OURS else 1))
    return bars("Delayed jobs that do nothing", "run per second, all due in the same second", rows)


def _by_incidents(results: Results, what: str, name: str, factor: float = 1) -> list[tuple[float, Spread]]:
    points = []
    for case in (it for it in results.cases(stored.STORED) if ":" not in it):
        incidents = results.spread(stored.STORED, case, "incidents")
        found = results.spread(stored.STORED, f"{case}: {what}", name)
        if incidents is not None and found is not None:
            points.append((incidents.median, _over(found, 1 / factor)))
    return points


def _over(found: Spread, divisor: float) -> Spread:
    return Spread(found.median / divisor, found.least / divisor, found.most / divisor, found.rounds)


PLOTS: Mapping[str, tuple[str, Callable[[Results], str]]] = {
    "intake": (intake.SECTION, _intake),
    "drain": (draining.SECTION, _drain),
    "alerts": (stored.SIZE, _alerts),
    "stored": (stored.STORED, _stored),
    "late": (stored.STORED, _late),
    "replicas": (replicas.SECTION, _replicas),
    "peers": (peers.SECTION, _peers),
}
