"""What ServiceNow instances offer: the commands of `versus servicenow` that ask one."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar

import aiohttp
import typer
from rich.table import Table
from rich.text import Text

from versus_py import __version__
from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, run_to_end, say
from versus_py.clock import SystemClock
from versus_py.config import Config, LogConfig, ServiceNowInstance
from versus_py.errors import ConfigError, Permanent
from versus_py.targets.servicenow.instance import Instance
from versus_py.targets.servicenow.offers import (
    RoutingColumn,
    absent,
    priority_map,
    routing_columns,
)
from versus_py.targets.servicenow.offers import priorities as priorities_of
from versus_py.targets.servicenow.table_api import TableApi
from versus_py.telemetry.logs import configure_logging

T = TypeVar("T")

InstanceOption = Annotated[
    str, typer.Option("--instance", help="Another instance, by its name in other_instance_urls.", show_default=False)
]


def priorities(config: ConfigOption = DEFAULT_CONFIG, instance: InstanceOption = "") -> None:
    """Print a priority_map for the priorities of the instance: edit it, and put it below oncall.servicenow."""
    loaded = load(config)
    chosen = _instance(loaded, instance)
    found: Mapping[str, str] = _asked(loaded, chosen, lambda api: priorities_of(api, chosen.table))
    if not found:
        say(Permanent("no priority is shown: let the user read sys_choice (role personalize_choices)"))
        raise typer.Exit(1)
    for line in priority_map(found, chosen):
        print(line)
    if odd := absent(found, chosen):
        _warn(f"priority_map names {', '.join(odd)}, which the instance does not have")


def fields(config: ConfigOption = DEFAULT_CONFIG, instance: InstanceOption = "") -> None:
    """List the columns that can be routing_field, each with its type and its label."""
    loaded = load(config)
    chosen = _instance(loaded, instance)
    found: list[RoutingColumn] = _asked(loaded, chosen, lambda api: routing_columns(api, chosen.table))
    if not found:
        say(Permanent("no column is shown: let the user read sys_dictionary"))
        raise typer.Exit(1)
    rows = [(it.name, f"{it.type} of {it.refers_to}" if it.refers_to else it.type, it.label) for it in found]
    if not out.is_terminal:
        for row in rows:
            print("\t".join(row))
    else:
        table = Table("column", "type", "label", box=None, pad_edge=False)
        for row in rows:
            table.add_row(*map(Text, row))
        out.print(table)
    if chosen.routing_field and chosen.routing_field not in {it.name for it in found}:
        _warn(f"routing_field is {chosen.routing_field}, which is none of these")


def _instance(config: Config, name: str) -> ServiceNowInstance:
    """Raises Exit where it is not configured."""
    configured: Mapping[str | None, ServiceNowInstance] = config.oncall.servicenow.instances()
    found = configured.get(name or None)
    if found is None:
        known = ", ".join(config.oncall.servicenow.other_instance_urls) or "none"
        raise typer.BadParameter(f"--instance {name!r}: must be one of other_instance_urls: {known}")
    if found.instance_url is None:
        say(ConfigError(["oncall.servicenow.instance_url: is required, such as https://dev12345.service-now.com"]))
        raise typer.Exit(1)
    return found


def _asked(config: Config, instance: ServiceNowInstance, ask: Callable[[TableApi], Awaitable[T]]) -> T:
    """What goes wrong is said, and ends the process."""
    configure_logging(LogConfig(level="error"), config.secrets())

    async def asked() -> T:
        async with aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": f"versus_py/{__version__}"}
        ) as session:
            api = Instance(instance, service=config.name, clock=SystemClock(), session=session).api
            return await ask(api)

    return run_to_end(asked())


def _warn(text: str) -> None:
    err.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)
