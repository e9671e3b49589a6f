"""Systems that do nothing: what they would have done is kept with each incident, and said in the log.

For a server beside one that is in use, which takes the same alerts. No session, loop or way in of a system is used.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from versus_py.clock import Clock
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident
from versus_py.targets.check import Examination
from versus_py.targets.system import Examined, Parts, Surroundings, System

log = structlog.get_logger()

WRITES = "shadow_writes"
"""In a delivery's reference: how often the target would have written, from the first message or record on."""

LABEL = "(shadow)"


def shadowed(system: System) -> System:
    """*system*, with targets that write nowhere."""
    return replace(
        system,
        build=_building(system),
        examine=_nothing,
        inbound_path="",
        events_path="",
    )


def writes_of(delivery: Delivery) -> int:
    """How often the target would have written; 0 for one that would not have."""
    return int(delivery.reference.get(WRITES, "0"))


def _building(system: System) -> Callable[[Surroundings], Parts]:
    def build(around: Surroundings) -> Parts:
        names = [system.name, *around.config.places(system.name)]
        return Parts(targets={name: ShadowTarget(name, around.clock) for name in names})

    return build


def _nothing(_: Examined) -> dict[str, Examination]:
    return {}


@dataclass(frozen=True, slots=True)
class ShadowTarget:
    """Counts what a target would have written."""

    name: str
    clock: Clock

    def system(self, _: Incident) -> str:
        return self.name

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:  # noqa: ARG002 - nothing can go wrong
        before = incident.delivery(self.name)
        if not before.reference and not incident.wants(self.name):
            return before
        writes = writes_of(before) + 1
        what = "first write" if writes == 1 else "update"
        log.info("shadow.not_sent", incident=incident.id, target=self.name, what=what, status=incident.status.value)
        reference = {**before.reference, WRITES: str(writes)}
        reference.setdefault("shadow_since_ms", str(self.clock.now_ms()))
        return replace(before, reference=reference, label=LABEL)
