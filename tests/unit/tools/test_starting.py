"""`versus init`: the files that it writes."""

import re
import stat

import pytest
from typer.testing import CliRunner

from versus_py.cli import app
from versus_py.errors import VersusError
from versus_py.systems import load_config
from versus_py.tools.starting import write_files

FILLED_IN = {
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_CHANNEL_ID": "C1",
    "SERVICENOW_INSTANCE_URL": "https://dev1.service-now.com",
    "SERVICENOW_USERNAME": "u",
    "SERVICENOW_PASSWORD": "p",
}


def settings(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_the_configuration_is_usable_from_anywhere_once_the_env_is_filled_in(tmp_path, monkeypatch):
    config_path, template, environment = write_files(tmp_path / "new" / "folder")
    monkeypatch.chdir(tmp_path)

    config = load_config(config_path, settings(environment.read_text()) | FILLED_IN)

    assert config.alert.slack.template_path == template
    assert config.data_dir == tmp_path / "new" / "folder" / "data"
    assert load_config(config_path, {"VERSUS_DATA_DIR": "/var/lib/versus", **FILLED_IN}).data_dir.is_absolute()


def test_the_working_directory_is_meant_where_no_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["init"])

    assert result.exit_code == 0
    assert f"export VERSUS_CONFIG={tmp_path / 'config.yaml'}" in result.stdout


def test_the_env_names_nothing_that_the_configuration_does_not_read(tmp_path):
    config, _, environment = write_files(tmp_path)

    assert settings(environment.read_text()).keys() <= set(re.findall(r"\$\{([A-Z_]+)", config.read_text()))


def test_the_env_is_readable_by_its_owner_alone_and_has_a_secret_of_its_own(tmp_path):
    one, other = (write_files(tmp_path / name)[2] for name in ("one", "other"))

    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    secrets = [settings(it.read_text())["GATEWAY_SECRET"] for it in (one, other)]
    assert len(set(secrets)) == len(secrets)
    assert all(re.fullmatch(r"[\w-]{40,}", it) for it in secrets)


@pytest.mark.parametrize("name", ["config.yaml", "slack_message.tmpl", ".env"])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")

    with pytest.raises(VersusError, match=re.escape(f"{tmp_path / name} exists already, and nothing was written")):
        write_files(tmp_path)

    assert [it.name for it in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(VersusError, match=re.escape(f"cannot write {tmp_path / 'file' / 'below'}: Not a directory")):
        write_files(tmp_path / "file" / "below")
