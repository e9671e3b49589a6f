"""A mixed load: alerts fire, are told of again, acknowledged, given back, snoozed, and resolve.

They are acknowledged by the API, by the button, and by the link. Some are listed by two senders, some are joined by
others, and some come by another name of their group.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.faults.deeds import Begun, Deeds
from tests.faults.journal import Answer, Did, Event, Journal
from tests.faults.payloads import Listed
from tests.faults.requests import Requests, now_ms
from tests.faults.seen import Seen
from tests.faults.stories import Deed, Plan, When
from tests.faults.world import World

PATIENCE_S = 90.0
"""How long senders go on trying, and people go on looking."""


class Load:
    """Plays plans, and writes down what came of each request."""

    def __init__(self, world: World[Any], *, seed: int, patience_s: float = PATIENCE_S) -> None:
        print(f"seed {seed}")
        self._dice = random.Random(seed)
        self.journal = Journal(world.folder / "journal.jsonl")
        self._seen = Seen(world, patience_s=patience_s)
        requests = Requests(world, self._dice, self.journal, patience_s=patience_s)
        self._deeds = Deeds(world, requests, self._seen, self._dice)
        self._firing: dict[Plan, Listed] = {}  # what nobody ends

    async def run(self, plans: Sequence[Plan]) -> list[Event]:
        """Until every plan has been played to its end; the journal."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._seen.follow())
            async with asyncio.TaskGroup() as stories:
                for plan in plans:
                    stories.create_task(self._play(plan))
            looking.cancel()
        print(Counter(f"{it.did}: {it.answer}" for it in self.journal.events))
        return self.journal.events

    async def list_again(self) -> list[Event]:
        """All that fires, as Alertmanager does it hours later; the journal."""
        async with asyncio.TaskGroup() as listing:
            for plan, alert in self._firing.items():
                listing.create_task(self._deeds.list(plan, Did.TRIGGER, [alert]))
        return self.journal.events

    async def _play(self, plan: Plan) -> None:
        await asyncio.sleep(plan.starts_after_s)
        alert = Listed(plan.name, datetime.now(UTC))
        if plan.deed is not Deed.RESOLVE:
            self._firing[plan] = alert
        taken = await self._deeds.list(plan, Did.TRIGGER, [alert])
        if taken is not None and await self._comes(plan, taken.incident_id):
            await self._deeds.do(Begun(plan, alert, taken.incident_id))

    async def _comes(self, plan: Plan, incident_id: str) -> bool:
        """Wait for the moment, just after the alert was taken; whether it came."""
        match plan.when:
            case When.EARLY:
                await asyncio.sleep(plan.wait_s * self._dice.uniform(0.1, 0.4))
            case When.AT_THE_END:
                await asyncio.sleep(plan.wait_s + self._dice.uniform(-0.15, 0.15))
            case When.AFTER_THE_RECORD:
                if not await self._seen.has_record(incident_id):
                    return False
                at_ms = now_ms()
                self.journal.add(Event(Did.SAW_RECORD, plan.name, at_ms, at_ms, Answer.TAKEN))
        return True
