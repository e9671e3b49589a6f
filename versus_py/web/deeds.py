"""What people may ask for by the API and by the pages: checked, and made a decision.

Every method that reads what was said raises HTTPBadRequest with what is allowed.
"""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from versus_py.config import MAX_WAIT_MINUTES
from versus_py.engine.choices import Choices, UnknownChoice
from versus_py.engine.lifecycle import Decision, Lifecycle
from versus_py.incidents import transitions, triage
from versus_py.incidents.model import Actor, Incident, Status
from versus_py.incidents.transitions import COMMENT_MAX
from versus_py.incidents.triage import Route
from versus_py.targets import Called

NAME_MAX = 100
"""The most characters of the name of who acts."""


class Deeds:
    """The decisions. *called* tells what people call a target."""

    def __init__(self, lifecycle: Lifecycle, choices: Choices, called: Called) -> None:
        self._lifecycle = lifecycle
        self._choices = choices
        self._called = called

    def acknowledge(self, by: Actor) -> Decision:
        return lambda it, now_ms: transitions.acknowledge(it, by, now_ms)

    def unacknowledge(self, by: Actor) -> Decision:
        return lambda it, now_ms: transitions.unacknowledge(it, by, now_ms, self._lifecycle.policy_of)

    def resolve(self, said: Mapping[str, Any], by: Actor) -> Decision:
        """With a `comment`, if there is one."""
        comment = _comment(said)
        return lambda it, now_ms: transitions.resolve(it, by, now_ms, comment)

    def comment(self, said: Mapping[str, Any], by: Actor) -> Decision:
        """Its `text`."""
        text = _comment_text(said)
        return lambda it, now_ms: transitions.comment(it, text, by, now_ms)

    def escalate(self, by: Actor) -> Decision:
        return lambda it, now_ms: transitions.escalate(it, by, now_ms, self._lifecycle.policy_of)

    def snooze(self, said: Mapping[str, Any], by: Actor) -> Decision:
        """For so many `minutes`."""
        snooze_ms = round(_minutes(said) * 60_000)
        return lambda it, now_ms: transitions.snooze(it, now_ms + snooze_ms, by, now_ms)

    def set_severity(self, said: Mapping[str, Any], by: Actor) -> Decision:
        """To the `severity` that is named."""
        try:
            severity = self._choices.severity(_text(said, "severity"))
        except UnknownChoice as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        return lambda it, now_ms: triage.set_severity(it, severity, by, now_ms, self._lifecycle.policy_of)

    def route_of(self, said: Mapping[str, Any]) -> Route:
        """To a `policy`, a `channel`, or both."""
        try:
            return self._choices.route(_text(said, "policy"), _text(said, "channel"))
        except UnknownChoice as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None

    def route(self, to: Route, by: Actor) -> Decision:
        return lambda it, now_ms: triage.route(it, to, by, now_ms, self._lifecycle.policy_of)

    def why_not_escalated(self, incident: Incident) -> str:
        """What is in the way of an escalation that did not begin; "" when nothing is but how the incident stands."""
        if not incident.has_open_record:
            return ""
        name, label = self._called(incident.escalated_to), incident.record.label
        return f"it has escalated to {name} as {label}, which is not over"

    def why_not_routed(self, incident: Incident, to: Route) -> str:
        """The same of a route that was not taken."""
        if incident.status is Status.RESOLVED or to.is_taken_by(incident):
            return ""
        return f"no step of its policy notifies {to.channel}: name a policy that does"


def _minutes(said: Mapping[str, Any]) -> float:
    value = said.get("minutes", "")
    try:
        minutes = math.nan if isinstance(value, bool) else float(value)  # Python takes True for 1
    except (TypeError, ValueError):
        minutes = math.nan
    if not 0 < minutes <= MAX_WAIT_MINUTES:
        raise web.HTTPBadRequest(text=f"say for how long: minutes, more than 0 and up to {MAX_WAIT_MINUTES}")
    return minutes


def _text(said: Mapping[str, Any], name: str) -> str:
    """What is said by that *name*; "" where nothing is."""
    text = said.get(name) or ""
    if not isinstance(text, str):
        raise web.HTTPBadRequest(text=f"{name} is not a text")
    return text.strip()


def _comment(said: Mapping[str, Any]) -> str:
    comment = said.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > COMMENT_MAX:
        raise web.HTTPBadRequest(text=f"comment is not a text of up to {COMMENT_MAX} characters")
    return comment.strip()


def _comment_text(said: Mapping[str, Any]) -> str:
    text = said.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > COMMENT_MAX:
        raise web.HTTPBadRequest(text=f"say what: text, 1 to {COMMENT_MAX} characters")
    return text.strip()
