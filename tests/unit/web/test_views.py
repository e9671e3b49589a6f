"""What the API says of an incident's escalation."""

import orjson
import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident, make_policy
from tests.support.openapi import faults
from versus_py.incidents.copies import replace
from versus_py.incidents.policies import Policy, Step
from versus_py.web.api.views import detail, escalates_at, rfc3339, summary

MINUTE_MS = 60_000
OPENS_MS = START_MS + 60 * MINUTE_MS
CHANNELS = Policy(name="low", steps=(Step(("slack",)), Step(("slack:leads",), 10 * MINUTE_MS, mention="<!here>")))
RECORD = Policy(name="tickets", steps=(Step(("servicenow",)),), providers=("servicenow",))


def held(policy):
    return make_incident(policy=replace(policy, opens_at_ms=OPENS_MS))


@pytest.mark.parametrize(
    ("incident", "at_ms"),
    [
        pytest.param(make_incident(), START_MS + 5 * MINUTE_MS, id="after the wait"),
        pytest.param(make_incident(policy=make_policy(oncall=None)), None, id="never"),
        pytest.param(held(CHANNELS), OPENS_MS + 10 * MINUTE_MS, id="held, with a channel first"),
        pytest.param(
            make_incident(
                policy=replace(CHANNELS, steps=(Step(("slack",), MINUTE_MS), Step(("slack:leads",), MINUTE_MS)))
            ),
            START_MS + 2 * MINUTE_MS,
            id="a first step that waits",
        ),
        pytest.param(held(RECORD), OPENS_MS, id="held, with a provider first"),
        pytest.param(held(Policy(steps=(Step(("slack",)),))), None, id="held, and only a channel is told"),
    ],
)
def test_it_escalates_when_somebody_is_told_as_nobody_acknowledged(incident, at_ms):
    assert escalates_at(incident) == rfc3339(at_ms)


def test_an_answer_tells_the_steps_and_is_as_it_is_described():
    shown = orjson.loads(orjson.dumps(detail(make_incident(policy=CHANNELS), ())))

    assert faults({"$ref": "#/components/schemas/IncidentDetail"}, shown) == []
    assert [it["states"] for it in shown["policy"]["steps"]] == [{"slack": "pending"}, {"slack:leads": "pending"}]
    assert [it["mention"] for it in shown["policy"]["steps"]] == [None, "<!here>"]
    assert shown["policy"]["steps"][1]["due_at"] == shown["next"]["due_at"] == rfc3339(START_MS + 10 * MINUTE_MS)


def test_a_list_says_the_step_and_the_next_one_or_until_when_it_is_held():
    waiting, held_back = summary(make_incident(policy=CHANNELS)), summary(held(CHANNELS))

    assert waiting["step"] == {"step": 1, "steps": 2, "round": 1, "rounds": 1}
    assert waiting["next"]["targets"] == ("slack:leads",)
    assert waiting["held_until"] is None
    assert held_back["step"] is None
    assert held_back["held_until"] == held_back["next"]["due_at"] == rfc3339(OPENS_MS)
