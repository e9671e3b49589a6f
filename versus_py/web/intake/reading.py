"""What a request says: its body as payloads, and its payloads as notifications."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from versus_py import sources
from versus_py.config import Config
from versus_py.errors import BadPayload, NotAnAlert, WrongAddress
from versus_py.incidents.copies import replace
from versus_py.incidents.grouping import Grouping
from versus_py.incidents.heartbeats import Beat
from versus_py.incidents.model import Notification
from versus_py.templating import TemplateText
from versus_py.web.intake import lenient
from versus_py.web.intake.beats import found_in
from versus_py.web.intake.overrides import Overrides
from versus_py.web.intake.severities import Severities

ELEMENTS_MAX = 5000
"""Most payloads in one request."""

NESTING_MAX = 100
"""Levels that are read of JSON too deep for the parser."""

_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")

Payload = Mapping[str, Any]


class TooMany(BadPayload):
    """More payloads than one request may carry."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The notifications of a request in order, None for each payload that is no news of an alert but beats."""

    notifications: tuple[Notification | None, ...]
    warnings: tuple[str, ...]  # of payloads that came to nothing; the others' are with their notifications
    beats: tuple[Beat, ...] = ()  # of heartbeats


class Reader:
    """Understands payloads by the configuration."""

    def __init__(self, config: Config) -> None:
        self._settings = config.sources
        self._expected = config.heartbeats
        self._severities = Severities(config)
        self._keeps_payload = config.keep_payload
        self._dedup_key = None if config.dedup_key is None else TemplateText(config.dedup_key, "dedup_key")

    def read(self, payloads: Sequence[Payload], overrides: Overrides, sender: str = "") -> Reading:
        """What *payloads* of the token *sender* say, by the overrides of their request.

        Those that belong elsewhere are left out with a warning. Raises WrongAddress when all of them do.
        """
        grouping = Grouping(overrides.per_alert, self._dedup_key)
        found: list[Notification | None] = []
        beats: list[Beat] = []
        warnings: list[str] = []
        elsewhere: list[WrongAddress] = []
        for payload in payloads:
            try:
                parsed = sources.parse(payload, self._settings, overrides.source)
            except WrongAddress as exc:
                elsewhere.append(exc)
                warnings.append(f"a payload was left out: {exc}")
                continue
            except NotAnAlert as exc:
                found.append(None)
                warnings.append(f"nothing to do: {exc}")
                continue
            said = found_in(parsed, self._expected, overrides.asked, sender)
            beats += said.beats
            # A key that is made of alerts is no list's, and neither is that of each alert.
            if said.rest is None or (not said.rest.alerts and said.rest is not parsed and grouping.is_by_alerts):
                found.append(None)
                continue
            settled = self._severities.settle(said.rest, overrides.severity)
            kept = payload if self._keeps_payload else None
            found += grouping.arrange(replace(settled, sender=sender, payload=kept))
        if elsewhere and len(elsewhere) == len(payloads):
            raise elsewhere[0]
        return Reading(tuple(found), tuple(warnings), tuple(beats))


def read_body(body: bytes) -> tuple[bool, list[Payload], list[str]]:
    """Whether *body* holds many payloads, the payloads, and warnings about what is none and was left out.

    JSON, whatever its content type says: an object, an array of objects, or objects one after the other, as in
    NDJSON. Bytes that are no UTF-8 are replaced, not refused; of objects in a row, those before one that is broken
    count. What is nearly JSON is read with a warning, a form by the JSON in it or else by its fields. Raises
    BadPayload, and TooMany.
    """
    if not body.strip():
        raise BadPayload("the body is empty; send a JSON object or an array of JSON objects")
    data, rest = _parse(body)
    if isinstance(data, dict):
        return False, [data], rest
    if not isinstance(data, list):
        raise BadPayload(f"the body is a JSON {_json_type(data)}; send a JSON object or an array of JSON objects")
    if len(data) > ELEMENTS_MAX:
        raise TooMany(f"the array has {len(data)} elements; send at most {ELEMENTS_MAX} at once")
    payloads: list[Payload] = [element for element in data if isinstance(element, dict)]
    if not payloads:
        raise BadPayload("the array holds no JSON object; send at least one")
    warnings = [
        f"element {index} is a JSON {_json_type(element)}, not an object, and was left out"
        for index, element in enumerate(data)
        if not isinstance(element, dict)
    ]
    return True, payloads, warnings + rest


