"""What is wrong with the log: errors that no fault explains, and a loss that no line tells of."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from tests.simulation.judgments import Verdict
from tests.simulation.knobs import FaultKind
from tests.simulation.settings import IDLE_FACTOR
from versus_py.engine.watchdog import LOOK_EVERY_S

Line = tuple[float, str, Mapping[str, Any]]
"""Of an error: when, by which process, and its event with its fields."""

MISTAKES = frozenset(
    {
        "escalation.forgotten",
        "incident.unreadable",
        "last_look.crashed",
        "loop.died",
        "request.crashed",
        "request.unreadable",
        "slack.blocks_refused",
        "slack.envelope_crashed",
        "slack.storms_crashed",
        "slack.template_failed",
        "sync.crashed",
    }
)
"""Errors of the program itself, whatever goes wrong around it."""

LOSSES = frozenset({FaultKind.REDIS_LOSES, FaultKind.REDIS_EMPTIED})
OF_LOSSES = frozenset({"escalation.rearmed", "sync.incident_gone", "store.emptied"})
"""Errors that only a loss of data explains."""

FREEZES = frozenset({FaultKind.PROCESS_FROZEN, FaultKind.PROCESS_SUSPENDED})
OF_FREEZES = frozenset({"loop.does_not_end"})
"""Errors that only a process that stood still explains."""

TOLD_AFTER_S = LOOK_EVERY_S * IDLE_FACTOR + 1
"""Within so much time, somebody tells of a loss."""


def judge_log(
    errors: Sequence[Line], possible: Collection[FaultKind], emptied_s: float | None = None, *, ended_s: float = inf
) -> Iterator[Verdict]:
    """*possible* are the faults that may have happened.

    *emptied_s*: Redis was emptied, and all replicas went on until *ended_s*. Not judged where that is too soon.
    """
    for at_s, process, line in errors:
        event = line["event"]
        is_of_loss = event in OF_LOSSES and not LOSSES & set(possible)
        is_of_freeze = event in OF_FREEZES and not FREEZES & set(possible)
        if event in MISTAKES or is_of_loss or is_of_freeze:
            yield "an error that nothing explains", f"at {at_s:.3f} {process}: {dict(line)}"
    if emptied_s is None or emptied_s + TOLD_AFTER_S > ended_s:
        return
    if not any(_tells_of_it(line, emptied_s) for line in errors):
        yield "a loss that nobody tells of", f"at {emptied_s:.3f}"


def _tells_of_it(line: Line, emptied_s: float) -> bool:
    at_s, _, fields = line
    return fields["event"] == "store.emptied" and emptied_s <= at_s <= emptied_s + TOLD_AFTER_S
