"""Commands that look, and change nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Annotated

import typer
import yaml

from versus_py.cli.common import (
    DEFAULT_CONFIG,
    TRY_OUT,
    ConfigOption,
    OptionalConfigOption,
    err,
    load,
    read,
    run_to_end,
    say,
)
from versus_py.cli.tables import print_rows
from versus_py.clock import wall_ms
from versus_py.config import Config, LogConfig
from versus_py.errors import BadPayload, ConfigError
from versus_py.systems import model, registered
from versus_py.targets.slack.system import SLACK
from versus_py.telemetry.logs import configure_logging
from versus_py.tools.doctor import CheckStatus, diagnose
from versus_py.tools.lint import Finding, Severity, lint
from versus_py.tools.preview import incidents_of, previews, template_problems
from versus_py.tools.slack_manifest import NAME as APP_NAME
from versus_py.tools.slack_manifest import slack_manifest as make_slack_manifest

_CHECK_COLOURS = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILED: "red",
    CheckStatus.SKIPPED: "dim",
}
_CONFIGURATIONS = {".yaml", ".yml", ".json"}
_FINDING_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check a configuration without starting, and print the resulting settings, with secrets masked."""
    loaded = load(config)
    print(yaml.safe_dump(loaded.masked(), sort_keys=False, allow_unicode=True), end="")
    for key, origin in sorted(loaded.origins.items()):
        err.print(f"{key}: from {origin}", style="dim", markup=False, soft_wrap=True, highlight=False)
    failing = template_problems(loaded)
    for warning in (*loaded.warnings(), *(it for it in failing if not it.is_always)):
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    if mistakes := [str(it) for it in failing if it.is_always]:
        say(ConfigError(mistakes))
        raise typer.Exit(1)
    err.print(f"{config} is usable.", style="green", markup=False)


def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    post: Annotated[bool, typer.Option("--post", help="Post a test message to the Slack channel.")] = False,
    create_test_record: Annotated[
        bool, typer.Option("--create-test-record", help="Create a ServiceNow record, and cancel it.")
    ] = False,
) -> None:
    """Check that Redis, Slack, ServiceNow and Alertmanager accept this configuration, and say how to fix problems."""
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    checks = run_to_end(diagnose(loaded, post_test=post, create_test_record=create_test_record))
    rows = [(check.status, check.name, check.found, check.advice) for check in checks]
    print_rows(("status", "check", "found", "what to do"), rows, _CHECK_COLOURS)
    if any(check.status is CheckStatus.FAILED for check in checks):
        raise typer.Exit(1)


def render(
    file: Annotated[
        Path, typer.Argument(help="A configuration (.yaml, .yml, .json), or a template of Slack messages.")
    ],
    payload: Annotated[str, typer.Option("--payload", "-p", metavar="FILE|-", help="A body; - for standard input.")],
    target: Annotated[
        str | None, typer.Option(help="Only this: slack or servicenow.", show_default="what the file configures")
    ] = None,
    query: Annotated[
        list[str] | None, typer.Option("--query", "-q", help="An override, such as severity=critical.")
    ] = None,
    config: OptionalConfigOption = None,
) -> None:
    """Show the Slack message and the ServiceNow record for a payload. Nothing is sent.

    A template of Slack messages is rendered in place of the one in the configuration of --config.
    """
    names = [it.name for it in registered()]
    if target is not None and target not in names:
        raise typer.BadParameter(f"--target {target}: must be one of {', '.join(names)}")
    is_template = file.suffix not in _CONFIGURATIONS
    loaded = _with_template(file, config) if is_template else load(file)
    target = SLACK.name if is_template and target is None else target
    try:
        incidents = list(incidents_of(loaded, read(payload), "&".join(query or []), now_ms=wall_ms()))
    except BadPayload as exc:
        say(exc)
        raise typer.Exit(1) from None
    if not incidents:
        err.print("nothing would be posted: the payload is no news of an alert", style="yellow", markup=False)
    shown = [it for incident in incidents for it in previews(loaded, incident, target)]
    for it in shown:
        print(f"{it.place}\n{_indented(it.shown)}\n")
    problems = dict.fromkeys(problem for it in shown for problem in it.problems)
    if problems:
        say(ConfigError(list(problems)))
        raise typer.Exit(1)


def _with_template(file: Path, config: Path | None) -> Config:
    """The configuration with *file* as the template of messages."""
    loaded = model().model_validate(TRY_OUT) if config is None else load(config)
    slack = loaded.alert.slack.model_copy(update={"enable": True, "template_path": file})
    return loaded.model_copy(update={"alert": loaded.alert.model_copy(update={"slack": slack})})


def _indented(shown: Mapping[str, str]) -> str:
    """Each text below its name; beside it where it is a short one."""
    texts = {name: f"\n{indent(text, '  ')}" if "\n" in text else f" {text}" for name, text in shown.items()}
    return indent("\n".join(f"{name}:{text}" for name, text in texts.items()), "  ")


def config_schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    print(json.dumps(model().json_schema(), indent=2))


def slack_manifest(
    socket_mode: Annotated[
        bool,
        typer.Option("--socket-mode", help="For buttons over Socket Mode: Slack need not reach this server."),
    ] = False,
    public_host: Annotated[
        str | None, typer.Option(help="The address that Slack reaches.", show_default="the configuration's")
    ] = None,
    config: OptionalConfigOption = None,
    name: Annotated[str, typer.Option(help="The name of the app in Slack.")] = APP_NAME,
) -> None:
    """Print the manifest of the Slack app: paste it at api.slack.com/apps, Create New App, From a manifest.

    With a configuration, it asks for the scopes that this configuration uses; without one, for all. A configuration
    with an app_token means Socket Mode, unless --public-host is given.
    """
    loaded = None if config is None else load(config)
    try:
        manifest = make_slack_manifest(loaded, name=name, public_host=public_host, socket_mode=socket_mode)
    except ConfigError as exc:
        say(exc)
        raise typer.Exit(1) from None
    print(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120), end="")


def lint_alertmanager(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="An alertmanager.yml, - for standard input.")],
    config: OptionalConfigOption = None,
) -> None:
    """Check an Alertmanager configuration for settings that would keep an alert from becoming a record."""
    text = read(file).decode(errors="replace")
    loaded = None if config is None else load(config)
    try:
        findings = lint(text, loaded)
    except ConfigError as exc:
        say(exc)
        raise typer.Exit(1) from None
    rows = [(it.severity, _where(it), it.what, it.advice) for it in findings]
    print_rows(("severity", "where", "what", "what to do"), rows, _FINDING_COLOURS)
    if any(finding.severity is not Severity.NOTE for finding in findings):
        raise typer.Exit(1)
    err.print(f"{file} is fine.", style="green", markup=False)


def _where(finding: Finding) -> str:
    return finding.where if finding.line is None else f"line {finding.line}, {finding.where}"
