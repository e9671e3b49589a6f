"""`versus servicenow`: what ServiceNow needs of us, and what is there."""

from typing import Annotated

import typer

from versus_py.cli import instances
from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, run_to_end, say
from versus_py.cli.tables import print_rows
from versus_py.config import LogConfig
from versus_py.errors import ConfigError
from versus_py.systems import registered
from versus_py.targets.servicenow.business_rule import business_rule as make_business_rule
from versus_py.telemetry.logs import configure_logging
from versus_py.tools.record_diff import record_differences

DID_NOT_LOOK = 2
"""The exit status of `diff` where nothing is known."""

servicenow_app = typer.Typer(help="Set up ServiceNow, and compare its records.", no_args_is_help=True)

InstanceOption = Annotated[
    str, typer.Option("--instance", help="Another instance, by its name in other_instance_urls.", show_default=False)
]


@servicenow_app.command("business-rule")
def business_rule(
    config: ConfigOption = DEFAULT_CONFIG,
    instance: InstanceOption = "",
    source: Annotated[
        str, typer.Option(help="One of several rules, by its name in events.sources.", show_default=False)
    ] = "",
    public_host: Annotated[
        str | None, typer.Option(help="The address that ServiceNow reaches.", show_default="the configuration's")
    ] = None,
) -> None:
    """Print the script of the business rule that sends tickets here: paste it in ServiceNow.

    Its comments say what to set in the form. The token is not in it: the script reads it from a system property.
    """
    loaded = load(config)
    try:
        script = make_business_rule(loaded, instance=instance, source=source, public_host=public_host)
    except ConfigError as exc:
        say(exc)
        raise typer.Exit(1) from None
    host = public_host or loaded.public_host or ""
    if host.startswith("http://"):
        err.print(f"warning: {host} is not https: the token travels in the clear", style="yellow", markup=False)
    print(script, end="")


@servicenow_app.command()
def diff(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the differences between incidents and their records, and who changed the records last. Changes nothing.

    Of those that are open, and those that were resolved within the last hour.

    Exits with 1 when there is any, and with 2 when it could not read them.
    """
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    found = run_to_end(record_differences(loaded, registered()), status=DID_NOT_LOOK)
    if not found:
        err.print("Incidents and their records agree.", style="green", markup=False)
        return
    rows = [[it.incident_id, it.record, it.differs, it.changed_by] for it in found]
    print_rows(("incident", "record", "differs", "changed by"), rows, {})
    raise typer.Exit(1)


servicenow_app.command()(instances.priorities)
servicenow_app.command()(instances.fields)
