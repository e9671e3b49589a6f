"""The command line: reads arguments, calls the parts, and shows what they say."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import orjson
import typer
import yaml
from multidict import MultiDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from versus_py import __version__
from versus_py.client import Client, open_client
from versus_py.config import Config, LogConfig, MetricsConfig, load_config
from versus_py.demo import run_demo
from versus_py.doctor import CheckStatus, diagnose
from versus_py.errors import ConfigError, VersusError
from versus_py.incident import Notification, PolicyFor
from versus_py.lint import Finding, Severity, lint
from versus_py.logs import configure_logging
from versus_py.replay import Event, Posted, Read, Record, Replay, read_lines
from versus_py.samples import SAMPLES
from versus_py.service import serve as serve_until
from versus_py.simulators import ServiceNowSimulator, SlackSimulator, run_app
from versus_py.simulators.servicenow import CLIENT_ID, CLIENT_SECRET
from versus_py.simulators.slack import SIGNING_SECRET
from versus_py.slack_manifest import NAME as APP_NAME
from versus_py.slack_manifest import slack_manifest as make_slack_manifest
from versus_py.web.overrides import read_overrides
from versus_py.web.reading import Reader, read_body

DEFAULT_CONFIG = Path("config/config.yaml")

app = typer.Typer(
    name="versus",
    help="Posts alerts to Slack, and creates a ServiceNow record for every one that nobody acknowledges in time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
incidents_app = typer.Typer(help="Look at the incidents of a running server, and act on them.")
app.add_typer(incidents_app, name="incidents")

out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="VERSUS_CONFIG", help="The configuration file.", show_default=True)
]
OptionalConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="VERSUS_CONFIG", help="The configuration file; without one, the defaults."),
]
UrlOption = Annotated[str, typer.Option("--url", envvar="VERSUS_URL", help="The server.")]
SecretOption = Annotated[
    str,
    typer.Option(envvar=["VERSUS_GATEWAY_SECRET", "GATEWAY_SECRET"], help="Its gateway_secret.", show_default=False),
]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="Only what was given up: the target, since when, and why.")
]
ByOption = Annotated[str, typer.Option("--by", help="In whose name.", show_default="you")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The incident's id.")]
_STATUS_HELP = (
    "Only triggered, acknowledged or resolved ones. "
    "What the list calls snoozed, suppressed, escalated or failed is triggered."
)
T = TypeVar("T")
LOCAL_SERVER = "http://127.0.0.1:3000"


class SimulatedSystem(StrEnum):
    """What can be simulated."""

    SLACK = "slack"
    SERVICENOW = "servicenow"


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


@app.command()
def serve(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Run the API and a worker, until SIGTERM or Ctrl-C."""
    _serve(config, with_api=True)


@app.command()
def worker(
    config: ConfigOption = DEFAULT_CONFIG,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Where it answers /metrics, /healthz and /readyz.", show_default="metrics.port"
        ),
    ] = None,
) -> None:
    """Run a further worker on the same Redis, without the API."""
    _serve(config, with_api=False, metrics_port=metrics_port)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End with the story, also in a terminal.")] = False,
) -> None:
    """Run everything on this machine, with a simulated Slack and ServiceNow, and tell a story of four alerts."""
    configure_logging(LogConfig(level="error"))

    async def tell() -> bool:
        return await run_demo(out, stays=out.is_terminal and not once)

    if not _run(tell()):
        raise typer.Exit(1)


