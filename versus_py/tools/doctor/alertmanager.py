"""Alertmanager: whether those that are to be asked before a record is created answer, and are all that there are."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from versus_py.config import Config
from versus_py.engine.alertmanager_api import login, read_cluster
from versus_py.engine.last_look import missing_peers
from versus_py.errors import ConfigError, StoreUnavailable
from versus_py.incidents.model import Incident
from versus_py.sources import alertmanager
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.system import StoredIncidents
from versus_py.tools.doctor.answer import Answer, NoAnswer, ask
from versus_py.tools.lint import hides_webhooks, lint_clusters

NAME = "Alertmanager"
URL_ADVICE = "check alertmanager.url: the base URL, with the prefix of --web.external-url if there is one"
PEERS_ADVICE = (
    "set alertmanager.url to the URL of every peer, with commas between them: until then, 'not listed' is not believed "
    "to mean over, and the incident escalates"
)

UNSET = "alertmanager.url is not set: silenced alerts escalate, and those that ended without a notification"
UNSET_ADVICE = "set it (ALERTMANAGER_URL) to every Alertmanager that sends here, at an address that this server reaches"
NAMED_MAX = 5


async def examine(config: Config, session: aiohttp.ClientSession, incidents: StoredIncidents) -> AsyncIterator[Check]:
    """*incidents* are asked for the addresses of Alertmanagers while the configuration names none."""
    urls, headers = config.alertmanager.urls, login(config.alertmanager.auth)
    if not urls:
        if config.oncall.is_prepared:
            yield await _about_no_url(incidents)
        else:
            yield Check(NAME, CheckStatus.SKIPPED, "alertmanager.url is not set, and nothing escalates")
        return
    names = {url: NAME if len(urls) == 1 else f"{NAME} {url}" for url in urls}
    statuses: dict[str, dict[str, Any]] = {}
    for url, answer in (await _ask_each(session, urls, "/api/v2/status", headers)).items():
        yield _about_status(names[url], answer)
        if (status := _status(answer)) is not None:
            statuses[url] = status
    if missing := _missing_peers(statuses, len(urls)):
        yield Check(f"{NAME} peers", CheckStatus.WARNING, missing, PEERS_ADVICE)
    for original, url in {_configuration(status): url for url, status in statuses.items()}.items():
        if (check := _about_grouping(f"{names[url]} grouping", original, config)) is not None:
            yield check
    for url, answer in (await _ask_each(session, statuses, "/api/v2/receivers", headers)).items():
        yield _about_receivers(f"{names[url]} receivers", answer)


async def _about_no_url(incidents: StoredIncidents) -> Check:
    """A warning, unless alerts came, and none of them from an Alertmanager."""
    try:
        stored = (await incidents(lambda _: True)).incidents
    except StoreUnavailable:
        stored = ()
    if stored and not any(map(_is_of_alertmanager, stored)):
        return Check(NAME, CheckStatus.SKIPPED, "alertmanager.url is not set; no stored alert is an Alertmanager's")
    said = dict.fromkeys(it.url for it in stored if _is_of_alertmanager(it) and it.url)
    named = [*said][:NAMED_MAX]
    known = f"; their payloads name {', '.join(named)}{', …' if len(said) > len(named) else ''}" if named else ""
    return Check(NAME, CheckStatus.WARNING, f"{UNSET}{known}", UNSET_ADVICE)


def _is_of_alertmanager(incident: Incident) -> bool:
    return incident.source == alertmanager.NAME


async def _ask_each(
    session: aiohttp.ClientSession, urls: Iterable[str], path: str, headers: Mapping[str, str]
) -> dict[str, Answer | NoAnswer]:
    async def ask_one(url: str) -> Answer | NoAnswer:
        try:
            return await ask(session, f"{url}{path}", headers=headers)
        except NoAnswer as exc:
            return exc

    async with asyncio.TaskGroup() as asking:
        tasks = {url: asking.create_task(ask_one(url)) for url in urls}
    return {url: task.result() for url, task in tasks.items()}


def _status(answer: Answer | NoAnswer) -> dict[str, Any] | None:
    """None when it is not one of Alertmanager's."""
    if isinstance(answer, NoAnswer) or answer.status != HTTPStatus.OK:
        return None
    return answer.data if isinstance(answer.data, dict) and "versionInfo" in answer.data else None


def _missing_peers(statuses: Mapping[str, Mapping[str, Any]], urls: int) -> str:
    clusters = {url: read_cluster(status.get("cluster")) for url, status in statuses.items()}
    if silent := [url for url, cluster in clusters.items() if cluster is None]:
        return f"{', '.join(silent)}: does not say which peers its cluster has"
    return missing_peers([cluster for cluster in clusters.values() if cluster is not None], urls=urls)


def _configuration(status: Mapping[str, Any]) -> str:
    """What it runs with, in YAML; "" when it does not say."""
    found = status.get("config")
    original = found.get("original") if isinstance(found, Mapping) else None
    return original if isinstance(original, str) else ""


def _about_grouping(name: str, original: str, config: Config) -> Check | None:
    try:
        finding, is_hidden = lint_clusters(original, config), hides_webhooks(original)
    except ConfigError:
        return None
    if finding is not None:
        return Check(name, CheckStatus.OK, f"{finding.where}: {finding.what}", finding.advice)
    if is_hidden:
        advice = "check its file with `versus lint-alertmanager`"
        return Check(name, CheckStatus.SKIPPED, "Alertmanager does not show where its webhooks lead", advice)
    return None


def _failed(name: str, answer: Answer | NoAnswer) -> Check:
    if isinstance(answer, NoAnswer):
        return Check(name, CheckStatus.FAILED, str(answer), URL_ADVICE)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        advice = "check alertmanager.auth: username and password, or bearer_token"
        return Check(name, CheckStatus.FAILED, f"answered {answer.status}: the login is not accepted", advice)
    return Check(name, CheckStatus.FAILED, f"{answer.said}, which is not Alertmanager's API", URL_ADVICE)


def _about_status(name: str, answer: Answer | NoAnswer) -> Check:
    status = _status(answer)
    if status is None:
        return _failed(name, answer)
    info = status["versionInfo"]
    version = info.get("version", "?") if isinstance(info, dict) else "?"
    return Check(name, CheckStatus.OK, f"version {version}, up since {status.get('uptime', '?')}")


def _about_receivers(name: str, answer: Answer | NoAnswer) -> Check:
    if isinstance(answer, NoAnswer) or answer.status != HTTPStatus.OK or not isinstance(answer.data, list):
        return _failed(name, answer)
    names = [str(it.get("name")) for it in answer.data if isinstance(it, dict)]
    advice = "check with `versus lint-alertmanager` that those meant for versus lead here"
    return Check(name, CheckStatus.OK, ", ".join(names) or "none", advice)
