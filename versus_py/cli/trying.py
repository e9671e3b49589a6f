"""Commands to try it out with."""

import asyncio
import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from versus_py.cli.common import (
    LOCAL_SERVER,
    TRY_OUT,
    OptionalConfigOption,
    UrlOption,
    err,
    load,
    out,
    read,
    run_to_end,
    until_signal,
)
from versus_py.config import Config, LogConfig
from versus_py.engine.policies import Policies
from versus_py.errors import BadPayload
from versus_py.simulators import ServiceNowSimulator, SlackSimulator, run_app
from versus_py.simulators.servicenow import CLIENT_ID, CLIENT_SECRET, BusinessRule
from versus_py.simulators.slack import SIGNING_SECRET
from versus_py.sources import SOURCES
from versus_py.systems import model
from versus_py.telemetry.logs import configure_logging
from versus_py.tools.client import open_client
from versus_py.tools.comparison import counts, differences, said
from versus_py.tools.demo import run_demo
from versus_py.tools.explain import Explanation
from versus_py.tools.explain import explain as explained
from versus_py.tools.recordings import Posted, Record, read_lines, reader
from versus_py.tools.replay import Line, Replay
from versus_py.tools.samples import SAMPLES
from versus_py.web.intake.reading import read_body


class SimulatedSystem(StrEnum):
    """What can be simulated."""

    SLACK = "slack"
    SERVICENOW = "servicenow"


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the outcome, also in a terminal.")] = False,
) -> None:
    """Run four example alerts end to end on this machine, with a simulated Slack and ServiceNow."""
    configure_logging(LogConfig(level="error"))

    outcomes: list[bool] = []

    async def tell(stop: asyncio.Event) -> None:
        stays = out.is_terminal and not once
        telling = asyncio.create_task(run_demo(out, stays=stays, ended=outcomes.append))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([telling, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling

    run_to_end(until_signal(tell))
    if not outcomes:
        raise typer.Exit(130)  # told to end before the end of the story
    if not outcomes[0]:
        raise typer.Exit(1)


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

    out.print_json(data=run_to_end(post()))


def explain(
    file: Annotated[str, typer.Argument(metavar="PAYLOAD|-", help="A payload; - for standard input.")],
    source: Annotated[
        str | None, typer.Option(help=f"The payload format: {', '.join(SOURCES)}.", show_default="detected")
    ] = None,
    config: OptionalConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show what is read from a payload, from which fields, and how to read the rest."""
    if source is not None and source not in SOURCES:
        raise typer.BadParameter(f"no source {source!r}; there are {', '.join(SOURCES)}")
    settings = model()() if config is None else load(config)
    try:
        _, payloads, left_out = read_body(read(file))
        explanations = [explained(payload, settings, source) for payload in payloads]
    except BadPayload as exc:
        err.print(f"error: {exc}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        out.print_json(data={"payloads": [asdict(it) for it in explanations], "warnings": left_out})
        return
    for it in explanations:
        _show(it)
    for warning in left_out:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _show(explanation: Explanation) -> None:
    out.print(f"source    {explanation.source}", markup=False, highlight=False)
    for line in explanation.lines:
        where = f"   from {line.where}" if line.where else ""
        out.print(f"{line.what:<9} {line.value or 'not found'}{where}", markup=False, highlight=False, soft_wrap=True)
        if line.advice:
            out.print(f"          {line.advice}", markup=False, highlight=False, soft_wrap=True)
    for warning in explanation.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE|-...", help="Recordings in JSON lines, - for stdin.")],
    config: OptionalConfigOption = None,
    against: Annotated[
        Path | None, typer.Option(help="Another configuration: show what it would have done differently.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0, help="How many times as fast as recorded; 0 does not wait.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON lines.")] = False,
) -> None:
    """Run recorded payloads through the engine, without a server, and show what would have happened.

    A line is {"at": TIME, "payload": {...}, "query": "oncall_wait_minutes=5"}, {"at": TIME, "acknowledge": TITLE,
    "by": NAME}, the same with unacknowledge, resolve, escalate, snooze (and "until": TIME) or set_severity (and
    "severity": NAME), or one of versus_py's own JSON log with a body in it.
    With --against, it assumes that people did the same at the same times.
    """
    if against is not None and speed:
        raise typer.BadParameter("--speed has no effect with --against")
    loaded = model().model_validate(TRY_OUT) if config is None else load(config)
    other = None if against is None else load(against)
    records: list[Record] = []
    problems: list[str] = []
    for file in files:
        found, broken = read_lines(file, read(file).splitlines())
        records += found
        problems += broken
    if not any(isinstance(record, Posted) for record in records):
        problems.append("no payload in it; a server's log has them with alert.debug_body: true and log.format: json")
    story = _replay_of(loaded)
    if other is None:
        run_to_end(_tell(story.run(records), speed=speed, as_json=as_json))
        _print_summary(story, as_json=as_json)
    else:
        problems += _compare(story, _replay_of(other), records, as_json=as_json)
    for problem in (*problems, *story.problems):
        err.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)
    if problems or story.problems:
        raise typer.Exit(1)


def _print_summary(story: Replay, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"summary": story.summary.as_json()}))
    else:
        out.print(f"\n{story.summary.line()}", markup=False, highlight=False, soft_wrap=True)


def _compare(before: Replay, after: Replay, records: list[Record], *, as_json: bool) -> list[str]:
    """Print what differs. Returns what only the second could not use."""
    for story in (before, after):
        deque(story.run(records), maxlen=0)
    found = differences(before.tellings, after.tellings)
    for it in found:
        line = orjson.dumps(it.as_json()).decode() if as_json else it.line(None)
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        summaries = {"summary": before.summary.as_json(), "against": after.summary.as_json()}
        print(json.dumps({**summaries, "differences": counts(found)}))
    else:
        blank = "\n" if found else ""
        out.print(f"{blank}{'; '.join(said(found)) or 'nothing would differ'}", markup=False, highlight=False)
    return [f"with --against: {problem}" for problem in after.problems if problem not in before.problems]


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
        str | None, typer.Option(help="The secret that signs interactions.", show_default=SIGNING_SECRET)
    ] = None,
    app_token: Annotated[str | None, typer.Option(help="The token of Slack's Socket Mode.", show_default="any")] = None,
    interactions_url: Annotated[
        str | None, typer.Option(help="The URL for button presses; without it, over a socket.", show_default="none")
    ] = None,
    events_url: Annotated[
        str | None, typer.Option(help="The URL for each record that is written.", show_default="none")
    ] = None,
    events_token: Annotated[
        str, typer.Option(envvar="SIMULATOR_EVENTS_TOKEN", help="The token of these posts.", show_default="none")
    ] = "",
) -> None:
    """Run a simulated Slack or ServiceNow with a web page, until Ctrl-C."""
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
        if events_url is not None:
            simulator.rules.add(BusinessRule(name="versus", url=events_url, token=events_token))
        login = f"username: {username}, password: {password}{_auth(client_id, client_secret, api_key)}"
        setting = f"oncall.servicenow: {{{{instance_url: {{url}}, {login}}}}}"

    async def run(stop: asyncio.Event) -> None:
        async with run_app(simulator.app(), host=host, port=port) as url:
            print(f"{system} simulator: {url}")
            print(f"  {setting.format(url=url)}", flush=True)
            await stop.wait()

    run_to_end(until_signal(run))


def _auth(client_id: str, client_secret: str, api_key: str | None) -> str:
    """The setting for a login that was asked for, its braces doubled for a format string; empty for Basic."""
    if api_key is not None:
        return f", auth: {{{{type: api_key, api_key: {api_key}}}}}"
    if (client_id, client_secret) == (CLIENT_ID, CLIENT_SECRET):
        return ""
    return f", auth: {{{{type: oauth_password, client_id: {client_id}, client_secret: {client_secret}}}}}"


def _payload(file: str | None, source: str, name: str | None, resolved: bool) -> bytes:
    if file is not None:
        return read(file)
    if source not in SAMPLES:
        raise typer.BadParameter(f"no sample {source!r}; there are {', '.join(SAMPLES)}")
    options = {} if name is None else {"name": name}
    return orjson.dumps(SAMPLES[source](**options, starts_at=datetime.now(UTC), is_resolved=resolved))


def _replay_of(config: Config) -> Replay:
    places = {name: it.default_destination for name, it in config.alert.enabled.items()}
    for system in config.systems:
        places |= config.places(system)
    reopen_ms = round(config.oncall.reopen_minutes * 60_000)
    return Replay(reader(config), reopen_ms=reopen_ms, places=places, policy_of=Policies(config).of_known)


async def _tell(events: Iterator[Line], *, speed: float, as_json: bool) -> None:
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
