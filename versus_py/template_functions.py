"""What templates may call beside Jinja2's own filters. None of them fails for a value that is not there.

Those of Versus Incident's templates are here by what they do, for templates that were converted.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import re2
from jinja2 import Undefined

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_VERB = re.compile(r"%(?P<flags>[-+ 0#]*)(?P<width>\d{0,3})(?P<precision>(?:\.\d{1,2})?)(?P<verb>[a-zA-Z%])")

_LATIN_TIME = ("%Y/%m/%d %H:%M:%S", "%m/%d/%Y", "%a, %d %b %Y %H:%M:%S %Z", "%a, %d %b %Y %H:%M:%S %z")


def _is_nothing(value: Any) -> bool:
    return value is None or isinstance(value, Undefined)


def text(value: Any) -> str:
    """As text: true and false in lower case, whole numbers without a point, nothing as ""."""
    if _is_nothing(value):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def each(value: Any) -> Sequence[Any]:
    """The items of a list; of a mapping its values, in the order of its keys; of anything else nothing."""
    return [item for _, item in pairs(value)]


def pairs(value: Any) -> Sequence[tuple[Any, Any]]:
    """The same, each after its number or its key."""
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda it: str(it[0]))
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def trim_prefix(value: Any, prefix: str) -> str:
    return text(value).removeprefix(text(prefix))


def trim_suffix(value: Any, suffix: str) -> str:
    return text(value).removesuffix(text(suffix))


def split(value: Any, separator: str) -> list[str]:
    """At each *separator*; letter by letter where that is ""."""
    found = text(value)
    return found.split(separator) if separator else list(found)


def urlquery(value: Any) -> str:
    """For the query of a URL."""
    return quote_plus(text(value))


def now() -> datetime:
    return datetime.now(UTC)


def format_time(value: Any, layout: str = TIME_FORMAT) -> str:
    """A moment in the form of strftime: a time, or a text that says one. "Invalid time" for a text that says none."""
    if _is_nothing(value) or value == "":
        return ""
    if isinstance(value, datetime):
        return value.strftime(layout)
    if isinstance(value, int | float):
        with suppress(OverflowError, ValueError, OSError):
            return datetime.fromtimestamp(value, UTC).strftime(layout)
        return "Invalid time"
    found = _moment(str(value))
    return "Invalid time" if found is None else found.strftime(layout)


def _moment(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.strip()))  # Go writes nanoseconds
    except ValueError:
        pass
    for layout in _LATIN_TIME:
        try:
            return datetime.strptime(value, layout).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def printf(template: str, *values: Any) -> str:
    """As Go's: %s, %v, %d, %f, %q, %t and %%, with width and precision."""
    rest = iter(values)

    def shown(found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb == "%":
            return "%"
        value: Any = next(rest, None)
        number = float(value) if _is_number(value) else 0.0
        if verb in "dxXob" and _is_number(value) and math.isfinite(number):
            return format(int(number), f"{_flags(found['flags'])}{found['width']}{verb}")
        if verb in "feEgG":
            precision = found["precision"] or ".6"
            return format(number, f"{_flags(found['flags'])}{found['width']}{precision}{verb}")
        said = f'"{text(value)}"' if verb == "q" else text(value)
        if found["precision"] and verb in "sv":
            said = said[: int(found["precision"][1:])]
        width = int(found["width"] or 0)
        return said.ljust(width) if "-" in found["flags"] else said.rjust(width)

    return _VERB.sub(shown, text(template))


def _flags(flags: str) -> str:
    """Go's flags of a number as Python writes them, which wants them in this order."""
    sign = next((it for it in "+ " if it in flags), "")
    is_left = "-" in flags
    return f"{'<' if is_left else ''}{sign}{'0' if '0' in flags and not is_left else ''}"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or _is_nothing(value):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """False for values that have no order."""

    def compare(one: Any, other: Any) -> bool:
        if _is_number(one) and _is_number(other) and not (isinstance(one, str) and isinstance(other, str)):
            return holds(float(one), float(other))
        return isinstance(one, str) and isinstance(other, str) and holds(one, other)

    return compare


def regex_match(pattern: str, value: Any) -> bool:
    """Whether *pattern*, a regular expression of RE2, is found in *value*."""
    return re2.search(pattern, text(value)) is not None


FILTERS: Mapping[str, Callable[..., Any]] = {
    "each": each,
    "format_time": format_time,
    "pairs": pairs,
    "split": split,
    "text": text,
    "trim_prefix": trim_prefix,
    "trim_suffix": trim_suffix,
    "urlquery": urlquery,
}

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "ge": _compared(lambda one, other: one >= other),
    "gt": _compared(lambda one, other: one > other),
    "le": _compared(lambda one, other: one <= other),
    "lt": _compared(lambda one, other: one < other),
    "now": now,
    "printf": printf,
    "regex_match": regex_match,
    "text": text,
}
