"""What a thread was told once, it is not told again."""

from tests.support.clock import START_MS
from tests.support.factories import make_incident
from versus_py.config import SlackConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident
from versus_py.incidents.transitions import begin_step
from versus_py.systems import called
from versus_py.targets.slack.thread import Told, reply_of

DUE = START_MS + 5 * 60_000


def escalating(*, began_ms: int = DUE, is_refused: bool) -> Incident:
    change = begin_step(make_incident(), began_ms)
    assert change
    delivery = Delivery(error="401", is_refused=is_refused, failing_since_ms=began_ms)
    return replace(change.incident, deliveries={"servicenow": delivery})


def said(incident: Incident, told: Told) -> str:
    reply = reply_of(incident, told, SlackConfig(), called())
    return "" if reply is None else reply.text


def test_an_escalation_that_is_held_up_again_after_another_failure_is_told_once():
    told = Told()
    assert "being retried" in said(escalating(is_refused=True), told)

    for is_refused in (True, False, True):
        told = told.with_all(escalating(is_refused=is_refused), "slack")

        assert said(escalating(is_refused=True), told) == ""


def test_the_next_escalation_that_is_held_up_is_told():
    told = Told().with_all(escalating(is_refused=True), "slack").with_all(escalating(is_refused=False), "slack")

    assert "being retried" in said(escalating(began_ms=DUE + 60_000, is_refused=True), told)
