"""The form for a comment on a resolve: what Slack opens, and what comes back.

Source: docs.slack.dev/surfaces/modals and …/reference/interaction-payloads/view-interactions-payload.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from slack_sdk.models.blocks import InputBlock, PlainTextInputElement, PlainTextObject, SectionBlock
from slack_sdk.models.views import View

from versus_py.errors import BadPayload
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.transitions import COMMENT_MAX
from versus_py.targets.slack.mrkdwn import shorten

CALLBACK_ID = "versus_resolve"

TITLE_MAX = 300

_COMMENT = "comment"
_INCIDENT = re.compile(r"[!-~]{1,255}")
_CHANNEL = re.compile(r"[A-Z0-9]{1,40}")


@dataclass(frozen=True, slots=True)
class Submitted:
    """What somebody wrote, and about what; *channel* is where the form was asked for."""

    incident_id: IncidentId
    channel: str
    comment: str


def resolve_form(incident: Incident, channel: str) -> dict[str, Any]:
    """The view to open."""
    title = shorten(" ".join(incident.title.split()), TITLE_MAX)
    comment = InputBlock(
        block_id=_COMMENT,
        label="Why is it over?",
        hint="In the thread, the timeline, and the close notes of the record.",
        element=PlainTextInputElement(action_id=_COMMENT, multiline=True, max_length=COMMENT_MAX),
        optional=True,
    )
    view = View(
        type="modal",
        callback_id=CALLBACK_ID,
        title="Resolve the incident",
        submit="Resolve",
        close="Cancel",
        private_metadata=orjson.dumps({"incident": incident.id, "channel": channel}).decode(),
        blocks=[SectionBlock(text=PlainTextObject(text=title)), comment],
    )
    found: dict[str, Any] = view.to_dict()
    return found


def read_submitted(view: Mapping[str, Any]) -> Submitted | None:
    """What a form that was sent says; None where it is none of ours. Raises BadPayload."""
    if view.get("callback_id") != CALLBACK_ID:
        return None
    try:
        about = orjson.loads(view["private_metadata"])
        incident_id, channel = about["incident"], about["channel"]
        comment = view["state"]["values"][_COMMENT][_COMMENT].get("value") or ""
        is_right = bool(_INCIDENT.fullmatch(incident_id) and _CHANNEL.fullmatch(channel))
        found = Submitted(IncidentId(incident_id), channel, comment.strip()[:COMMENT_MAX])
    except (KeyError, TypeError, AttributeError, ValueError):
        is_right = False
    if not is_right:
        raise BadPayload("the view is not what Slack sends of the form that was opened")
    return found
