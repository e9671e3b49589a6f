"""The heartbeats that are expected: whether each has come, and comes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from versus_py.config import Config, ExpectedHeartbeat
from versus_py.engine.heartbeats import standing
from versus_py.incidents.heartbeats import called, expected_by_ms, is_silent, labels_of, opened_incident, sent_by
from versus_py.incidents.model import Incident
from versus_py.store import Store
from versus_py.store.connection import reach_redis
from versus_py.targets.check import Check, CheckStatus
from versus_py.tools.doctor.incidents import is_empty

NAME = "Heartbeats"


async def examine(config: Config, reading: asyncio.Lock) -> AsyncIterator[Check]:
    """One check for each; nothing where none is expected. One reads the store at a time: see `stored_incidents`."""
    if not config.heartbeats:
        return
    async with reading:
        found = await _stored(config)
    for expected, known in standing(config.heartbeats, found):
        if not known:
            yield Check(NAME, CheckStatus.WARNING, f"{expected.name}: never yet", _how_to_send(expected))
        for it in known:
            yield _check(expected, it)


async def _stored(config: Config) -> Sequence[Incident]:
    if is_empty(config):
        return []
    async with reach_redis(config.redis, config.data_dir) as client:
        return await Store(client, retention_ms=0, reopen_ms=0).heartbeats()


def _how_to_send(expected: ExpectedHeartbeat) -> str:
    address = f"POST /api/heartbeats/{expected.name}"
    return f"send an alert that its match matches, or {address}" if expected.match else f"send {address}"


def _check(expected: ExpectedHeartbeat, known: Incident) -> Check:
    name = called(expected.name, expected.of(labels_of(known)))
    by = f" from {sent_by(known)}" if sent_by(known) else ""
    last = f"{name}: last beat {_utc(known.waiting_since_ms)}{by}"
    if not is_silent(known):
        return Check(NAME, CheckStatus.OK, f"{last}, the next one by {_utc(expected_by_ms(known))}")
    told = f", incident {opened_incident(known)}" if opened_incident(known) else ""
    advice = "look whether its sender runs, and reaches this server"
    return Check(NAME, CheckStatus.FAILED, f"{last}, and silent since{told}", advice)


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
