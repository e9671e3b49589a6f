"""versus incidents and versus retry: what a running server is asked for."""

import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping
from getpass import getuser
from typing import Annotated, Any

import orjson
import typer

from versus_py.cli.common import LOCAL_SERVER, UrlOption, configured_path, err, out, read, run_to_end
from versus_py.cli.standing import (
    COLUMNS,
    FAILURE_COLUMNS,
    alert_count,
    deeds,
    failure_row,
    full_standing,
    incident_row,
    progress,
    standing,
    story,
    time_of,
    to_come,
    unread_failure_row,
    unread_row,
    what_fires,
)
from versus_py.cli.tables import incident_table
from versus_py.config.parts import duration_ms
from versus_py.tools.client import Client, open_client
from versus_py.tools.gateway_secret import Found, find_secret

incidents_app = typer.Typer(help="List and show the incidents of a running server, and act on them.")


SecretOption = Annotated[
    str,
    typer.Option(
        envvar=["VERSUS_GATEWAY_SECRET", "GATEWAY_SECRET"],
        help="Its gateway secret.",
        show_default="what the configuration, or its Redis, tells",
    ),
]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="Only failed deliveries: the target, since when, and the error.")
]
ByOption = Annotated[str, typer.Option("--by", help="The name of the person who acts.", show_default="you")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The incident's id.")]
_STATUS_HELP = (
    "Only those with this status: triggered, acknowledged, resolved; or, of triggered ones: snoozed, held, "
    "suppressed, escalated, failed."
)
_OUTCOME_HELP = "Only those whose wait ended like this: acknowledged, resolved, suppressed, escalated, failed."


@incidents_app.callback(invoke_without_command=True)
def incidents(
    context: typer.Context,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    failed: FailedOption = False,
) -> None:
    """List and show the incidents of a running server, and act on them."""
    if context.invoked_subcommand is not None:
        return
    if failed:
        _list(url, gateway_secret, {"failed": "true"})
    else:
        print(context.get_help())


@incidents_app.command("list")
def list_incidents(
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    status: Annotated[str | None, typer.Option(help=_STATUS_HELP)] = None,
    failed: FailedOption = False,
    search: Annotated[
        str, typer.Option(help='Only those with these words and labels, such as: disk team="storage".')
    ] = "",
    severity: Annotated[str, typer.Option(help="Only those of this severity.")] = "",
    outcome: Annotated[str, typer.Option(help=_OUTCOME_HELP)] = "",
    begin: Annotated[str, typer.Option("--from", help="Only those created from then on, in UTC.")] = "",
    end: Annotated[str, typer.Option("--to", help="Only those created until then.")] = "",
    cursor: Annotated[str, typer.Option(help="Continue where an earlier list ended.")] = "",
    limit: Annotated[int, typer.Option(help="How many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List incidents, newest first."""
    said = {
        "status": status or "",
        "failed": "true" if failed else "",
        "q": search,
        "severity": severity,
        "outcome": outcome,
        "from": begin,
        "to": end,
        "cursor": cursor,
    }
    wanted = {"limit": str(limit)} | {name: text for name, text in said.items() if text}
    _list(url, gateway_secret, wanted, as_json=as_json)


def _list(url: str, gateway_secret: str, wanted: Mapping[str, str], *, as_json: bool = False) -> None:
    page = _ask(url, gateway_secret, lambda client: client.incidents(wanted))
    if as_json:
        out.print_json(data=page)
        return
    is_of_failures = "failed" in wanted
    unread = page.get("unreadable", [])  # which older servers do not tell
    if not page["incidents"] and not unread and not page["next"]:
        err.print("nothing was given up" if is_of_failures else "no incidents", markup=False)
        return
    rows = [unread_failure_row(it) if is_of_failures else unread_row(it) for it in unread]
    rows += [failure_row(it) if is_of_failures else incident_row(it) for it in page["incidents"]]
    if not out.is_terminal:
        for row in rows:
            print("\t".join(row))
    else:
        out.print(incident_table(rows, FAILURE_COLUMNS if is_of_failures else COLUMNS))
    if page["next"]:
        err.print(f"… and more: --limit shows up to 200, --cursor {page['next']} goes on", markup=False, soft_wrap=True)


@incidents_app.command()
def payload(
    incident_id: IdArgument,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    replay: Annotated[bool, typer.Option("--replay", help="As a line that `versus replay` reads.")] = False,
) -> None:
    """Print the last body that an incident came with, as JSON, without secrets."""
    body = _ask(url, gateway_secret, lambda client: client.payload(incident_id))
    if replay:
        at = _ask(url, gateway_secret, lambda client: client.incident(incident_id))["updated_at"]
        body = {"at": at, "payload": body}
    print(orjson.dumps(body).decode())


@incidents_app.command()
def show(
    incident_id: IdArgument,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show one incident: its firing alerts, state and timeline; with --json also all alerts and deliveries."""
    it = _ask(url, gateway_secret, lambda client: client.incident(incident_id))
    if as_json:
        out.print_json(data=it)
        return
    lines = [
        f"{it['title']}",
        f"{it['id']}  {standing(it)}  {it['severity']}  {alert_count(it)}",
    ]
    lines += [f"  {line}" for line in what_fires(it)]
    lines += deeds(it)
    lines += [f"record {it['record']}  {it['record_url'] or ''}".rstrip()] if it["record"] else []
    lines += to_come(it)
    lines += progress(it)
    lines += [f"{it['suppressed_by']}, until {time_of(it['suppressed_until'])}"] if it["suppressed_until"] else []
    for name, delivery in it["deliveries"].items():
        lines += [f"{name}: {delivery[key]}" for key in ("error", "note") if delivery[key]]
    lines += story(it)
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@incidents_app.command()
def ack(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Acknowledge an incident, or renew its acknowledgment. Exit status 1 when the incident is resolved."""
    _act(url, gateway_secret, incident_id, "acknowledge", by, aim="acknowledged")


@incidents_app.command()
def unack(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Un-acknowledge an incident: the escalation timer restarts. Exit status 1 when it is not acknowledged."""
    _act(url, gateway_secret, incident_id, "unacknowledge", by)


@incidents_app.command()
def escalate(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Escalate an incident at once. Exit status 1 when it never escalates, has an open record, or is resolved."""
    _act(url, gateway_secret, incident_id, "escalate", by)


@incidents_app.command()
def severity(
    incident_id: IdArgument,
    level: Annotated[str, typer.Argument(metavar="LEVEL", help="Such as critical, error, warning, notice or info.")],
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Set the severity of an incident, in place of that of its alerts. A graver one can end an acknowledgment.

    Exit status 1 when it has that severity already, or is resolved.
    """
    _act(url, gateway_secret, incident_id, "severity", by, shown="severity", severity=level)


@incidents_app.command()
def route(
    incident_id: IdArgument,
    policy: Annotated[str, typer.Option(help="The policy that it follows from now on.")] = "",
    channel: Annotated[
        str, typer.Option(help="The channel that it is posted to, by its id or by its name in the configuration.")
    ] = "",
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Route an incident to another policy or channel: its escalation restarts.

    Exit status 1 when it goes there already, or is resolved.
    """
    if not policy and not channel:
        raise typer.BadParameter("say where to: --policy, --channel, or both")
    named = {name: text for name, text in (("policy", policy), ("channel", channel)) if text}
    _act(url, gateway_secret, incident_id, "route", by, done="routed: ", **named)


@incidents_app.command()
def snooze(
    incident_id: IdArgument,
    duration: Annotated[
        str, typer.Argument(metavar="DURATION", help="For how long: minutes, or such as 45m, 2h or 1h30m.")
    ] = "",
    wanted: Annotated[str, typer.Option("--for", metavar="DURATION", help="The same as an option.")] = "",
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Pause the wait of an incident; the rest of it continues afterwards. Exit status 1 when nothing waits."""
    _act(url, gateway_secret, incident_id, "snooze", by, minutes=f"{_minutes(duration, wanted):g}")


@incidents_app.command()
def resolve(
    incident_id: IdArgument,
    comment: Annotated[
        str, typer.Option("--comment", "-m", help="The reason, for the close notes of its record.")
    ] = "",
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Resolve an incident. If its alert still fires, the next notification reopens it.

    Exit status 1 for a comment on what is resolved already: it is not kept.
    """
    if not comment.strip():
        _act(url, gateway_secret, incident_id, "resolve", by, aim="resolved")
        return
    _act(url, gateway_secret, incident_id, "resolve", by, comment=comment)
    out.print(f"comment: {comment.strip()}", markup=False, highlight=False, soft_wrap=True)


@incidents_app.command()
def comment(
    incident_id: IdArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The comment; - reads it from standard input.")],
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Comment on an incident: a work note on its record, and a line in its threads. Also on resolved incidents.

    Exit status 1 when you have said the same a moment ago.
    """
    said = read(text).decode(errors="replace") if text == "-" else text
    _act(url, gateway_secret, incident_id, "comments", by, done="commented: ", text=said)


def retry(
    incident_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The incident's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All failed deliveries.")] = False,
    target: Annotated[str, typer.Option(help="Only this target of the incident, such as slack.")] = "",
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Retry failed deliveries, as `versus incidents --failed` lists them."""
    if (incident_id is None) is not every:
        raise typer.BadParameter("name an incident, or --all")
    if target and every:
        raise typer.BadParameter("--target is of one incident: name it in place of --all")
    if incident_id is not None:
        _act(url, gateway_secret, incident_id, "retry", by, done="tried again: ", target=target)
        return
    answer = _ask(url, gateway_secret, lambda client: client.retry_all(by or getuser()))
    out.print(f"incidents that are tried again: {answer['retried']}", markup=False, highlight=False)
    if answer["more"]:
        err.print("… and there are more: once again takes the next", markup=False)


def _minutes(duration: str, wanted: str) -> float:
    """Of a snooze, as one of the two says."""
    if bool(duration) is bool(wanted):
        raise typer.BadParameter("say for how long, as an argument or with --for: 45, 45m or 1h30m")
    said = duration or wanted
    try:
        return float(said) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", said) else duration_ms(said) / 60_000
    except ValueError as exc:
        raise typer.BadParameter(f"the duration is {said!r}; it {exc}") from None


def _act(
    url: str,
    gateway_secret: str,
    incident_id: str,
    action: str,
    by: str,
    *,
    aim: str = "",
    done: str = "",
    shown: str = "",
    **more: str,
) -> None:
    """Do it, and say how the incident stands. Changing nothing is a failure, unless its status is the *aim* already.

    *shown* is said of it besides.
    """
    it, is_changed = _ask(url, gateway_secret, lambda client: client.act(incident_id, action, by or getuser(), **more))
    stands = f"{full_standing(it)}; {shown} {it[shown]}" if shown else full_standing(it)
    if is_changed or it["status"] == aim:
        out.print(f"{done}{stands}", markup=False, highlight=False, soft_wrap=True)
        return
    err.print(f"nothing was changed: {stands}", style="yellow", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def login_link(url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "") -> None:
    """Print a link that signs in to the web UI once, within an hour, without the secret."""
    link = _ask(url, gateway_secret, lambda client: client.login_link())["url"]
    print("Open this within an hour; it signs in to the web UI once:", file=sys.stderr)
    print(link)


def _ask(url: str, gateway_secret: str, call: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    async def ask() -> Any:
        found = Found(gateway_secret) if gateway_secret else await find_secret(configured_path(), os.environ, url)
        async with open_client(url, found.secret, secret_problem=found.problem) as client:
            return await call(client)

    return run_to_end(ask())
