"""What people see of the simulated systems while a load is played."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

from tests.faults.world import World

LOOK_EVERY_S = 0.3


class Seen:
    """The messages, and the records. *patience_s* is how long people wait for one."""

    def __init__(self, world: World[Any], *, patience_s: float) -> None:
        self._world = world
        self._patience_s = patience_s
        self.messages: dict[str, dict[str, Any]] = {}  # incident -> its message
        self.recorded: set[str] = set()  # incidents that have a record

    async def follow(self) -> None:
        """Look again and again, until this is cancelled."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                for message in (await self._world.slack.state())["messages"]:
                    about = (message["metadata"] or {}).get("event_payload", {}).get("incident")
                    if about and not message["thread_ts"]:
                        self.messages[about] = message
                self.recorded.update(record["correlation_id"] for record in await self._world.records())
            await asyncio.sleep(LOOK_EVERY_S)

    async def has_message(self, incident_id: str) -> bool:
        """Wait for it; whether it came."""
        return await self._comes_true(lambda: incident_id in self.messages)

    async def has_record(self, incident_id: str) -> bool:
        """Wait for it; whether it came."""
        return await self._comes_true(lambda: incident_id in self.recorded)

    async def _comes_true(self, condition: Callable[[], bool]) -> bool:
        deadline_s = time.monotonic() + self._patience_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(0.05)
        return True
