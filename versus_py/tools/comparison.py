"""`versus replay --against`: what another configuration would have done differently with the same recording. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from itertools import zip_longest
from typing import Any

from versus_py.incidents.model import IncidentId
from versus_py.incidents.moments import shown
from versus_py.tools.replay import TITLE_WIDTH, Telling, TellingKind
from versus_py.web.api.views import rfc3339


class Change(StrEnum):
    """How a telling differs."""

    FEWER = "fewer"
    MORE = "more"
    LATER = "later"
    SOONER = "sooner"


@dataclass(frozen=True, slots=True)
class Difference:
    """One telling that is not the same."""

    kind: TellingKind
    place: str
    incident: IncidentId
    title: str
    before_ms: int | None  # None: it was not told
    after_ms: int | None  # None: it would not be told

    @property
    def change(self) -> Change:
        if self.after_ms is None:
            return Change.FEWER
        if self.before_ms is None:
            return Change.MORE
        return Change.LATER if self.after_ms > self.before_ms else Change.SOONER

    @property
    def at_ms(self) -> int:
        """The first instant that it is about."""
        return min(it for it in (self.before_ms, self.after_ms) if it is not None)

    def line(self, zone: tzinfo | None) -> str:
        """For people."""
        title = self.title if len(self.title) <= TITLE_WIDTH else f"{self.title[: TITLE_WIDTH - 1]}…"
        instants = (self.before_ms, self.after_ms)
        when = " → ".join("never" if it is None else shown(it, zone) for it in instants)
        return f"{self.change:<6}  {self.kind:<8}  {title:<{TITLE_WIDTH}}  {self.place}: {when}"

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "change": self.change,
            "kind": self.kind,
            "place": self.place,
            "incident": self.incident,
            "title": self.title,
            "before": rfc3339(self.before_ms),
            "after": rfc3339(self.after_ms),
        }


def differences(before: Iterable[Telling], after: Iterable[Telling]) -> list[Difference]:
    """What is told of the same incident, at the same place, at another time or not at all; in order of time.

    Reminders of one incident at one place are compared one by one, in their order.
    """
    grouped: dict[tuple[IncidentId, TellingKind, str], tuple[list[Telling], list[Telling]]] = defaultdict(
        lambda: ([], [])
    )
    for at, tellings in enumerate((before, after)):
        for it in tellings:
            grouped[it.incident, it.kind, it.place][at].append(it)
    pairs = ((key, pair) for key, lists in grouped.items() for pair in zip_longest(*lists))
    found = [_difference(*key, *pair) for key, pair in pairs]
    return sorted((it for it in found if it.before_ms != it.after_ms), key=lambda it: (it.at_ms, it.incident, it.kind))


def _difference(
    incident: IncidentId, kind: TellingKind, place: str, before: Telling | None, after: Telling | None
) -> Difference:
    title = (before or after or _NOTHING).title
    before_ms, after_ms = (None if it is None else it.at_ms for it in (before, after))
    return Difference(kind, place, incident, title, before_ms, after_ms)


_NOTHING = Telling(0, IncidentId(""), "", TellingKind.MESSAGE, "")


def counts(found: Sequence[Difference]) -> dict[str, dict[str, int]]:
    """By kind, how many differ in which way."""
    numbers = Counter((it.kind, it.change) for it in found)
    return {kind: {change: numbers[kind, change] for change in Change} for kind in TellingKind}


def said(found: Sequence[Difference]) -> Iterator[str]:
    """A sentence for each kind of which any differ, such as "records: 12 fewer, 3 later"."""
    for kind, numbers in counts(found).items():
        parts = [f"{number} {change}" for change, number in numbers.items() if number]
        if parts:
            yield f"{kind}s: {', '.join(parts)}"
