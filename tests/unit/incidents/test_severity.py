import re
from pathlib import Path

import pytest

from versus_py.incidents import severity
from versus_py.incidents.severity import (
    Level,
    from_syslog,
    highest_severity,
    is_graver,
    is_number,
    level_of,
    row_for,
)

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("name", "level"),
    [
        *((name, Level.CRITICAL) for name in ("critical", "Fatal", "P1", "SEV1", "page", "DISASTER", "emergency")),
        *((name, Level.ERROR) for name in ("err", "High", "major", "p2", "Sev2")),
        *((name, Level.WARNING) for name in ("warning", "Average", "minor", "P3")),
        *((name, Level.NOTICE) for name in ("low", "p4", "sev4")),
        *((name, Level.INFO) for name in ("Information", "p5", "SEV5")),
        ("ok", Level.DEBUG),
        ("SEV-1", Level.CRITICAL),
        ("sev 2", Level.ERROR),
        ("1 - Critical", Level.CRITICAL),
        ("3-Moderate", Level.WARNING),
        ("P1 - Critical", Level.CRITICAL),
        ("P2-High", Level.ERROR),
        ("Warning (P3)", Level.WARNING),
        ("SEV2: major", Level.ERROR),
        ("high/critical", Level.CRITICAL),
        ("warning (was critical)", Level.UNKNOWN),
        ("non-critical", Level.UNKNOWN),
        ("()", Level.UNKNOWN),
        (" warning ", Level.WARNING),
        ("unknown", Level.UNKNOWN),
        ("blue", Level.UNKNOWN),
        ("", Level.UNKNOWN),
        ("1", Level.UNKNOWN),
        ("2 - 3", Level.UNKNOWN),
    ],
)
def test_a_name_in_any_spelling_has_its_level_and_a_bare_number_has_none(name: str, level: Level) -> None:
    assert level_of(name) is level


def test_syslog_levels_are_named_and_other_numbers_are_not() -> None:
    named = [from_syslog(str(level)) for level in range(9)]

    assert named == ["critical", "critical", "critical", "error", "warning", "info", "info", "info", ""]
    assert [from_syslog(text) for text in ("", "-1", "error", "²", "3.0")] == ["", "", "", "", "error"]


@pytest.mark.parametrize("level", Level)
def test_the_usual_name_of_a_level_is_of_that_level(level: Level) -> None:
    assert level_of(level.severity) is level


ROWS = {"Critical": 1, "error": 2, "fatal": 3, "unknown": 4, "blue": 5}


@pytest.mark.parametrize(
    ("severity", "row"),
    [
        pytest.param("critical", 1, id="its-name-in-another-case"),
        pytest.param("FATAL", 3, id="its-name-before-one-of-the-same-level"),
        pytest.param("page", 1, id="the-first-of-the-same-level"),
        pytest.param("P2", 2, id="of-the-same-level"),
        pytest.param("warning", None, id="none-of-its-level"),
        pytest.param("Blue", 5, id="an-unknown-one-by-its-name"),
        pytest.param("unknown", 4, id="the-unknown-one"),
        pytest.param("green", None, id="an-unknown-one-has-not-the-row-of-another"),
    ],
)
def test_a_severity_has_the_row_of_its_name_else_of_its_level(severity: str, row: int | None) -> None:
    assert row_for(ROWS, severity) == row


def test_the_highest_severity_keeps_its_name_and_unknown_names_come_last() -> None:
    assert highest_severity(["blue", "warn", "P1", "high"]) == "P1"
    assert highest_severity(["blue", ""]) == "blue"
    assert highest_severity([]) == "unknown"


def test_an_unknown_severity_is_no_graver_than_a_notice_and_graver_than_nothing() -> None:
    assert is_graver("SEV-1", "warning")
    assert not is_graver("page", "critical")
    assert not is_graver("blue", "low")


def test_a_bare_number_is_told_from_a_name() -> None:
    assert is_number(" 2 ")
    assert not is_number("P2")


def test_every_name_of_the_documented_table_has_its_level() -> None:
    table = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8").partition("## Severity")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    documented = {level.strip(): re.findall(r"`([^`]+)`", names) for level, names in rows if "`" in names}

    assert {level.severity for level in Level} - {"unknown"} == documented.keys()
    for level, names in documented.items():
        assert {level_of(name).severity for name in names} == {level}


def test_what_is_too_long_for_a_severity_is_not_remembered():
    before = severity._known_spelling.cache_info().currsize

    assert severity.spelling("X" * 100_000) == "x" * 100_000

    assert severity._known_spelling.cache_info().currsize == before
