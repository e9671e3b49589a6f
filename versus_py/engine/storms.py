"""Acknowledging all incidents of a storm: a durable write for each, and bounds for all of them together."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import structlog

from versus_py.engine.lifecycle import Lifecycle
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents import transitions
from versus_py.incidents.model import Actor, Incident, IncidentId, Status
from versus_py.incidents.severity import severity_rank
from versus_py.incidents.transitions import Change
from versus_py.incidents.updates import counted
from versus_py.store import Storm, Storms

log = structlog.get_logger()

AT_ONCE = 500
"""The most incidents that one request writes: as many as the page of a storm lists."""

TOGETHER = 20


class _Result(Enum):
    """What became of one incident."""

    ACKNOWLEDGED = "acknowledged"
    ALREADY = "acknowledged already"
    RESOLVED = "resolved"
    GONE = "not known any more"
    FAILED = "failed"
    UNAVAILABLE = "Redis did not take it"


_MEANWHILE = (_Result.RESOLVED, _Result.ALREADY, _Result.GONE)
_TO_REPEAT = (_Result.FAILED, _Result.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the incidents of a storm that needed somebody."""

    results: tuple[tuple[IncidentId, _Result], ...]
    left: int  # not tried: more than one request acknowledges, or its time was over
    before: int = 0  # that needed nobody when the request came

    @property
    def acknowledged(self) -> tuple[IncidentId, ...]:
        """Those that the request has acknowledged, however often it was sent."""
        return tuple(it for it, result in self.results if result is _Result.ACKNOWLEDGED)

    @property
    def failed(self) -> int:
        """How many still need somebody although it was tried."""
        return sum(result in _TO_REPEAT for _, result in self.results)

    @property
    def text(self) -> str:
        """For people: what was done, and what was not."""
        found = [result for _, result in self.results]
        meanwhile = [f"{found.count(it)} {it.value}" for it in _MEANWHILE if it in found]
        done, is_idle = len(self.acknowledged), not self.results and not self.left
        said = ["Nothing needs somebody." if is_idle else f"Acknowledged {counted(done, 'incident')}."]
        said += [f"Acknowledged or resolved before: {counted(self.before, 'incident')}."] if self.before else []
        said += [f"Meanwhile: {', '.join(meanwhile)}."] if meanwhile else []
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
        until_s = asyncio.get_running_loop().time() + within_s
        for start in range(0, len(waiting), TOGETHER):
            some = waiting[start : start + TOGETHER]
            found = await asyncio.gather(*(self._result(it, by, request_id) for it in some))
            results += zip(some, found, strict=True)
            is_enough = sum(it not in _MEANWHILE for _, it in results) >= AT_ONCE
            is_over = asyncio.get_running_loop().time() >= until_s
            if is_enough or is_over or all(it is _Result.UNAVAILABLE for it in found):
                break
        if results and all(it is _Result.UNAVAILABLE for _, it in results):
            raise StoreUnavailable("Redis took no acknowledgment")
        tally = Tally(tuple(results), len(waiting) - len(results), len(storm.members) - len(waiting))
        about = {"acknowledged": len(tally.acknowledged), "failed": tally.failed, "left": tally.left}
        log.info("storm.acknowledged", storm=storm_id, channel=place, by=str(by), **about)
        return tally

    async def _result(self, incident_id: IncidentId, by: Actor, request_id: str) -> _Result:
        try:
            incident, is_changed = await self._lifecycle.act(incident_id, lambda it, at: _take(it, by, at), request_id)
        except StoreUnavailable as exc:
            log.warning("storm.not_acknowledged", incident=incident_id, error=str(exc))
            return _Result.UNAVAILABLE
        except Unreadable as exc:
            log.warning("storm.not_acknowledged", incident=incident_id, error=str(exc))
            return _Result.FAILED
        if incident is None:
            return _Result.GONE
        if is_changed or (request_id and request_id in incident.handled):
            return _Result.ACKNOWLEDGED
        return _Result.RESOLVED if incident.status is Status.RESOLVED else _Result.ALREADY


def _take(incident: Incident, by: Actor, now_ms: int) -> Change | None:
    """Acknowledges what nobody has; an acknowledgment that ends is not renewed by the way."""
    return transitions.acknowledge(incident, by, now_ms) if incident.status is Status.TRIGGERED else None


def _needing_somebody(storm: Storm) -> Sequence[IncidentId]:
    """The most severe first; in one order, however often they are read."""
    waiting = [(severity_rank(it.severity), incident_id) for incident_id, it in storm.members.items() if it.is_waiting]
    return [incident_id for _, incident_id in sorted(waiting)]