@app.command("check-config")
def check_config(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check a configuration without starting, and print what it comes to, secrets masked."""
    loaded = _load(config)
    print(yaml.safe_dump(loaded.masked(), sort_keys=False, allow_unicode=True), end="")
    for warning in loaded.warnings():
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
    err.print(f"{config} is usable.", style="green", markup=False)


@app.command()
def doctor(
    config: ConfigOption = DEFAULT_CONFIG,
    post: Annotated[bool, typer.Option("--post", help="Post a test message to the Slack channel.")] = False,
    create_test_record: Annotated[
        bool, typer.Option("--create-test-record", help="Create a ServiceNow record, and cancel it.")
    ] = False,
) -> None:
    """Look at everything that an escalation needs, and say what to do about what is not in order."""
    loaded = _load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    checks = _run(diagnose(loaded, post_test=post, create_test_record=create_test_record))
    rows = [(check.status, check.name, check.found, check.advice) for check in checks]
    _print_rows(("status", "check", "found", "what to do"), rows, _CHECK_COLOURS)
    if any(check.status is CheckStatus.FAILED for check in checks):
        raise typer.Exit(1)


@app.command("config-schema")
def config_schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    print(json.dumps(Config.json_schema(), indent=2))


@app.command("slack-manifest")
def slack_manifest(
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="For buttons by Socket Mode: Slack needs no way to this server.")
    ] = False,
    public_host: Annotated[
        str | None, typer.Option(help="The address that Slack reaches.", show_default="the configuration's")
    ] = None,
    config: OptionalConfigOption = None,
    name: Annotated[str, typer.Option(help="What the app is called in Slack.")] = APP_NAME,
) -> None:
    """Print the manifest of the Slack app: paste it at api.slack.com/apps, Create New App, From a manifest.

    With a configuration, it asks for the scopes that this one makes use of; without, for those that any may. One with
    an app_token means Socket Mode, unless --public-host is given.
    """
    loaded = None if config is None else _load(config)
    try:
        manifest = make_slack_manifest(loaded, name=name, public_host=public_host, socket_mode=socket_mode)
    except ConfigError as exc:
        _say(exc)
        raise typer.Exit(1) from None
    print(yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=120), end="")


@app.command("lint-alertmanager")
def lint_alertmanager(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="An alertmanager.yml, - for standard input.")],
    config: OptionalConfigOption = None,
) -> None:
    """Look in an Alertmanager's configuration for what breaks the way from an alert to a record."""
    text = _read(file).decode(errors="replace")
    loaded = None if config is None else _load(config)
    try:
        findings = lint(text, loaded)
    except ConfigError as exc:
        _say(exc)
        raise typer.Exit(1) from None
    rows = [(it.severity, _where(it), it.what, it.advice) for it in findings]
    _print_rows(("severity", "where", "what", "what to do"), rows, _FINDING_COLOURS)
    if any(finding.severity is not Severity.NOTE for finding in findings):
        raise typer.Exit(1)
    err.print(f"{file} is fine.", style="green", markup=False)


@app.command()
def send(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="A JSON payload, - for standard input; else a sample.")
    ] = None,
    url: UrlOption = LOCAL_SERVER,
    source: Annotated[str, typer.Option(help=f"The sample: {', '.join(SAMPLES)}.")] = "alertmanager",
    name: Annotated[str | None, typer.Option(help="The sample alert's name.")] = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Send the sample as resolved.")] = False,
    query: Annotated[
        list[str] | None, typer.Option("--query", "-q", help="An override, such as oncall_wait_minutes=5.")
    ] = None,
    intake_token: Annotated[
        str, typer.Option(envvar="VERSUS_INTAKE_TOKEN", help="A token of intake.tokens.", show_default=False)
    ] = "",
) -> None:
    """Post a payload to a running server, and show its answer."""
    body = _payload(file, source, name, resolved)
    for pair in query or []:
        if "=" not in pair:
            raise typer.BadParameter(f"--query {pair}: write NAME=VALUE, such as oncall_wait_minutes=5")
    pairs = [pair.partition("=") for pair in query or []]

    async def post() -> Any:
        async with open_client(url, intake_token=intake_token) as client:
            return await client.send(body, {key: value for key, _, value in pairs})

    out.print_json(data=_run(post()))


