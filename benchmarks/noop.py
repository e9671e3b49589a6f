"""A provider that calls nobody: what is left of an escalation is the engine's own work.

`plug_in` has it found by its entry point, as that of an installed package. It notes how late each escalation came.
"""

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from versus_py.config.parts import ProviderPart
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident
from versus_py.targets.check import Examination
from versus_py.targets.system import Abilities, Examined, Parts, Surroundings, System

NAME = "noop"
NOTES = "BENCHMARKS_NOOP_NOTES"
"""The variable that names the file of notes."""

_NOTE = struct.Struct("<qq")


class NoopConfig(ProviderPart):
    """A provider that calls nobody."""

    NAME = NAME
    TITLE = "Noop"


class NoopTarget:
    """Says that it has the incident, and notes when."""

    def __init__(self, path: str) -> None:
        self._notes = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    sole_system = NAME

    def system(self, incident: Incident) -> str:  # noqa: ARG002 - there is one only
        return NAME

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:  # noqa: ARG002 - again is as well as once
        before, call = incident.delivery(NAME), incident.calls.get(NAME)
        if before.reference or call is None:
            return before
        os.write(self._notes, _NOTE.pack(call.due_ms, time.time_ns() // 1000))
        return replace(before, reference={"key": incident.id})


def noted(path: Path) -> list[tuple[int, float]]:
    """When each escalation was due and when it came, ms since the epoch, in the order in which they came."""
    whole = path.read_bytes() if path.exists() else b""
    return [(due_ms, at_us / 1000) for due_ms, at_us in _NOTE.iter_unpack(whole)]


def lateness_ms(path: Path) -> list[float]:
    """How late each of them came."""
    return [at_ms - due_ms for due_ms, at_ms in noted(path)]


def plug_in(folder: Path) -> dict[str, str]:
    """What an installer writes, into *folder*; the environment of a service that is to find it."""
    info = folder / "noop-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: noop\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[versus_py.systems]\n{NAME} = {__name__}:NOOP\n")
    root = Path(__file__).parent.parent
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(root)]), NOTES: str(folder / "notes")}


def _build(around: Surroundings) -> Parts:  # noqa: ARG001 - it needs nothing
    return Parts(targets={NAME: NoopTarget(os.environ[NOTES])})


def _examine(examined: Examined) -> Mapping[str, Examination]:  # noqa: ARG001 - there is nothing to look at
    return {}


NOOP = System(config=NoopConfig, build=_build, examine=_examine, abilities=Abilities(idempotency_key=True))
