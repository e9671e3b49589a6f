"""Incidents as a file: CSV for spreadsheets, JSON for programs. Pure."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from versus_py.engine.courses import quoted
from versus_py.incidents.model import Incident, common
from versus_py.web.api.views import summary

COLUMNS = (
    *("id", "created_at", "status", "outcome", "severity", "title", "source", "labels", "alerts", "occurrences"),
    *("acknowledged_at", "acknowledged_by", "resolved_at", "resolved_by", "record", "record_url"),
)
"""Those of the CSV; but for `labels`, what they hold is what the API calls so."""

LABELS_MAX = 2_000
"""The most characters of the labels that all alerts share, in one cell."""

_PLAIN = re.compile(r"[^\s,{}\"'\\]+")
"""The values of labels that a search takes without quotes."""

_FORMULA = re.compile(r"[\s\x00-\x1f\"'\u200b\ufeff]*[=+\-@|\uff1d\uff0b\uff0d\uff20]")
"""How what spreadsheets take for a formula begins, and what may stand before it."""

_NEXT_CELL = re.compile(r"(?<=;)(?=\s*[=+\-@])")
"""Where one begins when a semicolon is taken for the end of a cell, as it is in many languages."""

BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel does not read UTF-8."""


def cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what would be one."""
    if value is None:
        return ""
    text = " ".join(str(value).replace("\x00", "").split())
    text = _NEXT_CELL.sub("'", text)
    return f"'{text}" if _FORMULA.match(text) else text


def csv_line(cells: list[str]) -> bytes:
    """Every cell in quotes."""
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue().encode(errors="replace")


def csv_head() -> bytes:
    return BYTE_ORDER_MARK.encode() + csv_line([*COLUMNS])


def csv_row(incident: Incident) -> bytes:
    shown = {**summary(incident), "labels": _labels(incident)}
    return csv_line([str(it) if isinstance(it, int) else cell(it) for it in map(shown.get, COLUMNS)])


def csv_rest(text: str) -> bytes:
    """The last row of a file that does not hold all: it says so."""
    return csv_line([f"NOT COMPLETE: {text}", *[""] * (len(COLUMNS) - 1)])


def json_row(incident: Incident) -> bytes:
    return _dumped(summary(incident))


def json_tail(unread: Sequence[Mapping[str, Any]], cursor: str | None) -> bytes:
    """What comes after the incidents: *cursor* goes on where the file does not hold all."""
    return b'],"unreadable":' + _dumped(unread) + b',"next":' + _dumped(cursor) + b"}"


def _labels(incident: Incident) -> str:
    pairs = common([it.labels for it in incident.alerts])
    return " ".join(f"{name}={_value(value)}" for name, value in pairs.items())[:LABELS_MAX]


def _value(value: str) -> str:
    """As the search takes it."""
    return value if _PLAIN.fullmatch(value) else quoted(value)


def _dumped(data: Any) -> bytes:
    return orjson.dumps(data)
