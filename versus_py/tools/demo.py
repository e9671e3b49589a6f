"""`versus demo`: the real server with simulators around it, and four alerts whose outcome is checked.

The alerts come in over HTTP: one is acknowledged, one is left to escalate, one resolves before its wait is over, and
one is sent three times. The server learns nothing but by HTTP; what happened is read from the simulators. In a terminal
the demo stays, with four open incidents to look at: one waits, one escalates soon, one is acknowledged, and one has a
record.
"""

import asyncio
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from versus_py.errors import VersusError
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Ending
from versus_py.service import serve
from versus_py.shipped import CONFIG, shipped
from versus_py.simulators import ServiceNowSimulator, SlackSimulator, run_app
from versus_py.simulators.slack import PEOPLE, SIGNING_SECRET, PostedMessage
from versus_py.systems import load_config, registered
from versus_py.targets.slack.requests import PATH as INTERACTIONS_PATH
from versus_py.tools.client import Client, open_client
from versus_py.tools.doctor import diagnose
from versus_py.tools.samples import alertmanager

WAIT_S = 8
CHANNEL = "C0ALERTS"
PASSWORD = "demo-password"  # noqa: S105 - of a simulator that lives as long as this process
ANA = PEOPLE[0]
STEP_TIMEOUT_S = 20.0
STORY_TIMEOUT_S = 50.0


@dataclass(frozen=True, slots=True)
class Sent:
    """An alert as it is sent."""

    name: str
    summary: str
    description: str
    labels: Mapping[str, str]
    wait_minutes: float = WAIT_S / 60

    def payload(self, starts_at: datetime, *, is_resolved: bool = False) -> dict[str, Any]:
        texts = {"summary": f"{self.name}: {self.summary}", "description": self.description}
        return alertmanager(self.name, starts_at=starts_at, is_resolved=is_resolved, labels=self.labels, **texts)


