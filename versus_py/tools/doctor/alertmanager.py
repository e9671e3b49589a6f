"""Alertmanager: whether the one that is to be asked before a record is created answers."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from versus_py.config import AlertmanagerConfig
from versus_py.engine.alertmanager_api import login
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.doctor.answer import Answer, NoAnswer, ask

NAME = "Alertmanager"
RECEIVERS = "Alertmanager receivers"
URL_ADVICE = "check alertmanager.url: the base URL, with the prefix of --web.external-url if there is one"


async def examine(config: AlertmanagerConfig, session: aiohttp.ClientSession) -> AsyncIterator[Check]:
    if not config.urls:
        yield Check(NAME, CheckStatus.SKIPPED, "alertmanager.url is not set")
    for url in config.urls:
        async for check in _examine_one(url, login(config.auth), session):
            yield check


async def _examine_one(url: str, headers: Mapping[str, str], session: aiohttp.ClientSession) -> AsyncIterator[Check]:
    try:
        answer = await ask(session, f"{url}/api/v2/status", headers=headers)
        if answer.status != HTTPStatus.OK or not isinstance(answer.data, dict) or "versionInfo" not in answer.data:
            yield _not_alertmanager(NAME, answer)
            return
        yield _about_status(answer.data)
        yield _about_receivers(await ask(session, f"{url}/api/v2/receivers", headers=headers))
    except NoAnswer as exc:
        yield Check(NAME, CheckStatus.FAILED, str(exc), URL_ADVICE)


def _not_alertmanager(name: str, answer: Answer) -> Check:
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        advice = "check alertmanager.auth: username and password, or bearer_token"
        return Check(name, CheckStatus.FAILED, f"answered {answer.status}: the login is not accepted", advice)
    return Check(name, CheckStatus.FAILED, f"{answer.said}, which is not Alertmanager's API", URL_ADVICE)


def _about_status(data: dict[str, Any]) -> Check:
    info = data["versionInfo"]
    version = info.get("version", "?") if isinstance(info, dict) else "?"
    return Check(NAME, CheckStatus.OK, f"version {version}, up since {data.get('uptime', '?')}")


def _about_receivers(answer: Answer) -> Check:
    if answer.status != HTTPStatus.OK or not isinstance(answer.data, list):
        return _not_alertmanager(RECEIVERS, answer)
    names = [str(it.get("name")) for it in answer.data if isinstance(it, dict)]
    advice = "check with `versus lint-alertmanager` that those meant for versus lead here"
    return Check(RECEIVERS, CheckStatus.OK, ", ".join(names) or "none", advice)
