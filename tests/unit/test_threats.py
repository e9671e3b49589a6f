"""The threats that are written down: each door is held by tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "THREATS.md").read_text()
ROWS = [row for row in re.findall(r"^\| (.+) \|$", PAGE, re.MULTILINE) if not row.startswith("attack |")]
NAMED = sorted(set(re.findall(r"`((?:unit|integration|acceptance|faults|fuzz)/[\w/]+\.py(?:::\w+)?)`", PAGE)))
"""That they exist, the tests of all pages hold."""


@pytest.mark.parametrize("row", ROWS)
def test_every_attack_has_a_door_and_a_test_or_says_that_there_is_none(row):
    attack, door, tests = (cell.strip() for cell in f"{row} ".split(" |"))

    assert attack
    assert door
    assert any(f"`{named}`" in tests for named in NAMED) or door.endswith("nothing here")


def test_every_part_says_what_it_leaves_open():
    parts = PAGE.split("\n## ")[1:]

    assert len(parts) > 5
    assert [part.splitlines()[0] for part in parts if "Left open:" not in part] == []
