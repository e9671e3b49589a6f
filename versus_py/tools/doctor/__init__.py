"""`versus doctor`: looks at everything that an escalation needs, and says what to do about what is not in order.

To look at one more system: a module with an `examine` that yields checks, and its line in `diagnose`.
"""

from dataclasses import replace
from functools import partial

import aiohttp

from versus_py import __version__
from versus_py.clock import SystemClock
from versus_py.config import Config
from versus_py.telemetry.logs import Redactor
from versus_py.tools.doctor import alertmanager, public_host, redis, servicenow, slack
from versus_py.tools.doctor.check import DEADLINE_S, Check, CheckStatus, run_examinations

__all__ = ["Check", "CheckStatus", "diagnose"]


async def diagnose(
    config: Config, *, post_test: bool = False, create_test_record: bool = False, deadline_s: float = DEADLINE_S
) -> list[Check]:
    """Look at everything at once; no check takes longer than *deadline_s*, and none says a secret.

    Nothing is changed anywhere, but that *post_test* posts a message to the Slack channel, and *create_test_record*
    creates a record in each ServiceNow instance and cancels it.
    """
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=0.8 * deadline_s),  # so that it is told which request it was
        headers={"User-Agent": f"versus_py/{__version__}"},
    ) as session:
        examinations = {
            redis.NAME: partial(redis.examine, config),
            slack.NAME: partial(
                slack.examine,
                config.alert.slack,
                session,
                public_host=config.public_host,
                post_test=post_test,
                fallback_channel=config.oncall.fallback.slack_channel_id,
            ),
            public_host.NAME: partial(public_host.examine, config, session),
            alertmanager.NAME: partial(alertmanager.examine, config.alertmanager, session),
        }
        instances = config.oncall.servicenow.instances() if config.oncall.is_prepared else {}
        for name, instance in instances.items():
            shown = "ServiceNow" if name is None else f"ServiceNow {name}"
            examinations[shown] = partial(
                servicenow.examine,
                instance,
                shown,
                clock=SystemClock(),
                session=session,
                service=config.name,
                create_test_record=create_test_record,
            )
        checks = await run_examinations(examinations, deadline_s=deadline_s)
    masked = Redactor(config.secrets()).masked
    return [replace(check, found=masked(check.found), advice=masked(check.advice)) for check in checks]
