"""The last look before a record: every Alertmanager is asked whether the alerts still fire, and are not silenced.

Whatever is not certain escalates. Alertmanagers of one cluster share silences, but no alerts: an alert that none of
them lists is over only when all of them were asked, send to us, and have been up for long enough to have heard of every
alert.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import aiohttp
import orjson
import structlog

from versus_py.clock import Clock
from versus_py.config import AlertmanagerConfig
from versus_py.engine.alertmanager_api import AlertmanagerApi, Cluster, Doubt, ListedAlert, Silence, Status
from versus_py.incidents.model import Alert, Incident
from versus_py.sources import alertmanager

log = structlog.get_logger()

T = TypeVar("T")

TIMEOUT_S = 2.0
"""For all of them, and all that they are asked about one incident."""

UPTIME_MIN_MS = 10 * 60_000
"""A restarted Alertmanager knows nothing until every Prometheus has sent its alerts again."""

SILENCES_MAX = 20
"""The most silences looked up for one incident; more is a doubt."""

_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing of it fires any more; *said* names who says so."""

    said: str


@dataclass(frozen=True, slots=True)
class Suppressed:
    """All that fires is silenced or inhibited; *until_ms* is when that ends first, None when nobody knows."""

    by: str
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Escalate:
    """It fires, or nobody can tell."""


Verdict = Over | Suppressed | Escalate


class LastLook(Protocol):
    """Somebody to ask before the on-call provider is called."""

    async def ask(self, incident: Incident) -> Verdict:
        """What is known of the incident's alerts. Never raises, and answers within a few seconds."""


_Listed = tuple[AlertmanagerApi, ListedAlert]
"""An alert, and who lists it."""


class AlertmanagerLook:
    """Asks the Alertmanagers of the configuration about incidents that came from one."""

    def __init__(self, config: AlertmanagerConfig, *, clock: Clock, session: aiohttp.ClientSession) -> None:
        self._clock = clock
        self._apis = [AlertmanagerApi(url, config.auth, session, clock) for url in config.urls]

    async def ask(self, incident: Incident) -> Verdict:
        if incident.source != alertmanager.NAME or not incident.firing:
            return Escalate()
        try:
            raise_if_unknowable(incident, urls=len(self._apis), senders=incident.senders)
            verdict = await self._look(incident, asyncio.get_running_loop().time() + TIMEOUT_S)
        except Doubt as exc:
            log.warning("last_look.doubt", incident=incident.id, reason=str(exc))
            return Escalate()
        log.info("last_look.answered", incident=incident.id, verdict=type(verdict).__name__.lower())
        return verdict

    async def _look(self, incident: Incident, deadline_s: float) -> Verdict:
        listed = await self._listed(incident.firing, deadline_s)
        if not all(alert.is_suppressed for _, alert in listed):
            return Escalate()
        await self._expect_to_know(incident, listed, deadline_s)
        if not listed:
            return Over("Alertmanager, asked before the escalation")
        return await self._suppressed(listed, deadline_s)

    async def _listed(self, firing: Sequence[Alert], deadline_s: float) -> list[_Listed]:
        """What each knows of *firing*: only what has not ended is listed."""
        wanted, matchers = {alert.fingerprint for alert in firing}, _matchers(firing)
        answers = await self._of_each(lambda api: api.alerts(matchers), deadline_s)
        of_each = zip(self._apis, answers, strict=True)
        return [(api, alert) for api, alerts in of_each for alert in alerts if alert.fingerprint in wanted]

    async def _expect_to_know(self, incident: Incident, listed: Sequence[_Listed], deadline_s: float) -> None:
        """Raises Doubt when one of the incident's alerts may fire although none of these lists it as active."""
        known = {alert.fingerprint for _, alert in listed}
        if not all(alert.fingerprint in known for alert in incident.firing):
            statuses = await self._of_each(lambda api: self._status_of_sender(api, incident.receiver), deadline_s)
        elif not all(alert.silenced_by for _, alert in listed):  # inhibited, by an alert that other peers may not have
            statuses = await self._of_each(lambda api: api.status(), deadline_s)
        else:  # silenced: silences are gossiped
            return
        if missing := missing_peers([it.cluster for it in statuses], urls=len(self._apis)):
            raise Doubt(missing)

    async def _status_of_sender(self, api: AlertmanagerApi, receiver: str) -> Status:
        """Raises Doubt when it may not have heard of every alert."""
        status = await api.status()
        if status.up_since_ms is None or not status.up_since_ms < self._clock.now_ms() - UPTIME_MIN_MS:
            raise Doubt("it has not been up for 10 minutes, and may not have heard of every alert yet")
        if not receiver or not any(_is_named(receiver, name) for name in await api.receivers()):
            raise Doubt(f"it has no receiver {receiver!r}, so that it may not be who sent the alert")
        return status

    async def _suppressed(self, listed: Sequence[_Listed], deadline_s: float) -> Verdict:
        known_by = {name: api for api, alert in listed for name in alert.silenced_by}
        if len(known_by) > SILENCES_MAX:
            raise Doubt(f"more than {SILENCES_MAX} silences")
        silences = await _answers([(api, api.silence(name)) for name, api in known_by.items()], deadline_s)
        return _until_the_first_end([alert for _, alert in listed], dict(zip(known_by, silences, strict=True)))

    async def _of_each(self, ask: Callable[[AlertmanagerApi], Awaitable[T]], deadline_s: float) -> list[T]:
        return await _answers([(api, ask(api)) for api in self._apis], deadline_s)


