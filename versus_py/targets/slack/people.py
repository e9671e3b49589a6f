"""Who somebody in Slack is: what `users.info` tells of a person, in bounds."""

import re
from collections.abc import Mapping
from typing import Any

import structlog

from versus_py.config import SlackConfig
from versus_py.incidents.model import Actor
from versus_py.targets.slack.api import Refused, SlackApi
from versus_py.targets.slack.scopes import USERS

log = structlog.get_logger()

NAME_MAX = 100
EMAIL_MAX = 254

KEEP_MS = 24 * 3600 * 1000
"""People change their names now and then."""

KEEP_HANDLE_MS = 3600 * 1000
"""Of whom Slack would tell more with a scope that is missing: when it is added, names should show soon."""

# Those of whom Slack will tell nothing more tomorrow either.
_NOT_TOLD = frozenset(["user_not_found", "user_not_visible", "users_not_found"])
EMAIL = re.compile(r"[^\s@<>|]+@[^\s@<>|]+")


class People:
    """Slack's people, asked for one by one."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api
        self._is_scope_missing = False

    async def describe(self, so_far: Actor) -> tuple[Actor, int]:
        """Who that is, and for how many ms to believe it; *so_far* itself where Slack does not tell.

        Raises Transient and Permanent.
        """
        try:
            reply = await self._api.get("users.info", user=so_far.ids[SlackConfig.NAME])
        except Refused as exc:
            if exc.code == "missing_scope":
                self._tell_missing_scope(exc)
                return so_far, KEEP_HANDLE_MS
            if exc.code not in _NOT_TOLD:
                raise
            return so_far, KEEP_MS
        self._is_scope_missing = False
        return read_person(reply.get("user"), so_far), KEEP_MS

    def _tell_missing_scope(self, exc: Refused) -> None:
        if not self._is_scope_missing:
            self._is_scope_missing = True
            scope = exc.needed or USERS
            log.info("slack.names_unknown", advice=f"with the scope {scope}, people are shown by their full names")


def read_person(user: Any, so_far: Actor) -> Actor:
    """The user object of users.info; what it does not tell is as it was."""
    told = user if isinstance(user, Mapping) else {}
    found = told.get("profile")
    profile = found if isinstance(found, Mapping) else {}
    name = short_name(profile.get("real_name"), profile.get("display_name"), told.get("real_name"), told.get("name"))
    email = profile.get("email")
    is_address = isinstance(email, str) and len(email) <= EMAIL_MAX and email.isprintable() and EMAIL.fullmatch(email)
    return Actor(name or so_far.name, email if is_address and email else so_far.email, so_far.ids)


def short_name(*candidates: Any) -> str:
    """The first that says something, as one line of printable text; "" when none does. People choose them freely."""
    for it in candidates:
        words = (
            "".join(char if char.isprintable() else " " for char in it[:1000]).split() if isinstance(it, str) else []
        )
        if words:
            return " ".join(words)[:NAME_MAX].rstrip()
    return ""