def _parse(body: bytes) -> tuple[Any, list[str]]:
    """The data, and a warning when something at the end of it is none."""
    try:
        return orjson.loads(body), []
    except orjson.JSONDecodeError:
        pass
    # Slower, and takes what orjson does not: NaN, large numbers, lone surrogates, other encodings, many values.
    text = body.decode(json.detect_encoding(body), errors="replace")
    try:
        data, warnings = _read_text(text)
    except ValueError as exc:
        return _read_otherwise(text, body, exc)
    if warnings:  # a fault in one of many values must not take the others away
        with suppress(BadPayload):
            repaired = _read_repaired(text, warnings[0])
            return repaired if len(repaired[1]) == 1 else (data, warnings)
    return data, warnings


def _read_text(text: str, *, is_strict: bool = True) -> tuple[Any, list[str]]:
    """Raises ValueError."""
    try:
        return _leniently_parsed(text, is_strict=is_strict)
    except RecursionError:
        data, warnings = _leniently_parsed(_shallow(text), is_strict=is_strict)
        return data, [*warnings, f"what is nested more than {NESTING_MAX} levels deep was left out"]


def _read_otherwise(text: str, body: bytes, wrong: ValueError) -> tuple[Any, list[str]]:
    """The form or the nearly JSON that *text* is. Raises BadPayload, with what to do if *body* is something known."""
    carried, fields = lenient.form(text)
    if carried is not None:
        return _parse(carried.encode(errors="replace"))
    if fields:
        return fields, []
    if advice := lenient.remedy(body):
        raise BadPayload(advice)
    return _read_repaired(text, str(wrong))


def _read_repaired(text: str, wrong: str) -> tuple[Any, list[str]]:
    repaired = lenient.repaired(text)
    try:
        if repaired is not None:
            data, warnings = _read_text(repaired, is_strict=False)
            return data, [f"the body is not quite JSON and was read as what it seems to mean: {wrong}", *warnings]
    except ValueError:
        pass
    raise BadPayload(f"the body is not JSON ({wrong}); send a JSON object or an array of JSON objects")


def _leniently_parsed(text: str, *, is_strict: bool) -> tuple[Any, list[str]]:
    values, warnings = _values(text, is_strict=is_strict)
    data = values[0] if len(values) == 1 else values
    return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", errors="replace")), warnings


def _shallow(text: str) -> str:
    """JSON that can be parsed: null in place of everything that is nested deeper than NESTING_MAX."""
    kept: list[str] = []
    depth = kept_from = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in _OPENING:
            depth += 1
            if depth == NESTING_MAX + 1:
                kept += (text[kept_from : token.start()], "null")
        elif token[0] in _CLOSING:
            if depth == NESTING_MAX + 1:
                kept_from = token.end()
            depth -= 1
    if depth > NESTING_MAX:
        raise ValueError("it is nested too deeply, and ends before that does")
    return "".join((*kept, text[kept_from:]))


def _values(text: str, *, is_strict: bool) -> tuple[list[Any], list[str]]:
    """The JSON values that stand one after the other, up to one more than are allowed. ValueError without any."""
    decoder = json.JSONDecoder(parse_int=_integer, strict=is_strict)
    values: list[Any] = []
    rest = text.strip()
    at = 0
    while at < len(rest) and len(values) <= ELEMENTS_MAX:
        try:
            value, at = decoder.raw_decode(rest, at)
        except ValueError as exc:
            if not any(isinstance(value, dict) for value in values):
                raise
            return values, [f"what follows the JSON value number {len(values)} is not JSON, and was left out: {exc}"]
        values.append(value)
        while at < len(rest) and rest[at].isspace():
            at += 1
    return values, []


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # longer than Python converts
        return digits


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "number"
