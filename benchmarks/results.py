"""What was measured: samples by section, case and round. All tables and plots are written from them."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Sample:
    """One case in one round; cases of one round ran right after each other."""

    section: str
    case: str
    round: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds, and the least and the most of them."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """None without values."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1], len(found)) if found else None


@dataclass
class Results:
    """One run."""

    about: dict[str, Any] = field(default_factory=dict)  # form, time, machine, versions, commands
    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # what could not be measured, and why
    void: str = ""  # why none of it counts

    def add(self, section: str, case: str, number: int, **values: float) -> None:
        self.samples.append(Sample(section, case, number, values))

    def cases(self, section: str) -> list[str]:
        """In the order in which they were first measured."""
        return list(dict.fromkeys(it.case for it in self.samples if it.section == section))

    def spread(self, section: str, case: str, name: str) -> Spread | None:
        return Spread.of(self._by_round(section, case, name).values())

    def ratio(self, section: str, case: str, beside: str, name: str) -> Spread | None:
        """Of *case* to the case *beside* it, in the rounds that have both."""
        mine, theirs = self._by_round(section, case, name), self._by_round(section, beside, name)
        return Spread.of(mine[number] / theirs[number] for number in mine if theirs.get(number))

    def _by_round(self, section: str, case: str, name: str) -> dict[int, float]:
        wanted = (it for it in self.samples if it.section == section and it.case == case and name in it.values)
        return {it.round: it.values[name] for it in wanted}

    def write(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    @classmethod
    def read(cls, path: Path) -> "Results":
        data = orjson.loads(path.read_bytes())
        return cls(**data | {"samples": [Sample(**it) for it in data["samples"]]})
