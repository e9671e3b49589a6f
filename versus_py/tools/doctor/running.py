"""Running checks: at once, each with a deadline, and none with an exception."""

import asyncio
from collections.abc import Mapping

from versus_py.errors import VersusError
from versus_py.targets.check import Check, CheckStatus, Examination

DEADLINE_S = 10.0


async def run_examinations(examinations: Mapping[str, Examination], *, deadline_s: float = DEADLINE_S) -> list[Check]:
    """Run them at once; their checks in the order of *examinations*. Raises nothing but the cancellation.

    One that takes longer than *deadline_s* keeps the checks it has made, and fails.
    """
    async with asyncio.TaskGroup() as running:
        tasks = [running.create_task(_run(name, it, deadline_s)) for name, it in examinations.items()]
    return [check for task in tasks for check in task.result()]


async def _run(name: str, examine: Examination, deadline_s: float) -> list[Check]:
    checks: list[Check] = []
    try:
        async with asyncio.timeout(deadline_s):
            async for check in examine():
                checks.append(check)  # noqa: PERF401 - what there is by the deadline is kept
    except TimeoutError:
        advice = "look for what is in the way: a firewall, a proxy, an overloaded server"
        checks.append(Check(name, CheckStatus.FAILED, f"no answer within {deadline_s:g} s", advice))
    except VersusError as exc:
        checks.append(Check(name, CheckStatus.FAILED, str(exc)))
    except Exception as exc:  # noqa: BLE001 - one check that is broken must not take the others' findings with it
        # Only its type: what it says may hold anything.
        checks.append(Check(name, CheckStatus.FAILED, f"unexpected {type(exc).__name__}", "report it as a bug"))
    return checks
