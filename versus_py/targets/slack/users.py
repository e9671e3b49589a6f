"""Slack's users by their e-mail addresses, for people who act elsewhere: `users.lookupByEmail`, cached.

Nothing waits for it for long, and nothing fails with it: who is not known is shown by name.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import structlog

from versus_py.clock import Clock
from versus_py.errors import Permanent, Transient
from versus_py.incidents.model import Incident
from versus_py.store import Rate
from versus_py.targets.slack.api import RateLimited, Refused, SlackApi
from versus_py.targets.slack.people import EMAIL, EMAIL_MAX, short_name
from versus_py.targets.slack.scopes import EMAILS
from versus_py.targets.slack.who import SlackUser, Who, addresses_in
from versus_py.targets.slack.wire import Wire

log = structlog.get_logger()

LOOKUPS = Rate(interval_ms=1_200, burst=20)
"""Tier 3, of users.lookupByEmail, in a workspace: about 50 a minute."""

LOOKING_UP = "lookups"

WITHIN_S = 1.0
"""The longest that a message waits for lookups."""

AT_ONCE_MAX = 5
"""The most people that are looked up for one message."""

CACHED_MAX = 1000

KNOWN_FOR_MS = 24 * 3600_000
"""People change their names now and then."""

NOT_FOUND_FOR_MS = 3600_000
"""Somebody may be invited to the workspace."""

FAILED_FOR_MS = 60_000
"""How long nobody is looked up after a lookup that failed."""

REFUSED_FOR_MS = 3600_000
"""The same where the app may not: when the scope is added, users should show soon."""

_ID = re.compile(r"[UW][A-Z0-9]{2,30}", re.ASCII)
_NOT_FOUND = frozenset(["users_not_found", "user_not_found", "user_not_visible"])


@dataclass(frozen=True, slots=True)
class _Known:
    user: SlackUser | None  # None: no user has the address
    until_ms: int


class Users:
    """Those of the workspace. No method raises what a request to Slack raises."""

    def __init__(self, api: SlackApi, wire: Wire, clock: Clock) -> None:
        self._api = api
        self._wire = wire
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._silent_until_ms = 0
        self._is_warned = False

    async def who(self, incident: Incident) -> Who:
        """What to call the people of *incident*. What is known for too long is used as long as Slack does not answer.

        Raises StoreUnavailable.
        """
        addresses = [it for it in addresses_in(incident) if len(it) <= EMAIL_MAX and EMAIL.fullmatch(it)]
        now_ms = self._clock.now_ms()
        outdated = [it for it in addresses if it not in self._known or self._known[it].until_ms <= now_ms]
        if outdated and now_ms >= self._silent_until_ms:
            await self._look_up(outdated[:AT_ONCE_MAX])
        users = ((it, self._known[it].user) for it in addresses if it in self._known)
        return Who({it: user for it, user in users if user is not None})

    async def _look_up(self, addresses: list[str]) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                for it in addresses:
                    # The name of the turn is kept in Redis: no address is.
                    turn = sha256(it.encode()).hexdigest()[:16]
                    if not await self._wire.take_at_once(LOOKING_UP, turn, LOOKUPS):
                        return
                    self._keep(it, await self._found(it))
        except RateLimited as exc:
            self._silent_until_ms = self._clock.now_ms() + round(exc.retry_after_s * 1000)
            await self._wire.hold_back(LOOKING_UP, LOOKUPS, exc.retry_after_s)
        except Refused as exc:
            self._note_refusal(exc)
        except (Transient, Permanent, TimeoutError) as exc:
            self._silent_until_ms = self._clock.now_ms() + FAILED_FOR_MS
            log.warning("slack.users_not_looked_up", error=str(exc) or "no answer in time")

    async def _found(self, email: str) -> SlackUser | None:
        try:
            reply = await self._api.get("users.lookupByEmail", email=email)
        except Refused as exc:
            if exc.code not in _NOT_FOUND:
                raise
            return None
        self._is_warned = False
        return read_user(reply.get("user"))

    def _keep(self, email: str, user: SlackUser | None) -> None:
        for_ms = NOT_FOUND_FOR_MS if user is None else KNOWN_FOR_MS
        self._known[email] = _Known(user, self._clock.now_ms() + for_ms)
        self._known.move_to_end(email)
        while len(self._known) > CACHED_MAX:
            self._known.popitem(last=False)

    def _note_refusal(self, exc: Refused) -> None:
        self._silent_until_ms = self._clock.now_ms() + REFUSED_FOR_MS
        if not self._is_warned:
            advice = exc.advice
            if exc.code == "missing_scope":
                scope = exc.needed or EMAILS
                advice = f"give the app the scope {scope} and install it again: who acts elsewhere is shown by name"
            log.warning("slack.users_unknown", error=f"Slack says {exc.code}", advice=advice)
        self._is_warned = True


def read_user(told: Any) -> SlackUser | None:
    """The user object of an answer; None for what is no person of the workspace any more."""
    if not isinstance(told, Mapping) or told.get("deleted") or told.get("is_bot"):
        return None
    user_id, found = told.get("id"), told.get("profile")
    profile = found if isinstance(found, Mapping) else {}
    if not isinstance(user_id, str) or not _ID.fullmatch(user_id):
        return None
    name = short_name(profile.get("real_name"), profile.get("display_name"), told.get("real_name"), told.get("name"))
    return SlackUser(user_id, name or user_id)
