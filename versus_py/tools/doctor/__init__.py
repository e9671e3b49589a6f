"""`versus doctor`: looks at everything that an escalation needs, and says what to do about what is not in order.

What a remote system offers is looked at by its own checks; the rest has a module here, and its line in `diagnose`.
"""

import asyncio
from dataclasses import replace
from functools import partial

import aiohttp

from versus_py import __version__
from versus_py.clock import SystemClock
from versus_py.config import Config
from versus_py.systems import registered
from versus_py.targets.check import Check, CheckStatus, Examination
from versus_py.targets.system import Examined
from versus_py.telemetry.logs import Redactor
from versus_py.tools.doctor import alertmanager, heartbeats, incidents, public_host, redis, templates
from versus_py.tools.doctor.incidents import stored_incidents
from versus_py.tools.doctor.running import DEADLINE_S, run_examinations

__all__ = ["Check", "CheckStatus", "diagnose"]


async def diagnose(
    config: Config, *, post_test: bool = False, create_test_record: bool = False, deadline_s: float = DEADLINE_S
) -> list[Check]:
    """Look at everything at once; no check takes longer than *deadline_s*, and none says a secret.

    Nothing is changed anywhere, but that *post_test* posts a message to each channel, and *create_test_record*
    creates a record at each on-call provider and cancels it.
    """
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=0.8 * deadline_s),  # so that it is told which request it was
        headers={"User-Agent": f"versus_py/{__version__}"},
    ) as session:
        reading = asyncio.Lock()
        examined = Examined(
            config=config,
            clock=await redis.shared_clock(config) or SystemClock(),
            session=session,
            may_post=post_test,
            may_create=create_test_record,
            incidents=partial(stored_incidents, config, reading),
        )
        sections: dict[str, dict[str, Examination]] = {"alert": {}, "oncall": {}}
        for system in registered():
            sections[system.config.SECTION] |= system.examine(examined)
        others: dict[str, Examination] = {
            public_host.NAME: partial(public_host.examine, config, session),
            alertmanager.NAME: partial(alertmanager.examine, config, session, examined.incidents),
        }
        first: dict[str, Examination] = {
            redis.NAME: partial(redis.examine, config),
            incidents.NAME: partial(incidents.examine, config),
            heartbeats.NAME: partial(heartbeats.examine, config, reading),
            templates.NAME: partial(templates.examine, config),
        }
        examinations = first | sections["alert"] | others | sections["oncall"]
        checks = await run_examinations(examinations, deadline_s=deadline_s)
    masked = Redactor(config.secrets()).masked
    return [replace(check, found=masked(check.found), advice=masked(check.advice)) for check in checks]
