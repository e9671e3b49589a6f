"""The API of one Alertmanager, as far as it is read: github.com/prometheus/alertmanager, api/v2/openapi.yaml."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from versus_py.clock import Clock
from versus_py.config import AlertmanagerAuth
from versus_py.sources import fields
from versus_py.targets.remote_clock import RemoteClock

BODY_MAX = 8 * 1024 * 1024


class Doubt(Exception):
    """Why an answer is not certain."""


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """An alert that has not ended."""

    fingerprint: str
    is_suppressed: bool
    silenced_by: tuple[str, ...]  # ids of silences
    inhibited_by: tuple[str, ...]  # fingerprints


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence: whose it is, and when it ends."""

    said: str
    ends_at_ms: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which Alertmanagers gossip with this one. They share silences and notifications sent, and no alerts."""

    name: str  # its own; "" when clustering is switched off
    peers: frozenset[str]  # the names of all, its own among them


@dataclass(frozen=True, slots=True)
class Status:
    """How an Alertmanager is."""

    up_since_ms: int | None  # None when it does not say
    cluster: Cluster


class AlertmanagerApi:
    """Each method is a request or two, and raises Doubt for an answer that cannot be used.

    Raises aiohttp.ClientError and OSError when there is no answer. Its times are told by *clock*, not by its own.
    """

    def __init__(self, url: str, auth: AlertmanagerAuth, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.url = url
        self._clock = RemoteClock(url, clock)
        self._session = session
        self._headers = {"Accept": "application/json", **login(auth)}

    async def alerts(self, matchers: Sequence[str]) -> list[ListedAlert]:
        """The alerts that have not ended and match all *matchers*."""
        listed = await self._get("/api/v2/alerts", [("filter", matcher) for matcher in matchers])
        if not isinstance(listed, list):
            raise Doubt("its answer is no list of alerts")
        return [_listed_alert(it) for it in listed if isinstance(it, Mapping)]

    async def status(self) -> Status:
        found = await self._get("/api/v2/status")
        cluster = read_cluster(found.get("cluster")) if isinstance(found, Mapping) else None
        if cluster is None:
            raise Doubt("it does not say which peers its cluster has")
        up_since_ms = fields.time_ms(found.get("uptime"))
        return Status(None if up_since_ms is None else self._clock.ours(up_since_ms), cluster)

    async def receivers(self) -> list[str]:
        """The names of its receivers."""
        listed = await self._get("/api/v2/receivers")
        names = [it.get("name") for it in listed if isinstance(it, Mapping)] if isinstance(listed, list) else []
        return [name for name in names if isinstance(name, str)]

    async def silence(self, silence_id: str) -> Silence:
        found = await self._get(f"/api/v2/silence/{silence_id}")
        ends_at_ms = fields.time_ms(found.get("endsAt")) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or ends_at_ms is None:
            raise Doubt(f"silence {silence_id} does not say when it ends")
        by, comment = fields.text(found.get("createdBy")), fields.text(found.get("comment"))
        return Silence(
            f"silenced by {by or 'somebody'}" + (f" ({comment})" if comment else ""), self._clock.ours(ends_at_ms)
        )

    async def _get(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Any:
        asked_at_ms = self._clock.asked_at_ms()
        async with self._session.get(
            f"{self.url}{path}", params=list(query), headers=self._headers, allow_redirects=False
        ) as response:
            self._clock.note(response.headers, asked_at_ms)
            body = await response.content.read(BODY_MAX + 1)
            while not response.content.at_eof() and len(body) <= BODY_MAX:
                body += await response.content.read(BODY_MAX + 1 - len(body))
        if response.status != 200:  # noqa: PLR2004 - HTTP's
            raise Doubt(f"{path} answered {response.status}")
        if len(body) > BODY_MAX:
            raise Doubt(f"{path} answered with more than {BODY_MAX} bytes")
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Doubt(f"{path} answered with something that is not JSON") from None


def login(auth: AlertmanagerAuth) -> dict[str, str]:
    """The headers that log in; none when nothing is set."""
    if token := auth.bearer_token.get_secret_value():
        return {"Authorization": f"Bearer {token}"}
    if auth.username:
        return {"Authorization": aiohttp.encode_basic_auth(auth.username, auth.password.get_secret_value())}
    return {}


def read_cluster(found: Any) -> Cluster | None:
    """The part `cluster` of a status; None when it does not say which peers there are."""
    if not isinstance(found, Mapping):
        return None
    name, listed = found.get("name"), found.get("peers") or []
    if found.get("status") == "disabled" and not listed:
        return Cluster("", frozenset())
    peers = [it.get("name") for it in listed if isinstance(it, Mapping)] if isinstance(listed, list) else []
    names = [it for it in peers if isinstance(it, str) and it]
    if not isinstance(name, str) or name not in names or len(names) < len(listed):
        return None
    return Cluster(name, frozenset(names))


def _listed_alert(item: Mapping[str, Any]) -> ListedAlert:
    found = item.get("status")
    status: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    return ListedAlert(
        fingerprint=fields.text(item.get("fingerprint")),
        is_suppressed=status.get("state") == "suppressed",
        silenced_by=_names(status.get("silencedBy")),
        inhibited_by=_names(status.get("inhibitedBy")),
    )


def _names(value: Any) -> tuple[str, ...]:
    """Ids of silences and fingerprints, as far as they may stand in a path."""
    if not isinstance(value, list):
        return ()
    return tuple(name for name in value if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9-]+", name))
