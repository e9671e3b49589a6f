"""Markers: by which a replica notices that Redis lost its data.

Each partition has one, with an id and the time at which a replica last saw it. A replica remembers both. No marker
where there was one: the data was deleted. Another id: it is other data. A time that lies well behind: it is an older
state of the same data, such as a backup. A replica that starts remembers nothing, so an empty Redis is none of this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import structlog
from pydantic import TypeAdapter

from versus_py.errors import StoreUnavailable
from versus_py.incidents.partitions import partitions
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, is_cluster, load_script

log = structlog.get_logger()

SET_BACK_MS = 60_000
"""A state that is older than this is a loss. What a crash or a failover may cost at any time is less."""

REMEMBERED_SET_BACK_MS = 10_000
"""The same for a server that has a memory beside it, and no replicas: twice the time between two looks."""

_SOME = "?"
"""In place of an id: there was some data, and nobody knows which."""

BEGINNING_MS = 60_000
"""How long after the first marker of all the others may still be missing."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Data that Redis lost, and that no operator has accepted yet."""

    at_ms: int  # when it was noticed, the latest
    partitions: Mapping[int, str]  # how each that lost it did: "emptied", "replaced", "set back"
    is_found_here: bool = False  # by this look, and not before by another replica

    def __str__(self) -> str:
        ways = ", ".join(dict.fromkeys(self.partitions.values()))
        lost, of = len(self.partitions), len(partitions())
        part = "" if lost == of else f" in {lost} of {of} partitions"
        return f"{ways}{part}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a replica saw of a partition's marker."""

    id: str
    seen_ms: int


_MEMORY = TypeAdapter(dict[int, _Seen])


class Markers:
    """Compares. Every method raises StoreUnavailable. *memory* is a file that remembers between two processes."""

    def __init__(self, redis: RedisClient, memory: Path | None = None) -> None:
        self._redis = redis
        self._memory = memory
        self._set_back_ms = SET_BACK_MS if memory is None else REMEMBERED_SET_BACK_MS
        self._mark = load_script(redis, "mark")
        self._accept = load_script(redis, "accept_loss")
        self._seen: dict[int, _Seen] | None = None

    async def look(self, *, now_ms: int) -> Loss | None:
        """The loss that is open, if any. Of a cluster, what can be looked at is."""
        if self._seen is None:
            self._seen = self._remembered() or await self._begun(now_ms)
        found: dict[int, tuple[str, str]] = {}
        is_found_here = False
        for partition in partitions():
            reply = await self._marked(partition, self._seen, now_ms)
            if reply is None:
                continue
            marker_id, seen_ms, found_here, lost_at_ms, how = reply
            self._seen[partition] = _Seen(marker_id, int(seen_ms))
            is_found_here = is_found_here or bool(found_here)
            if lost_at_ms:
                found[partition] = (lost_at_ms, how)
        self._remember(self._seen)
        return _loss(found, is_found_here=is_found_here)

    async def accept(self) -> Loss | None:
        """An operator knows: from now on nothing is wrong. What was open until now, if anything."""
        replies = [await answered(self._accept([_key(partition)], [])) for partition in partitions()]
        return _loss({partition: (at_ms, how) for partition, (at_ms, how) in enumerate(replies) if at_ms})

    async def open_loss(self) -> Loss | None:
        """The loss that is open, if any; nothing is compared, and nothing written."""
        fields = ("lost_at_ms", "lost_how", "accepted")
        found = [await answered(self._redis.hmget(_key(partition), fields)) for partition in partitions()]
        return _loss({it: (at_ms, how) for it, (at_ms, how, accepted) in enumerate(found) if at_ms and not accepted})

    async def _marked(self, partition: int, seen: Mapping[int, _Seen], now_ms: int) -> list[Any] | None:
        """What the script replies; None for a partition of a cluster that is away."""
        known = seen.get(partition, _Seen("", 0))
        args = [known.id, known.seen_ms, now_ms, token_hex(8), self._set_back_ms, len(partitions())]
        try:
            reply: list[Any] = await answered(self._mark([_key(partition)], args))
        except StoreUnavailable:
            if not is_cluster(self._redis):
                raise
            return None
        else:
            return reply

    async def _begun(self, now_ms: int) -> dict[int, _Seen]:
        """What a replica knows that starts: where one partition has had a confirmed marker for long, all have had one.

        Without that, who made the marker may have died, or stood still, before it made the others.
        """
        found = [it for it in [await self._noted(partition) for partition in partitions()] if it is not None]
        if not found:
            log.info("store.begun")
        is_old = bool(found) and min(made_ms for made_ms, _ in found) + BEGINNING_MS < now_ms
        is_established = is_old and any(is_confirmed for _, is_confirmed in found)
        return dict.fromkeys(partitions(), _Seen(_SOME, 0)) if is_established else {}

    async def _noted(self, partition: int) -> tuple[int, bool] | None:
        """When a partition got its marker, and whether that is confirmed; None when it has none, or is away."""
        try:
            made_ms, confirmed = await answered(self._redis.hmget(_key(partition), ("made_ms", "confirmed")))
        except StoreUnavailable:
            if not is_cluster(self._redis):
                raise
            return None
        return None if made_ms is None else (int(made_ms), bool(confirmed))

    def _remembered(self) -> dict[int, _Seen]:
        if self._memory is None:
            return {}
        try:
            return _MEMORY.validate_json(self._memory.read_bytes())
        except (OSError, ValueError):  # pydantic's errors are ValueErrors
            return {}

    def _remember(self, seen: dict[int, _Seen]) -> None:
        if self._memory is None:
            return
        try:
            beside = self._memory.with_suffix(".new")
            beside.write_bytes(_MEMORY.dump_json(seen))
            beside.replace(self._memory)
        except OSError as exc:
            log.warning("store.not_remembered", file=str(self._memory), error=exc.strerror or str(exc))


def _key(partition: int) -> str:
    return keys.in_partition(partition, "marker")


def _loss(found: Mapping[int, tuple[str, str]], *, is_found_here: bool = False) -> Loss | None:
    """Of the partitions that have one: when that was noticed, and how."""
    if not found:
        return None
    at_ms = max(int(at_ms) for at_ms, _ in found.values())
    return Loss(at_ms, {partition: how for partition, (_, how) in found.items()}, is_found_here)