@app.command()
def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE|-...", help="Recordings in JSON lines, - for stdin.")],
    config: OptionalConfigOption = None,
    speed: Annotated[float, typer.Option(min=0, help="How many times as fast as recorded; 0 does not wait.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
) -> None:
    """Run recorded payloads through the engine, without a server, and tell what would have happened.

    A line is {"at": TIME, "payload": {...}, "query": "oncall_wait_minutes=5"}, {"at": TIME, "acknowledge": TITLE,
    "by": NAME}, {"at": TIME, "resolve": TITLE, "by": NAME}, or one of versus_py's own JSON log with a body in it.
    """
    loaded = _TRY_OUT if config is None else _load(config)
    records: list[Record] = []
    problems: list[str] = []
    for file in files:
        found, broken = read_lines(file, _read(file).splitlines())
        records += found
        problems += broken
    if not any(isinstance(record, Posted) for record in records):
        problems.append("no payload in it; a server's log has them with alert.debug_body: true and log.format: json")
    channels = {"slack": loaded.alert.slack.channel_id}
    story = Replay(_reader(loaded), reopen_ms=round(loaded.oncall.reopen_minutes * 60_000), channels=channels)
    _run(_tell(story.run(records), speed=speed, as_json=as_json))
    if as_json:
        print(json.dumps({"summary": story.summary.as_json()}))
    else:
        out.print(f"\n{story.summary.line()}", markup=False, highlight=False, soft_wrap=True)
    for problem in (*problems, *story.problems):
        err.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)
    if problems or story.problems:
        raise typer.Exit(1)


@app.command()
def simulate(
    system: SimulatedSystem,
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.")] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    username: Annotated[str, typer.Option(help="ServiceNow's user.")] = "versus.integration",
    password: Annotated[str, typer.Option(envvar="SIMULATOR_PASSWORD", help="Its password.")] = "secret",  # noqa: S107 - a simulator's
    client_id: Annotated[str, typer.Option(help="ServiceNow's OAuth client.")] = CLIENT_ID,
    client_secret: Annotated[str, typer.Option(help="Its secret.")] = CLIENT_SECRET,
    api_key: Annotated[str | None, typer.Option(help="A key for ServiceNow's API.", show_default="none")] = None,
    signing_secret: Annotated[
        str | None, typer.Option(help="What Slack signs interactions with.", show_default=SIGNING_SECRET)
    ] = None,
    app_token: Annotated[str | None, typer.Option(help="The token of Slack's Socket Mode.", show_default="any")] = None,
    interactions_url: Annotated[
        str | None, typer.Option(help="Where Slack posts what people press; else by a socket.", show_default="none")
    ] = None,
) -> None:
    """Run a simulated Slack or ServiceNow, with a web page to look at, until Ctrl-C."""
    simulator: SlackSimulator | ServiceNowSimulator
    if system is SimulatedSystem.SLACK:
        signs_with = signing_secret or SIGNING_SECRET
        simulator = SlackSimulator(signing_secret=signs_with, app_token=app_token, interactions_url=interactions_url)
        asked = {"signing_secret": signs_with if interactions_url else signing_secret, "app_token": app_token}
        more = "".join(f", {name}: {value}" for name, value in asked.items() if value is not None)
        setting = f"alert.slack: {{{{api_url: {{url}}/api, token: xoxb-any, channel_id: C0ANY{more}}}}}"
    else:
        simulator = ServiceNowSimulator(
            username=username, password=password, client_id=client_id, client_secret=client_secret, api_key=api_key
        )
        login = f"username: {username}, password: {password}{_auth(client_id, client_secret, api_key)}"
        setting = f"oncall.servicenow: {{{{instance_url: {{url}}, {login}}}}}"

    async def run(stop: asyncio.Event) -> None:
        async with run_app(simulator.app(), host=host, port=port) as url:
            print(f"{system} simulator: {url}")
            print(f"  {setting.format(url=url)}", flush=True)
            await stop.wait()

    _run(_until_signal(run))


def _auth(client_id: str, client_secret: str, api_key: str | None) -> str:
    """The setting for a login that was asked for, its braces doubled for a format string; empty for Basic."""
    if api_key is not None:
        return f", auth: {{{{type: api_key, api_key: {api_key}}}}}"
    if (client_id, client_secret) == (CLIENT_ID, CLIENT_SECRET):
        return ""
    return f", auth: {{{{type: oauth_password, client_id: {client_id}, client_secret: {client_secret}}}}}"


