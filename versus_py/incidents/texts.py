"""What alerts say to people: their texts, each once, and what was measured. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence

from versus_py.incidents.labels import is_link, is_prose, plain
from versus_py.incidents.model import Alert

TEXTS_MAX = 8
OTHER_TEXTS_MAX = 4

_TEXTS = ("summary", "title", "subject", "description", "message", "text", "error", "details", "reason", "culprit")
_VALUES = ("values", "valuestring", "__value_string__", "value", "current_value")
_VALUE_OF = re.compile(r"\[([^\[\]]*)\]")
_VARIABLE = re.compile(r"\b(?:var|metric)='([^']*)'")
_NUMBER = re.compile(r"\bvalue=(\S+)")
_LONG_NUMBER = re.compile(r"-?\b\d+\.\d{4,}\b")


def texts_of(alert: Alert) -> dict[str, str]:
    """What it says to people, by the annotation's name; of unusual ones, with the name before it."""
    said = {key: text for key, text in alert.annotations.items() if text.strip() and not _is_technical(key, text)}
    by_name = {key.casefold(): key for key in said}
    usual = [by_name[key] for key in _TEXTS if key in by_name]
    said |= {key: text for key, text in alert.labels.items() if key not in said and is_prose(text)}
    others = [key for key in said if key not in usual][:OTHER_TEXTS_MAX]
    return {key: said[key] for key in usual} | {key: f"{key}: {said[key]}" for key in others}


def values_of(alert: Alert) -> str:
    """What was measured, as `A=93.1, B=2`; Grafana's own text form is long and repeats the labels."""
    by_name = {key.casefold(): text for key, text in alert.annotations.items()}
    text = next((by_name[key] for key in _VALUES if by_name.get(key)), "")
    return _LONG_NUMBER.sub(lambda it: f"{float(it[0]):.6g}", ", ".join(_variables(text)) or text)


def said_once(texts: Iterable[str], above: Sequence[str]) -> tuple[str, ...]:
    """Those that say something that is neither *above* nor part of another one."""
    found = [(text, plain(text)) for text in texts][:TEXTS_MAX]
    said = [plain(it) for it in above]
    kept = []
    for index, (text, words) in enumerate(found):
        others = [it for at, (_, it) in enumerate(found) if at != index and (it != words or at < index)]
        if words and not any(words in it for it in (*said, *others)):
            kept.append(text)
    return tuple(kept)


def _is_technical(name: str, text: str) -> bool:
    """Whether it is no text: a link, a value, or what a tool keeps there for itself."""
    return is_link(text.strip()) or name.startswith("__") or name.casefold() in _VALUES


def _variables(text: str) -> Iterator[str]:
    for part in _VALUE_OF.findall(text):
        name, number = _VARIABLE.search(part), _NUMBER.search(part)
        if number:
            yield f"{name[1]}={number[1]}" if name and name[1] else number[1]
