"""A request that is sent until somebody answers it: by Alertmanager, or by a person who tries again."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.history import Act, Did
from tests.simulation.network import Answer, Lost
from tests.simulation.world import World

PATIENCE_S = 600.0
PAUSE_S, PAUSE_MAX_S = 0.3, 5.0
"""How long a sender waits until it tries again: at first, and at most."""

IN_FLIGHT_S = 7.0
"""What a replica had sent to Redis when it died, or stopped waiting, arrives this much later at most."""

UNAUTHORIZED, SERVER_ERROR = 401, 500


@dataclass(frozen=True, slots=True)
class Request:
    """*body* is JSON, or bytes that were signed with *headers*."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Insistence:
    """Sends requests to any replica, and notes between when they had their effect."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world = world
        self._dice = dice
        self._on_their_way = 0

    @property
    def is_busy(self) -> bool:
        return self._on_their_way > 0

    async def send(self, did: Did, prepare: Callable[[], Request | None]) -> Act:
        """What came of it, when no attempt can have an effect any more; without a status after PATIENCE_S.

        *prepare* makes the request of each attempt; None when there is nothing to try any more.
        """
        self._on_their_way += 1
        try:
            return await self._send(did, prepare)
        finally:
            self._on_their_way -= 1

    async def _send(self, did: Did, prepare: Callable[[], Request | None]) -> Act:
        sent_ms = self._world.now_ms()
        overs: list[asyncio.Event] = []
        pause_s, status, said = PAUSE_S, None, {}
        while self._world.now_ms() < sent_ms + PATIENCE_S * 1000:
            request = prepare()
            if request is None:
                break
            answer = await self._attempt(request, overs)
            if answer is not None and not _is_tried_again(request, answer):
                status, said = answer.status, answer.data if isinstance(answer.data, dict) else {}
                break
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 1.5)
        answered_ms = self._world.now_ms()
        if not self._world.knobs.wild:
            await _are_over(overs)
        over_ms = self._world.now_ms()
        return Act(did, sent_ms, answered_ms, over_ms, status, said, attempts=len(overs))

    async def _attempt(self, request: Request, overs: list[asyncio.Event]) -> Answer | None:
        """The answer; None without one."""
        replica = self._dice.choice(self._world.replicas)
        try:
            answer, is_over = await self._world.request(
                replica, request.method, request.path, body=request.body, headers=request.headers
            )
        except Lost as lost:
            overs.append(lost.is_over)
            return None
        overs.append(is_over)
        return answer


def _is_tried_again(request: Request, answer: Answer) -> bool:
    """Also a press that the service took for one of another time: Slack shows that it failed."""
    is_press = isinstance(request.body, bytes)
    return answer.status >= SERVER_ERROR or (is_press and answer.status == UNAUTHORIZED)


async def _are_over(overs: Sequence[asyncio.Event]) -> None:
    """No attempt can have an effect any more."""
    for over in overs:
        await over.wait()
    if len(overs) > 1:
        await asyncio.sleep(IN_FLIGHT_S)
