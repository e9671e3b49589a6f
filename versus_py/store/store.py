"""Incidents and timers: the typed methods in front of the scripts."""

import asyncio
import heapq
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import structlog

from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.model import PARTITIONS, Delivery, Entry, Incident, IncidentId, Status
from versus_py.incidents.transitions import Change
from versus_py.store import keys
from versus_py.store.calls import (
    Call,
    RedisClient,
    Script,
    answered,
    answers,
    is_cluster,
    load_script,
    run_all,
    server_time,
)
from versus_py.store.codec import dump_delivery, dump_entry, dump_incident, load_entry, load_incident
from versus_py.store.durability import Durability
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

T = TypeVar("T")

TIMELINE_MAX = 500
"""Entries kept of one incident's timeline; the oldest go first."""

PROBE_TTL_MS = 60_000
EVENTS_MAX = 1000
"""Entries kept, about, of the stream of changes."""

ANNOUNCE_TIMEOUT_S = 1.0
"""How long a change that is written may take to be announced."""

CLAIM_TIMEOUT_S = 4.0
"""How long it may take until claims are sure; then they count without."""

TRIM_BATCH = 100
"""Index entries looked at in one trim of one partition."""

PAGES_SCANNED = 20
"""Stretches of the index looked at for one page, when few incidents have the wanted status."""

