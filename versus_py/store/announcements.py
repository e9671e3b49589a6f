"""Telling workers and pages which incidents have changed, and when the first timer of each is due.

A convenience: workers look by themselves every few seconds. So nobody waits until an announcement is made, and what
comes meanwhile goes with the next one.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId
from versus_py.store import batches, keys
from versus_py.store.calls import Call, RedisClient, load_script, run_all
from versus_py.store.changes import KEPT, NOT_DUE_MS

TIMEOUT_S = 1.0
"""How long one announcement may take: on a cluster, another node than that of the incident has it."""


class Announcements:
    """Those of this process, one after the other."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._announce = load_script(redis, "announce")
        self._due: dict[IncidentId, int] = {}
        self._sending: asyncio.Task[None] | None = None

    def make(self, due: Mapping[IncidentId, int | None]) -> None:
        """Have it announced that these have changed, and when the first timer of each is due; None: none is."""
        for incident_id, due_ms in due.items():
            known_ms = self._due.get(incident_id, NOT_DUE_MS)
            self._due[incident_id] = known_ms if due_ms is None else min(due_ms, known_ms)
        if self._due and not self._is_sending:
            self._sending = batches.start(self._redis, self._send())

    @property
    def _is_sending(self) -> bool:
        """Whether it goes on; a task of a loop that has ended never does."""
        sending = self._sending
        return sending is not None and not sending.done() and sending.get_loop() is asyncio.get_running_loop()

    async def _send(self) -> None:
        while self._due:
            due, self._due = self._due, {}
            told = [text for found in due.items() for text in found]
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(TIMEOUT_S):
                    await run_all(self._redis, [Call(self._announce, [keys.EVENTS], [KEPT, *told])])
