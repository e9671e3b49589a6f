"""Incidents and timers: the typed methods in front of the scripts."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import structlog
from msgspec import Struct

from versus_py.clock import Skew, monotonic_ms
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import (
    SUPPRESSED_LOOK_MS,
    Alert,
    Delivery,
    Ending,
    Entry,
    Incident,
    IncidentId,
    Status,
    system_of,
)
from versus_py.incidents.partitions import partitions
from versus_py.incidents.repeats import Again, confirmations, is_repeat
from versus_py.incidents.transitions import Change
from versus_py.store import keys, names, pages
from versus_py.store.announcements import Announcements
from versus_py.store.calls import (
    Call,
    RedisClient,
    Script,
    answered,
    answers,
    is_cluster,
    load_script,
    run_all,
    run_optionally,
)
from versus_py.store.changes import KEPT, NOT_DUE_MS, Changes
from versus_py.store.codec import (
    SCHEMA,
    dump_alerts,
    dump_delivery,
    dump_entry,
    dump_incident,
    has_alerts_apart,
    load_entry,
    load_glance,
    load_incident,
)
from versus_py.store.durability import Durability
from versus_py.store.gateway_secret import gateway_secret
from versus_py.store.history import History
from versus_py.store.names import Names
from versus_py.store.pages import GivenUpPage, Page
from versus_py.store.references import References
from versus_py.store.refusals import Refusals
from versus_py.store.sender_requests import SenderRequests
from versus_py.store.standings import Standings
from versus_py.store.timers import Claim, Timers
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

TIMELINE_MAX = 500
"""Entries kept of one incident's timeline; the oldest go first."""

PROBE_TTL_MS = 60_000
INDEX_TIMEOUT_S = 1.0
"""How long it may take to have alerts and locators name an incident that is written."""

DUE_WITHIN_MS = 10_000
"""What a completion has due later is not announced as due: workers look by themselves before that."""

NAME_TIMEOUT_S = 4.0
"""How long the further keys of incidents that are written may take to be written."""

RENEW_BATCH = 200
"""Incidents looked at in one go whether they have to be kept for longer."""

RENEW_BEFORE_MS = 12 * 3600_000
"""An open incident is kept for longer when it has lost this much of its time, so about twice a day."""

TRIM_BATCH = 100
"""Index entries looked at in one go."""

TRIM_FOR_S = 5.0
"""How long one trim goes on: tens of thousands of entries."""

_TRIMMED = ("incidents", "heartbeats", "failed")
"""The indexes of each partition that are trimmed."""

UNREAD_KEEP_MS = 10 * 60_000
"""An incident that cannot be read is met every few seconds; when it is not for so long, somebody can read it."""


class Completion(Struct, frozen=True):
    """What became of a claim."""

    how: Literal["done", "retry", "postponed", "failed"]
    seen_version: int  # of the incident that was synced
    at_ms: int | None = None  # when it is due again: always for "retry" and "postponed", for "done" if at all
    delivery: Delivery | None = None  # None leaves what is stored
    names_locator: bool = False  # that one's locator is new, or its key has not been written for a while
    arm: tuple[str, ...] = ()  # targets that show what this one achieved
    entries: tuple[Entry, ...] = ()
    dedup_key: str = ""  # the incident's; "" when it could not be read
    before: Incident | None = None  # as it was synced, where this may give it its outcome
    after: Incident | None = None  # and as it is by this
    ends_escalation: bool = False  # of one that cannot be read: nothing is owed any more
    looked_at_next_ms: int | None = None  # of what is silenced for nobody knows how long: when it is asked about again

    @property
    def is_news(self) -> bool:
        """Whether it changes what is known of the incident."""
        return self.delivery is not None or bool(self.entries) or self.ends_escalation

    def owed_at_ms(self, now_ms: int) -> int | str:
        """When its escalation is due by this, as `complete` takes it."""
        if self.ends_escalation:
            return ""
        if self.looked_at_next_ms is not None:
            return self.looked_at_next_ms
        return "-" if self.after is None else _owed_at_ms(self.after, now_ms)


