"""The table of docs/environment.md, from config/config.yaml and the model: `python -m tests.docs.environment_table`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from tests.support.blocks import ROOT
from versus_py.systems import model

PAGE = ROOT / "docs" / "environment.md"
CONFIG = ROOT / "config" / "config.yaml"
BEGIN, END = "<!-- from config/config.yaml, by tests/docs/environment_table.py -->\n", "<!-- to here -->\n"


def table() -> str:
    rows = ["| variable | setting | without it | meaning |", "|---|---|---|---|"]
    for path, reference in references(yaml.safe_load(CONFIG.read_text())):
        name, _, default = reference.partition(":-")
        setting = ".".join(path)
        rows.append(f"| `{name}` | `{setting}` | {f'`{default}`' if default else 'not set'} | {meaning(path)} |")
    return "\n".join(rows) + "\n"


def references(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each setting whose value is a variable: its path, and what stands between the braces."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from references(below, (*path, str(key)))
    elif isinstance(value, str) and (found := re.fullmatch(r"\$\{(\w+(?::-[^}]*)?)\}", value)):
        yield path, found[1]


def meaning(path: tuple[str, ...]) -> str:
    """What the model says about the setting; below a mapping, what it says about the mapping."""
    described = ""
    here: type[BaseModel] = model()
    for name in path:
        field = here.model_fields.get(name)
        if field is None:
            break
        described = field.description or described
        inner = field.annotation
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        here = inner
    return described.partition("\n")[0].rstrip(".").replace("|", "\\|")


def written(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


def main(page: Path = PAGE) -> None:
    page.write_text(written(page.read_text()))


if __name__ == "__main__":
    main()
