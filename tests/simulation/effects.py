"""Effects, each with its number: every call of Redis and every request. What goes wrong is drawn at effects.

Time is virtual and computing takes none of it, so a fault at a moment would nearly always hit an idle process. The
faults that happened, by the numbers of their effects, are a script: played again with the same seed, they happen again.
"""

import marshal
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.knobs import FaultKind, Knobs

REDIS, FRONT = "redis", "front"
"""Where an effect goes, beside the hosts of remote systems."""

BASE_MS = {REDIS: (0.1, 1.5), FRONT: (0.2, 5.0)}
REMOTE_MS = (5.0, 120.0)
"""How long the way there and the way back take, each."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong at an effect, and its strength: seconds, milliseconds, and what else its kind needs."""

    kind: FaultKind
    how: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, **self.how}

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "Fault":
        return cls(FaultKind(data["kind"]), {key: value for key, value in data.items() if key != "kind"})


Script = Mapping[int, Fault]
"""By the number of the effect."""


@dataclass(slots=True)
class Effect:
    """One effect: how long its ways take, and what goes wrong."""

    number: int
    where: str
    by: str  # the process that has it
    there_s: float
    back_s: float
    fault: Fault | None = None

    def suffers(self, *kinds: FaultKind) -> bool:
        return self.fault is not None and self.fault.kind in kinds


class Effects:
    """All effects of a world, in their order. With a *script*, its faults happen and nothing else is drawn."""

    def __init__(
        self,
        seed: int,
        knobs: Knobs,
        script: Script | None = None,
        *,
        now_s: Callable[[], float],
        log: Callable[..., None],
    ) -> None:
        self._now_s, self._log = now_s, log
        self._ways, self._dice = Random(f"ways {seed}"), Random(f"faults {seed}")
        self._chances = {
            way: [(kind, chance) for kind, chance in knobs.faults.items() if chance and _may_happen(kind, way)]
            for way in ("redis", "http", "front")
        }
        self._script = script
        self._frozen_s = knobs.frozen_s
        self.happened: dict[int, Fault] = {}
        self.number = 0
        self.trace = 0
        """The same for two runs that had the same effects with the same content at the same times."""
        self.are_faulty = True

    def begin(self, where: str, by: str, *, is_ours: bool) -> Effect:
        """The next effect; *is_ours* when a replica has it, which may be struck as well."""
        self.number += 1
        low_ms, high_ms = BASE_MS.get(where, REMOTE_MS)
        there_s = self._ways.uniform(low_ms, high_ms) / 1000
        back_s = self._ways.uniform(low_ms, high_ms) / 1000
        fault = self._fault(where, is_ours=is_ours) if self.are_faulty else None
        if fault is not None:
            self.happened[self.number] = fault
        return Effect(self.number, where, by, there_s, back_s, fault)

    def note(self, effect: Effect, what: str, *content: object) -> None:
        """Something came of *effect* just now. All of it has to be the same when a seed is played again."""
        noted = (effect.number, effect.by, what, round(self._now_s() * 1e6), content)
        self.trace = zlib.crc32(_as_bytes(noted), self.trace)
        self._log(f"effect {what}", number=effect.number, by=effect.by)

    def _fault(self, where: str, *, is_ours: bool) -> Fault | None:
        if self._script is not None:
            return self._script.get(self.number)
        way = where if where in BASE_MS else "http"
        for kind, chance in self._chances[way]:
            if (is_ours or not kind.value.startswith("process.")) and self._dice.random() < chance:
                return Fault(kind, _strength(kind, way, self._dice) | self._length(kind))
        return None

    def _length(self, kind: FaultKind) -> dict[str, Any]:
        """How long it lasts, where the knobs say that."""
        if kind is not FaultKind.PROCESS_FROZEN or self._frozen_s is None:
            return {}
        return {"seconds": round(self._dice.uniform(*self._frozen_s), 3)}


def _as_bytes(noted: Any) -> bytes:
    """The same for equal things: of strings, older versions of marshal do not tell which ones are interned."""
    try:
        return marshal.dumps(noted, 2)
    except ValueError:  # an error, or a type that is no built-in one
        return repr(noted).encode()


def _may_happen(kind: FaultKind, way: str) -> bool:
    family = kind.value.partition(".")[0]
    return family == way or (family == "process" and way != "front")


def _strength(kind: FaultKind, way: str, dice: Random) -> dict[str, Any]:
    """What is drawn for a fault of this kind."""
    if kind.value.startswith("process."):
        return {"after_ms": _soon(dice, way)} | _STRENGTHS[kind](dice)
    drawn = _STRENGTHS.get(kind)
    return {} if drawn is None else drawn(dice)


def _slow(dice: Random, low_s: float, high_s: float) -> dict[str, Any]:
    return {"way": dice.choice(("there", "back")), "seconds": round(dice.uniform(low_s, high_s), 3)}


def _soon(dice: Random, way: str) -> float:
    """While the answer is on its way, or shortly after."""
    return round(dice.uniform(0, 4 if way == REDIS else 400), 3)


def _pause_s(dice: Random) -> float:
    """Below the time that a claim lasts, or above."""
    return round(dice.uniform(0.1, 40) if dice.random() < 0.5 else dice.uniform(40, 200), 3)


def _spell(dice: Random) -> dict[str, Any]:
    return {"seconds": dice.choice((2.0, 20.0, 90.0)), "share": dice.choice((0.3, 1.0))}


_STRENGTHS: Mapping[FaultKind, Callable[[Random], dict[str, Any]]] = {
    FaultKind.REDIS_SLOW: lambda dice: _slow(dice, 0.05, 6.0),
    FaultKind.REDIS_DOWN: lambda dice: {"seconds": dice.choice((0.3, 3.0, 20.0))},
    FaultKind.REDIS_FULL: lambda dice: {"seconds": round(dice.uniform(5, 60), 1)},
    FaultKind.REDIS_LOSES: lambda dice: {"ms": dice.randrange(1000)},
    FaultKind.REDIS_STEPS: lambda dice: {"ms": dice.choice((-2000, -300, 300, 2000))},
    FaultKind.REDIS_JUMPS: lambda dice: {"ms": dice.choice((-3_600_000, -300_000, 130_000, 300_000, 3_600_000))},
    FaultKind.HTTP_SLOW: lambda dice: _slow(dice, 0.5, 25.0),
    FaultKind.HTTP_LIMITED: _spell,
    FaultKind.HTTP_FAILS: _spell,
    FaultKind.HTTP_REFUSED: _spell,
    FaultKind.FRONT_SLOW: lambda dice: _slow(dice, 0.1, 10.0),
    FaultKind.PROCESS_KILLED: lambda dice: {"down_s": dice.choice((0.2, 2.0, 20.0, 60.0))},
    FaultKind.PROCESS_STOPPED: lambda dice: {"down_s": dice.choice((0.2, 2.0, 20.0, 60.0))},
    FaultKind.PROCESS_FROZEN: lambda dice: {"seconds": _pause_s(dice)},
    FaultKind.PROCESS_SUSPENDED: lambda dice: {"seconds": _pause_s(dice)},
}
"""What a fault needs beside its kind; one that is not here needs nothing."""