LOST_MS = 5_000
"""How long a partition of a cluster is left alone whose node does not answer."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's lease on one (incident, target)."""

    incident_id: IncidentId
    target: str
    token: int  # the lease's end, ms
    attempt: int  # 1 is the first; above 1, an earlier attempt may have had an effect that nobody recorded


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of a claim."""

    how: Literal["done", "retry", "postponed", "failed"]
    seen_version: int  # of the incident that was synced
    at_ms: int | None = None  # when it is due again: always for "retry" and "postponed", for "done" if at all
    delivery: Delivery | None = None  # None leaves what is stored
    arm: tuple[str, ...] = ()  # targets that show what this one achieved
    entries: tuple[Entry, ...] = ()
    before: Incident | None = None  # as it was synced, where this may give it its outcome
    after: Incident | None = None  # and as it is by this

    @property
    def is_settled(self) -> bool:
        """Whether by this nothing is owed any more: the incident has its outcome."""
        return self.after is not None and self.after.owed_at_ms is None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the incidents, newest first; *cursor* continues it, None at the end."""

    incidents: tuple[Incident, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A target that an incident was given up for."""

    incident: Incident
    target: str

    @property
    def delivery(self) -> Delivery:
        return self.incident.delivery(self.target)


@dataclass(frozen=True, slots=True)
class GivenUpPage:
    """A part of what was given up, latest first; *cursor* continues it, None at the end."""

    found: tuple[GivenUp, ...]
    cursor: str | None


class Store:
    """Incidents and timers in Redis; *redis* is a client that decodes responses.

    Every method raises StoreUnavailable when Redis does not answer or refuses a write. Times are ms.
    *retention_ms* is how long an incident is kept after the last thing that was due; *reopen_ms* how long
    after its resolve a dedup key still names it; *settle_ms* how long what a failed attempt sent may take to have its
    effect: a change does not make it tried again sooner. *durability* says how sure a write is before `create` and
    `save` return; without one, Redis has it in memory.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        retention_ms: int,
        reopen_ms: int,
        settle_ms: int = 0,
        durability: Durability | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._redis = redis
        self._durability = durability
        self._retention_ms = retention_ms
        self._reopen_ms = reopen_ms
        self._settle_ms = settle_ms
        self._metrics = metrics or Metrics()
        self._create = load_script(redis, "create")
        self._save = load_script(redis, "save")
        self._claim = load_script(redis, "claim")
        self._complete = load_script(redis, "complete")
        self._arm = load_script(redis, "arm")
        self._first_partition = 0
        self._lost_until_ms: dict[int, int] = {}
        self._trimmed_to: dict[str, int] = {}

    async def server_time_ms(self) -> int:
        """The clock that all replicas share."""
        seconds, microseconds = await server_time(self._redis)
        return seconds * 1000 + microseconds // 1000

    async def find(self, dedup_keys: Sequence[str]) -> list[IncidentId | None]:
        """The incident that each of *dedup_keys* names: an open one, or one resolved less than *reopen_ms* ago."""
        found = await answers(self._redis, [("GET", keys.dedup(dedup_key)) for dedup_key in dedup_keys])
        return [None if it is None else IncidentId(it) for it in found]

    async def get(self, incident_id: IncidentId) -> Incident | None:
        """An incident with its deliveries; None when it is unknown or forgotten."""
        return load_incident(incident_id, await answered(self._redis.hgetall(keys.incident(incident_id))))

    async def get_all(self, incident_ids: Sequence[IncidentId]) -> list[Incident | None]:
        """Many at once, in their order. Raises Unreadable, as `get` does."""
        found = await self._fields_of(incident_ids)
        return [load_incident(incident_id, fields) for incident_id, fields in zip(incident_ids, found, strict=True)]

    async def get_readable(self, incident_ids: Sequence[IncidentId]) -> list[Incident | None]:
        """The same, with None also for those that cannot be read."""
        found = await self._fields_of(incident_ids)
        return [_readable(incident_id, fields) for incident_id, fields in zip(incident_ids, found, strict=True)]

    async def create(
        self, changes: Sequence[tuple[Change, IncidentId | None]], *, now_ms: int
    ) -> list[IncidentId | None]:
        """Write new incidents and arm their timers, each in one step by itself, all in one round trip.

        For each, None when it was written, else the id of the incident that is there already: the one its dedup
        key names, or itself. The id beside a change is one under that key which turned out to be gone.
        """
        replies = await self._write([self._creation(change, stale_id, now_ms) for change, stale_id in changes])
        existing = [IncidentId(reply) if reply else None for reply in replies]
        created = zip(changes, existing, strict=True)
        await self._announce(*(change.incident.id for (change, _), known in created if known is None))
        return existing

    async def save(self, changes: Sequence[Change], *, now_ms: int, durably: bool = True) -> list[bool]:
        """Write changed incidents, each provided that it is still at the version it was read at.

        False where somebody else changed it, or it is gone: read again and decide again. Without *durably* nobody
        is told about it, and it would be decided again if it were lost.
        """
        replies = await self._write([self._saving(change, now_ms) for change in changes], durably=durably)
        saved = [bool(written) for written in replies]
        pairs = zip(changes, saved, strict=True)
        await self._announce(*(change.incident.id for change, is_saved in pairs if is_saved))
        return saved

    async def settle(self, incident_ids: Sequence[IncidentId]) -> None:
        """What is known of these incidents is as sure as what `create` and `save` write."""
        if self._durability is not None and incident_ids:
            await self._durability.settle([keys.incident(incident_id) for incident_id in incident_ids])

    async def prove_writable(self) -> None:
        """Write something, as sure as what `create` writes. Raises StoreUnavailable when that cannot be had.

        On a cluster that is one partition, so one node.
        """
        await answered(self._redis.set(keys.PROBE, "1", px=PROBE_TTL_MS))
        if self._durability is not None:
            await self._durability.settle([keys.PROBE])

    async def claim(self, *, now_ms: int, lease_ms: int, limit: int) -> tuple[list[Claim], int | None]:
        """Lease up to *limit* timers that are due, and say when there is something to do again.

        That time is None when nothing waits at all, and not after *now_ms* when more is due. A leased timer is
        nobody else's for *lease_ms* and then comes back, so a sync may be seen twice. The leases are as sure as what
        `create` writes, if that comes true in time: one that a failover forgot would be somebody else's too.
        """
        claims: list[Claim] = []
        next_ms: list[int] = []
        for offset in range(PARTITIONS):
            if len(claims) >= limit:
                next_ms.append(now_ms)
                break
            partition = (self._first_partition + offset) % PARTITIONS
            if self._lost_until_ms.get(partition, 0) > now_ms:
                next_ms.append(self._lost_until_ms[partition])
                continue
            try:
                claimed, next_here = await self._claim_in(partition, now_ms, lease_ms, limit - len(claims))
            except StoreUnavailable as exc:
                if not is_cluster(self._redis):
                    if not claims:
                        raise
                    next_ms.append(now_ms)
                    break
                # The others go on: what they hold is worked on before anybody waits for this one again.
                self._lost_until_ms[partition] = now_ms + LOST_MS
                if self._are_all_lost(now_ms):
                    raise
                log.warning("redis.partition_unavailable", partition=partition, error=str(exc))
                next_ms.append(now_ms if claims else now_ms + 1)
                break
            claims += claimed
            next_ms += [next_here] if next_here is not None else []
        self._first_partition = (self._first_partition + 1) % PARTITIONS  # none starves behind a full one
        with suppress(StoreUnavailable, TimeoutError):  # what is due does not wait for a replica that is gone
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                await self.settle([it.incident_id for it in claims])
        return claims, min(next_ms, default=None)

    def _are_all_lost(self, now_ms: int) -> bool:
        return sum(until_ms > now_ms for until_ms in self._lost_until_ms.values()) == PARTITIONS

    async def _claim_in(self, partition: int, now_ms: int, lease_ms: int, limit: int) -> tuple[list[Claim], int | None]:
        token = now_ms + lease_ms
        next_here, expired, *pairs = await self._run(
            self._claim,
            [keys.in_partition(partition, name) for name in ("timers", "running", "attempts")],
            [now_ms, token, limit],
        )
        self._metrics.leases_taken_over.inc(int(expired))
        claims = [
            Claim(*keys.split_member(member), token, int(attempt))
            for member, attempt in zip(pairs[::2], pairs[1::2], strict=True)
        ]
        return claims, int(next_here) if next_here else None

    async def complete(self, claim: Claim, completion: Completion, *, now_ms: int) -> bool:
        """Give a claim back. False when its lease had ended: then nothing was written."""
        incident_id = claim.incident_id
        args: list[Any] = [
            keys.member(incident_id, claim.target),
            claim.token,
            completion.how,
            "" if completion.at_ms is None else completion.at_ms,
            now_ms,
            completion.seen_version,
            f"{keys.DELIVERY_FIELD}{claim.target}",
            "" if completion.delivery is None else dump_delivery(completion.delivery),
            max(now_ms, completion.at_ms or 0) + self._retention_ms,
            incident_id,
            int(completion.is_settled),
            TIMELINE_MAX,
            len(completion.arm),
            *(keys.member(incident_id, target) for target in completion.arm),
            *map(dump_entry, completion.entries),
        ]
        held = await self._run(
            self._complete,
            [
                keys.incident(incident_id),
                *(keys.of_incident(incident_id, name) for name in ("timers", "running", "attempts", "failed")),
                keys.timeline(incident_id),
                keys.of_incident(incident_id, "pending"),
            ],
            args,
        )
        if held:
            await self._announce(incident_id)
        return bool(held)

    async def arm(self, incident_id: IncidentId, target: str, *, now_ms: int) -> None:
        """Have *target* sync an incident although it did not change; nothing when it is gone."""
        names = ("timers", "running", "attempts")
        await self._run(
            self._arm,
            [keys.incident(incident_id), *(keys.of_incident(incident_id, name) for name in names)],
            [keys.member(incident_id, target), now_ms],
        )
        await self._announce(incident_id)

    async def timeline(self, incident_id: IncidentId) -> list[Entry]:
        """What happened to an incident, oldest first; empty when it is unknown."""
        lines = await answered(self._redis.lrange(keys.timeline(incident_id), 0, -1))
        return [load_entry(line) for line in lines]

    async def page(
        self, *, wanted: Callable[[Incident], bool] | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Incidents, newest first, of those that are *wanted*. *cursor* is that of an earlier page; else ValueError.

        One call looks at a bounded number of incidents, so a page may hold fewer than *limit* and still have a cursor.
        """

        async def found_in(rows: Sequence[tuple[int, str]]) -> list[Incident | None]:
            incidents = await self.get_readable([IncidentId(name) for _, name in rows])
            return [it if it is not None and (wanted is None or wanted(it)) else None for it in incidents]

        return Page(*await self._scanned("incidents", found_in, limit, cursor))

    async def given_up(self, *, limit: int = 50, cursor: str | None = None) -> GivenUpPage:
        """What was given up and is not being tried again, latest first. *cursor* as with `page`, and so is the rest."""

        async def found_in(rows: Sequence[tuple[int, str]]) -> list[GivenUp | None]:
            members = [keys.split_member(member) for _, member in rows]
            incidents = await self.get_readable([incident_id for incident_id, _ in members])
            pairs = zip(incidents, (target for _, target in members), strict=True)
            return [GivenUp(it, target) if it is not None and target in it.given_up else None for it, target in pairs]

        return GivenUpPage(*await self._scanned("failed", found_in, limit, cursor))

    async def _scanned(
        self,
        index: str,
        found_in: Callable[[Sequence[tuple[int, str]]], Awaitable[Sequence[T | None]]],
        limit: int,
        cursor: str | None,
    ) -> tuple[tuple[T, ...], str | None]:
        """Up to *limit* of what *found_in* finds in rows of the index, and the cursor of what comes after."""
        before = None if cursor is None else _parse_cursor(cursor)
        found: list[T] = []
        for _ in range(PAGES_SCANNED):
            rows = await self._newest(index, before, limit + 1)
            for row, it in zip(rows, await found_in(rows), strict=True):
                if it is not None and len(found) == limit:
                    return tuple(found), None if before is None else _cursor(before)
                if it is not None:
                    found.append(it)
                before = row
            if len(rows) <= limit or before is None:
                return tuple(found), None
        return tuple(found), None if before is None else _cursor(before)

    async def trim(self, *, now_ms: int) -> None:
        """Drop from the indexes what has expired, a bounded number of entries a call."""
        horizon_ms = now_ms - self._retention_ms
        for partition in range(PARTITIONS):
            for index in (keys.in_partition(partition, name) for name in ("incidents", "failed")):
                start = self._trimmed_to.get(index, 0)
                old = await answered(self._redis.zrangebyscore(index, "-inf", horizon_ms, start=start, num=TRIM_BATCH))
                gone = [member for member in old if not await self._exists(keys.split_member(member)[0])]
                if gone:
                    await answered(self._redis.zrem(index, *gone))
                # What is old but still there is stepped over, and looked at again once the end is reached.
                self._trimmed_to[index] = start + len(old) - len(gone) if len(old) == TRIM_BATCH else 0

    async def signing_key(self) -> str:
        """The key that signs links, made once and then shared by every replica and every restart."""
        await answered(self._redis.set(keys.SECRET, secrets.token_hex(32), nx=True))
        return str(await answered(self._redis.get(keys.SECRET)))

    async def next_change(self, after: str = "$", *, block_ms: int = 2000) -> str:
        """Wait until some incident changes on some replica, but no longer than *block_ms*.

        Returns where to go on from; "$" starts now.
        """
        reply = await answered(self._redis.xread({keys.EVENTS: after}, count=EVENTS_MAX, block=block_ms))
        return next((str(entries[-1][0]) for entries in _streams(reply)), after)

    def _creation(self, change: Change, stale_id: IncidentId | None, now_ms: int) -> Call:
        incident = change.incident
        return Call(
            self._create,
            [
                keys.incident(incident.id),
                keys.dedup(incident.dedup_key),
                keys.of_incident(incident.id, "timers"),
                keys.timeline(incident.id),
                keys.of_incident(incident.id, "incidents"),
                keys.of_incident(incident.id, "pending"),
            ],
            [
                incident.id,
                incident.status,
                dump_incident(incident),
                incident.created_at_ms,
                self._expire_at(incident, now_ms),
                stale_id or "",
                _or_nothing(incident.owed_at_ms),
                *_timer_args(change),
                *map(dump_entry, change.entries),
            ],
        )

    def _saving(self, change: Change, now_ms: int) -> Call:
        incident = change.incident
        expire_at_ms = self._expire_at(incident, now_ms)
        return Call(
            self._save,
            [
                keys.incident(incident.id),
                keys.dedup(incident.dedup_key),
                *(keys.of_incident(incident.id, name) for name in ("timers", "running", "attempts")),
                keys.timeline(incident.id),
                keys.of_incident(incident.id, "pending"),
            ],
            [
                incident.id,
                incident.version,
                incident.status,
                dump_incident(incident),
                expire_at_ms,
                now_ms + self._reopen_ms if incident.status is Status.RESOLVED else expire_at_ms,
                TIMELINE_MAX,
                self._settle_ms,
                _or_nothing(incident.owed_at_ms),
                *_timer_args(change),
                *map(dump_entry, change.entries),
            ],
        )

    async def _announce(self, *incident_ids: IncidentId) -> None:
        """Wake whoever follows. A convenience: workers look by themselves every few seconds."""
        if not incident_ids:
            return
        entry = ("XADD", keys.EVENTS, "MAXLEN", "~", EVENTS_MAX, "*", "incident")
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):  # on a cluster, another node than that of the incident
                await answers(self._redis, [(*entry, incident_id) for incident_id in incident_ids])

    async def _fields_of(self, incident_ids: Sequence[IncidentId]) -> list[Mapping[str, str]]:
        return await answers(self._redis, [("HGETALL", keys.incident(incident_id)) for incident_id in incident_ids])

    async def _exists(self, incident_id: IncidentId) -> bool:
        return bool(await answered(self._redis.exists(keys.incident(incident_id))))

    async def _newest(self, index: str, before: tuple[int, str] | None, number: int) -> Sequence[tuple[int, str]]:
        """(time, member) of the newest *number* entries of all partitions' *index* that come after *before*."""
        rows: list[tuple[int, str]] = []
        for partition in range(PARTITIONS):
            rows += await self._newest_of(keys.in_partition(partition, index), before, number)
        return heapq.nlargest(number, rows)

    async def _newest_of(self, index: str, before: tuple[int, str] | None, number: int) -> Sequence[tuple[int, str]]:
        highest = "+inf" if before is None else before[0]
        rows: list[tuple[int, str]] = []
        for start in range(0, 1 << 30, number):
            part = await answered(
                self._redis.zrevrangebyscore(index, highest, "-inf", start=start, num=number, withscores=True)
            )
            pairs = [(int(at_ms), member) for member, at_ms in part]
            rows += [pair for pair in pairs if before is None or pair < before]
            if len(rows) >= number or len(pairs) < number:
                break
        return rows[:number]

    async def _run(self, script: Script, script_keys: Sequence[str], args: Sequence[Any]) -> Any:
        with self._metrics.redis_call.time():
            return await answered(script(script_keys, args))

    async def _write(self, calls: Sequence[Call], *, durably: bool = True) -> list[Any]:
        """What the scripts answer; nothing is sent when there are none."""
        with self._metrics.redis_call.time():
            if self._durability is not None and durably:
                return await self._durability.run(calls)
            return await run_all(self._redis, calls)

    def _expire_at(self, incident: Incident, now_ms: int) -> int:
        """A TTL always outlives the timers that need it."""
        return max(now_ms, incident.escalates_at_ms or 0) + self._retention_ms


def _timer_args(change: Change) -> list[Any]:
    """The scripts' way to name timers: how many, then pairs of member and due time."""
    args: list[Any] = [len(change.timers)]
    for target, due_ms in change.timers.items():
        args += [keys.member(change.incident.id, target), "" if due_ms is None else due_ms]
    return args


def _or_nothing(at_ms: int | None) -> int | str:
    """The scripts' way to say that there is no such time."""
    return "" if at_ms is None else at_ms


def _readable(incident_id: IncidentId, fields: Mapping[str, str]) -> Incident | None:
    try:
        return load_incident(incident_id, fields)
    except Unreadable as exc:
        log.error("incident.unreadable", incident=incident_id, error=str(exc))  # noqa: TRY400
        return None


def _streams(reply: Any) -> Iterator[list[Any]]:
    """The entries of each stream in XREAD's answer, whose shape depends on the protocol's version."""
    if isinstance(reply, Mapping):
        for entries in reply.values():
            yield entries[0]
    else:
        for _, entries in reply or []:
            yield entries


def _cursor(row: tuple[int, str]) -> str:
    return f"{row[0]}:{row[1]}"


def _parse_cursor(cursor: str) -> tuple[int, str]:
    at_ms, _, member = cursor.partition(":")
    return int(at_ms), member
