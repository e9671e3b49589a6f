"""What a value says of how an alert stands."""

import re
from typing import Any

from versus_py.sources import fields
from versus_py.sources.generic import tables

VALUE_MAX = 100
"""Characters of a value that may say how it stands; longer ones are sentences about something."""

_END = r"(?:resolved|recovered|recovery|cleared|closed)"
_TITLE_OF_END = re.compile(
    rf"[^\w\[]{{0,5}}(?:\[\s*{_END}\b[^\]]{{0,100}}\]|{_END}\b[^:]{{0,30}}:\s|device \S{{1,100}} recovered from )",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def is_over(value: Any) -> bool | None:
    """True where *value* is a word for over, False where for firing, None where it is neither or both."""
    words = _words(value)
    if not words:
        return None
    if _is_end(words) or _is_denial(words):
        return True
    return False if words[-1] in tables.FIRING or words[0] in tables.FIRING else None


def is_finished(value: Any) -> bool:
    """Whether it says only that something ran to its end."""
    words = _words(value)
    return bool(words) and words[-1] in tables.FINISHED


def says_only_firing(value: Any) -> bool:
    """Whether it says no more than that it fires; also what is no word, such as a number."""
    words = _words(value)
    return not words or words[-1] in tables.ONLY_FIRING


def _is_end(words: list[str]) -> bool:
    *before, last = words
    if not tables.NOT_OVER.isdisjoint(before):
        return last in tables.OVER_OF_TROUBLE and tables.NOT_OVER.intersection(before) <= tables.TROUBLES
    return last in tables.OVER or (last not in tables.NOT_OVER and not tables.OVER_ANYWHERE.isdisjoint(words))


def _is_denial(words: list[str]) -> bool:
    return " ".join(words[:-1]) in tables.DENIALS and words[-1] in tables.DENIED


def is_acknowledgment(value: Any) -> bool:
    """Whether it says that somebody has acknowledged it elsewhere."""
    words = _words(value)
    return bool(words) and words[-1] in tables.ACKNOWLEDGED


def _words(value: Any) -> list[str]:
    said = fields.text(value) if isinstance(value, str) else ""
    return [word.lower() for word in _WORD.findall(said)] if len(said) <= VALUE_MAX else []


def says_over(title: str) -> bool:
    """Whether a title begins as that of an end: `[RESOLVED] …`, `Resolved in 5m: …`, `Device db-1 recovered from …`."""
    return _TITLE_OF_END.match(title) is not None