_KEPT = "-"
"""In place of alerts: what is stored of them apart stays as it is."""

_ENDED = 2
"""What `complete` answers when it took the incident off the ledger."""


@dataclass(frozen=True, slots=True)
class UnreadIncident:
    """What is known of an incident that cannot be read."""

    since_ms: int
    version: int
    is_due: bool  # its escalation is, and nobody can bring it about


class Store:
    """Incidents and timers in Redis; *redis* is a client that decodes responses.

    Every method raises StoreUnavailable when Redis does not answer or refuses a write. Times are ms.
    *retention_ms* is how long an incident is kept after the last thing that was due; *reopen_ms* how long
    after its resolve a dedup key still names it; *settle_ms* how long what a failed attempt sent may take to have its
    effect: a change does not make it tried again sooner. *durability* says how sure a write is before `create` and
    `save` return; without one, Redis has it in memory. *skew* says how the server's clock differs from the times that
    are handed in; without one, it does not.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        retention_ms: int,
        reopen_ms: int,
        settle_ms: int = 0,
        durability: Durability | None = None,
        skew: Skew | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._redis = redis
        self.refusals = Refusals(redis)
        self.sender_requests = SenderRequests(redis)
        self.changes = Changes(redis)
        self.standings = Standings(redis, reopen_ms=reopen_ms)
        self.history = History(redis, self.get_each)
        self._references = References(redis)
        self._announcements = Announcements(redis)
        self._durability = durability
        self._retention_ms = retention_ms
        self._reopen_ms = reopen_ms
        self._settle_ms = settle_ms
        self._skew = skew
        self._metrics = metrics or Metrics()
        self._create = load_script(redis, "create")
        self._save = load_script(redis, "save")
        self._repeat = load_script(redis, "repeat")
        self._name = load_script(redis, "name")
        self._renew = load_script(redis, "renew")
        self._complete = load_script(redis, "complete")
        self._arm = load_script(redis, "arm")
        self._note_unread = load_script(redis, "note_unread")
        self._index_alerts = load_script(redis, "index_alerts")
        self._report = load_script(redis, "announce")
        self._put = load_script(redis, "put")
        self._trim = load_script(redis, "trim")
        self._first_index = 0
        self.timers = Timers(redis, self._metrics, durability, skew)
        self._trimmed_to: dict[str, int] = {}

    async def find(
        self, dedup_keys: Sequence[str], origins: Sequence[str] = (), older: Sequence[Names] = ()
    ) -> tuple[list[str], list[bool | None], list[tuple[IncidentId, ...]]]:
        """What each of *dedup_keys* names, and of each of *origins*, whether it is known to list resolved alerts.

        And what `find_older` says of *older*, in the same round trip.

        Of an origin, None while the node of a cluster that knows it is away. A key names an open incident, or one
        resolved less than *reopen_ms* ago; "" when it names none, and several ids with a space between where one
        group has become of many.
        """
        return await names.find(self._redis, dedup_keys, origins, older)

    async def find_older(self, wanted: Sequence[Names]) -> list[tuple[IncidentId, ...]]:
        """The incidents that each of *wanted* stands for, in the order in which it says them, each once.

        Without those that only a node of a cluster knows that is away.
        """
        return await names.find_older(self._redis, wanted)

    async def note_resolves(self, origins: Sequence[str]) -> list[bool]:
        """Write down that these list resolved alerts; whether that is done, which a cluster's node may be away for."""
        return await names.note_resolves(self._redis, origins)

    async def get(self, incident_id: IncidentId) -> Incident | None:
        """An incident with its deliveries; None when it is unknown or forgotten."""
        [found] = await answers(self._redis, [("HGETALL", keys.incident(incident_id))])
        return load_incident(incident_id, found)

    async def incident_at(self, system: str, locator: str) -> IncidentId | None:
        """The incident that has its message or record there; None when there is none, or it has another one by now.

        Raises Unreadable, as `get`.
        """
        incident_id = await self._references.named(system, locator)
        incident = None if incident_id is None else await self.get(incident_id)
        return incident.id if incident is not None and incident.target_at(system, locator) is not None else None

    async def get_each(self, incident_ids: Sequence[IncidentId]) -> list[Incident | Unreadable | None]:
        """Many at once, in their order; for each that cannot be read, why."""
        found = await answers(self._redis, [("HGETALL", keys.incident(it)) for it in incident_ids])
        return [_read(incident_id, fields) for incident_id, fields in zip(incident_ids, found, strict=True)]

    async def get_readable(self, incident_ids: Sequence[IncidentId]) -> list[Incident | None]:
        """The same, with None also for those that cannot be read, which the log names."""
        found = await self.get_each(incident_ids)
        for incident_id, it in zip(incident_ids, found, strict=True):
            if isinstance(it, Unreadable):
                log.error("incident.unreadable", incident=incident_id, error=str(it))
        return [None if isinstance(it, Unreadable) else it for it in found]

    async def create(self, changes: Sequence[tuple[Change, str]], *, now_ms: int) -> list[str]:
        """Write new incidents and arm their timers, each in one step by itself, all in one round trip.

        For each, "" when it was written, else the id of the incident that is there already: what its dedup key
        names, or itself. Beside a change is what that key names though it turned out to be gone.
        """
        replies = await self._write([self._creation(change, stale, now_ms) for change, stale in changes])
        existing = [str(reply or "") for reply in replies]
        created = [change for (change, _), known in zip(changes, existing, strict=True) if not known]
        self._announce(created)
        await self._index(created, now_ms=now_ms)
        return existing

    @property
    def can_create_new(self) -> bool:
        """Whether one step can write an incident and look at all its names: on a cluster, these are at many nodes."""
        return not is_cluster(self._redis)

    async def create_new(self, change: Change, known_by: Names, *, now_ms: int) -> bool:
        """Write a new incident that none of its names leads to, have its alerts name it, and announce it: in one step.

        False where a name leads to something, be it another incident or nothing any more: then nothing is written.
        *known_by* has at most ALERTS_ASKED_MAX alerts: all that the incident begins with.
        """
        [reply] = await self._write([self._new_creation(change, known_by, now_ms)])
        return not reply

    async def save(self, changes: Sequence[Change], *, now_ms: int, durably: bool = True) -> list[bool]:
        """Write changed incidents, each provided that it is still at the version it was read at.

        False where somebody else changed it, or it is gone: read again and decide again. Without *durably* nobody
        is told about it, and it would be decided again if it were lost. A repeat is only counted.
        """
        counted = [is_repeat(change, now_ms) for change in changes]
        calls = [
            self._counting(change, now_ms) if is_counted else self._saving(change, now_ms)
            for change, is_counted in zip(changes, counted, strict=True)
        ]
        saved = [bool(it) for it in await self._write(calls, durably=durably)]
        won = [(change, is_counted) for change, is_counted, it in zip(changes, counted, saved, strict=True) if it]
        self._announce([change for change, _ in won])
        written = [change for change, is_counted in won if not is_counted]
        await self._name_again([change.incident for change in written], now_ms=now_ms, durably=durably)
        await self._index(written, now_ms=now_ms)
        return saved

    async def count(self, again: Again, *, now_ms: int) -> bool:
        """Count that an incident was said *again*. False where that is to be decided anew: then nothing is written."""
        call = self._repetition(again.incident_id, again.written_version, 1, again.targets, now_ms, again.dedup_key)
        [is_counted] = await self._write([call])
        if is_counted:
            self._announcements.make({again.incident_id: now_ms if again.targets else None})
        return bool(is_counted)

    async def settle(self, incident_ids: Sequence[IncidentId]) -> None:
        """What is known of these incidents is as sure as what `create` and `save` write."""
        if self._durability is not None and incident_ids:
            await self._durability.settle([keys.incident(incident_id) for incident_id in incident_ids])

    async def prove_writable(self) -> None:
        """Write something, as sure as what `create` writes. Raises StoreUnavailable when that cannot be had.

        On a cluster that is one partition, so one node. A full server is StoreFull.
        """
        await answered(self._redis.set(keys.PROBE, "1", px=PROBE_TTL_MS))
        if self._durability is not None:
            await self._durability.settle([keys.PROBE])

    async def complete(self, claim: Claim, completion: Completion, *, now_ms: int) -> bool:
        """Give a claim back. False when its lease had ended: then nothing was written.

        But for the key of a locator, which is written before: see `references`.
        """
        incident_id = claim.incident_id
        if completion.names_locator and completion.delivery is not None:
            for_ms = max(0, (completion.at_ms or 0) - now_ms) + self._retention_ms
            system, locator = system_of(claim.target), completion.delivery.locator
            await self._references.run([self._references.write(incident_id, system, locator, for_ms=for_ms)])
        args: list[Any] = [
            keys.member(incident_id, claim.target),
            claim.token,
            completion.how,
            "" if completion.at_ms is None else completion.at_ms,
            now_ms,
            completion.seen_version,
            f"{keys.DELIVERY_FIELD}{claim.target}",
            "" if completion.delivery is None else dump_delivery(completion.delivery),
            self._by_server(max(now_ms, completion.at_ms or 0) + self._retention_ms),
            incident_id,
            completion.owed_at_ms(now_ms),
            TIMELINE_MAX,
            len(completion.arm),
            *(keys.member(incident_id, target) for target in completion.arm),
            *map(dump_entry, completion.entries),
        ]
        held, due_ms = await self._run(
            self._complete,
            [
                keys.incident(incident_id),
                *(keys.of_incident(incident_id, name) for name in ("timers", "running", "attempts", "failed")),
                keys.timeline(incident_id),
                keys.ledger(incident_id),
                keys.of_incident(incident_id, "unsent"),
                *(
                    [keys.dedup(completion.dedup_key), keys.payload(incident_id), keys.unread(incident_id)]
                    if completion.dedup_key
                    else ()
                ),
            ],
            args,
        )
        if held == _ENDED and completion.ends_escalation:  # which nobody else can count
            self._metrics.incident_outcomes.labels(Ending.FAILED).inc()
        is_due_soon = bool(due_ms) and int(due_ms) < now_ms + DUE_WITHIN_MS
        if is_due_soon or (held and completion.is_news):
            self._announcements.make({incident_id: int(due_ms) if is_due_soon else None})
        return bool(held)

    async def note_unread(self, incident_id: IncidentId, *, now_ms: int) -> UnreadIncident | None:
        """An incident was met that cannot be read. What is known of it; None when it is gone."""
        names = [keys.unread(incident_id), keys.incident(incident_id), keys.ledger(incident_id)]
        since_ms, version, is_due = await self._run(self._note_unread, names, [incident_id, now_ms, UNREAD_KEEP_MS])
        return UnreadIncident(int(since_ms), int(version), bool(is_due)) if version else None

    async def failed_targets(self, incident_id: IncidentId) -> list[str]:
        """The targets that an incident was given up for, whether or not it knows."""
        name, cursor, found = keys.of_incident(incident_id, "failed"), 0, []
        while True:
            cursor, rows = await answered(self._redis.zscan(name, cursor, match=f"{incident_id}|*", count=1000))
            found += [keys.split_member(member)[1] for member, _ in rows]
            if not int(cursor):
                return sorted({*found})

    async def arm(self, incident_id: IncidentId, target: str, *, now_ms: int) -> None:
        """Have *target* sync an incident although it did not change; nothing when it is gone."""
        names = ("timers", "running", "attempts")
        await self._run(
            self._arm,
            [keys.incident(incident_id), *(keys.of_incident(incident_id, name) for name in names)],
            [keys.member(incident_id, target), now_ms],
        )
        self._announcements.make({incident_id: now_ms})

    async def timeline(self, incident_id: IncidentId) -> list[Entry]:
        """What happened to an incident, oldest first; empty when it is unknown."""
        names = ("version", "status", "incident")
        read = [("HMGET", keys.incident(incident_id), *names), ("LRANGE", keys.timeline(incident_id), 0, -1)]
        values, lines = await answers(self._redis, read)
        incident = load_glance(incident_id, dict(zip(names, values, strict=True)))
        return [*(incident.opening if incident else ()), *map(load_entry, lines)]

    async def page(
        self, *, wanted: Callable[[Incident], bool] | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Incidents, newest first, of those that are *wanted*. *cursor* is that of an earlier page; else ValueError.

        One call looks at a bounded number of incidents, so a page may hold fewer than *limit* and still have a cursor.
        """
        return await pages.page(self._redis, self.get_each, wanted=wanted, limit=limit, cursor=cursor)

    async def heartbeats(self) -> list[Incident]:
        """Every heartbeat that was seen, of all partitions; those that cannot be read are in the log."""
        indexes = [keys.in_partition(partition, "heartbeats") for partition in partitions()]
        found = await answers(self._redis, [("ZRANGE", it, 0, -1) for it in indexes])
        ids = [IncidentId(it) for listed in found for it in listed]
        return [it for it in await self.get_readable(ids) if it is not None]

    async def given_up(self, *, limit: int = 50, cursor: str | None = None) -> GivenUpPage:
        """What was given up and is not being tried again, latest first. *cursor* as with `page`, and so is the rest."""
        return await pages.given_up(self._redis, self.get_each, limit=limit, cursor=cursor)

    async def payload(self, incident_id: IncidentId) -> str:
        """The last body that it came with, as `create` and `save` got it; "" when it is not kept."""
        return str(await answered(self._redis.get(keys.payload(incident_id))) or "")

    async def renew(self, partition: int, start: int, *, now_ms: int) -> int | None:
        """Keep what is open for longer, of the incidents from number *start* of a partition on.

        Returns the number to go on from; None at the end. An incident may be changed at any time meanwhile.
        """
        index = keys.in_partition(partition, "incidents")
        found = await answered(self._redis.zrange(index, start, start + RENEW_BATCH - 1))
        ids = [IncidentId(it) for it in found]
        commands = [
            command for it in ids for command in (("HGET", keys.incident(it), "status"), ("PTTL", keys.incident(it)))
        ]
        said = await answers(self._redis, commands)
        pairs = zip(said[::2], said[1::2], strict=True)
        fades = self._retention_ms - min(RENEW_BEFORE_MS, self._retention_ms // 2)
        fading = [
            it
            for it, (status, left_ms) in zip(ids, pairs, strict=True)
            if status not in {None, Status.RESOLVED} and left_ms < fades
        ]
        incidents = [it for it in await self.get_readable(fading) if it is not None]
        await run_all(self._redis, [self._renewal(it, now_ms) for it in incidents])
        await self._name_again(incidents, now_ms=now_ms)
        await self._references.run([call for it in incidents for call in self._locating(it, now_ms)])
        await run_optionally(
            self._redis,
            [call for it in incidents for call in self._indexing(it, it.firing, now_ms)],
        )
        return start + RENEW_BATCH if len(ids) == RENEW_BATCH else None

    async def trim(self, *, now_ms: int) -> None:
        """Drop from the indexes what has expired, for TRIM_FOR_S at most; the next call goes on from there."""
        ends_at_ms = monotonic_ms() + round(TRIM_FOR_S * 1000)
        horizon_ms = now_ms - self._retention_ms
        indexes = [keys.in_partition(partition, name) for partition in partitions() for name in _TRIMMED]
        for _ in indexes:
            index = indexes[self._first_index]
            while not await self._trimmed(index, horizon_ms):
                if monotonic_ms() >= ends_at_ms:
                    return
            self._first_index = (self._first_index + 1) % len(indexes)

    async def _trimmed(self, index: str, horizon_ms: int) -> bool:
        """Look at some more of what is old; whether that was the rest."""
        start = self._trimmed_to.get(index, 0)
        old = await answered(self._redis.zrangebyscore(index, "-inf", horizon_ms, start=start, num=TRIM_BATCH))
        incidents = [keys.incident(keys.split_member(member)[0]) for member in old]
        gone = int(await self._run(self._trim, [index, *incidents], old)) if old else 0
        # What is old but still there is stepped over, and looked at again once the end is reached.
        is_rest = len(old) < TRIM_BATCH
        self._trimmed_to[index] = 0 if is_rest else start + len(old) - gone
        return is_rest

    async def signing_key(self, known: str | None = None) -> str:
        """The key that signs links, shared by every replica and every restart.

        Where Redis has none, it becomes *known*, or a new one; as sure as an incident, but on a cluster.
        """
        is_new = await answered(self._put([keys.SECRET], [known or secrets.token_hex(32), "", "1"]))
        if is_new and self._durability is not None:
            await self._durability.settle([keys.PROBE])  # all keys of one server share its lane
        return str(await answered(self._redis.get(keys.SECRET)))

    async def gateway_secret(self, known: str | None = None) -> str:
        """The generated secret of the API. Where Redis has none, it becomes *known*, or a new one."""
        return await gateway_secret(self._redis, known)

    async def keep_signing_key(self, key: str) -> None:
        """Write it again, where it was lost, or another one took its place."""
        await answered(self._put([keys.SECRET], [key, "", ""]))

    async def takes_turn(self, name: str, *, for_ms: int) -> bool:
        """Whether the caller is to do what one replica does once in so long."""
        return bool(await answered(self._put([keys.turn(name)], ["1", for_ms, "1"])))

    async def lost_at_ms(self, incident_id: IncidentId) -> int | None:
        """When Redis last lost data that an incident may have been part of; None when it never did."""
        found = await answered(self._redis.hget(keys.of_incident(incident_id, "marker"), "lost_at_ms"))
        return None if found is None else int(found)

    async def next_change(self, after: str, *, block_ms: int) -> tuple[str, int | None]:
        """Wait until an incident has changed on some replica since *after*, but no longer than *block_ms*.

        Returns where to go on from, and when the first timer that this armed is due; None when there were none. An
        older version does not say when: that is 0.
        """
        found = await self.changes.after(after, block_ms=block_ms)
        due_ms = min((it.due_ms for it in found if it.due_ms is not None), default=None)
        return (found[-1].id if found else after), due_ms

    def _renewal(self, incident: Incident, now_ms: int) -> Call:
        return Call(
            self._renew,
            [
                keys.incident(incident.id),
                keys.dedup(incident.dedup_key),
                keys.timeline(incident.id),
                keys.payload(incident.id),
            ],
            [incident.id, self._expire_at(incident, now_ms)],
        )

    async def _name_again(self, incidents: Sequence[Incident], *, now_ms: int, durably: bool = False) -> None:
        """Their further keys, which may be at other nodes of a cluster: what is written of the incidents stays so."""
        calls = [call for it in incidents for call in self._naming(it, now_ms)]
        if not calls:
            return
        try:
            async with asyncio.timeout(NAME_TIMEOUT_S):
                await self._write(calls, durably=durably)
        except (StoreUnavailable, TimeoutError) as exc:
            log.warning("incident.names_unavailable", error=str(exc) or type(exc).__name__)

    def _naming(self, incident: Incident, now_ms: int) -> list[Call]:
        """Has the further keys name it that do, for as long as its own."""
        args = [incident.id, self._named_until_ms(incident, now_ms), int(incident.status is not Status.RESOLVED)]
        return [Call(self._name, [keys.dedup(it)], args) for it in incident.aliases]

    def _indexing(self, incident: Incident, alerts: Sequence[Alert], now_ms: int) -> list[Call]:
        """Has *alerts* name it, for as long as it is kept."""
        until_ms, server_now_ms = self._expire_at(incident, now_ms), self._by_server(now_ms)
        return names.index(self._index_alerts, incident, alerts, expire_at_ms=until_ms, now_ms=server_now_ms)

    def _locating(self, incident: Incident, now_ms: int) -> list[Call]:
        """Has what its systems call it name it, for as long as it is kept."""
        for_ms = max(0, (incident.last_due_ms or 0) - now_ms) + self._retention_ms
        return self._references.renewals(incident, for_ms=for_ms)

    def _new_creation(self, change: Change, known_by: Names, now_ms: int) -> Call:
        creation = self._creation(change, "", now_ms)
        due_ms, others = _first_due_ms(change), known_by.others
        firing = {it.fingerprint for it in change.incident.firing}
        alerts = sorted(known_by.alerts, key=lambda it: it[0] not in firing)
        buckets = [keys.alert(*it) for it in alerts]
        args = [
            KEPT,
            NOT_DUE_MS if due_ms is None else due_ms,
            len(others),
            sum(fingerprint in firing for fingerprint, _ in alerts),
            self._by_server(now_ms),
        ]
        return Call(
            self._create,
            [*creation.keys, keys.EVENTS, *others, *(bucket for bucket, _ in buckets)],
            [*creation.args, *args, *(field for _, field in buckets)],
        )

    def _creation(self, change: Change, stale: str, now_ms: int) -> Call:
        incident = change.incident
        return Call(
            self._create,
            [
                keys.incident(incident.id),
                keys.dedup(incident.dedup_key),
                keys.of_incident(incident.id, "timers"),
                keys.index(incident.id),
                keys.ledger(incident.id),
                keys.payload(incident.id),
            ],
            [
                incident.id,
                incident.status,
                dump_incident(replace(incident, opening=change.entries)),
                _alerts_arg(change),
                incident.created_at_ms,
                self._expire_at(incident, now_ms),
                stale,
                _owed_at_ms(incident, now_ms),
                change.payload,
                *_timer_args(change),
                *_delivery_args(incident),
            ],
        )

    def _saving(self, change: Change, now_ms: int) -> Call:
        incident = replace(change.incident, confirmations=confirmations(change, now_ms))
        return Call(
            self._save,
            [
                keys.incident(incident.id),
                keys.dedup(incident.dedup_key),
                *(keys.of_incident(incident.id, name) for name in ("timers", "running", "attempts")),
                keys.timeline(incident.id),
                keys.ledger(incident.id),
                keys.payload(incident.id),
            ],
            [
                incident.id,
                incident.version - incident.repeats,
                incident.status,
                dump_incident(incident),
                self._expire_at(incident, now_ms),
                self._named_until_ms(incident, now_ms),
                TIMELINE_MAX,
                self._settle_ms,
                _owed_at_ms(incident, now_ms),
                _alerts_arg(change),
                change.payload,
                *_timer_args(change),
                *map(dump_entry, change.entries),
            ],
        )

    def _counting(self, change: Change, now_ms: int) -> Call:
        incident, before = change.incident, change.before
        count = incident.occurrences - (before.occurrences if before else 0)
        return self._repetition(incident.id, incident.version - incident.repeats, count, tuple(change.timers), now_ms)

    def _repetition(
        self,
        incident_id: IncidentId,
        written_version: int,
        count: int,
        targets: Sequence[str],
        now_ms: int,
        dedup_key: str = "",
    ) -> Call:
        """*dedup_key* has to name the incident, if it is given."""
        return Call(
            self._repeat,
            _keys_of_repeat(incident_id, dedup_key),
            [
                incident_id,
                written_version,
                count,
                now_ms,
                self._settle_ms,
                *(keys.member(incident_id, target) for target in targets),
            ],
        )

    def _announce(self, changes: Sequence[Change]) -> None:
        """Tell all replicas what changed. A convenience: workers look by themselves every few seconds."""
        self._announcements.make({change.incident.id: _first_due_ms(change) for change in changes})

    async def _index(self, changes: Sequence[Change], *, now_ms: int) -> None:
        """Have new alerts name their incident, and keep the keys of its locators.

        A convenience: an alert's own name is asked for only where its group has another one than before, and
        locators are named again with the next change.
        """
        indexing = [it for change in changes for it in self._indexing(change.incident, names.unsure(change), now_ms)]
        indexing += [call for change in changes for call in self._locating(change.incident, now_ms)]
        if not indexing:
            return
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(INDEX_TIMEOUT_S):  # on a cluster, other nodes than that of the incident
                await run_all(self._redis, indexing)

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
        return self._by_server(max(now_ms, incident.last_due_ms or 0) + self._retention_ms)

    def _named_until_ms(self, incident: Incident, now_ms: int) -> int:
        """For how long its dedup key names it."""
        if incident.status is not Status.RESOLVED:
            return self._expire_at(incident, now_ms)
        return self._by_server(max(now_ms + 1, (incident.resolved_at_ms or now_ms) + self._reopen_ms))

    def _by_server(self, at_ms: int) -> int:
        """The same moment by the clock of the server, which expires keys."""
        return at_ms + (0 if self._skew is None else self._skew.server_ahead_ms)


@lru_cache(4096)
def _keys_of_repeat(incident_id: IncidentId, dedup_key: str) -> tuple[str, ...]:
    """Remembered, as an incident that repeats does so again."""
    names = ("timers", "running", "attempts")
    found = (keys.incident(incident_id), *(keys.of_incident(incident_id, name) for name in names))
    return (*found, keys.dedup(dedup_key)) if dedup_key else found


def _first_due_ms(change: Change) -> int | None:
    return min((due_ms for due_ms in change.timers.values() if due_ms is not None), default=None)


def _alerts_arg(change: Change) -> bytes | str:
    """What becomes of the field of its alerts, as `create` and `save` take it."""
    after, before = change.incident, change.before
    if has_alerts_apart(after):
        is_there = before is not None and before.schema >= SCHEMA and has_alerts_apart(before)
        return _KEPT if before is not None and is_there and before.alerts == after.alerts else dump_alerts(after)
    has_none = before is None or (before.schema >= SCHEMA and not has_alerts_apart(before))
    return _KEPT if has_none else ""


def _timer_args(change: Change) -> list[Any]:
    """The scripts' way to name timers: how many, then pairs of member and due time."""
    args: list[Any] = [len(change.timers)]
    for target, due_ms in change.timers.items():
        args += [keys.member(change.incident.id, target), "" if due_ms is None else due_ms]
    return args


def _delivery_args(incident: Incident) -> list[Any]:
    """The script's way to name deliveries: how many, then pairs of field and text."""
    args: list[Any] = [len(incident.deliveries)]
    for target, delivery in incident.deliveries.items():
        args += [f"{keys.DELIVERY_FIELD}{target}", dump_delivery(delivery)]
    return args


def _owed_at_ms(incident: Incident, now_ms: int) -> int | str:
    """When its escalation is due; "" when nothing is owed.

    What is silenced for nobody knows how long is to be asked about again by then.
    """
    if incident.is_suppressed_without_end:
        return now_ms + SUPPRESSED_LOOK_MS
    return "" if incident.owed_at_ms is None else incident.owed_at_ms


def _read(incident_id: IncidentId, fields: Mapping[str, str]) -> Incident | Unreadable | None:
    try:
        return load_incident(incident_id, fields)
    except Unreadable as exc:
        return exc
