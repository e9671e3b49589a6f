"""The command line: reads arguments, calls the parts, and shows what they say."""

from typing import Annotated

import typer

from versus_py import __version__
from versus_py.cli import auditing, capacity, checking, converting, losses, serving, starting, trying
from versus_py.cli.incidents import comment, incidents_app, login_link, retry
from versus_py.cli.policies import policy_app
from versus_py.cli.servicenow import servicenow_app
from versus_py.cli.shadowing import shadow_app

__all__ = ["app", "incidents_app", "policy_app", "servicenow_app", "shadow_app"]

app = typer.Typer(
    name="versus",
    help="Posts alerts to Slack, and creates a ServiceNow record for every one that nobody acknowledges in time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"versus {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""


app.command()(starting.init)
app.command()(serving.serve)
app.command()(serving.worker)
app.command("gateway-secret")(serving.gateway_secret)
app.command()(trying.demo)
app.command("check-config")(checking.check_config)
app.command()(checking.doctor)
app.command()(checking.render)
app.command("convert-template")(converting.convert_template)
app.command()(converting.migrate)
app.command()(auditing.audit)
app.command("accept-empty")(losses.accept_empty)
app.command()(capacity.capacity)
app.command("config-schema")(checking.config_schema)
app.command("slack-manifest")(checking.slack_manifest)
app.command("lint-alertmanager")(checking.lint_alertmanager)
app.command()(trying.send)
app.command()(trying.explain)
app.command()(trying.replay)
app.command()(trying.simulate)
app.add_typer(policy_app, name="policy")
app.add_typer(servicenow_app, name="servicenow")
app.add_typer(shadow_app, name="shadow")
app.add_typer(incidents_app, name="incidents")
app.command()(comment)
app.command()(retry)
app.command("login-link")(login_link)
