"""versus shadow: what a trial beside another server came to."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, run_to_end
from versus_py.cli.tables import print_pairs, print_rows
from versus_py.config import LogConfig
from versus_py.telemetry.logs import configure_logging
from versus_py.tools.shadow import Comparison, compare

_SHOWN_MAX = 10

shadow_app = typer.Typer(help="A trial beside a server that is in use: versus serve --shadow.", no_args_is_help=True)


@shadow_app.callback()
def shadow() -> None:
    """Commands about a shadow."""


@shadow_app.command()
def report(
    config: ConfigOption = DEFAULT_CONFIG,
    days: Annotated[float, typer.Option(min=0.01, max=31, help="How far back.")] = 7,
    tickets: Annotated[
        Path | None, typer.Option(help="Tickets that were really created: a list that ServiceNow exported as CSV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Compare what `versus serve --shadow` would have done with what Versus Incident does with the same requests."""
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    found = run_to_end(compare(loaded, days=days, tickets=tickets))
    if as_json:
        out.print_json(data=asdict(found))
        return
    _print(found)


def _print(found: Comparison) -> None:
    total = found.total
    print_pairs(
        [
            ("from", f"{_moment(found.since_ms)}"),
            ("to", f"{_moment(found.until_ms)}"),
            ("requests", str(total.requests)),
            ("messages, Versus Incident", str(total.their_messages)),
            ("messages, here", f"{total.messages}, and {total.edits} edits"),
            ("tickets, Versus Incident", str(total.their_tickets)),
            ("tickets, here", str(total.tickets)),
            *([] if found.tickets_in_file is None else [("tickets in the file", str(found.tickets_in_file))]),
        ]
    )
    rows = [
        (
            it.title,
            f"{it.requests} requests",
            f"messages {it.their_messages} there, {it.messages} here",
            f"tickets {it.their_tickets} there, {it.tickets} here",
        )
        for it in found.incidents[:_SHOWN_MAX]
        if it.difference
    ]
    if rows:
        print_rows(("largest differences", "requests", "messages", "tickets"), rows, {})
    notes = ["Both sides are counted as if nobody had acknowledged: a shadow does not learn of that."]
    if found.forgotten:
        notes.append(f"{found.forgotten} incidents are not kept any more; they count as if nothing was done here.")
    for note in notes:
        err.print(f"note: {note}", style="yellow", markup=False, soft_wrap=True)


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
