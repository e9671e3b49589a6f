"""The commands, and what each of them loads."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from versus_py import cli
from versus_py.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there_under_its_name(name):
    command = typer.main.get_group(app).commands[name]

    assert command.name == name
    assert command.help


def test_the_help_lists_them_in_their_order():
    shown = CliRunner().invoke(app, ["--help"]).stdout

    places = [shown.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_an_unknown_command_is_refused_with_one_that_is_alike():
    refused = CliRunner().invoke(app, ["serv"])

    assert refused.exit_code == 2
    assert "serve" in refused.stderr


def test_a_key_error_while_a_command_is_imported_is_no_unknown_command(monkeypatch):
    def broken(_: str) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(cli, "import_module", broken)

    assert isinstance(CliRunner().invoke(app, ["serve"]).exception, KeyError)


@pytest.mark.parametrize("package", ["versus_py.simulators", "versus_py.tools.demo", "cryptography.x509"])
def test_a_server_does_not_load_what_it_does_not_need(package):
    """Each of these takes megabytes."""
    said = _python(
        "import sys; from versus_py.cli import app\n"
        "try: app(['serve', '--config', '/nonexistent.yaml'])\n"
        "except SystemExit: print(*sys.modules)"
    )

    assert "versus_py.service" in said.split()
    assert package not in said.split()


def test_the_version_is_said_without_loading_the_server():
    said = _python("import sys; from versus_py.cli import app\ntry: app(['--version'])\nfinally: print(*sys.modules)")

    assert "versus_py.service" not in said.split()


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False).stdout
