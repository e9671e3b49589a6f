"""versus policy: what the escalation policies of a configuration do, and whether they keep promises."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from multidict import MultiDict
from rich.table import Table
from rich.text import Text

from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, read
from versus_py.cli.tables import print_pairs
from versus_py.clock import wall_ms
from versus_py.config import Config
from versus_py.engine.courses import Course, labels_from, notification_of, shown_policies, shown_policy
from versus_py.engine.policies import Policies, labels_of
from versus_py.incidents.moments import instant_ms
from versus_py.tools.kinds import Kind, Origin, made_up, origins_of_heartbeats, recorded
from versus_py.tools.promises import Promise, Verdict, read_promise, verdict_of
from versus_py.tools.recordings import Posted, read_lines, reader
from versus_py.web.intake.overrides import Overrides, read_overrides

T = TypeVar("T")

MINUTE_MS = 60_000
_UNREADABLE = 2

policy_app = typer.Typer(help="Show what escalation policies do, and check promises about them.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
TimezoneOption = Annotated[
    str | None,
    typer.Option(help="The time zone of instants, such as Europe/Berlin.", show_default="the machine's"),
]
QueryOption = Annotated[
    list[str] | None, typer.Option("--query", "-q", help="An override, such as oncall_wait_minutes=5.")
]
TokenOption = Annotated[str | None, typer.Option(help="The name of the intake token of its sender.")]


@policy_app.command("list")
def list_policies(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """List the policies in the order in which they are tried, each with its matchers, hours and steps."""
    loaded = load(config, status=_UNREADABLE)
    found = shown_policies(loaded)
    if as_json:
        out.print_json(data=[it.as_json(loaded) for it in found])
        return
    rows = [(it.name, it.match, it.hours, it.steps) for it in found]
    if not out.is_terminal:
        for row in rows:
            print("\t".join(row))
        return
    table = Table("policy", "match", "hours", "steps", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


@policy_app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="The policy; without one, the one from oncall.", show_default=False),
    ] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show the steps of a policy, and what each of them does."""
    loaded = load(config, status=_UNREADABLE)
    names = [it.name for it in loaded.policies]
    if name and name not in names:
        raise typer.BadParameter(f"no policy {name!r}; there are {', '.join(names) or 'none'}")
    found = shown_policy(loaded, name)
    if as_json:
        out.print_json(data=found.as_json(loaded))
    else:
        print_pairs(found.pairs(loaded))


@policy_app.command("test")
def try_out(
    labels: Annotated[
        list[str] | None, typer.Option("--labels", "-l", help="Labels, such as severity=critical,team=db.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="When the incident begins, such as 2027-03-28T01:30 or 2027-03-28T01:30+01:00.", show_default="now"
        ),
    ] = None,
    timezone: TimezoneOption = None,
    query: QueryOption = None,
    token: TokenOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show which policy an incident gets, and the time of every step of every round if nobody acknowledges."""
    loaded, zone = load(config, status=_UNREADABLE), _zone(timezone)
    known = _readable("--labels", lambda: labels_from(labels or []))
    at_ms, warning = (wall_ms(), "") if at is None else _readable("--at", lambda: instant_ms(at, zone))
    overrides = _overrides(loaded, query, token)
    notification = notification_of(known)
    policy = Policies(loaded).of(notification, at_ms, overrides.asked)
    course = Course(policy, labels_of(notification.alerts, notification.severity, overrides.asked), at_ms)
    _warn(*([warning] if warning else []), *overrides.warnings)
    if as_json:
        out.print_json(data=course.as_json(loaded, zone))
        return
    for line in course.lines(loaded, zone):
        _print(line)


@policy_app.command()
def prove(
    promises: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROMISE", help="Such as 'severity=\"critical\" reaches servicenow within 30m'."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Promises, one per line; # begins a comment.")
    ] = None,
    recordings: Annotated[
        list[str] | None, typer.Option("--recorded", metavar="FILE|-", help="Check the incidents of a recording.")
    ] = None,
    query: QueryOption = None,
    token: TokenOption = None,
    timezone: TimezoneOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Check promises for every minute of a year from now, or show an incident for which one does not hold.

    A promise is MATCHERS reaches TARGET within DURATION, or MATCHERS never reaches TARGET. It is checked for every set
    of labels that the matchers of the configuration distinguish, also with each token and heartbeat that has its own
    policy; or for the incidents of a recording that `versus replay` reads.
    Exit status 1 when a promise does not hold, 2 when something cannot be read.
    """
    loaded, zone = load(config, status=_UNREADABLE), _zone(timezone)
    texts = [*(promises or []), *(_lines(file) if file else [])]
    if not texts:
        raise typer.BadParameter("name a promise, or a --file of them")
    if recordings and (query or token):
        raise typer.BadParameter("--query and --token have no effect with --recorded: it has queries of its own")
    wanted = [_readable("PROMISE", partial(read_promise, text, loaded)) for text in texts]
    now_ms = wall_ms() // MINUTE_MS * MINUTE_MS
    if recordings:
        kinds, problems = _recorded(loaded, recordings)
        verdicts = [verdict_of(it, kinds, loaded, now_ms) for it in wanted]
    else:
        verdicts, problems = _made_up(wanted, loaded, _origins(loaded, query, token), now_ms), []
    _print_verdicts(verdicts, loaded, zone, as_json=as_json)
    for problem in problems:
        err.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)
    if any(it.counter_example for it in verdicts):
        raise typer.Exit(1)
    if problems:
        raise typer.Exit(_UNREADABLE)


