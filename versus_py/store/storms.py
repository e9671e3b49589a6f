"""Storms: incidents that share one message, as more came than their channel takes. Any replica goes on with them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import orjson
from redis.asyncio import Redis

from versus_py.incident import IncidentId
from versus_py.store import keys
from versus_py.store.calls import answered, load_script

LOCK_MS = 60_000
"""How long who writes a storm's message may take until somebody else may: as long as a lease."""

_MEMBER = "member:"


@dataclass(frozen=True, slots=True)
class Member:
    """An incident of a storm, as its message counts it."""

    severity: str
    name: str
    standing: str  # what to count it under: triggered, acknowledged, escalated, …


@dataclass(frozen=True, slots=True)
class Storm:
    """A storm as it is now. *changes* is how often it changed, *shown* up to which of those its message shows."""

    id: str
    began_ms: int
    joined_ms: int  # when the last one joined
    ended_ms: int | None
    was_tried: bool  # its message may have been posted, whether or not *ts* is known
    ts: str  # of its message; "" before it is posted
    changes: int
    shown: int
    members: Mapping[IncidentId, Member]


class Storms:
    """The storms of channels, kept for *retention_ms* after their last change. Every method raises StoreUnavailable."""

    def __init__(self, redis: Redis, *, retention_ms: int) -> None:
        self._redis = redis
        self._retention_ms = retention_ms
        self._change = load_script(redis, "change_storm")
        self._end = load_script(redis, "end_storm")

    async def join(self, channel: str, incident_id: IncidentId, member: Member, *, now_ms: int) -> tuple[str, int]:
        """Into the channel's storm, or into a new one: its id, and the number of its latest change."""
        while True:
            current = await answered(self._redis.get(keys.current_storm(channel)))
            storm_id = current or f"{now_ms}-{incident_id}"
            if change := await self._changed(channel, storm_id, incident_id, member, now_ms=now_ms, joins=True):
                return storm_id, change

    async def change(
        self, channel: str, storm_id: str, incident_id: IncidentId, member: Member, *, now_ms: int
    ) -> int | None:
        """How an incident of the storm stands now: the number of the latest change; None when that is forgotten."""
        return await self._changed(channel, storm_id, incident_id, member, now_ms=now_ms, joins=False) or None

    async def get(self, channel: str, storm_id: str) -> Storm | None:
        """None when it is unknown or forgotten."""
        fields: dict[str, str] = await answered(self._redis.hgetall(keys.storm(channel, storm_id)))
        if "id" not in fields:
            return None
        return Storm(
            id=fields["id"],
            began_ms=int(fields["began_ms"]),
            joined_ms=int(fields["joined_ms"]),
            ended_ms=int(fields["ended_ms"]) if "ended_ms" in fields else None,
            was_tried="tried" in fields,
            ts=fields.get("ts", ""),
            changes=int(fields.get("changes", 0)),
            shown=int(fields.get("shown", 0)),
            members={
                IncidentId(name.removeprefix(_MEMBER)): Member(**orjson.loads(value))
                for name, value in fields.items()
                if name.startswith(_MEMBER)
            },
        )

    @asynccontextmanager
    async def lock(self, channel: str, storm_id: str) -> AsyncIterator[bool]:
        """Whether this one alone writes the storm's message while the block lasts, at most LOCK_MS."""
        name = keys.storm_lock(channel, storm_id)
        is_ours = bool(await answered(self._redis.set(name, "1", nx=True, px=LOCK_MS)))
        try:
            yield is_ours
        finally:
            if is_ours:
                await answered(self._redis.delete(name))

    async def tried(self, channel: str, storm_id: str) -> None:
        """The message is about to be posted."""
        await answered(self._redis.hset(keys.storm(channel, storm_id), "tried", "1"))

    async def shown(self, channel: str, storm_id: str, *, ts: str, change: int) -> None:
        """The message shows everything up to that change."""
        await answered(self._redis.hset(keys.storm(channel, storm_id), mapping={"ts": ts, "shown": change}))

    async def end(self, channel: str, storm: Storm, *, now_ms: int) -> bool:
        """Whether this ended it: nobody has joined since it was read, and nobody else was faster."""
        names = [keys.current_storm(channel), keys.storm(channel, storm.id)]
        return bool(await answered(self._end(keys=names, args=[storm.id, storm.joined_ms, now_ms])))

    async def _changed(
        self, channel: str, storm_id: str, incident_id: IncidentId, member: Member, *, now_ms: int, joins: bool
    ) -> int:
        return int(
            await answered(
                self._change(
                    keys=[keys.current_storm(channel), keys.storm(channel, storm_id)],
                    args=[
                        storm_id,
                        f"{_MEMBER}{incident_id}",
                        orjson.dumps(asdict(member)),
                        now_ms,
                        now_ms + self._retention_ms,
                        "1" if joins else "0",
                    ],
                )
            )
        )
