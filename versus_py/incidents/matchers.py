"""Label matchers in Alertmanager's syntax: prometheus/alertmanager, docs/configuration.md, "<matcher>".

What its default mode takes, classic matchers and those with UTF-8 names, is taken, and means the same: a backslash
that stands before none of `"`, `\\` and `n` is itself. Refused are braces in a value without quotes, which it takes for
something else, and what is hardly meant, such as `a==b` or `a='b'`. Regular expressions are RE2's, as there: they match
a value as a whole, in a time that grows as the value does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2

MATCHER_MAX = 4096
"""The most characters of one matcher."""

_SHOWN_MAX = 80

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NAME = rf"(?P<name>{_QUOTED}|[^\s{{}}!=~,\\\"'`]+)"
_OPERATOR = r"\s*(?P<operator>=~|!~|!=|=)\s*"
_UNQUOTED = r"(?:[^{}\"=~!'`][^{}\"]*)?"
_MATCHER = re.compile(rf"{_NAME}{_OPERATOR}(?P<value>{_QUOTED}|{_UNQUOTED})", re.DOTALL)
_BEFORE_VALUE = re.compile(_NAME + _OPERATOR, re.DOTALL)
_PIECES = re.compile(rf'{_QUOTED}|"|,|[^",]+', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\n])')


@dataclass(frozen=True, slots=True)
class Matcher:
    """What one label has to be."""

    name: str
    operator: str  # = != =~ !~
    value: str
    pattern: Any = None  # the value as a regular expression of RE2, where the operator takes one

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* are as it says; one that is missing counts as empty."""
        found = labels.get(self.name, "")
        is_alike = found == self.value if self.pattern is None else self.pattern.fullmatch(found)
        return bool(is_alike) != self.operator.startswith("!")


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers in *text*, with braces around them or without, and commas between; empty when there are none.

    Raises ValueError with a sentence that names the matcher and what is wrong with it.
    """
    inner = text.strip()
    if inner.startswith("{") != inner.endswith("}"):
        raise ValueError(f"{_shown(inner)} has a brace at one end only: write both or none; quote values with braces")
    if inner.startswith("{"):
        inner = inner[1:-1].strip()
    *before_commas, last = _parts(inner)
    if not all(before_commas):
        raise ValueError(f"{_shown(text)} has a comma with no matcher before it")
    return tuple(_matcher(part) for part in (*before_commas, last) if part)


def _parts(text: str) -> Iterator[str]:
    """What stands between the commas, as far as these are not in quotes."""
    part = ""
    for piece in _PIECES.findall(text):
        if piece == ",":
            yield part.strip()
            part = ""
        else:
            part += piece
    yield part.strip()


def _matcher(text: str) -> Matcher:
    if len(text) > MATCHER_MAX:
        raise ValueError(f"{_shown(text)} is longer than {MATCHER_MAX} characters")
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"{_shown(text)} {_mistake(text)}")
    name, operator, value = _plain(found["name"]), found["operator"], _plain(found["value"])
    if not name:
        raise ValueError(f"{_shown(text)} has no label name")
    return Matcher(name, operator, value, _pattern(text, value) if operator.endswith("~") else None)


def _mistake(text: str) -> str:
    if '"' in re.sub(_QUOTED, "", text, flags=re.DOTALL):
        return "has a double quote that is not closed"
    if _BEFORE_VALUE.match(text):
        return "has a value that has to be in double quotes as a whole"
    return 'is no matcher: write a label\'s name, one of = != =~ !~, and a value, such as severity="critical"'


def _plain(text: str) -> str:
    """A name or a value without its quotes and escapes."""
    inner = text[1:-1] if text.startswith('"') else text
    return _ESCAPED.sub(lambda escaped: "\n" if escaped[1] == "n" else escaped[1], inner)


def _pattern(text: str, value: str) -> Any:
    try:
        return re2.compile(value, _OPTIONS)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace")
        raise ValueError(f"{_shown(text)} has a regular expression that cannot be used: {reason}") from None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False  # they are raised
    options.max_mem = 1 << 20  # bytes: larger ones are refused, and what takes long takes 0.03 ms a character at most
    return options


_OPTIONS = _options()


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")
