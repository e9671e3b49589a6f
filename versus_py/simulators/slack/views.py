"""Modals: who opened which, and what people write in them.

Source: docs.slack.dev/surfaces/modals and …/reference/methods/views.open.
"""

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from versus_py.simulators.slack.answers import Arguments, SlackError
from versus_py.simulators.slack.blocks import options_of
from versus_py.simulators.slack.messages import APP_ID, BOT_ID, TEAM_DOMAIN, TEAM_ID, User
from versus_py.simulators.slack.validation import read_view

TRIGGER_LIFE_S = 3.0  # docs.slack.dev/interactivity/handling-user-interaction: trigger_ids expire in three seconds

Values = dict[str, dict[str, str | None]]
"""What was written, by block and action."""


@dataclass(frozen=True, slots=True)
class OpenView:
    """A modal that *user* sees."""

    id: str
    user: str
    view: dict[str, Any]

    def described(self, values: Values | None = None) -> dict[str, Any]:
        """As the API and payloads describe it."""
        return self.view | {
            "id": self.id,
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "bot_id": BOT_ID,
            "root_view_id": self.id,
            "state": {"values": self._state(values or {})},
        }

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The blocks that take something in."""
        return [block for block in self.view["blocks"] if block["type"] == "input"]

    def _state(self, values: Values) -> dict[str, Any]:
        return {block["block_id"]: {block["element"]["action_id"]: _value(block, values)} for block in self.inputs}


def _value(block: dict[str, Any], values: Values) -> dict[str, Any]:
    element = block["element"]
    kind = str(element["type"])
    written = values.get(block["block_id"], {}).get(element["action_id"]) or None
    if kind == "static_select":
        chosen = next((it for it in options_of(element) if it["value"] == written), None)
        return {"type": kind, "selected_option": chosen and {name: chosen[name] for name in ("text", "value")}}
    return {"type": kind, "selected_conversation" if kind == "conversations_select" else "value": written}


class Views:
    """The modals of a workspace, one for each person at most. *now_s* is unix time."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._numbers = itertools.count(1)
        self._triggers: dict[str, tuple[str, float]] = {}  # trigger_id -> whose it is, and until when
        self._used: set[str] = set()
        self.open: dict[str, OpenView] = {}  # by the user

    def new_trigger(self, user: str) -> str:
        """What a press of *user* allows the app to open a modal with, once and soon."""
        trigger_id = f"{next(self._numbers)}.{int(self._now_s())}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = user, self._now_s() + TRIGGER_LIFE_S
        return trigger_id

    def take(self, arguments: Arguments) -> dict[str, Any]:
        """views.open."""
        view = read_view(arguments.get("view"))
        trigger_id = str(arguments.get("trigger_id", ""))
        user, until_s = self._triggers.get(trigger_id, ("", 0.0))
        if not user:
            raise SlackError("invalid_trigger_id")
        if trigger_id in self._used:
            raise SlackError("exchanged_trigger_id")
        if self._now_s() > until_s:
            raise SlackError("expired_trigger_id")
        self._used.add(trigger_id)
        opened = self.open[user] = OpenView(f"V{next(self._numbers):08d}", user, view)
        return {"view": opened.described()}

    def submission(self, view: OpenView, user: User, values: Values) -> dict[str, Any]:
        """The view_submission payload."""
        return {
            "type": "view_submission",
            "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
            "user": {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID},
            "api_app_id": APP_ID,
            "token": "deprecated",
            "trigger_id": self.new_trigger(user.id),
            "view": view.described(values),
            "response_urls": [],
            "is_enterprise_install": False,
        }

    def clear(self) -> None:
        self._triggers.clear()
        self._used.clear()
        self.open.clear()
