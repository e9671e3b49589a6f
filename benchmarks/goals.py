"""What the figures are to reach, and whether they do."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import draining, intake, replicas, stored
from benchmarks.results import Results, Spread


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure, the worst that is accepted of it, and what it is to be."""

    what: str
    measured: Callable[[Results], Spread | None]
    least: float
    goal: float
    factor: float = 1.0  # of the figure as it is shown

    def verdict(self, value: float) -> str:
        """Whether *value* is as good as the goal, or at least accepted."""
        sign = -1 if self.what.endswith(LESS) else 1
        if sign * value >= sign * self.goal:
            return "reached"
        return "accepted" if sign * value >= sign * self.least else "**missed**"


LESS = ("ms", "bytes", "MB", "s to be ready", "twice")
"""The units of which less is better."""


def _ratio(section: str, case: str, beside: str) -> Callable[[Results], Spread | None]:
    return lambda results: results.ratio(section, case, beside, "rate")


def _figure(section: str, case: str, name: str) -> Callable[[Results], Spread | None]:
    return lambda results: results.spread(section, case, name)


def _drain(case: str, beside: str) -> Callable[[Results], Spread | None]:
    """Of the drain of that case with the most that were due."""

    def found(results: Results) -> Spread | None:
        due = [it.partition(": ")[0] for it in results.cases(draining.SECTION) if it.endswith(f": {case}")]
        if not due:
            return None
        mine = f"{due[-1]}: {case}"
        if not beside:
            return results.spread(draining.SECTION, mine, "rate")
        return results.ratio(draining.SECTION, mine, f"{due[-1]}: {beside}", "rate")

    return found


def _stored(case: str, name: str) -> Callable[[Results], Spread | None]:
    """With the most incidents that were stored."""

    def found(results: Results) -> Spread | None:
        steps = [it for it in results.cases(stored.STORED) if ":" not in it]
        return results.spread(stored.STORED, f"{steps[-1]}{case}", name) if steps else None

    return found


def _twice(results: Results) -> Spread | None:
    """Of all drains by several replicas."""
    found = [it.values["twice"] for it in results.samples if it.section == replicas.SECTION and "twice" in it.values]
    return Spread(max(found), min(found), max(found), len(found)) if found else None


GOALS = (
    Goal(
        "new groups of 5 alerts, × bare", _ratio(intake.SECTION, "5 alerts: new groups", "5 alerts: bare"), 0.25, 0.33
    ),
    Goal(
        "repeats of 5 alerts, × bare",
        _ratio(intake.SECTION, "5 alerts: repeats of one group", "5 alerts: bare"),
        0.35,
        0.5,
    ),
    Goal("new groups of 5 alerts, p99 ms", _figure(intake.SECTION, "5 alerts: new groups", "p99_ms"), 30, 20),
    Goal("drain to a no-op target, escalations/s", _drain("no-op target", ""), 5_000, 5_000),
    Goal("drain to ServiceNow, × bare client", _drain("ServiceNow", draining.BARE), 0.29, 0.45),
    Goal("drain with Slack, × without", _drain("ServiceNow and Slack", "ServiceNow"), 0.6, 0.6),
    Goal("lateness of one due among many, p99 ms", _stored(": one due", "late_p99_ms"), 10, 10),
    Goal("first page with many stored, p99 ms", _stored(": first page", "p99_ms"), 50, 50),
    Goal("an incident of 1 alert that waits, bytes", _figure(stored.BYTES, "1 alert", "keys_bytes"), 2_200, 1_400),
    Goal("an incident of 5 alerts that waits, bytes", _figure(stored.BYTES, "5 alerts", "keys_bytes"), 2_300, 1_600),
    Goal("resident memory with many stored, MB", _stored("", "resident_bytes"), 90, 90, 1e-6),
    Goal("empty, s to be ready", _figure(stored.READY, "empty", "seconds"), 1, 1),
    Goal("of several replicas' escalations, most that ran twice", _twice, 0, 0),
    Goal("with many waiting, s to be ready", _figure(stored.READY, stored.WAITING, "seconds"), 2, 2),
)
