"""Storms: incidents that share one message, as more came than their channel takes. Any replica goes on with them.

A place is a channel with its system's name and a colon before it; a Slack channel is its id alone, which has no colon.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from secrets import token_hex
from typing import Any

import orjson

from versus_py.errors import Unreadable
from versus_py.incidents.model import IncidentId, Status
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

LOCK_S = 60.0
"""How long who writes a storm's message may take until somebody else may: as long as a lease."""

_MEMBER = "member:"
_BY = f"{Status.ACKNOWLEDGED} by "
_FIELDS = (
    "id",
    "began_ms",
    "joined_ms",
    "ended_ms",
    "tried",
    "ts",
    "changes",
    "shown",
    "write_at_ms",
    "refused",
    "news",
    "telling",
    "told",
    "tell_at_ms",
    "editing",
    "settle_at_ms",
    "anew",
)


@dataclass(frozen=True, slots=True)
class Member:
    """An incident of a storm, as its message counts it."""

    severity: str
    name: str
    standing: str  # what to count it under: triggered, acknowledged by somebody, escalated, …
    mention: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether it needs somebody: nobody has acknowledged it, and it is not resolved."""
        return not self.standing.startswith((Status.ACKNOWLEDGED, Status.RESOLVED))

    @property
    def acknowledged_by(self) -> str:
        """The name of who has acknowledged it; "" where nobody has, or that is not known."""
        return self.standing.partition(_BY)[2] if self.standing.startswith(_BY) else ""


@dataclass(frozen=True, slots=True)
class Storm:
    """A storm as it is now. *changes* is how often it changed, *shown* up to which of those its message shows."""

    place: str
    id: str
    began_ms: int
    joined_ms: int  # when the last one joined
    ended_ms: int | None
    was_tried: bool  # its message may have been posted, whether or not *ts* is known
    ts: str  # of its message; "" before it is posted
    changes: int
    shown: int
    write_at_ms: int  # until then its message is left as it is
    refused: str  # why it has no message, and its incidents need their own
    news: str  # what its thread is to be told
    is_being_told: bool  # it may have been told something since
    told: str  # what it was told last
    tell_at_ms: int  # until then it is told nothing
    is_being_edited: bool = False  # an edit of its message was sent, and not answered
    was_posted_anew: bool = False  # its first message could not be edited, or was deleted
    settle_at_ms: int | None = None  # then such an edit can undo a newer one no more, and it is edited once more
    members: Mapping[IncidentId, Member] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """How many of its incidents need somebody."""
        return sum(it.is_waiting for it in self.members.values())

    @property
    def is_behind(self) -> bool:
        """Whether its message or its thread does not say all there is, and may still come to say it."""
        is_unsettled = self.settle_at_ms is not None
        return not self.refused and (self.shown < self.changes or self.news != self.told or is_unsettled)


class Storms:
    """The storms of channels, kept for *retention_ms* after their last change. Every method raises StoreUnavailable."""

    def __init__(self, redis: RedisClient, *, retention_ms: int) -> None:
        self._redis = redis
        self._retention_ms = retention_ms
        self._change = load_script(redis, "change_storm")
        self._end = load_script(redis, "end_storm")
        self._note = load_script(redis, "note")
        self._leave = load_script(redis, "leave_storm")
        self._put = load_script(redis, "put")
        self._enlist = load_script(redis, "enlist")
        self._unlock = load_script(redis, "unlock")

    async def join(self, place: str, incident_id: IncidentId, member: Member, *, now_ms: int) -> str:
        """Into the storm there, or into a new one: its id."""
        while True:
            current = await self._current(place)
            storm_id = current or token_hex(8)
            if await self._changed(place, storm_id, incident_id, member, now_ms=now_ms, joins=True):
                return storm_id
            if current is None:  # another one began first
                await self.dismiss(place, storm_id)

    async def joined(self, place: str, incident_id: IncidentId) -> str | None:
        """The id of the storm that the incident is counted in; None when it is in none.

        Who counted it may have died before it was noted that the storm is to be kept.
        """
        found: str | None = await answered(self._redis.get(keys.counted(place, incident_id)))
        if found is not None:
            await self._keep_if_behind(place, found)
        return found

    async def change(self, place: str, storm_id: str, incident_id: IncidentId, member: Member, *, now_ms: int) -> bool:
        """How an incident of the storm stands now; False when it is not in it any more, or that is forgotten."""
        return bool(await self._changed(place, storm_id, incident_id, member, now_ms=now_ms, joins=False))

    async def leave(self, place: str, storm_id: str, incident_id: IncidentId) -> bool:
        """The incident is counted no more: it is to have a message of its own. Whether it was counted until now."""
        name = keys.storm(place, storm_id)
        if not await answered(self._leave([name, keys.counted(place, incident_id)], [incident_id])):
            return False
        await self._keep_if_behind(place, storm_id)
        return True

    async def kept(self) -> list[tuple[str, str]]:
        """Place and id of every storm whose message is to be kept up to date."""
        found = await answered(self._redis.smembers(keys.STORMS))
        return [(place, storm_id) for place, _, storm_id in (str(it).partition(" ") for it in sorted(found))]

    async def is_kept(self, place: str, storm_id: str) -> bool:
        """Whether its message is to be kept up to date."""
        return bool(await answered(self._redis.sismember(keys.STORMS, f"{place} {storm_id}")))

    async def dismiss(self, place: str, storm_id: str) -> None:
        """Nothing is to be done for it until it changes again."""
        await answered(self._redis.srem(keys.STORMS, f"{place} {storm_id}"))
        await self._keep_if_behind(place, storm_id)  # since just now

    async def summary(self, place: str, storm_id: str) -> Storm | None:
        """The storm without its members; None when it is unknown or forgotten. Raises Unreadable, as `get` does."""
        values = await answered(self._redis.hmget(keys.storm(place, storm_id), list(_FIELDS)))
        return _storm(place, dict(zip(_FIELDS, values, strict=True)))

    async def get(self, place: str, storm_id: str) -> Storm | None:
        """None when it is unknown or forgotten."""
        return _storm(place, await answered(self._redis.hgetall(keys.storm(place, storm_id))))

    @asynccontextmanager
    async def lock(self, place: str, storm_id: str) -> AsyncIterator[bool]:
        """Whether this one alone writes the storm's message while the block lasts, at most LOCK_S.

        Who is cancelled keeps it for that long, as after a crash: what they sent may still have its effect.
        """
        name, token = keys.storm_lock(place, storm_id), token_hex(8)
        is_ours = bool(await answered(self._put([name], [token, round(LOCK_S * 1000), "1"])))
        try:
            yield is_ours
        except asyncio.CancelledError:
            is_ours = False
            raise
        finally:
            if is_ours:
                await answered(self._unlock([name], [token]))

    async def note(self, place: str, storm_id: str, **values: str | int) -> None:
        """What came of its message: `tried`, `telling`, `editing` before a call; `ts`, `shown`, `news`, `told` after.

        And when to go on with it: `write_at_ms`, `tell_at_ms`, `settle_at_ms`; `anew` when it is posted once more.
        """
        fields = [part for pair in values.items() for part in pair]
        await answered(self._note([keys.storm(place, storm_id)], [self._retention_ms, *fields]))

    async def end(self, storm: Storm, *, now_ms: int, refused: str = "") -> bool:
        """Whether this ended it: nobody has joined since it was read. With *refused*, it has no message in any case."""
        names = [keys.current_storm(storm.place), keys.storm(storm.place, storm.id)]
        args = [storm.id, "" if refused else storm.joined_ms, now_ms, refused]
        return bool(await answered(self._end(keys=names, args=args)))

    async def _current(self, place: str) -> str | None:
        found: str | None = await answered(self._redis.get(keys.current_storm(place)))
        return found

    async def _keep_if_behind(self, place: str, storm_id: str) -> None:
        storm = await self.summary(place, storm_id)
        if storm is not None and storm.is_behind:
            await self._note_to_be_kept(place, storm_id)

    async def _note_to_be_kept(self, place: str, storm_id: str) -> None:
        await answered(self._enlist([keys.STORMS], [f"{place} {storm_id}", ""]))

    async def _changed(
        self, place: str, storm_id: str, incident_id: IncidentId, member: Member, *, now_ms: int, joins: bool
    ) -> int:
        # Before the change: who dies behind it leaves no storm that nobody posts. On a cluster, the two are apart.
        await self._note_to_be_kept(place, storm_id)
        change = int(
            await answered(
                self._change(
                    keys=[
                        keys.current_storm(place),
                        keys.storm(place, storm_id),
                        keys.counted(place, incident_id),
                    ],
                    args=[
                        storm_id,
                        incident_id,
                        orjson.dumps(asdict(member)),
                        now_ms,
                        now_ms + self._retention_ms,
                        "1" if joins else "0",
                    ],
                )
            )
        )
        if change:
            await self._note_to_be_kept(place, storm_id)  # it may have been dismissed meanwhile
        return change


def _storm(place: str, fields: Mapping[str, Any]) -> Storm | None:
    if not fields.get("id"):
        return None
    try:
        return _parsed(place, fields)
    except (ValueError, TypeError, KeyError) as exc:
        said = f"storm {fields['id']} in {place} cannot be read: a newer version may have written it"
        raise Unreadable(said) from exc


def _parsed(place: str, fields: Mapping[str, Any]) -> Storm:
    return Storm(
        place=place,
        id=fields["id"],
        began_ms=int(fields["began_ms"]),
        joined_ms=int(fields["joined_ms"]),
        ended_ms=int(fields["ended_ms"]) if fields.get("ended_ms") else None,
        was_tried=bool(fields.get("tried")),
        ts=fields.get("ts") or "",
        changes=int(fields.get("changes") or 0),
        shown=int(fields.get("shown") or 0),
        write_at_ms=int(fields.get("write_at_ms") or 0),
        refused=fields.get("refused") or "",
        news=fields.get("news") or "",
        is_being_told=bool(fields.get("telling")),
        told=fields.get("told") or "",
        tell_at_ms=int(fields.get("tell_at_ms") or 0),
        is_being_edited=bool(fields.get("editing")),
        was_posted_anew=bool(fields.get("anew")),
        settle_at_ms=int(fields["settle_at_ms"]) if fields.get("settle_at_ms") else None,
        members={
            IncidentId(name.removeprefix(_MEMBER)): Member(**orjson.loads(value))
            for name, value in fields.items()
            if name.startswith(_MEMBER)
        },
    )
