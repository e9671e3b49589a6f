"""versus init."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from versus_py.cli.common import out, say
from versus_py.errors import VersusError
from versus_py.tools.starting import write_files


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder, which is made if it is missing.")] = Path(),
) -> None:
    """Write a configuration, its Slack template and its .env into a folder, and say what to do next."""
    try:
        config, template, environment = write_files(folder)
    except VersusError as exc:
        say(exc)
        raise typer.Exit(1) from None
    lines = [
        f"Wrote {config}",
        f"      {template}",
        f"      {environment}  (readable by you alone; with a new gateway secret)",
        "",
        f"1. Fill in {environment}.",
        "2. Put it into the environment, check the configuration, and check Redis, Slack and ServiceNow:",
        "",
        f"   set -a; . {shlex.quote(str(environment))}; set +a",
        f"   export VERSUS_CONFIG={shlex.quote(str(config))}",
        "   versus check-config",
        "   versus doctor",
        "",
        "3. Start the server, in the same terminal:",
        "",
        "   versus serve",
        "",
        "Without accounts, `versus demo` shows it with a simulated Slack and ServiceNow.",
    ]
    out.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
