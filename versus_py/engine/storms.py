"""Acknowledging all incidents of a storm: a durable write for each, and bounds for all of them together."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import structlog

from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.incidents.severity import severity_rank
from versus_py.incidents.transitions import Change
from versus_py.incidents.updates import counted
from versus_py.store import Member, Storm, Storms

log = structlog.get_logger()

AT_ONCE = 500
"""The most incidents that one request writes: as many as the page of a storm lists."""

TOGETHER = 20

NAMED_MAX = 5
"""The most groups of incidents that an answer tells apart, such as those that one person has acknowledged."""


class _Result(Enum):
    """What became of one incident."""

    ACKNOWLEDGED = "acknowledged by this request"
    ALREADY = "acknowledged"
    RESOLVED = "resolved"
    GONE = "not known any more"
    FAILED = "failed"
    UNAVAILABLE = "Redis did not take it"


_LEFT_AS_THEY_ARE = (_Result.ALREADY, _Result.RESOLVED, _Result.GONE)
_TO_REPEAT = (_Result.FAILED, _Result.UNAVAILABLE)

_Kept = tuple[_Result, str]
"""Why an incident was left as it is, and the name of who had acknowledged it, if that is why."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the incidents of a storm: those that needed somebody, and the others."""

    results: tuple[tuple[IncidentId, _Result], ...]
    left: int  # not tried: more than one request acknowledges, or its time was over
    kept: Mapping[_Kept, int] = field(default_factory=dict)

    @property
    def acknowledged(self) -> tuple[IncidentId, ...]:
        """Those that the request has acknowledged, however often it was sent."""
        return tuple(it for it, result in self.results if result is _Result.ACKNOWLEDGED)

    @property
    def failed(self) -> int:
        """How many still need somebody although it was tried."""
        return sum(result in _TO_REPEAT for _, result in self.results)

    def text(self, bold: Callable[[str], str] = str) -> str:
        """For people: what was done, and what was not. *bold* writes a name as the place of the text wants it."""
        kept = _kept_text(self.kept, bold)
        if kept and not (self.acknowledged or self.failed or self.left):
            return f"Nothing to acknowledge: {kept}."
        said = [f"Acknowledged {counted(len(self.acknowledged), 'incident')}{'; ' if kept else ''}{kept}."]
        said += [f"{self.failed} could not be acknowledged: acknowledge all once more."] if self.failed else []
        said += [f"{self.left} more need somebody: acknowledge all once more."] if self.left else []
        return " ".join(said)


class StormAcknowledgment:
    """Acknowledges whatever needs somebody in a storm."""

    def __init__(self, storms: Storms, lifecycle: Lifecycle) -> None:
        self._storms = storms
        self._lifecycle = lifecycle

    async def acknowledge(
        self, place: str, storm_id: str, by: Actor, *, within_s: float, request_id: str = ""
    ) -> Tally | None:
        """Acknowledge some AT_ONCE incidents, the most severe first, and begin none after *within_s*.

        None when the storm is unknown. Each incident has an acknowledgment of its own. A request that ends half-way
        leaves the rest as it was, and the same again goes on. Raises StoreUnavailable when Redis took none of them.
        """
        storm = await self._storms.get(place, storm_id)
        if storm is None:
            return None
        waiting, results = _needing_somebody(storm), list[tuple[IncidentId, _Result]]()
        kept = Counter(_kept(it) for it in storm.members.values() if not it.is_waiting)
        until_s = asyncio.get_running_loop().time() + within_s
        for start in range(0, len(waiting), TOGETHER):
            some = waiting[start : start + TOGETHER]
            found = await asyncio.gather(*(self._result(it, by, request_id) for it in some))
            results += [(it, result) for it, (result, _) in zip(some, found, strict=True)]
            kept.update((result, who) for result, who in found if result in _LEFT_AS_THEY_ARE)
            is_enough = sum(it not in _LEFT_AS_THEY_ARE for _, it in results) >= AT_ONCE
            is_over = asyncio.get_running_loop().time() >= until_s
            if is_enough or is_over or all(it is _Result.UNAVAILABLE for it, _ in found):
                break
        if results and all(it is _Result.UNAVAILABLE for _, it in results):
            raise StoreUnavailable("Redis took no acknowledgment")
        tally = Tally(tuple(results), len(waiting) - len(results), kept)
        about = {"acknowledged": len(tally.acknowledged), "failed": tally.failed, "left": tally.left}
        log.info("storm.acknowledged", storm=storm_id, channel=place, by=str(by), **about)
        return tally

    async def _result(self, incident_id: IncidentId, by: Actor, request_id: str) -> _Kept:
        """What became of it, and who had acknowledged it before."""
        try:
            incident, is_changed = await self._lifecycle.act(incident_id, lambda it, at: _take(it, by, at), request_id)
        except StoreUnavailable as exc:
            log.warning("storm.not_acknowledged", incident=incident_id, error=str(exc))
            return _Result.UNAVAILABLE, ""
        except Unreadable as exc:
            log.warning("storm.not_acknowledged", incident=incident_id, error=str(exc))
            return _Result.FAILED, ""
        if incident is None:
            return _Result.GONE, ""
        if is_changed or (request_id and request_id in incident.handled):
            return _Result.ACKNOWLEDGED, ""
        if incident.status is Status.RESOLVED:
            return _Result.RESOLVED, ""
        return _Result.ALREADY, incident.acknowledged_by.name if incident.acknowledged_by else ""


def _take(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """Acknowledges what nobody has; an acknowledgment that ends is not renewed by the way."""
    return transitions.acknowledge(incident, by, now_ms) if incident.status is Status.TRIGGERED else None


def _kept(member: Member) -> _Kept:
    """Of an incident that needs nobody."""
    who = member.acknowledged_by
    return (_Result.RESOLVED, "") if member.standing.startswith(Status.RESOLVED) else (_Result.ALREADY, who)


def _kept_text(kept: Mapping[_Kept, int], bold: Callable[[str], str]) -> str:
    """Such as "2 are acknowledged by Ben, 1 is resolved"; the largest groups by themselves."""
    most = Counter(kept).most_common(NAMED_MAX)
    said = [
        f"{_are(count)} {result.value}{f' by {bold(who)}' if who else ''}"
        for (result, who), count in sorted(most, key=lambda it: _LEFT_AS_THEY_ARE.index(it[0][0]))
    ]
    more = sum(kept.values()) - sum(count for _, count in most)
    return ", ".join([*said, f"{_are(more)} acknowledged by others"] if more else said)


def _are(count: int) -> str:
    return f"{count} {'is' if count == 1 else 'are'}"


def _needing_somebody(storm: Storm) -> Sequence[IncidentId]:
    """The most severe first; in one order, however often they are read."""
    waiting = [(severity_rank(it.severity), incident_id) for incident_id, it in storm.members.items() if it.is_waiting]
    return [incident_id for _, incident_id in sorted(waiting)]
