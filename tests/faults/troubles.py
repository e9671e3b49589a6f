"""What goes wrong with the systems around the engine, other than that they are away: they refuse, are full, or lie."""

import asyncio
import random
from typing import Any

from tests.faults.scenario import Trouble
from tests.faults.world import World

CREATE = {"method": "POST", "path": "/api/now/table/incident"}
HOUR_S = 3600


async def for_ever() -> None:
    await asyncio.sleep(HOUR_S)


async def lose_replies(world: World[Any], _: random.Random) -> None:
    """To the first records and messages."""
    await world.servicenow.fault(kind="lost_reply", times=10, **CREATE)
    await world.slack.fault(kind="lost_reply", times=3, path="/api/chat.postMessage")
    await for_ever()


def refuse_credentials(seconds: float) -> Trouble[Any]:
    """ServiceNow's, for so long; then they are accepted again."""

    async def trouble(world: World[Any], _: random.Random) -> None:
        await world.servicenow.fault(kind="401", times=None)
        await asyncio.sleep(seconds)
        await world.servicenow.repair()
        await for_ever()

    return trouble
