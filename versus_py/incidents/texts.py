"""What alerts say to people: their texts, each once, and what was measured. Pure."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from versus_py.incidents.labels import end_of, is_hint, is_link, is_text, plain
from versus_py.incidents.model import Alert

TEXTS_MAX = 8
OTHER_TEXTS_MAX = 4

_TEXTS = ("summary", "title", "subject", "description", "message", "text", "error", "details", "reason", "culprit")
_TAG = re.compile(
    r"</?(?:html|head|body|title|p|br|hr|b|i|em|strong|div|span|a|h[1-6]|ul|ol|li|table|tr|td|th|pre|code)\b[^<>]*>"
)
_MARKS = re.compile(r"^%%%[ \t]*$\n?|%%%", re.MULTILINE)
_VALUES = ("values", "valuestring", "__value_string__", "value", "current_value")
_VALUE_OF = re.compile(r"\[([^\[\]]*)\]")
_VARIABLE = re.compile(r"\b(?:var|metric)='([^']*)'")
_NUMBER = re.compile(r"\bvalue=(\S+)")
_LONG_NUMBER = re.compile(r"-?\b\d+\.\d{4,}\b")


def texts_of(alert: Alert) -> dict[str, str]:
    """What it says to people, without markup, by the name that its sender has for it; the usual names first."""
    said = {key: text for key, text in alert.annotations.items() if text.strip() and not _is_technical(key, text)}
    by_name = {key.casefold(): key for key in said}
    usual = [by_name[key] for key in _TEXTS if key in by_name]
    said |= {key: text for key, text in alert.labels.items() if key not in said and is_text(key, text)}
    others = sorted((key for key in said if key not in usual), key=lambda it: not is_hint(it))
    return {key: _unmarked(said[key]) for key in (*usual, *others[:OTHER_TEXTS_MAX])}


def values_of(alert: Alert) -> str:
    """What was measured, as `A=93.1, B=2`; Grafana's own text form is long and repeats the labels."""
    by_name = {key.casefold(): text for key, text in alert.annotations.items()}
    text = next((by_name[key] for key in _VALUES if by_name.get(key)), "")
    return _LONG_NUMBER.sub(lambda it: f"{float(it[0]):.6g}", ", ".join(_variables(text)) or text)


def said_once(texts: Iterable[tuple[str, str]], above: Sequence[str]) -> tuple[str, ...]:
    """Of *texts* and their names, those that say something that is neither *above* nor part of another one."""
    found = [(name, text, plain(text)) for name, text in texts][:TEXTS_MAX]
    said = [plain(it) for it in above]
    kept = []
    for index, (name, text, words) in enumerate(found):
        others = [it for at, (*_, it) in enumerate(found) if at != index and (it != words or at < index)]
        if words and not any(words in it for it in (*said, *others)):
            kept.append(text if name.casefold() in _TEXTS or is_hint(name) else f"{end_of(name)}: {text}")
    return tuple(kept)


def _unmarked(text: str) -> str:
    """Without HTML and without Datadog's marks around Markdown, which chats show as they are."""
    if "&lt;" in text and "&gt;" in text:
        text = html.unescape(text)
    if "</" in text:
        text = _TAG.sub(" ", text)
    return _MARKS.sub("", text).strip()


def _is_technical(name: str, text: str) -> bool:
    """Whether it is no text: a link, a value, or what a tool keeps there for itself."""
    return is_link(text.strip()) or name.startswith("__") or name.casefold() in _VALUES


def _variables(text: str) -> Iterator[str]:
    for part in _VALUE_OF.findall(text):
        name, number = _VARIABLE.search(part), _NUMBER.search(part)
        if number:
            yield f"{name[1]}={number[1]}" if name and name[1] else number[1]
