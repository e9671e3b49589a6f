"""What a story makes of answers that name another incident: one deed, or several at once."""

from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.simulation.course import Course
from tests.simulation.history import Act, Did, Listed
from tests.simulation.knobs import Knobs
from tests.simulation.people import Story
from tests.simulation.waits import Rules

RULES = Rules(wait_ms=60_000)


def listed(at_ms: float, incident: str) -> Act:
    ends_at = datetime.fromtimestamp((at_ms + RULES.wait_ms) / 1000, UTC).isoformat()
    said = {"id": incident, "status": "triggered", "escalates_at": ends_at}
    return Act(Did.LIST, at_ms, at_ms + 10, at_ms + 10, 201, said, (Listed("db-1", "warning", at_ms),))


@pytest.fixture
def story() -> Story:
    """Of an incident that is triggered."""
    world = cast("Any", SimpleNamespace(knobs=Knobs("calm")))
    made = Story(world, cast("Any", None), "Alert0", RULES, Random(1))
    made.courses.append(Course(RULES))
    made.course.take(listed(1000, "i-0"))
    return made


def test_another_incident_is_a_problem(story: Story) -> None:
    story._take_together(listed(2000, "i-1"), listed(2001, "i-1"))

    assert [what for what, _ in story.courses[0].problems] == ["another incident"]


def test_another_incident_is_none_after_redis_was_emptied(story: Story) -> None:
    story.put_in_doubt("Redis was emptied")

    story._take_together(listed(2000, "i-1"), listed(2001, "i-1"))

    assert [(it.id, it.doubt, it.problems) for it in story.courses] == [
        ("i-0", "Redis was emptied", []),
        ("i-1", "Redis was emptied", []),
    ]
