"""The last look before a record: Alertmanager is asked whether the alerts still fire, and are not silenced.

Whatever is not certain escalates. "Nothing fires any more" is believed only when it comes from an Alertmanager that
sends to us and has been up for long enough to have heard of every alert: github.com/prometheus/alertmanager,
api/v2/openapi.yaml.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
import structlog

from versus_py.clock import Clock
from versus_py.config import AlertmanagerAuth, AlertmanagerConfig
from versus_py.incidents.model import Alert, Incident
from versus_py.sources import alertmanager, fields

log = structlog.get_logger()

TIMEOUT_S = 2.0
UPTIME_MIN_MS = 10 * 60_000
"""A restarted Alertmanager knows nothing until every Prometheus has sent its alerts again."""

BODY_MAX = 8 * 1024 * 1024
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


class _Doubt(Exception):
    """Why the answer is not certain."""


@dataclass(frozen=True, slots=True)
class _Silence:
    said: str
    ends_at_ms: int


class AlertmanagerLook:
    """Asks the Alertmanager of the configuration about incidents that came from one."""

    def __init__(self, config: AlertmanagerConfig, *, clock: Clock, session: aiohttp.ClientSession) -> None:
        self._url = config.url
        self._clock = clock
        self._session = session
        self._headers = {"Accept": "application/json", **login(config.auth)}

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
        except (_Doubt, aiohttp.ClientError, OSError) as exc:
            return self._doubted(incident, str(exc) or type(exc).__name__)
        log.info("last_look.answered", incident=incident.id, verdict=type(verdict).__name__.lower())
        return verdict

    def _doubted(self, incident: Incident, reason: str) -> Verdict:
        log.warning("last_look.doubt", incident=incident.id, url=self._url, reason=reason)
        return Escalate()

    async def _look(self, incident: Incident) -> Verdict:
        known = await self._alerts(incident.firing)
        if len(known) < len(incident.firing):
            await self._expect_to_know(incident)
        if not known:
            return Over("Alertmanager, asked before the escalation")
        if any(_field(alert, "status").get("state") != "suppressed" for alert in known):
            return Escalate()
        return await self._suppressed(known)

    async def _alerts(self, firing: Sequence[Alert]) -> list[Mapping[str, Any]]:
        """What Alertmanager knows of *firing*: only what has not ended is listed."""
        wanted = {alert.fingerprint for alert in firing}
        listed = await self._get("/api/v2/alerts", [("filter", matcher) for matcher in _matchers(firing)])
        if not isinstance(listed, list):
            raise _Doubt("its answer is no list of alerts")
        return [it for it in listed if isinstance(it, Mapping) and fields.text(it.get("fingerprint")) in wanted]

    async def _expect_to_know(self, incident: Incident) -> None:
        """Raises _Doubt when what this Alertmanager does not list may fire all the same."""
        status = await self._get("/api/v2/status")
        up_since_ms = fields.time_ms(status.get("uptime")) if isinstance(status, Mapping) else None
        now_ms = self._clock.now_ms()
        if up_since_ms is None or not up_since_ms < now_ms - UPTIME_MIN_MS:
            raise _Doubt("it has not been up for 10 minutes, and may not have heard of every alert yet")
        receivers = await self._get("/api/v2/receivers")
        names = [it.get("name") for it in receivers if isinstance(it, Mapping)] if isinstance(receivers, list) else []
        if not incident.receiver or not any(_is_named(incident.receiver, name) for name in names):
            raise _Doubt(f"it has no receiver {incident.receiver!r}, so that it may not be who sent the alert")

    async def _suppressed(self, known: Sequence[Mapping[str, Any]]) -> Verdict:
        ids = {name for alert in known for name in _names(_field(alert, "status").get("silencedBy"))}
        if len(ids) > SILENCES_MAX:
            raise _Doubt(f"more than {SILENCES_MAX} silences")
        silences = {name: await self._silence(name) for name in sorted(ids)}
        ends: list[int] = []
        said: dict[str, None] = {}
        for alert in known:
            status = _field(alert, "status")
            of_alert = [silences[name] for name in _names(status.get("silencedBy"))]
            if of_alert:
                last = max(of_alert, key=lambda silence: silence.ends_at_ms)
                ends.append(last.ends_at_ms)
                said[last.said] = None
            elif _names(status.get("inhibitedBy")):
                said["inhibited by another alert"] = None
            else:
                raise _Doubt("an alert is suppressed, and nobody says by what")
        return Suppressed("; ".join(said), min(ends, default=None))

    async def _silence(self, silence_id: str) -> _Silence:
        found = await self._get(f"/api/v2/silence/{silence_id}")
        ends_at_ms = fields.time_ms(found.get("endsAt")) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or ends_at_ms is None:
            raise _Doubt(f"silence {silence_id} does not say when it ends")
        by, comment = fields.text(found.get("createdBy")), fields.text(found.get("comment"))
        return _Silence(f"silenced by {by or 'somebody'}" + (f" ({comment})" if comment else ""), ends_at_ms)

    async def _get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Any:
        async with self._session.get(
            f"{self._url}{path}", params=list(query), headers=self._headers, allow_redirects=False
        ) as response:
            body = await response.content.read(BODY_MAX + 1)
            while not response.content.at_eof() and len(body) <= BODY_MAX:
                body += await response.content.read(BODY_MAX + 1 - len(body))
        if response.status != 200:  # noqa: PLR2004 - HTTP's
            raise _Doubt(f"{path.partition('?')[0]} answered {response.status}")
        if len(body) > BODY_MAX:
            raise _Doubt(f"{path} answered with more than {BODY_MAX} bytes")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _Doubt(f"{path} answered with something that is not JSON") from None


def login(auth: AlertmanagerAuth) -> dict[str, str]:
    """The headers that log in; none when nothing is set."""
    if token := auth.bearer_token.get_secret_value():
        return {"Authorization": f"Bearer {token}"}
    if auth.username:
        return {"Authorization": aiohttp.encode_basic_auth(auth.username, auth.password.get_secret_value())}
    return {}


def _matchers(firing: Sequence[Alert]) -> list[str]:
    """Matchers for the labels that all alerts share, so that the answer is not all that Alertmanager knows."""
    first, *others = (alert.labels for alert in firing)
    return [
        f"{name}={orjson.dumps(value).decode()}"
        for name, value in first.items()
        if _LABEL_NAME.fullmatch(name) and value.isprintable() and all(it.get(name) == value for it in others)
    ]


def _is_named(quoted: str, name: Any) -> bool:
    """Whether a payload's receiver, in which Alertmanager quotes what a regular expression would, has this name."""
    return isinstance(name, str) and quoted in {name, _quoted(name)}


def _quoted(name: str) -> str:
    """As Go's regexp.QuoteMeta."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", name)


def _field(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _names(value: Any) -> list[str]:
    """Ids of silences and fingerprints, as far as they may stand in a path."""
    if not isinstance(value, list):
        return []
    return [name for name in value if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9-]+", name)]
