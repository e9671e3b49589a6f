"""What the one who pressed is told, by action and state."""

import pytest

from tests.support.clock import START_MS
from tests.support.factories import POLICY, make_incident
from versus_py.config import SlackConfig
from versus_py.incidents.actions import Action
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery
from versus_py.incidents.policies import made
from versus_py.incidents.transitions import acknowledge, escalate, resolve
from versus_py.interactions.answers import Standing, only_some_may, switched_off
from versus_py.systems import called
from versus_py.targets.slack.interactive import SlackMarkup, who_may
from versus_py.targets.slack.mrkdwn import date

STANDING = Standing(SlackMarkup(), called())
how_it_stands = STANDING.how_it_stands

ANA = Actor("Ana <Diaz>", "ana@example.com", {"slack": "U0ANA"})
BEN = Actor("ben", ids={"slack": "U0BEN"})
NOW = START_MS + 60_000
AT = date(NOW)


def changed(change):
    assert change is not None
    return change.incident


TRIGGERED = make_incident(title="Disk <!channel>\nfull")
ACKNOWLEDGED = changed(acknowledge(TRIGGERED, ANA, NOW))
RESOLVED = changed(resolve(TRIGGERED, Actor("alertmanager"), NOW))
ESCALATING = changed(escalate(TRIGGERED, ANA, NOW))
RECORD = Delivery(reference={"sys_id": "1"}, label="INC0010001", url="https://sn/INC1", synced_at_ms=NOW)
ESCALATED = replace(ESCALATING, deliveries={"servicenow": RECORD})
LATE_ACK = changed(acknowledge(ESCALATED, ANA, NOW))
CHANNEL_ONLY = make_incident(title="Disk <!channel>\nfull", policy=made(channels=POLICY.channels))


@pytest.mark.parametrize(
    ("action", "incident", "said"),
    [
        pytest.param(Action.ACKNOWLEDGE, ACKNOWLEDGED, f"*Ana &lt;Diaz&gt;* acknowledged it {AT}.", id="ack, acked"),
        pytest.param(Action.ACKNOWLEDGE, RESOLVED, f"*alertmanager* resolved it {AT}.", id="ack, resolved"),
        pytest.param(
            Action.ACKNOWLEDGE,
            LATE_ACK,
            f"*Ana &lt;Diaz&gt;* acknowledged it {AT}. It was escalated as <https://sn/INC1|INC0010001>.",
            id="ack, acked too late",
        ),
        pytest.param(Action.UNACKNOWLEDGE, TRIGGERED, "it is not acknowledged.", id="unack, triggered"),
        pytest.param(Action.UNACKNOWLEDGE, RESOLVED, f"*alertmanager* resolved it {AT}.", id="unack, resolved"),
        pytest.param(Action.RESOLVE, RESOLVED, f"*alertmanager* resolved it {AT}.", id="resolve, resolved"),
        pytest.param(Action.ESCALATE, RESOLVED, f"*alertmanager* resolved it {AT}.", id="escalate, resolved"),
        pytest.param(Action.ESCALATE, CHANNEL_ONLY, "it does not escalate.", id="escalate, never"),
        pytest.param(Action.ESCALATE, ESCALATING, "it is being escalated to ServiceNow already.", id="escalate, twice"),
        pytest.param(
            Action.ESCALATE,
            ESCALATED,
            "it has been escalated to ServiceNow as <https://sn/INC1|INC0010001>.",
            id="escalate, escalated",
        ),
        pytest.param(Action.SNOOZE, ACKNOWLEDGED, f"*Ana &lt;Diaz&gt;* acknowledged it {AT}.", id="snooze, acked"),
        pytest.param(Action.SNOOZE, RESOLVED, f"*alertmanager* resolved it {AT}.", id="snooze, resolved"),
        pytest.param(Action.SNOOZE, CHANNEL_ONLY, "it does not escalate.", id="snooze, never escalates"),
        pytest.param(Action.SNOOZE, ESCALATING, "it is being escalated to ServiceNow already.", id="snooze, late"),
    ],
)
def test_the_answer_says_how_it_stands(action, incident, said):
    assert how_it_stands(action, incident, BEN) == f"*Disk &lt;!channel&gt; full*: {said}"


def test_somebody_who_presses_twice_is_spoken_to_as_such():
    assert how_it_stands(Action.ACKNOWLEDGE, ACKNOWLEDGED, ANA).endswith(f": you acknowledged it {AT}.")


def test_an_incident_nobody_knows_is_said_to_be_over():
    assert STANDING.unknown(None).endswith("not known any more. It is over, and its time to be kept too.")


def test_after_a_loss_an_incident_nobody_knows_is_not_said_to_be_over():
    said = STANDING.unknown(NOW)

    assert f"Redis lost its data {AT}" in said
    assert "It is over" not in said


def test_an_endless_title_is_cut():
    incident = replace(ACKNOWLEDGED, title="<" * 5000)

    assert len(how_it_stands(Action.ACKNOWLEDGE, incident, BEN)) < 500


def test_who_may_not_act_hears_who_may():
    config = SlackConfig(allowed_users=tuple(f"U{number}" for number in range(12)), allowed_groups=("S1",))

    text = only_some_may(who_may(config))

    assert "<@U0>, <@U1>" in text
    assert text.endswith(" and 3 more.")
    assert "<!subteam^S1>" in only_some_may(who_may(SlackConfig(allowed_groups=("S1",))))


def test_an_action_that_is_switched_off_is_named():
    assert "escalating from Slack is switched off" in switched_off(Action.ESCALATE, "Slack")
