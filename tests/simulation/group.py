"""The alerts of one incident: which fire, by what each sender lists last, and which people know."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.history import SEVERITIES, Listed

Alert = tuple[str, float]


@dataclass(slots=True)
class Group:
    """`seen` are those that fired when somebody acknowledged or snoozed; `late` have joined when it may have escalated.

    An alert is known by its instance and its start, and fires as long as one sender lists it as firing.
    """

    seen: set[Alert] = field(default_factory=set)
    late: set[Alert] = field(default_factory=set)
    _listed: dict[tuple[str, str], Listed] = field(default_factory=dict)
    _seen_severity: str = SEVERITIES[0]

    @property
    def firing(self) -> set[Alert]:
        return {(it.instance, it.starts_ms) for it in self._listed.values() if not it.is_over}

    @property
    def has_news(self) -> bool:
        """Nothing that fires was seen, or the severity is above what was seen."""
        is_graver = bool(self.seen) and _rank(self._severity) > _rank(self._seen_severity)
        return is_graver or not self.seen & self.firing

    def note(self, alerts: Sequence[Listed]) -> None:
        """What a sender lists. An alert with the same start is the same one for every sender."""
        for alert in alerts:
            self._listed[alert.sender, alert.instance] = alert
            for key, other in list(self._listed.items()):
                is_same = (other.instance, other.starts_ms) == (alert.instance, alert.starts_ms)
                if is_same and alert.is_over:
                    self._listed[key] = alert

    def see(self) -> None:
        """People know of what fires now."""
        if self.firing:
            self.seen, self._seen_severity = self.firing, self._severity

    def forget(self) -> None:
        """A wait begins, and what people knew does not count any more."""
        self.seen, self.late, self._seen_severity = set(), set(), SEVERITIES[0]

    @property
    def _severity(self) -> str:
        return max((it.severity for it in self._listed.values() if not it.is_over), key=SEVERITIES.index)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
