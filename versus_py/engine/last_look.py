"""The last look before a record: Alertmanager is asked whether the alerts still fire, and are not silenced.

Whatever is not certain escalates. "Nothing fires any more" is believed only when it comes from an Alertmanager that
sends to us and has been up for long enough to have heard of every alert.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import orjson
import structlog

from versus_py.clock import Clock
from versus_py.config import AlertmanagerConfig
from versus_py.engine.alertmanager_api import AlertmanagerApi, Doubt, ListedAlert, Silence
from versus_py.incidents.model import Alert, Incident
from versus_py.sources import alertmanager

log = structlog.get_logger()

TIMEOUT_S = 2.0
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


class AlertmanagerLook:
    """Asks the Alertmanager of the configuration about incidents that came from one."""

    def __init__(self, config: AlertmanagerConfig, *, clock: Clock, session: aiohttp.ClientSession) -> None:
        self._clock = clock
        self._api = AlertmanagerApi(config.url or "", config.auth, session)

    async def ask(self, incident: Incident) -> Verdict:
        if incident.source != alertmanager.NAME or not incident.firing:
            return Escalate()
        if incident.has_other_senders or incident.truncated_alerts:
            return self._doubted(incident, "some of what fires is not known by name, or came from somebody else")
        if not all(_FINGERPRINT.fullmatch(alert.fingerprint) for alert in incident.firing):
            return self._doubted(incident, "an alert came without Alertmanager's fingerprint")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                verdict = await self._look(incident)
        except TimeoutError:
            return self._doubted(incident, f"no answer within {TIMEOUT_S:g} s")
        except (Doubt, aiohttp.ClientError, OSError) as exc:
            return self._doubted(incident, str(exc) or type(exc).__name__)
        log.info("last_look.answered", incident=incident.id, verdict=type(verdict).__name__.lower())
        return verdict

    def _doubted(self, incident: Incident, reason: str) -> Verdict:
        log.warning("last_look.doubt", incident=incident.id, url=self._api.url, reason=reason)
        return Escalate()

    async def _look(self, incident: Incident) -> Verdict:
        wanted = {alert.fingerprint for alert in incident.firing}
        listed = [it for it in await self._api.alerts(_matchers(incident.firing)) if it.fingerprint in wanted]
        if len(listed) < len(incident.firing):
            await self._expect_to_know(incident)
        if not listed:
            return Over("Alertmanager, asked before the escalation")
        if not all(alert.is_suppressed for alert in listed):
            return Escalate()
        return await self._suppressed(listed)

    async def _expect_to_know(self, incident: Incident) -> None:
        """Raises Doubt when what this Alertmanager does not list may fire all the same."""
        up_since_ms = await self._api.up_since_ms()
        if up_since_ms is None or not up_since_ms < self._clock.now_ms() - UPTIME_MIN_MS:
            raise Doubt("it has not been up for 10 minutes, and may not have heard of every alert yet")
        names = await self._api.receivers()
        if not incident.receiver or not any(_is_named(incident.receiver, name) for name in names):
            raise Doubt(f"it has no receiver {incident.receiver!r}, so that it may not be who sent the alert")

    async def _suppressed(self, listed: Sequence[ListedAlert]) -> Verdict:
        ids = {name for alert in listed for name in alert.silenced_by}
        if len(ids) > SILENCES_MAX:
            raise Doubt(f"more than {SILENCES_MAX} silences")
        return _until_the_first_end(listed, {name: await self._api.silence(name) for name in sorted(ids)})


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