@incidents_app.callback(invoke_without_command=True)
def incidents(
    context: typer.Context,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    failed: FailedOption = False,
) -> None:
    """Look at the incidents of a running server, and act on them."""
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
    limit: Annotated[int, typer.Option(help="How many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List incidents, newest first."""
    wanted = {"limit": str(limit)} | ({"status": status} if status else {}) | ({"failed": "true"} if failed else {})
    _list(url, gateway_secret, wanted, as_json=as_json)


def _list(url: str, gateway_secret: str, wanted: Mapping[str, str], *, as_json: bool = False) -> None:
    page = _ask(url, gateway_secret, lambda client: client.incidents(wanted))
    if as_json:
        out.print_json(data=page)
        return
    is_of_failures = "failed" in wanted
    rows = [_failure_row(it) if is_of_failures else _row(it) for it in page["incidents"]]
    if not out.is_terminal:
        for row in rows:
            print("\t".join(row))
    else:
        out.print(_table(rows, _FAILURE_COLUMNS if is_of_failures else _COLUMNS))
    if page["next"]:
        err.print(f"… and more; --limit shows up to 200, the API goes on with cursor={page['next']}", markup=False)


@incidents_app.command()
def show(
    incident_id: IdArgument,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show one incident and its story; with --json also its alerts and deliveries."""
    it = _ask(url, gateway_secret, lambda client: client.incident(incident_id))
    if as_json:
        out.print_json(data=it)
        return
    lines = [
        f"{it['title']}",
        f"{it['id']}  {_standing(it)}  {it['severity']}  {it['firing']} of {len(it['alerts'])} firing",
    ]
    lines += _deeds(it)
    lines += [f"record {it['record']}  {it['record_url']}"] if it["record"] else []
    lines += [f"escalates {_time(it['escalates_at'])}"] if it["escalates_at"] else []
    lines += [f"{it['suppressed_by']}, until {_time(it['suppressed_until'])}"] if it["suppressed_until"] else []
    for name, delivery in it["deliveries"].items():
        lines += [f"{name}: {delivery[key]}" for key in ("error", "note") if delivery[key]]
    for entry in it["timeline"]:
        said = " ".join(part for part in (entry["detail"], entry["by"] and f"by {entry['by']}") if part)
        lines.append(f"  {_time(entry['at'])}  {entry['event']:<13} {said}".rstrip())
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


@incidents_app.command()
def ack(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Acknowledge an incident. The first acknowledgment stands."""
    _act(url, gateway_secret, incident_id, "acknowledge", by, may_be_done=True)


@incidents_app.command()
def unack(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Give an acknowledged incident back: its wait starts again. Exit status 1 when nobody has it."""
    _act(url, gateway_secret, incident_id, "unacknowledge", by)


@incidents_app.command()
def escalate(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Escalate an incident at once. Exit status 1 when it never escalates, has escalated, or is resolved."""
    _act(url, gateway_secret, incident_id, "escalate", by)


@incidents_app.command()
def snooze(
    incident_id: IdArgument,
    minutes: Annotated[float, typer.Argument(help="For how long.")],
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Leave an incident alone for a while; the rest of its wait goes on after it. Exit status 1 when nothing waits."""
    _act(url, gateway_secret, incident_id, "snooze", by, minutes=f"{minutes:g}")


@incidents_app.command()
def resolve(
    incident_id: IdArgument, url: UrlOption = LOCAL_SERVER, gateway_secret: SecretOption = "", by: ByOption = ""
) -> None:
    """Resolve an incident. While its alert goes on firing, the next notification reopens it."""
    _act(url, gateway_secret, incident_id, "resolve", by, may_be_done=True)


@app.command()
def retry(
    incident_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The incident's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Everything that was given up.")] = False,
    url: UrlOption = LOCAL_SERVER,
    gateway_secret: SecretOption = "",
    by: ByOption = "",
) -> None:
    """Try again what was given up, as `versus incidents --failed` lists it."""
    if (incident_id is None) is not every:
        raise typer.BadParameter("name an incident, or --all")
    if incident_id is not None:
        _act(url, gateway_secret, incident_id, "retry", by)
        return
    answer = _ask(url, gateway_secret, lambda client: client.retry_all(by or getuser()))
    out.print(f"incidents that are tried again: {answer['retried']}", markup=False, highlight=False)
    if answer["more"]:
        err.print("… and there are more: once again takes the next", markup=False)


def _act(
    url: str, gateway_secret: str, incident_id: str, action: str, by: str, *, may_be_done: bool = False, **more: str
) -> None:
    """Do it, and say how the incident stands. Changing nothing is a failure, unless it *may be done* already."""
    it, is_changed = _ask(url, gateway_secret, lambda client: client.act(incident_id, action, by or getuser(), **more))
    if is_changed or may_be_done:
        out.print(_full_standing(it), markup=False, highlight=False, soft_wrap=True)
        return
    err.print(f"nothing was changed: {_full_standing(it)}", style="yellow", markup=False, soft_wrap=True)
    raise typer.Exit(1)


def _serve(path: Path, *, with_api: bool, metrics_port: int | None = None) -> None:
    config = _load(path)
    if metrics_port is not None:
        config = config.model_copy(update={"metrics": MetricsConfig(port=metrics_port)})
    configure_logging(config.log, config.secrets())

    async def run(stop: asyncio.Event) -> None:
        await serve_until(config, stop, with_api=with_api)

    _run(_until_signal(run))


async def _until_signal(run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run with an event that SIGTERM or Ctrl-C sets; the second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await run(stop)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end. What goes wrong is said in a sentence, and is exit status 1."""
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BaseExceptionGroup as group:
        expected, rest = group.split(VersusError)
        for exc in _leaves(expected):
            _say(exc)
        if rest is not None:
            raise rest from None
    except VersusError as exc:
        _say(exc)
    raise typer.Exit(1)


def _leaves(group: BaseExceptionGroup[Any] | None) -> list[BaseException]:
    if group is None:
        return []
    return [
        leaf for exc in group.exceptions for leaf in (_leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc])
    ]


def _say(exc: BaseException) -> None:
    problems = exc.problems if isinstance(exc, ConfigError) else [str(exc)]
    for problem in problems:
        err.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - it does not exist for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _load(path: Path) -> Config:
    try:
        return load_config(path, os.environ)
    except ConfigError as exc:
        _say(exc)
        raise typer.Exit(1) from None


def _payload(file: str | None, source: str, name: str | None, resolved: bool) -> bytes:
    if file is not None:
        return _read(file)
    if source not in SAMPLES:
        raise typer.BadParameter(f"no sample {source!r}; there are {', '.join(SAMPLES)}")
    options = {} if name is None else {"name": name}
    return orjson.dumps(SAMPLES[source](**options, starts_at=datetime.now(UTC), is_resolved=resolved))


def _read(file: str) -> bytes:
    """The content of a file; - is standard input."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise typer.BadParameter(f"cannot read {file}: {exc.strerror}") from None


_TRY_OUT = Config.model_validate({"alert": {"slack": {"enable": True}}, "oncall": {"enable": True}})
"""The defaults, for trying out what on-call does with them."""


def _reader(config: Config) -> Read:
    """How the server reads a body and its query string."""
    reader = Reader(config)

    def read(body: bytes, query: str) -> tuple[list[Notification], PolicyFor, list[str]]:
        overrides = read_overrides(MultiDict(parse_qsl(query, keep_blank_values=True)), config)
        _, payloads, left_out = read_body(body)
        found = reader.read(payloads, overrides)
        notifications = [it for it in found.notifications if it is not None]
        return notifications, overrides.policy_for, [*overrides.warnings, *left_out, *found.warnings]

    return read


async def _tell(events: Iterator[Event], *, speed: float, as_json: bool) -> None:
    """Print what happens, as fast as it happened when *speed* is 1."""
    last_ms: int | None = None
    for event in events:
        if speed and last_ms is not None:
            await asyncio.sleep((event.at_ms - last_ms) / 1000 / speed)
        last_ms = event.at_ms
        if as_json:
            print(orjson.dumps(event.as_json()).decode(), flush=True)
        else:
            out.print(event.line(), markup=False, highlight=False, soft_wrap=True)


def _ask(url: str, gateway_secret: str, call: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    async def ask() -> Any:
        async with open_client(url, gateway_secret) as client:
            return await call(client)

    return _run(ask())


_COLUMNS = ("id", "status", "severity", "created", "escalates", "record", "title")
_FAILURE_COLUMNS = ("id", "status", "target", "since", "error", "title")
_LEFT_OUT_BELOW = {"severity": 110, "escalates": 90}  # columns of the terminal


def _row(it: Any) -> list[str]:
    """An incident in a list, by _COLUMNS."""
    escalates = _time(it["escalates_at"]) if it["escalates_at"] else ""
    says_more = {"failed", "suppressed"} | ({"escalated"} if it["status"] == "triggered" else set())
    status = it["outcome"] if it["outcome"] in says_more else "snoozed" if _is_snoozed(it) else it["status"]
    return [it["id"], status, it["severity"], _time(it["created_at"]), escalates, it["record"] or "", it["title"]]


def _failure_row(it: Any) -> list[str]:
    """An incident in the list of what was given up, by _FAILURE_COLUMNS."""
    failed = it["failed"]
    return [it["id"], it["status"], failed["target"], _time(failed["since"]), failed["error"], it["title"]]


def _table(rows: list[list[str]], columns: Sequence[str]) -> Table:
    """Ids and states whole, so that they can be copied; the title gets what space is left."""
    table = Table(box=None, pad_edge=False)
    shown = [index for index, name in enumerate(columns) if out.width >= _LEFT_OUT_BELOW.get(name, 0)]
    for index in shown:
        name = columns[index]
        widest = max((len(row[index]) for row in rows), default=0)
        width = None if name in {"title", "error"} else max(len(name), widest)
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table


_CHECK_COLOURS = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.FAILED: "red",
    CheckStatus.SKIPPED: "dim",
}
_FINDING_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def _where(finding: Finding) -> str:
    return finding.where if finding.line is None else f"line {finding.line}, {finding.where}"


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], colours: Mapping[Any, str]) -> None:
    """A table for people, with the first column in its colour; one line each for what reads lines."""
    if not out.is_terminal:
        for first, second, *rest in rows:
            print(f"{first}: {second}: {'; '.join(text for text in rest if text)}")
        return
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name)
    for first, *rest in rows:
        table.add_row(Text(first, style=colours[first]), *map(Text, rest))
    out.print(table)


def _standing(it: Any) -> str:
    """The status, and the outcome where that says more."""
    return it["status"] if it["outcome"] in {None, it["status"]} else f"{it['status']}, {it['outcome']}"


def _full_standing(it: Any) -> str:
    """How an incident stands, with everything, in a sentence."""
    said = "; ".join((f"{it['id']} is {it['status']}", *_deeds(it)))
    if it["escalates_at"]:
        said += f"; escalates {_time(it['escalates_at'])}"
    if it["record"]:
        said += f"; escalated as {it['record']}"
    if it["policy"]["oncall"] is None:
        said += "; never escalates"
    return said


def _deeds(it: Any) -> list[str]:
    """Who did what to it, as far as it still counts."""
    done = [what for what in ("acknowledged", "resolved") if it[f"{what}_at"]]
    said = [f"{what} by {_who(it, f'{what}_by')} at {_time(it[f'{what}_at'])}" for what in done]
    return said + (
        [f"snoozed by {_who(it, 'snoozed_by')} until {_time(it['snoozed_until'])}"] if _is_snoozed(it) else []
    )


def _is_snoozed(it: Any) -> bool:
    """Whether it is left alone now; a snooze that is over stays in the incident until a channel is told."""
    until = it["snoozed_until"]
    return until is not None and datetime.fromisoformat(until) > datetime.now(UTC)


def _who(it: Any, key: str) -> str:
    """A person's name, and e-mail address where that is known."""
    email = it.get(f"{key}_email")
    return f"{it[key]} ({email})" if email else str(it[key])


def _time(moment: str) -> str:
    """A moment as the clock on the wall shows it, with the date when that is not today."""
    local = datetime.fromisoformat(moment).astimezone()
    return local.strftime("%H:%M:%S" if local.date() == datetime.now(UTC).astimezone().date() else "%Y-%m-%d %H:%M")