DISK_FULL = Sent(
    "DiskFull",
    "/var/lib/postgresql of db-7 is 98 % full",
    "0.9 GB left. At this rate it is full in 14 minutes.",
    {"severity": "critical", "instance": "db-7:9100", "team": "storage"},
)
HOST_DOWN = Sent(
    "HostDown",
    "web-3 does not answer",
    "No answer to 5 checks from 3 places.",
    {"severity": "critical", "instance": "web-3", "team": "web"},
)
HIGH_LATENCY = Sent(
    "HighLatency",
    "checkout answers in 2.4 s",
    "The 99th percentile of checkout is above 2 s.",
    {"severity": "warning", "service": "checkout", "team": "shop"},
)
QUEUE_STUCK = Sent(
    "QueueStuck",
    "4,812 settlements wait for 10 minutes",
    "Nothing has left the queue since the last deployment.",
    {"severity": "critical", "queue": "settlement", "team": "payments"},
)
SOON = Sent(
    "PodsCrashLooping",
    "5 pods of shop restart",
    "Customers cannot pay while no pod of checkout is ready.",
    {"severity": "critical", "namespace": "shop", "cluster": "eu-1"},
    wait_minutes=1.5,
)
LATER = Sent(
    "ReplicationLag",
    "db-3 is 41 minutes behind",
    "Reports read old data.",
    {"severity": "warning", "instance": "db-3", "team": "storage"},
    wait_minutes=20,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An alert whose outcome is checked: what happens to it, and how it has to end."""

    sent: Sent
    plot: str
    ending: Ending
    records: int
    acknowledged_by: str | None = None

    @property
    def alert(self) -> str:
        return self.sent.name


SCENES = (
    Scene(DISK_FULL, "Ana acknowledges", Ending.ACKNOWLEDGED, 0, ANA.real_name),
    Scene(HOST_DOWN, "nobody reacts", Ending.ESCALATED, 1),
    Scene(HIGH_LATENCY, "resolves in time", Ending.RESOLVED, 0),
    Scene(QUEUE_STUCK, "is sent 3 times", Ending.ESCALATED, 1),
)


@dataclass(slots=True)
class Stage:
    """What runs, and where to look at it."""

    server: str
    slack: str
    servicenow: str
    client: Client
    workspace: SlackSimulator
    instance: ServiceNowSimulator
    started_at: datetime

    def messages(self, scene: Scene) -> list[PostedMessage]:
        return [message for message in self.workspace.messages if scene.alert in message.shown]

    def records(self, incident: dict[str, Any]) -> list[dict[str, str]]:
        return [record for record in self.instance.incidents if record["correlation_id"] == incident["id"]]


async def run_demo(console: Console, *, stays: bool, ended: Callable[[bool], None]) -> None:
    """Play the alerts; *ended* is told whether each ended as it has to. With *stays*, all goes on until cancelled."""
    async with _stage() as stage:
        console.print(f"[bold]Web UI[/bold]      {stage.server}  (the real server, without signing in)")
        console.print(f"[bold]Slack[/bold]       {stage.slack}  (simulator: press the buttons)")
        console.print(f"[bold]ServiceNow[/bold]  {stage.servicenow}  (simulator: the records)\n")
        try:
            async with asyncio.timeout(STORY_TIMEOUT_S):
                incidents = await _tell(stage, console)
        except TimeoutError:
            console.print(f"[red]The demo did not end within {STORY_TIMEOUT_S:g} seconds.[/red]")
            incidents = await _incidents(stage)
        table, is_right = _result(stage, incidents)
        console.print(table)
        console.print("[green]Everything ended as it should.[/green]" if is_right else "[red]Something is wrong.[/red]")
        ended(is_right)
        if stays:
            await _go_on(stage, console)
            await asyncio.Event().wait()


async def _go_on(stage: Stage, console: Console) -> None:
    """Leave four open incidents to look at and to act on."""
    await _send(stage, QUEUE_STUCK, is_resolved=True)
    for sent in (SOON, LATER):
        await _send(stage, sent)
    console.print(f"\nOpen [bold]{stage.server}[/bold] now. Four incidents are open there:\n")
    console.print(f"  {SOON.name:<18}escalates in {SOON.wait_minutes * 60:g} seconds")
    console.print(f"  {LATER.name:<18}waits for somebody to acknowledge it")
    console.print(f"  {DISK_FULL.name:<18}is acknowledged by {ANA.real_name}")
    console.print(f"  {HOST_DOWN.name:<18}has escalated, and has a record in ServiceNow")
    console.print("\nSend more with:\n")
    for line in _to_send_more(stage.server):
        console.print(line, soft_wrap=True, highlight=False)
    console.print("\nCtrl-C ends it.")


def _to_send_more(server: str) -> tuple[str, str]:
    """A command to copy, in two lines that fit a terminal of 80 columns."""
    return f"  {_this_command()} send --url {server} \\", "    --name Another --query oncall_wait_minutes=0.5"


def _this_command() -> str:
    """How people run `versus` as this process was run: by its script, or by the script beside this interpreter."""
    started = Path(sys.argv[0])
    script = started if started.name == "versus" else Path(sys.executable).with_name("versus")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


@asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    """The simulators and the server, in this process but connected by HTTP only."""
    workspace, instance = SlackSimulator(), ServiceNowSimulator(password=PASSWORD)
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="versus-demo-"))
        slack_url = await stack.enter_async_context(run_app(workspace.app()))
        servicenow_url = await stack.enter_async_context(run_app(instance.app()))
        config = load_config(shipped(CONFIG), _environment(folder, slack_url, servicenow_url))
        config = config.model_copy(update={"host": "127.0.0.1"})
        workspace.interactions_url = f"{config.link_base}{INTERACTIONS_PATH}"
        stop = asyncio.Event()
        loops = await stack.enter_async_context(asyncio.TaskGroup())
        stack.callback(stop.set)
        public = config.model_copy(update={"public_host": config.link_base})
        loops.create_task(serve(public, stop, systems=registered(), diagnose=partial(diagnose, public)))
        client = await stack.enter_async_context(open_client(config.link_base))
        await _until(lambda: _answers(config.link_base), "the server to start")
        yield Stage(config.link_base, slack_url, servicenow_url, client, workspace, instance, datetime.now(UTC))


def _environment(folder: str, slack_url: str, servicenow_url: str) -> dict[str, str]:
    """What the shipped configuration refers to."""
    return {
        "PORT": str(_free_port()),
        "VERSUS_DATA_DIR": folder,
        "SLACK_TOKEN": "xoxb-demo",
        "SLACK_CHANNEL_ID": CHANNEL,
        "SLACK_API_URL": f"{slack_url}/api",
        "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        "SERVICENOW_INSTANCE_URL": servicenow_url,
        "SERVICENOW_USERNAME": "versus.integration",
        "SERVICENOW_PASSWORD": PASSWORD,
    }


async def _tell(stage: Stage, console: Console) -> dict[str, dict[str, Any]]:
    """Play the alerts; returns the incidents by alert once each has ended."""
    acknowledged, _, resolving, repeated = SCENES
    for scene in SCENES:
        await _send(stage, scene.sent)
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(_watch(stage, live))
            await _send(stage, repeated.sent)
            await _until(partial(_is_posted, stage, acknowledged), "the first message in Slack")
            await _press_acknowledge(stage, stage.messages(acknowledged)[0])
            await _until(partial(_is_posted, stage, resolving), "the third message in Slack")
            await _send(stage, resolving.sent, is_resolved=True)
            await _send(stage, repeated.sent)
            for scene in SCENES:
                await _until(partial(_has_ended, stage, scene), f"{scene.alert} to end", STORY_TIMEOUT_S)
            # Whoever should not escalate must not have done so when its wait would have been over.
            await asyncio.sleep(max(0.0, WAIT_S + 1 - (datetime.now(UTC) - stage.started_at).total_seconds()))
            watching.cancel()
    return await _incidents(stage)


async def _watch(stage: Stage, live: Live) -> None:
    while True:
        live.update(_progress(stage, await _incidents(stage)))
        await asyncio.sleep(0.25)


async def _send(stage: Stage, sent: Sent, *, is_resolved: bool = False) -> None:
    payload = sent.payload(stage.started_at, is_resolved=is_resolved)
    await stage.client.send(orjson.dumps(payload), {"oncall_wait_minutes": str(sent.wait_minutes)})


async def _press_acknowledge(stage: Stage, message: PostedMessage) -> None:
    delivery = await stage.workspace.press(message, Action.ACKNOWLEDGE, user=ANA.id)
    if delivery.trouble:
        raise VersusError(f"Ana pressed Acknowledge, and {delivery.trouble}")


async def _incidents(stage: Stage) -> dict[str, dict[str, Any]]:
    listed = (await stage.client.incidents({}))["incidents"]
    return {scene.alert: it for scene in SCENES for it in listed if it["title"].startswith(scene.alert)}


async def _is_posted(stage: Stage, scene: Scene) -> bool:
    return bool(stage.messages(scene))


async def _has_ended(stage: Stage, scene: Scene) -> bool:
    """Whether the incident has its outcome, and Slack shows it."""
    incident = (await _incidents(stage)).get(scene.alert)
    return incident is not None and incident["outcome"] is not None and _is_shown(stage, scene, incident)


def _is_shown(stage: Stage, scene: Scene, incident: dict[str, Any]) -> bool:
    expected = incident["record"] or str(incident["status"]).capitalize()
    return any(expected in message.shown for message in stage.messages(scene))


def _table(title: str) -> Table:
    """Narrow enough for a terminal of 80 columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE, collapse_padding=True, pad_edge=False)


