"""Templates: whether they render what each source sends."""

from collections.abc import AsyncIterator

from versus_py.config import Config
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.preview import template_problems

NAME = "Templates"
ADVICE = "see what comes of it: versus render config.yaml --payload body.json; until then what fails is left out"


async def examine(config: Config) -> AsyncIterator[Check]:
    if not any(config.systems_in_use()):
        return
    problems = template_problems(config)
    if not problems:
        yield Check(NAME, CheckStatus.OK, "render with a sample of each source")
    for problem in problems:
        status = CheckStatus.FAILED if problem.is_always else CheckStatus.WARNING
        yield Check(NAME, status, str(problem), ADVICE)
