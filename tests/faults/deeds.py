"""How each deed is done: by which requests, one after the other. What was not taken ends it."""

import asyncio
import html
import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.faults.journal import Did, Event
from tests.faults.payloads import MOVED, OTHER_SENDER, SENDER, Listed, Sender
from tests.faults.requests import Requests
from tests.faults.seen import Seen
from tests.faults.stories import Deed, Hindrance, Plan
from tests.faults.world import SLOW_INSTANCE, World
from versus_py.incidents.copies import replace


@dataclass(frozen=True, slots=True)
class Begun:
    """A plan whose alert was taken."""

    plan: Plan
    alert: Listed
    incident_id: str

    @property
    def another(self) -> Listed:
        """One of its group that begins now."""
        return replace(self.alert, instance="db-2", starts_at=datetime.now(UTC))


class Deeds:
    """What people and senders do."""

    def __init__(self, world: World[Any], requests: Requests, seen: Seen, dice: random.Random) -> None:
        self._world = world
        self._requests = requests
        self._seen = seen
        self._dice = dice
        self._ways: Mapping[Deed, Callable[[Begun], Awaitable[object]]] = {
            Deed.NOTHING: self._nothing,
            Deed.REPEAT: self._repeat,
            Deed.ACKNOWLEDGE: self._acknowledge,
            Deed.PRESS: self._press,
            Deed.FOLLOW_THE_LINK: self._follow_the_link,
            Deed.GIVE_BACK: self._take_and_give_back,
            Deed.SNOOZE: self._snooze,
            Deed.RESOLVE: self._resolve,
            Deed.END_FOR_ONE: self._end_for_one,
            Deed.END_IN_ONE_CLUSTER: self._end_in_one_cluster,
            Deed.END_FOR_BOTH: self._end_for_both,
            Deed.REPLACE: self._replace,
            Deed.JOIN_GRAVER: self._join_graver,
            Deed.JOIN_NO_GRAVER: self._join_no_graver,
            Deed.ACKNOWLEDGE_WHAT_JOINS: self._acknowledge_what_joins,
            Deed.MOVE: self._move,
            Deed.MOVE_AND_RESOLVE: self._move_and_resolve,
            Deed.ACKNOWLEDGE_AND_REPEAT: self._acknowledge_and_repeat,
            Deed.ACKNOWLEDGE_AND_RESOLVE: self._acknowledge_and_resolve,
            Deed.RENEW: self._renew,
            Deed.TAKE_UP_AGAIN: self._take_up_again,
        }

    async def do(self, it: Begun) -> None:
        """That of its plan."""
        await self._ways[it.plan.deed](it)

    async def list(self, plan: Plan, did: Did, alerts: Sequence[Listed], sender: Sender = SENDER) -> Event | None:
        """What a sender says of a group; None when nobody took it."""
        query = f"oncall_wait_minutes={plan.wait_s / 60:.6f}&slack_channel_id={plan.channel}"
        if plan.hindrance is Hindrance.SLOW:
            query += f"&servicenow_other_instance={SLOW_INSTANCE}"
        return await self._requests.insist(plan, did, f"/api/incidents?{query}", sender.payload(alerts))

    async def _act(self, it: Begun, did: Did, action: str, **more: float) -> Event | None:
        """By the API."""
        path = f"/api/incidents/{it.incident_id}/{action}"
        return await self._requests.insist(it.plan, did, path, {"by": "ana", **more})

    async def _nothing(self, _: Begun) -> None:
        pass

    async def _repeat(self, it: Begun) -> None:
        for _ in range(4):
            await self.list(it.plan, Did.TRIGGER, [it.alert])
            await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0.2, 0.5))

    async def _acknowledge(self, it: Begun) -> Event | None:
        return await self._act(it, Did.ACKNOWLEDGE, "acknowledge")

    async def _press(self, it: Begun) -> None:
        """A person looks for the message, and presses until Slack shows no trouble."""
        if not await self._seen.has_message(it.incident_id):
            return

        async def press() -> Event:
            message = self._seen.messages[it.incident_id]
            where = {"channel": message["channel"], "ts": message["ts"], "action_id": "acknowledge", "user": "U0ANA"}
            return await self._requests.post(it.plan, Did.ACKNOWLEDGE, f"{self._world.slack.url}/control/press", where)

        await self._requests.repeated(press)

    async def _follow_the_link(self, it: Begun) -> None:
        """A person looks for the message, opens its link, and confirms; which replica that is, a balancer says."""
        if not await self._seen.has_message(it.incident_id):
            return
        message = html.unescape(json.dumps(self._seen.messages[it.incident_id]))
        [link, *_] = re.findall(r"(/api/ack/[^|\"\\]+)", message) or [""]
        await self._requests.insist(it.plan, Did.ACKNOWLEDGE, link, {})

    async def _take_and_give_back(self, it: Begun) -> None:
        if await self._acknowledge(it):
            await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0, 0.5))
            await self._act(it, Did.GIVE_BACK, "unacknowledge")

    async def _snooze(self, it: Begun) -> None:
        await self._act(it, Did.SNOOZE, "snooze", minutes=it.plan.wait_s / 60)

    async def _resolve(self, it: Begun) -> None:
        await self.list(it.plan, Did.RESOLVE, [it.alert.over])

    async def _end_for_one(self, it: Begun) -> None:
        """Independent senders have the same labels, and each its own start."""
        await self._is_over_for_one(it, replace(it.alert, starts_at=datetime.now(UTC)))

    async def _end_in_one_cluster(self, it: Begun) -> None:
        await self._is_over_for_one(it, it.another)

    async def _end_for_both(self, it: Begun) -> None:
        others = self._dice.choice([it.another, replace(it.alert, starts_at=datetime.now(UTC))])
        if await self._is_over_for_one(it, others):
            await self.list(it.plan, Did.RESOLVE, [others.over], OTHER_SENDER)

    async def _is_over_for_one(self, it: Begun, others: Listed) -> Event | None:
        """Another sender lists one too, and the first says that its own is over."""
        if not await self.list(it.plan, Did.TRIGGER, [others], OTHER_SENDER):
            return None
        await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0, 0.2))
        return await self.list(it.plan, Did.END_FOR_ONE, [it.alert.over])

    async def _replace(self, it: Begun) -> Event | None:
        """What was acknowledged ends in the same list in which another alert fires."""
        return await self._join(it, Did.JOIN, it.alert.over, it.another)

    async def _join_graver(self, it: Begun) -> None:
        await self._join(it, Did.JOIN, it.alert, replace(it.another, severity="critical"))

    async def _join_no_graver(self, it: Begun) -> None:
        """Whoever has acknowledged the group has this too."""
        await self._join(it, Did.TRIGGER, it.alert, it.another)

    async def _acknowledge_what_joins(self, it: Begun) -> None:
        if await self._replace(it):
            await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0, 0.5))
            await self._acknowledge(it)

    async def _join(self, it: Begun, did: Did, *alerts: Listed) -> Event | None:
        """These are listed after the first was acknowledged."""
        if not await self._acknowledge(it):
            return None
        await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0, 0.5))
        return await self.list(it.plan, did, alerts)

    async def _move(self, it: Begun) -> Sender | None:
        """Its sender calls the group something else; what, if that was taken."""
        sender = self._dice.choice(MOVED)
        return sender if await self.list(it.plan, Did.TRIGGER, [it.alert], sender) else None

    async def _move_and_resolve(self, it: Begun) -> None:
        if sender := await self._move(it):
            await asyncio.sleep(it.plan.wait_s * self._dice.uniform(0, 0.2))
            await self.list(it.plan, Did.RESOLVE, [it.alert.over], sender)

    async def _acknowledge_and_repeat(self, it: Begun) -> None:
        if await self._acknowledge(it):
            await self._repeat(it)

    async def _acknowledge_and_resolve(self, it: Begun) -> None:
        if await self._acknowledge(it):
            await asyncio.sleep(it.plan.ack_lasts_s * self._dice.uniform(0.2, 0.8))
            await self._resolve(it)

    async def _renew(self, it: Begun) -> None:
        if await self._acknowledge(it):
            await asyncio.sleep(it.plan.ack_lasts_s * self._dice.uniform(0.2, 0.8))
            await self._acknowledge(it)

    async def _take_up_again(self, it: Begun) -> None:
        if await self._acknowledge(it):
            await asyncio.sleep(it.plan.ack_lasts_s + it.plan.wait_s * self._dice.uniform(0.2, 0.6))
            if await self._acknowledge(it):
                await self._resolve(it)
