"""By what an incident is found: its dedup keys, ids of earlier versions, its alerts. And who reports resolves.

Only the key of the incident itself is written together with it. The others are in other partitions. They lead to the
incident where its group has another key now; one that is lost is written again with the next notifications. So a node
of a cluster that is away and holds some of them refuses no notification.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from msgspec import Struct

from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Alert, Incident, IncidentId
from versus_py.incidents.repeats import NAMED_AGAIN_MAX
from versus_py.incidents.transitions import Change
from versus_py.store import keys
from versus_py.store.calls import (
    Call,
    Command,
    RedisClient,
    Script,
    answers,
    is_cluster,
    load_script,
    optional_answers,
    run_optionally,
)

log = structlog.get_logger()

RESOLVES_FOR_MS = 90 * 24 * 3600_000
"""How long it is known of a sender that it lists resolved alerts, after it did."""

ALERTS_ASKED_MAX = 100
"""The most alerts of one notification that are asked for the incident that they are in."""

INDEXED_MAX = 100
"""The most alerts that one script names: it blocks Redis only for so long."""


class Names(Struct, frozen=True):
    """What else an incident may be known by whose dedup key names nothing."""

    keys: tuple[str, ...] = ()  # older dedup keys
    ids: tuple[IncidentId, ...] = ()  # ids that earlier versions would have given it
    alerts: tuple[tuple[str, int], ...] = ()  # fingerprints, and when they began

    @property
    def others(self) -> list[str]:
        """The keys that lead to an incident if they exist, beside its alerts' own."""
        found = [*map(keys.dedup, self.keys), *map(keys.incident, self.ids)]
        return found + [keys.older_alert(*it) for it in self.alerts]

    @property
    def commands(self) -> list[Command]:
        found: list[Command] = [("GET", keys.dedup(key)) for key in self.keys]
        found += [("HGET", keys.incident(incident_id), "version") for incident_id in self.ids]
        for alert in self.alerts[:ALERTS_ASKED_MAX]:
            found += [("HGET", *keys.alert(*alert)), ("SMEMBERS", keys.older_alert(*alert))]
        return found


async def find(
    redis: RedisClient, dedup_keys: Sequence[str], origins: Sequence[str], older: Sequence[Names]
) -> tuple[list[str], list[bool | None], list[tuple[IncidentId, ...]]]:
    """See `Store.find`."""
    needed: list[Command] = [("GET", keys.dedup(it)) for it in dedup_keys]
    optional: list[Command] = [("GET", keys.resolves(it)) for it in origins]
    optional += [command for it in older for command in it.commands]
    if is_cluster(redis):
        named, rest = await asyncio.gather(answers(redis, needed), optional_answers(redis, optional))
    else:
        found = await answers(redis, [*needed, *optional])
        named, rest = found[: len(needed)], found[len(needed) :]
    marks, names = rest[: len(origins)], rest[len(origins) :]
    if failure := _failure(marks):
        log.warning("sender.resolves_unknown", error=failure)
    are_marked = [None if isinstance(it, StoreUnavailable) else bool(it) for it in marks]
    return [it or "" for it in named], are_marked, _ids(older, names)


async def find_older(redis: RedisClient, wanted: Sequence[Names]) -> list[tuple[IncidentId, ...]]:
    """See `Store.find_older`."""
    return _ids(wanted, await optional_answers(redis, [command for it in wanted for command in it.commands]))


def _ids(wanted: Sequence[Names], answered: Sequence[Any]) -> list[tuple[IncidentId, ...]]:
    """What each of *wanted* stands for, by the answers to its commands."""
    found = []
    if failure := _failure(answered):
        log.warning("incident.names_unavailable", error=failure)
    replies = iter(None if isinstance(it, StoreUnavailable) else it for it in answered)
    for it in wanted:
        ids: list[str] = []
        for _ in it.keys:
            ids += (next(replies) or "").split()
        ids += [incident_id for incident_id in it.ids if next(replies) is not None]
        for _ in it.alerts[:ALERTS_ASKED_MAX]:
            ids += sorted({*(next(replies) or "").split(), *(next(replies) or ())})
        found.append(tuple(dict.fromkeys(map(IncidentId, ids))))
    return found


async def note_resolves(redis: RedisClient, origins: Sequence[str]) -> list[bool]:
    """See `Store.note_resolves`."""
    put = load_script(redis, "put")
    calls = [Call(put, [keys.resolves(it)], ["1", RESOLVES_FOR_MS, ""]) for it in origins]
    written = await run_optionally(redis, calls)
    if failure := _failure(written):
        log.warning("sender.resolves_unknown", error=failure)
    return [not isinstance(it, StoreUnavailable) for it in written]


def _failure(replies: Sequence[Any]) -> str:
    """Why there is no answer, of the first of which there is none; "" when there are all."""
    return next((str(it) for it in replies if isinstance(it, StoreUnavailable)), "")


def index(script: Script, incident: Incident, alerts: Sequence[Alert], *, expire_at_ms: int, now_ms: int) -> list[Call]:
    """Has alerts name the incident that they are in, among others: each receiver has its own.

    Both times are by the clock of the server, which expires keys.
    """
    names = dict.fromkeys(
        keys.alert(it.fingerprint, start_ms)
        for it in alerts
        for start_ms in {listing.starts_at_ms for lister, listing in it.listings.items() if lister}
        if start_ms is not None
    )
    return [
        Call(script, [bucket for bucket, _ in some], [incident.id, expire_at_ms, now_ms, *(field for _, field in some)])
        for some in _together(script, [*names])
    ]


def _together(script: Script, names: Sequence[tuple[str, str]]) -> list[Sequence[tuple[str, str]]]:
    """*names* as one call takes them: of one partition on a cluster, and never so many that Redis stands still."""
    parts: list[Sequence[tuple[str, str]]] = [names]
    if is_cluster(script.redis):
        by_partition: dict[str, list[tuple[str, str]]] = {}
        for it in names:
            by_partition.setdefault(keys.partition_of_key(it[0]), []).append(it)
        parts = [*by_partition.values()]
    return [it[start : start + INDEXED_MAX] for it in parts for start in range(0, len(it), INDEXED_MAX)]


def unsure(change: Change) -> list[Alert]:
    """What fires and may have no name yet: what is new, and with each notification, in turn, some of the rest.

    These lost theirs if the process died right after it wrote the incident, or a server with what was written last.
    """
    firing, before = change.incident.firing, change.before
    if before is None:
        return list(firing)
    joined = _joined(firing, before)
    number = change.incident.occurrences - before.occurrences
    start = before.occurrences * NAMED_AGAIN_MAX % max(len(firing), 1)
    again = (*firing, *firing)[start : start + min(NAMED_AGAIN_MAX, len(firing))] if number else ()
    return [*joined, *(it for it in again if it not in joined)]


def _joined(firing: Sequence[Alert], before: Incident) -> list[Alert]:
    """What did not fire, or was not listed so, before."""
    known = {it.fingerprint: it for it in before.alerts}
    return [
        it
        for it in firing
        if it.fingerprint not in known
        or it.listings.keys() - known[it.fingerprint].listings.keys()
        or it.starts_at_ms != known[it.fingerprint].starts_at_ms
    ]
