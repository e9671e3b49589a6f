"""The tables of docs/from-versus-incident.md."""

import re
from collections.abc import Iterator
from pathlib import Path

from versus_py.config.versus_incident import PAGE


def rows(title: str) -> Iterator[list[str]]:
    """The rows of the table below the heading *title*; cells that are code alone are without their backticks."""
    text = (Path(__file__).parents[2] / PAGE).read_text()
    section = text.partition(f"### {title}\n")[2].partition("\n#")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [it.strip() for it in line.strip("|").split(" | ")]
            yield [it[1:-1] if re.fullmatch(r"`[^`]*`", it) else it for it in cells]
