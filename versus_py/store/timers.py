"""Timers: what is due, and the leases of who works on it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from msgspec import Struct

from versus_py.clock import Skew
from versus_py.errors import StoreUnavailable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import keys
from versus_py.store.calls import Call, RedisClient, answers, is_cluster, load_script, run_all, run_apart
from versus_py.store.codec import load_glance, load_incident
from versus_py.store.durability import Durability
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

LOST_MS = 5_000
"""How long a partition of a cluster is left alone whose node does not answer."""


SETTLE_TIMEOUT_S = 4.0
"""How long it may take until a claim is sure; then it counts without."""

GONE_MS = 9_000
"""A worker that has not looked for so long is gone. A worker looks every three seconds."""

WORKERS_KEPT_MS = 3600_000
"""How long workers are remembered when nobody looks."""


class Due(NamedTuple):
    """A timer whose time has come. The one that is due first is the least."""

    due_ms: int
    incident_id: IncidentId
    target: str


class Found(Struct, frozen=True):
    """What a look at the timers found."""

    due: tuple[Due, ...]  # earliest first
    next_ms: int | None  # when something else comes due or a lease ends; None: never
    more_from_ms: int | None  # more is due, of which the first was due then; None: that was all


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's lease on one (incident, target)."""

    incident_id: IncidentId
    target: str
    token: int  # the lease's end, ms
    attempt: int  # 1 is the first; above 1, an earlier attempt may have had an effect that nobody recorded
    stored: Mapping[str, str] = field(
        default_factory=dict, repr=False, compare=False
    )  # the incident, as it was when it was claimed

    def incident(self) -> Incident | None:
        """The incident when it was claimed; None when it is forgotten. Raises Unreadable."""
        return load_incident(self.incident_id, self.stored)


