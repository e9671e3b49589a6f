"""Tables for people, and lines for what reads lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from versus_py.cli.common import out

_LEFT_OUT_BELOW = {"severity": 110, "escalates": 90}  # columns of the terminal


def incident_table(rows: list[list[str]], columns: Sequence[str]) -> Table:
    """Ids and states whole, so that they can be copied; the title gets what space is left."""
    table = Table(box=None, pad_edge=False)
    shown = [index for index, name in enumerate(columns) if out.width >= _LEFT_OUT_BELOW.get(name, 0)]
    for index in shown:
        name = columns[index]
        widest = max((len(row[index]) for row in rows), default=0)
        width = None if name in {"title", "error"} else max(len(name), widest)
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table


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
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    for first, *rest in rows:
        table.add_row(Text(first, style=colours[first]), *map(Text, rest))
    out.print(table)
