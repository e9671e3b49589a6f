"""The judgment of the log finds what it is there for, and nothing else."""

from typing import Any

import pytest

from tests.simulation.knobs import FaultKind
from tests.simulation.log_judgments import TOLD_AFTER_S, judge_log

_EMPTIED = (30.0, "replica-0.1", {"event": "store.emptied"})


def _error(event: str) -> Any:
    return (1.0, "replica-0.1", {"event": event})


@pytest.mark.parametrize(
    "event", ["sync.crashed", "request.crashed", "escalation.rearmed", "store.emptied", "loop.does_not_end"]
)
def test_an_error_that_no_fault_explains_is_found(event: str) -> None:
    [(what, _)] = judge_log([_error(event)], {FaultKind.REDIS_DOWN})

    assert what == "an error that nothing explains"


def test_what_a_fault_explains_is_right() -> None:
    assert [*judge_log([_error("escalation.rearmed"), _error("sync.failed")], {FaultKind.REDIS_LOSES})] == []


@pytest.mark.parametrize("emptied_s", [30.1, 30.0 - TOLD_AFTER_S - 1], ids=["told before", "told too late"])
def test_a_loss_that_nobody_tells_of_is_found(emptied_s: float) -> None:
    [(what, _)] = judge_log([_EMPTIED], {FaultKind.REDIS_EMPTIED}, emptied_s)

    assert what == "a loss that nobody tells of"


def test_a_loss_that_nobody_had_the_time_to_notice_is_right() -> None:
    ended_s = 30.0 + TOLD_AFTER_S

    assert [*judge_log([], {FaultKind.REDIS_EMPTIED}, 30.5, ended_s=ended_s)] == []
    assert [*judge_log([], {FaultKind.REDIS_EMPTIED}, 29.5, ended_s=ended_s)] != []


def test_a_loss_that_is_told_is_right() -> None:
    assert [*judge_log([_EMPTIED], {FaultKind.REDIS_EMPTIED}, 20.0)] == []