class Timers:
    """Finds what is due and leases it. Every method raises StoreUnavailable.

    Of a cluster, what can be looked at is, and only a cluster without any node raises it.
    """

    def __init__(
        self,
        redis: RedisClient,
        metrics: Metrics,
        durability: Durability | None = None,
        skew: Skew | None = None,
    ) -> None:
        self._redis = redis
        self._skew = skew
        self._durability = durability
        self._metrics = metrics
        self._look = load_script(redis, "look")
        self._claim = load_script(redis, "claim")
        self._begin = load_script(redis, "begin")
        self._lost_until_ms: dict[str, int] = {}
        self._unanswered: dict[str, dict[str, Due]] = {}  # by worker, by member: what it may have, and does not know

    async def look(
        self,
        *,
        now_ms: int,
        lease_ms: int,
        limit: int,
        from_ms: int | None = None,
        worker: str = "",
    ) -> Found:
        """What is due, at most *limit* timers of each partition, without those that were due before *from_ms*.

        It is a sign of life of *worker*. Leases that have ended without being given back are due again, and so is what
        a worker has claimed that is gone and had not begun to send. What *worker* has asked to claim without getting
        an answer is found too: it may have it. *lease_ms* is the longest lease. One round trip to each node.
        """
        lost = {it: until for it, until in self._lost_until_ms.items() if now_ms < until <= now_ms + LOST_MS}
        self._lost_until_ms = lost  # none for longer: the clock may have been set back
        here = [it for it in map(str, partitions()) if it not in lost]
        start = "-inf" if from_ms is None else from_ms
        # What the time has leapt by did not pass for those who hold a lease, or look.
        ended_by_ms = now_ms - (0 if self._skew is None else self._skew.leapt_ms(lease_ms))
        args = [now_ms, start, limit, worker, ended_by_ms - GONE_MS, WORKERS_KEPT_MS, ended_by_ms]
        names = ("timers", "running", "attempts", "workers", "unsent")
        replies = await self._replies(here, [Call(self._look, _keys(it, *names), args) for it in here], now_ms)
        due: list[Due] = []
        next_ms = [*lost.values()]
        more_from_ms: list[int] = []
        for next_here, taken_back, *pairs in replies.values():
            self._metrics.leases_taken_over.inc(int(taken_back))
            here_due = [
                Due(int(due_ms), *keys.split_member(member))
                for member, due_ms in zip(pairs[::2], pairs[1::2], strict=True)
            ]
            due += here_due
            next_ms += [int(next_here)] if next_here else []
            more_from_ms += [here_due[-1].due_ms] if len(here_due) == limit else []
        if unanswered := self._unanswered.get(worker):
            free = {keys.member(it.incident_id, it.target) for it in due}  # that call did not claim them
            asked = [it for member, it in unanswered.items() if member not in free]
            due += [it for it in asked if keys.partition_of_incident(it.incident_id) in replies]
        return Found(tuple(sorted(due)), min(next_ms, default=None), min(more_from_ms, default=None))

    async def pages(
        self, *, now_ms: int, lease_ms: int, limit: int, from_ms: int | None, worker: str = ""
    ) -> AsyncGenerator[Found, None]:
        """All that `look` would find, in the order in which it is due, as long as somebody asks for a further page."""
        size = limit
        while True:
            found = await self.look(now_ms=now_ms, lease_ms=lease_ms, limit=size, from_ms=from_ms, worker=worker)
            more_from_ms = found.more_from_ms
            if more_from_ms is None:
                yield found
                return
            # The next page begins at a due time: an offset would be shifted by what is claimed meanwhile. Where a whole
            # page is due at the same moment, the next one is larger. What is due after that moment is left to the next
            # page, as another partition may have something that is due before it.
            size = 2 * size if more_from_ms == from_ms else limit
            from_ms = more_from_ms
            yield replace(found, due=tuple(it for it in found.due if it.due_ms <= more_from_ms))

    async def glance(self, timers: Sequence[Due]) -> list[Incident | None]:
        """The incident of each without its alerts, and with the delivery of its target only.

        None for one that is forgotten, or cannot be read by this version.
        """
        if not timers:
            return []
        fields = [("version", "status", "incident", f"{keys.DELIVERY_FIELD}{it.target}") for it in timers]
        commands = [("HMGET", keys.incident(it.incident_id), *names) for it, names in zip(timers, fields, strict=True)]
        found = await answers(self._redis, commands)
        return [
            load_glance(it.incident_id, dict(zip(names, values, strict=True)))
            for it, names, values in zip(timers, fields, found, strict=True)
        ]

    async def claim(self, timers: Sequence[Due], *, now_ms: int, lease_ms: int, worker: str = "") -> list[Claim | None]:
        """Lease each of *timers*; None for one that is somebody else's by now, or not due any more.

        A leased timer is nobody else's for *lease_ms* and then comes back, so a sync may be seen twice. Until `begin`,
        it comes back sooner when *worker* is gone, and *worker* may claim it again: where the answer got lost, it has
        it without knowing, and `look` finds it.
        """
        token = now_ms + lease_ms
        by_partition: dict[str, list[Due]] = {}
        for it in timers:
            by_partition.setdefault(keys.partition_of_incident(it.incident_id), []).append(it)
        calls = [
            Call(
                self._claim,
                [
                    *_keys(partition, "timers", "running", "attempts", "unsent"),
                    *(keys.incident(it.incident_id) for it in wanted),
                ],
                [now_ms, token, worker, *(keys.member(it.incident_id, it.target) for it in wanted)],
            )
            for partition, wanted in by_partition.items()
        ]
        unanswered = self._unanswered.setdefault(worker, {}) if worker else {}
        unanswered |= {keys.member(it.incident_id, it.target): it for it in timers}
        replies = await self._replies([*by_partition], calls, now_ms)
        claims: dict[Due, Claim] = {}
        for partition, reply in replies.items():
            for it, (attempt, pairs) in zip(by_partition[partition], reply, strict=True):
                unanswered.pop(keys.member(it.incident_id, it.target), None)
                if attempt:
                    stored = dict(zip(pairs[::2], pairs[1::2], strict=True))
                    claims[it] = Claim(it.incident_id, it.target, token, int(attempt), stored)
        return [claims.get(it) for it in timers]

    async def begin(self, claim: Claim) -> bool:
        """To be called before anything is sent: False when the claim does not hold any more, and nothing may be.

        The claim is then as sure as what `create` writes, if that comes true in time: what a failover forgot would be
        somebody else's too. What is due does not wait for a replica that is gone.
        """
        call = Call(
            self._begin,
            _keys(keys.partition_of_incident(claim.incident_id), "running", "unsent"),
            [keys.member(claim.incident_id, claim.target), claim.token],
        )
        [holds] = await run_all(self._redis, [call])
        if holds and self._durability is not None:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(SETTLE_TIMEOUT_S):
                    await self._durability.settle([keys.incident(claim.incident_id)])
        return bool(holds)

    async def _replies(self, partitions: Sequence[str], calls: Sequence[Call], now_ms: int) -> dict[str, Any]:
        """What each partition's script answered; of a cluster, those whose node answers."""
        with self._metrics.redis_call.time():
            found = await run_apart(self._redis, calls)
        replies: dict[str, Any] = {}
        for partition, reply in zip(partitions, found, strict=True):
            if not isinstance(reply, StoreUnavailable):
                replies[partition] = reply
            elif not is_cluster(self._redis):
                raise reply
            else:
                self._lost_until_ms[partition] = now_ms + LOST_MS
                if self._are_all_lost(now_ms):
                    raise reply
                log.warning("redis.partition_unavailable", partition=partition, error=str(reply))
        return replies

    def _are_all_lost(self, now_ms: int) -> bool:
        return sum(until_ms > now_ms for until_ms in self._lost_until_ms.values()) == len(partitions())


def _keys(partition: str, *names: str) -> list[str]:
    return [keys.in_partition(partition, name) for name in names]
