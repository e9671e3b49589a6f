"""Lists of incidents in terminals of some widths."""

from io import StringIO

import pytest
from rich.console import Console

from versus_py.cli import tables
from versus_py.cli.standing import COLUMNS, FAILURE_COLUMNS

ID = "17cc83863bd248434d10-1"
SINCE = "2026-05-04 10:00:00 CEST"
TITLE = "Disk full on the primary database of the shop, and its replica lags behind"
INCIDENT = [ID, "acknowledged", "critical", SINCE, SINCE, "INC0010001", TITLE]
FAILURE = [ID, "triggered", "servicenow", SINCE, "ServiceNow answered 403: User Not Authorized", TITLE]


def shown(monkeypatch, width, rows, columns):
    written = StringIO()
    console = Console(file=written, width=width)
    monkeypatch.setattr(tables, "out", console)
    console.print(tables.incident_table(rows, columns))
    return [line.rstrip() for line in written.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (80, "id status record title"),
        (100, "id status created record title"),
        (200, "id status severity created escalates record title"),
    ],
)
def test_an_incident_is_a_line_with_what_fits_beside_a_part_of_its_title(monkeypatch, width, names):
    header, first, second = shown(monkeypatch, width, [INCIDENT, INCIDENT], COLUMNS)

    assert header.split() == names.split()
    assert first == second
    assert len(first) <= width
    assert first.startswith(f"{ID}  acknowledged  ")
    assert TITLE[:20] in first
    assert "INC0010001" in first


@pytest.mark.parametrize(("width", "names"), [(80, "id target error title"), (200, " ".join(FAILURE_COLUMNS))])
def test_a_failure_is_a_line_with_parts_of_its_error_and_its_title(monkeypatch, width, names):
    header, line = shown(monkeypatch, width, [FAILURE], FAILURE_COLUMNS)

    assert header.split() == names.split()
    assert len(line) <= width
    assert FAILURE[4][:15] in line
    assert TITLE[:10] in line


def test_short_rows_have_every_column_also_in_a_narrow_terminal(monkeypatch):
    header, _ = shown(monkeypatch, 100, [[ID, "triggered", "info", SINCE, "", "", "Disk"]], COLUMNS)

    assert header.split() == list(COLUMNS)


def test_a_title_of_two_lines_is_one_line(monkeypatch):
    assert len(shown(monkeypatch, 80, [[*INCIDENT[:-1], "Disk\nfull"]], COLUMNS)) == 2


def test_a_page_of_none_is_a_header(monkeypatch):
    assert shown(monkeypatch, 200, [], COLUMNS) == ["  ".join(COLUMNS)]
