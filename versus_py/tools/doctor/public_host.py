"""public_host: whether the links in messages lead here."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp

from versus_py.config import Config
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.doctor.answer import NoAnswer, ask

NAME = "public_host"

_ASKS_FOR_A_LOGIN = frozenset(
    [
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
    ]
)


async def examine(config: Config, session: aiohttp.ClientSession) -> AsyncIterator[Check]:
    if config.public_host is None:
        advice = "set public_host to the URL under which people's browsers reach this server"
        yield Check(NAME, CheckStatus.WARNING, f"is not set: links in messages point at {config.link_base}", advice)
        return
    try:
        answer = await ask(session, f"{config.public_host}/healthz")
    except NoAnswer as exc:
        advice = "start `versus serve`, or let the name, the proxy and the firewall lead to it"
        yield Check(NAME, CheckStatus.FAILED, str(exc), advice)
        return
    if answer.status == HTTPStatus.OK and isinstance(answer.data, dict) and answer.data.get("status") == "ok":
        yield Check(NAME, CheckStatus.OK, f"{config.public_host} is versus, seen from here")
    elif answer.status in _ASKS_FOR_A_LOGIN:
        advice = "open it in a browser: after logging in it has to be versus"
        found = f"{config.public_host} answered {answer.status}: something in front wants more than a URL"
        yield Check(NAME, CheckStatus.WARNING, found, advice)
    else:
        advice = (
            "let public_host lead to `versus serve`: another server answers there, or a proxy without one behind it"
        )
        yield Check(NAME, CheckStatus.FAILED, f"{config.public_host} {answer.said}, which is not versus", advice)
