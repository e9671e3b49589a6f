"""Slack's clock, asked for now and then: presses are signed by it, whether or not there is anything to post."""

import asyncio
from contextlib import suppress

from versus_py.errors import Transient
from versus_py.targets.slack.api import Refused, SlackApi

EVERY_S = 600.0
TIMEOUT_S = 3.0
"""As long as the word to stop may have to wait for an answer."""


async def watch_clock(api: SlackApi, stop: asyncio.Event) -> None:
    """Until *stop*. Whatever Slack answers says what time it is."""
    while not stop.is_set():
        with suppress(Transient, Refused, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                await api.post("auth.test")
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await stop.wait()
