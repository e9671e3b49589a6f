"""The ledger: what may still escalate and by when, apart from the timers that are to bring that about."""

from dataclasses import dataclass

from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.partitions import partitions
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, answers, is_cluster, load_script

STRETCH = 100
"""Overdue incidents looked at in one partition at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How many there are, of all replicas."""

    pending: int = 0  # incidents that may still escalate
    overdue: int = 0  # of those, whose escalation was due before some time, and heartbeats whose silence was
    timers_due: int = 0
    timers_waiting: int = 0
    running: int = 0
    failed: int = 0
    overdue_ids: tuple[IncidentId, ...] = ()  # some of the overdue; the next ones at the next look
    partitions_lost: int = 0  # that could not be looked at: of a cluster

    def plus(self, other: "Standing") -> "Standing":
        return Standing(
            self.pending + other.pending,
            self.overdue + other.overdue,
            self.timers_due + other.timers_due,
            self.timers_waiting + other.timers_waiting,
            self.running + other.running,
            self.failed + other.failed,
            self.overdue_ids + other.overdue_ids,
            self.partitions_lost + other.partitions_lost,
        )


class Ledger:
    """Reads the ledger, and brings back what it holds. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._rearm = load_script(redis, "rearm")
        self._looked_to: dict[int, int] = {}

    async def look(self, *, now_ms: int, due_before_ms: int) -> Standing:
        """How things stand; overdue is what was due before that time. Looks at a bounded number of incidents.

        Of a cluster, what can be looked at is, and only a cluster without any node raises StoreUnavailable.
        """
        standing = Standing()
        for partition in partitions():
            try:
                found = await self._look_at(partition, now_ms, due_before_ms)
            except StoreUnavailable:
                if not is_cluster(self._redis) or standing.partitions_lost == len(partitions()) - 1:
                    raise
                found = Standing(partitions_lost=1)
            standing = standing.plus(found)
        return standing

    async def rearm(self, incident_id: IncidentId, incident: Incident | None, *, now_ms: int) -> str:
        """Have the provider that owes it called at once, if that is due and it has neither a timer nor a claim.

        Returns "armed"; "gone" when it is forgotten, and then taken off the ledger; "" when nothing was to be done.
        """
        target = "" if incident is None else incident.owed_by or ""
        names = [keys.ledger(incident_id), *(keys.of_incident(incident_id, name) for name in ("timers", "running"))]
        reply = await answered(
            self._rearm(
                [keys.incident(incident_id), *names],
                [incident_id, keys.member(incident_id, target), now_ms],
            )
        )
        return str(reply)

    async def _look_at(self, partition: int, now_ms: int, due_before_ms: int) -> Standing:
        pending, expected, timers, running, failed = (
            keys.in_partition(partition, name) for name in ("pending", "expected", "timers", "running", "failed")
        )
        start = self._looked_to.get(partition, 0)
        overdue_range = ("-inf", f"({due_before_ms}")
        held, overdue, due, waiting, claimed, given_up, ids, silent, silent_ids = await answers(
            self._redis,
            [
                ("ZCARD", pending),
                ("ZCOUNT", pending, *overdue_range),
                ("ZCOUNT", timers, "-inf", now_ms),
                ("ZCOUNT", timers, f"({now_ms}", "+inf"),
                ("ZCARD", running),
                ("ZCARD", failed),
                ("ZRANGEBYSCORE", pending, *overdue_range, "LIMIT", start, STRETCH),
                ("ZCOUNT", expected, *overdue_range),
                ("ZRANGEBYSCORE", expected, *overdue_range, "LIMIT", 0, STRETCH),
            ],
        )
        # What has been looked at is stepped over, and looked at again once the end is reached.
        self._looked_to[partition] = start + STRETCH if len(ids) == STRETCH else 0
        overdue_ids = tuple(map(IncidentId, (*ids, *silent_ids)))
        return Standing(held, overdue + silent, due, waiting, claimed, given_up, overdue_ids)
