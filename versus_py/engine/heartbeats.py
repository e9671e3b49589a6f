"""Heartbeats that are expected: noting beats, and the incident of a heartbeat that is silent."""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from versus_py.clock import Clock
from versus_py.config import Config, ExpectedHeartbeat
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.policies import Policies
from versus_py.errors import StoreUnavailable
from versus_py.incidents import heartbeats
from versus_py.incidents.heartbeats import Beat
from versus_py.incidents.model import Delivery, Incident, IncidentId
from versus_py.incidents.policies import Asked
from versus_py.store import Store
from versus_py.targets import deadline

log = structlog.get_logger()

_TRIES = 3
"""How often a beat is written: again where a heartbeat came or went between two commands."""

_TOGETHER = 50
"""Beats of one request that are written at the same time: those that have to be on disk share one wait for it."""


class Heartbeats:
    """Those of the configuration. Every method raises StoreUnavailable."""

    def __init__(self, config: Config, store: Store, lifecycle: Lifecycle, clock: Clock) -> None:
        self._expected = config.heartbeats
        self._installation = config.installation_name
        self._store = store
        self._lifecycle = lifecycle
        self._clock = clock

    async def note(self, beats: Sequence[Beat]) -> list[Incident]:
        """The heartbeats after these *beats*, each once; when this returns, they survive a crash.

        The first beat of a heartbeat is when it begins to be expected.
        """
        latest = [*{it.key: it for it in beats}.values()]
        noted: list[Incident] = []
        for start in range(0, len(latest), _TOGETHER):
            some = (self._note(it) for it in latest[start : start + _TOGETHER])
            noted += _or_raise(await asyncio.gather(*some, return_exceptions=True))
        return noted

    async def known(self) -> list[tuple[ExpectedHeartbeat, list[Incident]]]:
        """Each of the configuration, with those that have come so far: one for each set of its labels."""
        return standing(self._expected, await self._store.heartbeats())

    async def _note(self, beat: Beat) -> Incident:
        heartbeat_id = heartbeats.heartbeat_id(beat.key, self._installation)
        for _ in range(_TRIES):
            known, _ = await self._lifecycle.act(heartbeat_id, lambda it, now_ms: heartbeats.beaten(it, beat, now_ms))
            if known is not None:
                return known
            now_ms = self._clock.now_ms()
            change = heartbeats.first(beat, now_ms, self._installation)
            [there] = await self._store.create([(change, heartbeat_id)], now_ms=now_ms)
            if not there:
                log.info("heartbeat.expected", heartbeat=beat.heartbeat, sent_by=beat.sent_by, labels=dict(beat.of))
                return change.incident
        raise StoreUnavailable(f"the heartbeat {beat.heartbeat!r} keeps changing")


def _or_raise(noted: Sequence[Incident | BaseException]) -> list[Incident]:
    """All of them. Raises what kept the first one from being written down, once all were tried."""
    error = next((it for it in noted if isinstance(it, BaseException)), None)
    if error is not None:
        raise error
    return [it for it in noted if isinstance(it, Incident)]


def standing(
    expected: Sequence[ExpectedHeartbeat], found: Sequence[Incident]
) -> list[tuple[ExpectedHeartbeat, list[Incident]]]:
    """Each that is *expected*, with those of it that were *found* in the store."""
    return [(it, [known for known in found if it.is_for(known)]) for it in expected]


class SilenceTarget:
    """Has a heartbeat that is silent be an incident, and ends that incident when the heartbeat comes again."""

    def __init__(self, config: Config, lifecycle: Lifecycle) -> None:
        self._expected = {it.name: it for it in config.heartbeats}
        self._policies = Policies(config)
        self._lifecycle = lifecycle

    def system(self, incident: Incident) -> str:  # noqa: ARG002 - there is one
        return heartbeats.TARGET

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:  # noqa: ARG002 - the same again is a repeat
        """The incident of the silence is as the heartbeat is; none for one that is not configured any more."""
        expected = self._expected.get(incident.title)
        if expected is None or not expected.is_for(incident):
            log.info("heartbeat.not_configured", heartbeat=incident.title)
            return Delivery(heartbeats.reference(None))
        deadline.raise_if_over()
        return Delivery(heartbeats.reference(await self._told(incident, expected)))

    async def _told(self, heartbeat: Incident, expected: ExpectedHeartbeat) -> IncidentId | None:
        """The incident that is open by this; None without one."""
        of = expected.of(heartbeats.labels_of(heartbeat))
        notification = heartbeats.notification_of(heartbeat, of, every=expected.every, severity=expected.severity)
        asked = heartbeat.policy.asked or Asked()
        [accepted] = await self._lifecycle.accept([notification], partial(self._policies.of, asked=asked))
        if not heartbeats.is_silent(heartbeat) or accepted.incident is None:
            return None
        log.warning("heartbeat.silent", heartbeat=expected.name, incident=accepted.incident.id)
        return accepted.incident.id
