"""The steps of a policy over time, as a picture: where rounds and steps are, in percent of its width. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from versus_py.engine.courses import Due, schedule
from versus_py.incidents.policies import Policy
from versus_py.web.pages.ui.hours import percent
from versus_py.web.pages.ui.moments import TO, span

ROUNDS_DRAWN = 3
GAP = 0.9
"""Between two rounds, in percent of the width."""

CLOSE = 6.6
"""Steps that are closer than this, in percent of the width, share a mark: a mark is some 20 pixels wide."""

FILLED = 0.86
"""How much of a round's width its steps take: the last mark has room too."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One step, or several that are close together."""

    x: str
    word: str  # its number, or those of the first and the last
    title: str

    @property
    def is_many(self) -> bool:
        return len(self.word) > 1


@dataclass(frozen=True, slots=True)
class Round:
    """A pass through the steps."""

    x: str
    width: str
    name: str  # "" for the only one
    begins: str
    marks: tuple[Mark, ...]

    @property
    def text(self) -> str:
        """For those who do not see the picture."""
        return f"{self.name} {self.begins}: {', '.join(it.title for it in self.marks)}".strip()


@dataclass(frozen=True, slots=True)
class Ladder:
    """*ends* says when the last step of a single round is due."""

    rounds: tuple[Round, ...]
    left_out: int  # rounds that are not drawn
    ends: str

    @property
    def text(self) -> str:
        """For those who do not see the picture."""
        return "; ".join(it.text for it in self.rounds)


def ladder_of(policy: Policy) -> Ladder | None:
    """None for a policy of one step: there is nothing to draw."""
    if policy.count <= 1:
        return None
    rounds = [list(dues) for _, dues in groupby(schedule(policy, 0), key=lambda due: due.round)]
    first_ms = policy.timed[0].after_ms
    begins = [dues[0].at_ms - first_ms for dues in rounds]
    shown = rounds[:ROUNDS_DRAWN]
    length_ms = max(begins[1] if len(begins) > 1 else rounds[0][-1].at_ms, 1)
    width = 100 / len(shown)
    drawn = tuple(
        Round(
            percent(number * width),
            percent(width - GAP),
            f"round {number + 1}" if len(rounds) > 1 else "",
            _when(begins[number]),
            tuple(_marks(dues, begins[number], length_ms, number * width, width)),
        )
        for number, dues in enumerate(shown)
    )
    return Ladder(drawn, len(rounds) - len(shown), "" if len(rounds) > 1 else span(rounds[0][-1].at_ms))


def _marks(dues: Sequence[Due], begin_ms: int, length_ms: int, left: float, width: float) -> Iterator[Mark]:
    places = [(left + FILLED * width * (due.at_ms - begin_ms) / length_ms, due) for due in dues]
    start = 0
    for at in range(1, len(places) + 1):
        if at == len(places) or places[at][0] - places[start][0] >= CLOSE:
            yield _mark(places[start][0], [due for _, due in places[start:at]])
            start = at


def _mark(x: float, dues: Sequence[Due]) -> Mark:
    first, last = dues[0].number, dues[-1].number
    word = str(first) if first == last else f"{first}{TO}{last}"
    return Mark(percent(x), word, ", ".join(f"step {due.number} {_when(due.at_ms)}" for due in dues))


def _when(at_ms: int) -> str:
    return f"after {span(at_ms)}" if at_ms else "at once"
