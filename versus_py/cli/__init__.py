"""The command line: reads arguments, calls the parts, and shows what they say."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from versus_py import __version__

COMMANDS = {
    "init": "starting:init",
    "serve": "serving:serve",
    "worker": "serving:worker",
    "gateway-secret": "serving:gateway_secret",
    "demo": "trying:demo",
    "check-config": "checking:check_config",
    "doctor": "checking:doctor",
    "render": "checking:render",
    "convert-template": "converting:convert_template",
    "migrate": "converting:migrate",
    "audit": "auditing:audit",
    "accept-empty": "losses:accept_empty",
    "capacity": "capacity:capacity",
    "config-schema": "checking:config_schema",
    "slack-manifest": "checking:slack_manifest",
    "lint-alertmanager": "checking:lint_alertmanager",
    "send": "trying:send",
    "explain": "trying:explain",
    "replay": "trying:replay",
    "simulate": "trying:simulate",
    "comment": "incidents:comment",
    "retry": "incidents:retry",
    "login-link": "incidents:login_link",
    "policy": "policies:policy_app",
    "servicenow": "servicenow:servicenow_app",
    "shadow": "shadowing:shadow_app",
    "incidents": "incidents:incidents_app",
}
"""Each command in the order of the help, with the module of this package and the function, or group, that it is."""


class _Imported(Mapping[str, Any]):
    """The commands by name, each imported when it is asked for: a server has no need of simulators and tools."""

    def __getitem__(self, name: str) -> Any:
        module, attribute = COMMANDS[name].split(":")
        found = getattr(import_module(f"{__name__}.{module}"), attribute)
        holder = typer.Typer(pretty_exceptions_enable=False)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=name)
        else:
            holder.command(name)(found)
        return typer.main.get_group(holder).commands[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A KeyError while a command is imported is no unknown command."""
        return self[name] if name in COMMANDS else default

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast("Any", _Imported())  # only read, though typer could add to its own


app = typer.Typer(
    cls=_Group,
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
