"""The fenced blocks of README.md and docs/, and the commands in them."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

KINDS = frozenset({"console", "http", "ini", "json", "jsonl", "nginx", "python", "text", "toml", "yaml"})
"""What a fence may say. `text` is for what nobody types or loads: output, and drawings."""


@dataclass(frozen=True)
class Block:
    page: str  # its path below the root
    line: int  # of its opening fence
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """What a reader types, and the lines that the page shows as its output."""

    block: Block
    text: str
    shown: str


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@cache
def blocks() -> tuple[Block, ...]:
    return tuple(block for page in pages() for block in blocks_of(page.read_text(), str(page.relative_to(ROOT))))


def blocks_of(text: str, page: str) -> Iterator[Block]:
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"( *)```(\S*)", line)
        if opened is None and fence:
            opened, lines = (number, fence[1], fence[2]), []
        elif opened and line.startswith(f"{opened[1]}```"):
            yield Block(page, opened[0], opened[2], textwrap.dedent("\n".join(lines)) + "\n")
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"{page}:{opened and opened[0]} is not closed"


def commands_of(block: Block) -> list[Command]:
    """Each begins with `$ ` and goes on where a line ends with a backslash, or in a here-document."""
    found: list[Command] = []
    text, until = "", None
    shown: list[str] = []
    for line in [*block.text.splitlines(), "$ "]:
        if until is not None:
            text += f"\n{line}"
            until = None if line == until else until
        elif text.endswith("\\") or text.count("'") % 2:
            text += f"\n{line}"
        elif line.startswith("$ "):
            if text:
                found.append(Command(block, text, "\n".join(shown)))
            text, shown = line[2:], []
        else:
            assert text, f"{block}: what is shown before the first command"
            shown.append(line)
            continue
        if until is None and (here := re.search(r"<<-?'?(\w+)'?[^\n]*$", line)):
            until = here[1]
    return found


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether *printed* is what the page shows; an ellipsis there stands for anything, also for lines."""
    pattern = ".*".join(re.escape(part) for part in re.split(r"\s*…\s*", shown.strip()))
    said = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch(pattern, said, re.DOTALL) is not None
