"""Files of incidents: no cell is a formula, whatever a label says."""

import csv
import io

import orjson
import pytest

from tests.support.factories import make_alert, make_incident
from versus_py.incidents.searching import parse_search
from versus_py.web.pages.ui.exporting import (
    COLUMNS,
    LABELS_MAX,
    cell,
    csv_head,
    csv_line,
    csv_rest,
    csv_row,
    json_row,
    json_tail,
)


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "|cmd",
        "\t=1",
        "\r\n=1",
        "  =1",
        "\x00=1",
        '"=1',
        "'=1",
        "\u200b=1",
        "\ufeff=1",
        "\uff1d1",
        "\uff0d1",
        "\uff0b1",
        "\uff201",
    ],
)
def test_what_a_spreadsheet_takes_for_a_formula_is_text(text):
    assert cell(text).startswith("'")


@pytest.mark.parametrize("text", ["a;=1+1", "a; -1", "a;\t@x"])
def test_a_semicolon_begins_no_formula_either(text):
    assert "'" in cell(text)
    assert not any(it.lstrip().startswith(("=", "-", "@")) for it in cell(text).split(";"))


@pytest.mark.parametrize("text", ["Disk is full", "5 pods", "a = b", "10:30 - 11:00", "db-7", "größer", "a;b", ""])
def test_what_is_none_stays_as_it_is(text):
    assert cell(text) == text


def test_a_line_break_does_not_begin_a_row():
    assert cell("a\r\nb\x0bc") == "a b c"
    assert cell(None) == ""


def test_every_cell_is_in_quotes_and_can_be_read_back():
    line = csv_line(["a", 'b"c', "d,e", "\ud800"])

    assert line.endswith(b"\r\n")
    assert next(csv.reader(io.StringIO(line.decode()))) == ["a", 'b"c', "d,e", "?"]
    assert line.startswith(b'"a","b""c"')


def test_a_row_has_a_cell_for_each_column():
    incident = make_incident(make_alert("Disk", team="storage"), make_alert("Disk2", team="storage"))
    text = (csv_head() + csv_row(incident) + csv_rest("older ones are not here")).decode("utf-8-sig")

    head, row, rest = csv.reader(io.StringIO(text))

    assert head == [*COLUMNS]
    assert len(row) == len(rest) == len(head)
    shown = dict(zip(head, row, strict=True))
    assert shown["labels"] == "severity=critical team=storage"
    assert (shown["alerts"], shown["outcome"], shown["resolved_at"]) == ("2", "", "")
    assert rest[0] == "NOT COMPLETE: older ones are not here"


def test_a_label_with_spaces_can_be_searched_for_as_it_stands():
    incident = make_incident(make_alert("Disk full", team="storage"))

    row = next(csv.reader(io.StringIO(csv_row(incident).decode())))

    shown = dict(zip(COLUMNS, row, strict=True))["labels"]
    assert shown.startswith('alertname="Disk full" ')
    assert parse_search(shown).matches(incident)


def test_labels_are_cut():
    incident = make_incident(make_alert("Disk", team="x" * 10_000))

    assert len(csv_row(incident)) < LABELS_MAX + 2_000


def test_the_parts_of_json_make_one_text():
    incident = make_incident()

    text = b'{"incidents":[' + json_row(incident) + json_tail([{"id": "x", "error": "y"}], "1:x")

    assert orjson.loads(text)["next"] == "1:x"
    assert orjson.loads(text)["unreadable"] == [{"id": "x", "error": "y"}]
    assert orjson.loads(text)["incidents"][0]["id"] == incident.id
