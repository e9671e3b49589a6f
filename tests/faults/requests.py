"""The load's requests: sent until they are answered, and each attempt written down with what came of it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import aiohttp

from tests.faults.journal import Answer, Did, Event, Journal
from tests.faults.stories import Hindrance, Plan
from tests.faults.world import World

REQUEST_TIMEOUT_S = 10.0
PAUSE_S = 0.3
PAUSE_MAX_S = 3.0
"""How long a sender waits until it tries again: at first, and at most."""

_WITH_A_WAIT = (Did.TRIGGER, Did.GIVE_BACK, Did.JOIN, Did.SNOOZE, Did.END_FOR_ONE)
"""What is answered with when the alert escalates."""


class Requests:
    """Sends them to any replica. *patience_s* is how long one is tried."""

    def __init__(self, world: World[Any], dice: random.Random, journal: Journal, *, patience_s: float) -> None:
        self._world = world
        self._dice = dice
        self._journal = journal
        self._patience_s = patience_s

    async def insist(self, plan: Plan, did: Did, path: str, body: Any) -> Event | None:
        """As Alertmanager does: again and again. The attempt that was taken; None when none was."""

        async def attempt() -> Event:
            replica = self._dice.choice(self._world.replicas)
            return await self.post(plan, did, f"{replica.url}{path}", body)

        return await self.repeated(attempt)

    async def repeated(self, attempt: Callable[[], Awaitable[Event]]) -> Event | None:
        """Until it is taken or refused, or patience is over."""
        deadline_s = time.monotonic() + self._patience_s
        pause_s = PAUSE_S
        while time.monotonic() < deadline_s:
            event = await attempt()
            if event.answer is not Answer.UNKNOWN:
                return event if event.answer is Answer.TAKEN else None
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 1.5)
        return None

    async def post(self, plan: Plan, did: Did, url: str, body: Any) -> Event:
        """One attempt."""
        sent_ms = now_ms()
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        is_late = False
        said: Any = {}
        try:
            async with self._world.session.post(url, json=body, timeout=timeout) as response:
                said = await response.json(content_type=None)
                answer, detail = _answer(response.status, said), f"{response.status} {said}"[:200]
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            answer, detail, is_late = Answer.UNKNOWN, repr(exc), isinstance(exc, TimeoutError)
        event = Event(
            did,
            plan.name,
            sent_ms,
            now_ms(),
            answer,
            wait_ms=round(plan.wait_s * 1000) if did in _WITH_A_WAIT else 0,
            lasts_ms=round(plan.ack_lasts_s * 1000) if did is Did.ACKNOWLEDGE else 0,
            **_told(did, said if answer is Answer.TAKEN else {}),
            may_come_late=is_late,
            is_hindered=plan.hindrance is not Hindrance.NONE,
            opens_ms=plan.opens_ms,
            detail="" if answer is Answer.TAKEN else detail,
        )
        self._journal.add(event)
        return event


def _answer(status: int, said: Any) -> Answer:
    """A press is answered 200 by the simulator, with how the app answered it."""
    if status == 200 and isinstance(said, dict) and "trouble" in said:
        status = said["status"] or 503
    if status < 300:
        return Answer.TAKEN
    return Answer.UNKNOWN if status >= 500 else Answer.REFUSED


def _told(did: Did, said: Any) -> dict[str, Any]:
    """What the answer tells of the incident. Those to links and presses are made for people."""
    [incident, *_] = said.get("incidents") or [said]
    told: dict[str, Any] = {"incident_id": incident.get("id") or ""}
    if did in _WITH_A_WAIT:
        told["escalates_at_ms"] = _ms(incident.get("escalates_at"))
    if did is Did.ACKNOWLEDGE:
        told["lasts_until_ms"] = _ms(incident.get("acknowledged_until"))
    return told


def _ms(moment: str | None) -> int | None:
    return None if moment is None else round(datetime.fromisoformat(moment).timestamp() * 1000)


def now_ms() -> int:
    return time.time_ns() // 1_000_000