def raise_if_unknowable(incident: Incident, *, urls: int, senders: int = 1) -> None:
    """Raises Doubt when not even all *urls* together know what fires, which *senders* different senders have listed."""
    if incident.has_other_senders or incident.truncated_alerts:
        raise Doubt("some of what fires is not known by name, or came from somebody else")
    if senders > urls:
        raise Doubt(f"{senders} senders have listed what fires, but alertmanager.url names {urls}")
    if not all(_FINGERPRINT.fullmatch(alert.fingerprint) for alert in incident.firing):
        raise Doubt("an alert came without Alertmanager's fingerprint")


def missing_peers(clusters: Sequence[Cluster], *, urls: int) -> str:
    """Why the Alertmanagers with these clusters, behind *urls* URLs, are not all that there are; "" when they are."""
    names = [cluster.name for cluster in clusters if cluster.name]
    peers = frozenset[str]().union(*(cluster.peers for cluster in clusters))
    reached = f"alertmanager.url, with {urls} URL{'' if urls == 1 else 's'}, reaches {len(set(names))}"
    if peers - set(names):
        return f"{reached} of the cluster's {len(peers)} peers"
    if len(set(names)) < len(names):
        return f"{reached} of them only: some are the same Alertmanager"
    return ""


async def _answers(asked: Iterable[tuple[AlertmanagerApi, Awaitable[T]]], deadline_s: float) -> list[T]:
    """All answers, in the order of *asked*. Raises Doubt with who gave none, and why."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(_answer(api.url, answer, deadline_s)) for api, answer in asked]
    answers = [task.result() for task in running]
    if doubts := [str(it) for it in answers if isinstance(it, Doubt)]:
        raise Doubt("; ".join(doubts))
    return [it for it in answers if not isinstance(it, Doubt)]


async def _answer(url: str, answer: Awaitable[T], deadline_s: float) -> T | Doubt:
    try:
        async with asyncio.timeout_at(deadline_s):
            return await answer
    except TimeoutError:
        return Doubt(f"{url}: no answer within {TIMEOUT_S:g} s")
    except (Doubt, aiohttp.ClientError, OSError) as exc:
        return Doubt(f"{url}: {str(exc) or type(exc).__name__}")


def _until_the_first_end(listed: Sequence[ListedAlert], silences: Mapping[str, Silence]) -> Suppressed:
    """Raises Doubt when it is not known what suppresses one of them."""
    ends: list[int] = []
    said: dict[str, None] = {}
    for alert in listed:
        if of_alert := [silences[name] for name in alert.silenced_by]:
            last = max(of_alert, key=lambda silence: silence.ends_at_ms)
            ends.append(last.ends_at_ms)
            said[last.said] = None
        elif alert.inhibited_by:
            said["inhibited by another alert"] = None
        else:
            raise Doubt("an alert is suppressed, and nobody says by what")
    return Suppressed("; ".join(said), min(ends, default=None))


def _matchers(firing: Sequence[Alert]) -> list[str]:
    """Matchers for the labels that all alerts share, so that the answer is not all that Alertmanager knows."""
    first, *others = (alert.labels for alert in firing)
    return [
        f"{name}={orjson.dumps(value).decode()}"
        for name, value in first.items()
        if _LABEL_NAME.fullmatch(name) and value.isprintable() and all(it.get(name) == value for it in others)
    ]


def _is_named(quoted: str, name: str) -> bool:
    """Whether a payload's receiver, in which Alertmanager quotes what a regular expression would, has this name."""
    return quoted in {name, _quoted(name)}


def _quoted(name: str) -> str:
    """As Go's regexp.QuoteMeta."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", name)
