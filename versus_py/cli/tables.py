"""Tables for people, and lines for what reads lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from versus_py.cli.common import out

_LEFT_OUT_FIRST = ("severity", "escalates", "created", "since", "status", "target")
"""Columns that go, one after the other, where the terminal has too few for the rest."""

_TEXTS = ("error", "title")
"""Columns that are cut where they are too long."""

_TEXT_MIN = 20
_GAP = 2


def incident_table(rows: list[list[str]], columns: Sequence[str]) -> Table:
    """A line for each: ids and states whole, so that they can be copied; texts get what space is left."""
    lines = [[" ".join(text.split()) for text in row] for row in rows]
    needed = {name: max(map(len, (name, *(line[index] for line in lines)))) for index, name in enumerate(columns)}
    widths = _widths(needed, out.width)
    table = Table(box=None, pad_edge=False)
    for name, width in widths.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=width)
    for line in lines:
        table.add_row(*(Text(line[columns.index(name)]) for name in widths))
    return table


def _widths(needed: Mapping[str, int], available: int) -> dict[str, int]:
    """The columns that are shown in so much space, and how much each gets."""
    widths = {name: min(width, _TEXT_MIN) if name in _TEXTS else width for name, width in needed.items()}
    for name in _LEFT_OUT_FIRST:
        if _total(widths) > available:
            widths.pop(name, None)
    spare, texts = max(0, available - _total(widths)), [name for name in widths if name in _TEXTS]
    for number, name in enumerate(texts):
        more = min(needed[name] - widths[name], spare // (len(texts) - number))
        widths[name] += more
        spare -= more
    return widths


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and values: a table for people, and one line each for what reads lines."""
    if not out.is_terminal:
        for name, value in pairs:
            print(f"{name}: {value}")
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in pairs:
        table.add_row(Text(name, style="bold"), Text(value))
    out.print(table)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[Any, str]) -> None:
    """A table for people, with the first column in its colour; one line each for what reads lines."""
    if not out.is_terminal:
        for first, second, *rest in rows:
            print(f"{first}: {second}: {'; '.join(text for text in rest if text)}")
        return
    _print_table(columns, rows, colours)


def print_named(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The same without colours; what reads lines gets the column's name with each text."""
    if out.is_terminal:
        _print_table(columns, rows, {})
        return
    for first, *rest in rows:
        print(f"{first}: {'; '.join(f'{name}: {text}' for name, text in zip(columns[1:], rest, strict=True) if text)}")


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[Any, str]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    for first, *rest in rows:
        table.add_row(Text(first, style=colours.get(first, "")), *map(Text, rest))
    out.print(table)
