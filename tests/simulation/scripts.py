"""Fault scripts: the faults of a seed that broke a promise, as few as still do, to be played again for ever."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.simulation.effects import Fault, Script
from tests.simulation.knobs import FaultKind, Knobs, Load

FOUND = Path(__file__).parent / "found"
"""Every script that ever broke a promise; none may any more."""

TRIES_MAX = 200
"""Plays that shrinking one script may take."""

Broken = Callable[[Script], str | None]
"""What a script breaks; None: nothing."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A seed, its knobs, its faults, and the promise that was broken."""

    seed: int
    knobs: Knobs
    faults: Script
    broke: str

    def write(self, path: Path) -> None:
        data = {
            "broke": self.broke,
            "seed": self.seed,
            "knobs": _plain(self.knobs),
            "faults": {str(number): fault.as_json() for number, fault in sorted(self.faults.items())},
        }
        path.write_text(json.dumps(data, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Recording":
        data = json.loads(path.read_text())
        faults = {int(number): Fault.of_json(it) for number, it in data["faults"].items()}
        return cls(data["seed"], _knobs(data["knobs"]), faults, data["broke"])


def shrunk(script: Script, broken: Broken) -> Script:
    """The faults that are needed for the same promise to be broken; *script* itself breaks it.

    Halves are left out first, then quarters, down to single faults (Zeller's delta debugging, in its simple form).
    """
    wanted, kept, tries = broken(script), dict(script), 0
    size = (len(kept) + 1) // 2
    while size and tries < TRIES_MAX:
        for without in _parts_left_out(kept, size):
            tries += 1
            if broken(without) == wanted:
                kept = without
                break
            if tries >= TRIES_MAX:
                return kept
        else:
            size //= 2
        size = min(size, len(kept))
    return kept


def _parts_left_out(script: Script, size: int) -> Iterator[dict[int, Fault]]:
    numbers = list(script)
    for first in range(0, len(numbers), size):
        left_out = set(numbers[first : first + size])
        yield {number: fault for number, fault in script.items() if number not in left_out}


def _plain(knobs: Knobs) -> dict[str, Any]:
    data = {it.name: getattr(knobs, it.name) for it in fields(knobs)}
    return data | {"faults": {str(kind): chance for kind, chance in knobs.faults.items()}, "loads": sorted(knobs.loads)}


def _knobs(data: Mapping[str, Any]) -> Knobs:
    faults = {FaultKind(kind): chance for kind, chance in data["faults"].items()}
    return Knobs(**dict(data) | {"faults": faults, "loads": frozenset(map(Load, data["loads"]))})
