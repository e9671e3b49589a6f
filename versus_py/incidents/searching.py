"""Searching for incidents: words, label matchers, status, severity, and how the wait ended. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from versus_py.incidents.matchers import Matcher, parse_matchers
from versus_py.incidents.model import Ending, Incident, Status
from versus_py.incidents.severity import Level, level_of, spelling

SEARCHED_MAX = 8_000
"""The most characters of an incident that a search for words looks at."""

QUERY_MAX = 500
"""The most characters of a query."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_BRACES = re.compile(rf"\s*(\{{(?:{_QUOTED}|[^\"{{}}])*\}})(.*)", re.DOTALL)
_AROUND_OPERATORS = re.compile(rf"({_QUOTED})|\s*(=~|!~|!=|=)\s*", re.DOTALL)
_TOKENS = re.compile(rf'(?:{_QUOTED}|[^\s,"]|")+', re.DOTALL)
_HAS_OPERATOR = re.compile(r"[^=!~]+(?:=~|!~|!=|=)")
_ESCAPED = re.compile(r'\\(["\\])')

STANDINGS: Mapping[str, Callable[[Incident], bool]] = {
    **{str(status): partial(lambda status, it: it.status is status, status) for status in Status},
    "snoozed": lambda it: it.snooze is not None,
    "held": lambda it: it.is_held and it.snooze is None,
    **{
        str(ending): partial(lambda ending, it: it.status is Status.TRIGGERED and it.ending is ending, ending)
        for ending in (Ending.SUPPRESSED, Ending.ESCALATED, Ending.FAILED)
    },
}
"""What a list may be asked for: by status, and of those that are triggered by what else is to be said of them."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. "" and empty ones let everything pass."""

    words: tuple[str, ...] = ()  # in lower case; each has to be in its text
    labels: tuple[Matcher, ...] = ()  # one of its alerts matches all of them
    status: str = ""  # one of STANDINGS
    severity: str = ""  # in any spelling; another name of the same level is the same
    outcome: str = ""  # an Ending

    @property
    def is_any(self) -> bool:
        """Whether every incident matches."""
        return not (self.words or self.labels or self.status or self.severity or self.outcome)

    def matches(self, incident: Incident) -> bool:
        if self.status and not STANDINGS[self.status](incident):
            return False
        if self.severity and not _is_as_grave(incident.severity, self.severity):
            return False
        if self.outcome and incident.ending != self.outcome:
            return False
        if self.labels and not self._is_labelled(incident):
            return False
        return not self.words or self._has_words(incident)

    def _is_labelled(self, incident: Incident) -> bool:
        return any(all(it.matches(alert.labels) for it in self.labels) for alert in incident.alerts)

    def _has_words(self, incident: Incident) -> bool:
        text, _ = searched_text(incident)
        return all(word in text for word in self.words)


def parse_search(query: str, *, status: str = "", severity: str = "", outcome: str = "") -> Search:
    """*query* has words and matchers in Alertmanager's syntax, in any order, with spaces or commas between.

    What is in double quotes is one word. Raises ValueError with a sentence that names what is wrong.
    """
    if len(query) > QUERY_MAX:
        raise ValueError(f"the search has {len(query)} characters; it may have {QUERY_MAX}")
    for name, value, allowed in (
        ("status", status, [*STANDINGS]),
        ("outcome", outcome, [str(it) for it in Ending]),
    ):
        if value and value not in allowed:
            raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    words, matchers = _parsed(query)
    return Search(
        words=tuple(words),
        labels=tuple(matchers),
        status=status,
        severity=severity,
        outcome=outcome,
    )


def searched_text(incident: Incident) -> tuple[str, frozenset[str]]:
    """What a search for words looks at, in lower case; and of that the labels, as `name=value`."""
    pairs: dict[str, None] = {}
    room = SEARCHED_MAX
    for alert in incident.alerts:
        for name, value in alert.labels.items():
            pair = f"{name}={value}".casefold()
            if pair not in pairs and (room := room - len(pair)) >= 0:
                pairs[pair] = None
    said = (incident.title, incident.severity, incident.source, incident.id, incident.record.label)
    return "\n".join((*said, *pairs)).casefold(), frozenset(pairs)


def _parsed(query: str) -> tuple[list[str], list[Matcher]]:
    matchers: list[Matcher] = []
    if found := _BRACES.fullmatch(query):
        matchers += parse_matchers(found[1])
        query = found[2]
    words = []
    joined = _AROUND_OPERATORS.sub(lambda it: it[1] or it[2], query)
    for token in _TOKENS.findall(joined):
        if _HAS_OPERATOR.match(re.sub(_QUOTED, "q", token, flags=re.DOTALL)):
            matchers += parse_matchers(token)
        elif word := _plain(token).casefold().strip():
            words.append(word)
    return words, matchers


def _plain(token: str) -> str:
    is_quoted = len(token) > 1 and token.startswith('"') and token.endswith('"')
    return _ESCAPED.sub(r"\1", token[1:-1]) if is_quoted else token


def _is_as_grave(one: str, other: str) -> bool:
    level = level_of(other)
    return level_of(one) is level and (level is not Level.UNKNOWN or spelling(one) == spelling(other))