def _print_verdicts(verdicts: Sequence[Verdict], config: Config, zone: ZoneInfo | None, *, as_json: bool) -> None:
    if as_json:
        out.print_json(data=[it.as_json(config, zone) for it in verdicts])
    for verdict in verdicts:
        for line in () if as_json else verdict.lines(config, zone):
            _print(line)
        _warn(*verdict.warnings)


def _made_up(promises: Sequence[Promise], config: Config, origins: Sequence[Origin], now_ms: int) -> list[Verdict]:
    verdicts = []
    for promise in promises:
        kinds: list[Kind] = []
        inexact: set[str] = set()
        for origin in origins:
            wanted = partial(made_up, promise.is_about, [promise.matchers], config, origin, now_ms)
            found, unsure = _readable("PROMISE", wanted)
            kinds += found
            inexact |= {*unsure}
        verdicts.append(verdict_of(promise, kinds, config, now_ms, inexact=sorted(inexact)))
    return verdicts


def _origins(config: Config, query: list[str] | None, token: str | None) -> list[Origin]:
    """Requests with that query and token; without one, also whatever has a policy of its own: tokens and heartbeats."""
    names = [it.name for it in config.intake.tokens if it.policy] if token is None else [token]
    senders = {"": _overrides(config, query, None)} if token is None else {}
    senders |= {f"token {name!r}": _overrides(config, query, name) for name in names}
    _warn(*dict.fromkeys(warning for it in senders.values() for warning in it.warnings))
    heartbeats = origins_of_heartbeats(config) if token is None else ()
    return [*(Origin(it.asked, name) for name, it in senders.items()), *heartbeats]


def _recorded(config: Config, files: list[str]) -> tuple[list[Kind], list[str]]:
    posted: list[Posted] = []
    problems: list[str] = []
    for file in files:
        records, broken = read_lines(file, read(file).splitlines())
        posted += [it for it in records if isinstance(it, Posted)]
        problems += broken
    kinds, unread = recorded(posted, reader(config), config)
    return kinds, [*problems, *unread]


def _lines(file: Path) -> list[str]:
    lines = (line.strip() for line in read(str(file)).decode(errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _overrides(config: Config, query: list[str] | None, token: str | None) -> Overrides:
    parameters = MultiDict(parse_qsl("&".join(query or []), keep_blank_values=True))
    if token is None:
        return read_overrides(parameters, config)
    sender = next((it for it in config.intake.tokens if it.name == token), None)
    if sender is None:
        names = ", ".join(it.name for it in config.intake.tokens) or "none"
        raise typer.BadParameter(f"no intake token is called {token!r}; there are {names}")
    return read_overrides(parameters, config, sender.overrides, policy=sender.policy)


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise typer.BadParameter(f"no time zone {name!r}; write one such as UTC or Europe/Berlin") from None


def _readable(what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except ValueError as exc:
        raise typer.BadParameter(f"{what}: {exc}") from None


def _print(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _warn(*warnings: str) -> None:
    for warning in warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
