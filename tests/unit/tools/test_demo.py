"""What the demo tells people to type."""

import sys

import pytest

from versus_py.tools.demo import _this_command, _to_send_more


@pytest.mark.parametrize(
    ("started", "shown"),
    [
        ("versus_py/__main__.py", ".venv/bin/versus"),  # make demo
        (".venv/bin/versus", ".venv/bin/versus"),
        ("/opt/versus/bin/versus", "/opt/versus/bin/versus"),
    ],
)
def test_the_command_that_is_shown_is_one_that_runs(monkeypatch, tmp_path, started, shown):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    monkeypatch.setattr(sys, "argv", [started if not started.startswith("versus_py") else str(tmp_path / started)])

    assert _this_command() == shown


def test_the_command_to_copy_fits_a_terminal_of_80_columns(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/versus"])

    lines = _to_send_more("http://127.0.0.1:65535")

    assert max(map(len, lines)) <= 80
    assert lines[0].endswith(" \\")
