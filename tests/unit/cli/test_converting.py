"""versus convert-template, and what versus check-config says of where values come from."""

from typer.testing import CliRunner

from versus_py.cli import app


def test_it_prints_the_template_and_says_what_to_look_at(tmp_path):
    file = tmp_path / "slack.tmpl"
    file.write_text('*{{ .ServiceName | default "none" }}*\n{{ .Logs }}')

    result = CliRunner().invoke(app, ["convert-template", str(file)])

    assert result.exit_code == 0
    assert result.stdout == '*{{ content.ServiceName|default("none", true) }}*\n{{ content.Logs }}\n'
    assert result.stderr.startswith("line 1: default is used on the value before the pipe")


def test_it_fails_where_something_cannot_be_converted_and_prints_the_rest():
    result = CliRunner().invoke(app, ["convert-template", "-"], input="a {{ wibble }} {{ .b }}")

    assert result.exit_code == 1
    assert result.stdout == "a {# not converted #} {{ content.b }}\n"
    assert result.stderr == "line 1: not converted: {{ wibble }}: the function wibble is not known\n"


def test_it_says_where_an_action_has_no_end():
    result = CliRunner().invoke(app, ["convert-template", "-"], input="a\n{{ .b")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "line 2: an action that begins with {{ does not end" in result.stderr


def test_the_check_says_how_to_name_a_configuration_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["check-config"])

    assert result.exit_code == 1
    assert result.stderr == (
        "error: cannot read config/config.yaml: No such file or directory\n"
        "Name the configuration with -c, or in VERSUS_CONFIG. `versus init` writes one.\n"
    )


def test_the_check_says_which_values_come_from_outside_the_file(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("{name: '${WHO:-a default of the file}', alert: {debug_body: false}}")
    environ = {"DEBUG_BODY": "true", "WHO": "ops", "GATEWAY_SECRET": "a-secret-of-24-characters"}

    result = CliRunner().invoke(app, ["check-config", "--config", str(file)], env=environ)

    assert result.exit_code == 0
    assert result.stderr.splitlines()[:3] == [
        "alert.debug_body: from DEBUG_BODY, which wins over the file",
        "gateway_secret: from GATEWAY_SECRET, as the file does not set it",
        "name: from ${WHO} in the file",
    ]
    assert "a-secret" not in result.output
    assert "a default of the file" not in result.output  # it may be a secret