def _progress(stage: Stage, incidents: dict[str, dict[str, Any]]) -> Table:
    table = _table("What is happening")
    for column in ("alert", "plot", "Slack", "incident", "escalates in", "ServiceNow"):
        table.add_column(column)
    for scene in SCENES:
        incident = incidents.get(scene.alert, {})
        messages = stage.messages(scene)
        due = incident.get("escalates_at")
        left_s = "" if due is None else f"{(datetime.fromisoformat(due) - datetime.now(UTC)).total_seconds():.0f} s"
        status, record = incident.get("status", "…"), incident.get("record") or ""
        table.add_row(scene.alert, scene.plot, _posted(messages), status, left_s, record)
    return table


def _result(stage: Stage, incidents: dict[str, dict[str, Any]]) -> tuple[Table, bool]:
    table = _table("What happened")
    for column in ("alert", "plot", "outcome", "Slack", "ServiceNow", ""):
        table.add_column(column)
    verdicts = []
    for scene in SCENES:
        incident = incidents.get(scene.alert, _UNKNOWN)
        messages, records = stage.messages(scene), stage.records(incident)
        is_right = (
            incident["outcome"] == scene.ending
            and incident["acknowledged_by"] == scene.acknowledged_by
            and len(messages) == 1
            and len(records) == scene.records
            and _is_shown(stage, scene, incident)
        )
        verdicts.append(is_right)
        table.add_row(
            scene.alert,
            scene.plot,
            _outcome(incident),
            _posted(messages),
            ", ".join(record["number"] for record in records) or "not called",
            "[green]✓[/green]" if is_right else "[red]✗[/red]",
        )
    return table, all(verdicts)


_UNKNOWN = {"id": None, "outcome": None, "record": None, "status": None, "acknowledged_by": None}


def _outcome(incident: dict[str, Any]) -> str:
    by = f" by {incident['acknowledged_by']}" if incident["acknowledged_by"] else ""
    return f"{incident['outcome']}{by}"


def _posted(messages: list[PostedMessage]) -> str:
    return "1 post" if len(messages) == 1 else f"{len(messages)} posts"


async def _answers(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/healthz") as response:
            return response.ok
    except aiohttp.ClientError:
        return False


async def _until(condition: Callable[[], Any], what: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise VersusError(f"waited {timeout_s:g} s in vain for {what}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
