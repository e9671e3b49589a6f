"""Beats at an address of their own: POST /api/heartbeats/NAME."""

from difflib import get_close_matches

from aiohttp import web

from versus_py.config import Config, ExpectedHeartbeat
from versus_py.incidents.heartbeats import Beat
from versus_py.incidents.policies import Asked
from versus_py.web.answers import json_answer
from versus_py.web.api.heartbeats import heartbeat_view
from versus_py.web.intake.beats import beat_of
from versus_py.web.intake.intake import Intake
from versus_py.web.intake.senders import Sender

LABEL_MAX = 200
"""The most characters of a label in the query."""


class HeartbeatsIntake:
    """Takes beats. What is in the body does not matter."""

    def __init__(self, config: Config, intake: Intake) -> None:
        self._expected = {it.name: it for it in config.heartbeats}
        self._intake = intake

    async def post(self, request: web.Request) -> web.Response:
        """201 when the beat is written down; 503 when it was not, and the sender should try again."""
        sender = self._intake.identify(request)
        sender.expect_heartbeats()
        expected = self._named(request.match_info["name"])
        known = await self._intake.take_beat(request, _beat(expected, request, sender))
        return json_answer({"status": "Heartbeat accepted", "heartbeat": heartbeat_view(expected, known)}, 201)

    def _named(self, name: str) -> ExpectedHeartbeat:
        """Raises 404."""
        found = self._expected.get(name)
        if found is None:
            close = get_close_matches(name, self._expected, n=1)
            hint = (
                f"did you mean {close[0]!r}?" if close else "the configuration names those that there are (heartbeats)"
            )
            raise web.HTTPNotFound(text=f"no heartbeat {name[:LABEL_MAX]!r}; {hint}")
        return found


def _beat(expected: ExpectedHeartbeat, request: web.Request, sender: Sender) -> Beat:
    """With the labels that tell it from others of its name, which the query has. Raises 400 without one of them."""
    labels = {label: request.query.get(label, "").strip() for label in expected.per}
    for label, value in labels.items():
        if not value or len(value) > LABEL_MAX:
            raise web.HTTPBadRequest(
                text=f"{expected.name!r} is one for each {label}: say which, ?{label}=… of 1 to {LABEL_MAX} characters"
            )
    return beat_of(expected, labels, Asked(policy=sender.policy), sender.name, sender.name or request.remote or "")
