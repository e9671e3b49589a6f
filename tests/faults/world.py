"""What a scenario plays in: replicas of `versus serve` on a Redis, in front of a simulated Slack and ServiceNow.

Every part is a process of its own. Which Redis it is, and what is between it and the replicas, the scenario says.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import aiohttp
import pytest
import redis.asyncio
import yaml
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisError

from tests.faults.checker import CLOCK_SLACK_MS, Evidence, Finding, Report, check, own_messages
from tests.faults.journal import Event
from tests.faults.policies import LEADS
from tests.faults.proxy import FaultProxy, run_proxy
from tests.support.forking import IN_QUICK_TEMPO, ForkedProcess
from tests.support.servers import Process, find_program, free_port
from tests.support.waiting import until
from versus_py.store.inspection import Inspection
from versus_py.store.journal import StoredJournal
from versus_py.tools.audit import Audit

ROOT = Path(__file__).parent.parent.parent
STARTED_VERSUS = (sys.executable, "-m", "tests.faults.run_versus")
"""With an interpreter of its own, which a wrapper or an environment needs."""

PASSWORD = "servicenow-secret"
SLOW_INSTANCE = "slow"
SIGNING_SECRET = "slack-signing-secret"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
RETENTION_MS = 7 * 24 * 3600 * 1000


class Program:
    """A process that is started, killed, and started again; what it says goes into one file."""

    def __init__(self, launch: Callable[[Path], Process], log: Path) -> None:
        self.log = log
        self.starts = 0
        self.is_stopping = False  # and nobody has waited for its end
        self._launch = launch
        self._process: Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        assert not self.is_running
        self.starts += 1
        self._process = self._launch(self.log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is given back."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)

    async def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        if not self.is_stopping:
            self._process.terminate()
        self.is_stopping = True
        status = await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_S)
        self.is_stopping = False
        return status

    async def end(self) -> None:
        """However it stands."""
        if self.is_running:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            await self.kill()


def launcher(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Callable[[Path], Process]:
    """A function that starts the program, with its output appended to a log file."""

    def launch(log: Path) -> Process:
        with log.open("ab") as output:
            everything = os.environ | {"PYTHONUNBUFFERED": "1"} | dict(env or {})
            return subprocess.Popen(list(arguments), stdout=output, stderr=output, env=everything, cwd=ROOT)

    return launch


def versus_launcher(arguments: Sequence[str]) -> Callable[[Path], Process]:
    """The same for `versus` in the tempo of the fault tests, forked."""
    return lambda log: ForkedProcess(tuple(arguments), stdout=log, main=IN_QUICK_TEMPO)


AnyRedis: TypeAlias = redis.asyncio.Redis | RedisCluster


class RedisWorld(Protocol):
    """The Redis of a world: one server, or many that stand in for each other, or one within each replica."""

    async def start(self) -> None:
        """Wait until it answers."""

    async def settings(self) -> dict[str, Any]:
        """The configuration that the next replica needs, beside that of everything else."""

    def reached(self) -> AbstractAsyncContextManager[AnyRedis]:
        """A client of it, whatever became of its servers."""

    async def mend(self) -> None:
        """Whatever went wrong with it is in order again."""


RedisT = TypeVar("RedisT", bound=RedisWorld)


SOON_MS = 3600_000
"""Timers that are due later are no unfinished work: an open incident is looked at again on another day."""

COUNT = """
local now_s = redis.call('TIME')[1]
local timers, running, failed = KEYS[1], KEYS[2], KEYS[3]
local due = redis.call('ZCOUNT', timers, '-inf', now_s * 1000 + ARGV[1])
return {due, redis.call('ZCARD', running), redis.call('ZCARD', failed)}
"""


async def left_in(client: AnyRedis) -> dict[str, int]:
    """How many timers due within the hour, running claims and given up ones, by the names of their keys.

    Of a partition all at once: a timer that is claimed meanwhile is not missed.
    """
    found = dict.fromkeys(("timers", "running", "failed"), 0)
    partitions = {key.partition("}")[0] async for key in client.scan_iter("versus:{*", count=1000)}
    for partition in partitions:
        sets = [f"{partition}}}:{name}" for name in found]
        numbers = await client.eval(COUNT, len(sets), *sets, SOON_MS)
        for name, number in zip(found, numbers, strict=True):
            found[name] += int(number)
    return found


class OneRedis:
    """Debian's redis-server with an append-only file, and a proxy of its own in front of it for each replica.

    *settings* are what the replicas' configuration says of it, beside its address.
    """

    def __init__(
        self, folder: Path, stack: AsyncExitStack, *, appendfsync: str = "everysec", **settings: object
    ) -> None:
        data = folder / "redis"
        data.mkdir(parents=True)
        self._stack = stack
        self._settings = settings
        self.port = free_port()
        self.proxies: list[FaultProxy] = []
        server = [find_program("redis-server", "redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        server += ["--dir", str(data), "--save", "", "--appendonly", "yes", "--appendfsync", appendfsync]
        self.program = Program(launcher(server), folder / "redis.log")
        self.client = redis.asyncio.Redis(port=self.port, decode_responses=True)
        stack.push_async_callback(self.client.aclose)
        stack.push_async_callback(self.program.end)

    async def start(self) -> None:
        self.program.start()
        await until(self.answers, what="Redis answering")

    async def answers(self) -> bool:
        try:
            return bool(await self.client.ping())
        except (RedisError, OSError):
            return False

    async def settings(self) -> dict[str, Any]:
        proxy = await self._stack.enter_async_context(run_proxy(("127.0.0.1", self.port)))
        self.proxies.append(proxy)
        return {"redis": {"url": f"redis://127.0.0.1:{proxy.port}/0", **self._settings}}

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[AnyRedis]:
        yield self.client

    async def limit_memory(self, limit_bytes: int) -> None:
        """How much it may use until it refuses what takes more; 0: all that there is."""
        await self.client.config_set("maxmemory", limit_bytes)

    async def empty(self) -> None:
        """It loses all that it has."""
        await self.client.flushall()

    async def mend(self) -> None:
        if not self.program.is_running:
            self.program.start()
        await until(self.answers, what="Redis answering")  # also where it was started a moment ago, and reads its file
        await self.limit_memory(0)
        for proxy in self.proxies:
            proxy.mend()


@dataclass
class Replica:
    """One `versus serve`."""

    name: str
    port: int
    program: Program

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def has_said(self, event: str) -> bool:
        """Whether its log has such a line."""
        return f'"event": "{event}"' in self.program.log.read_text(errors="replace")


@dataclass
class Simulator:
    """One simulated system."""

    url: str
    program: Program
    proxy: FaultProxy  # what the replicas reach it through
    session: aiohttp.ClientSession

    @property
    def proxied_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy.port}"

    async def state(self) -> Any:
        async with self.session.get(f"{self.url}/control/state") as response:
            return await response.json()

    async def fault(self, **fault: Any) -> None:
        async with self.session.post(f"{self.url}/control/faults", json=fault) as response:
            assert response.status == 201, await response.text()

    async def order_error(self, **order: Any) -> None:
        """Of Slack's, by its name; it comes until the end."""
        async with self.session.post(f"{self.url}/control/errors", json=order) as response:
            assert response.status == 200, await response.text()

    async def repair(self) -> None:
        async with self.session.delete(f"{self.url}/control/faults") as response:
            assert response.status == 204


@dataclass
class World(Generic[RedisT]):
    """Everything that runs, and what there is to see of it."""

    folder: Path
    stack: AsyncExitStack
    session: aiohttp.ClientSession
    redis: RedisT
    slack: Simulator
    servicenow: Simulator
    front: FaultProxy  # in front of all replicas, as a load balancer
    replicas: list[Replica] = field(default_factory=list)
    oncall: dict[str, Any] = field(default_factory=dict)  # further on-call settings of replicas to come
    policies: dict[str, Any] = field(default_factory=dict)  # settings of escalation policies of replicas to come
    uneditable: set[str] = field(default_factory=set)  # channels whose messages Slack does not let be edited
    instances: dict[str, Simulator] = field(default_factory=dict)  # of ServiceNow, beside the first, by name

    async def add_replica(
        self,
        *,
        sabotage: str | None = None,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> Replica:
        """One more, which answers when this returns. *wrapper* is a command that runs it."""
        name, port = f"replica-{len(self.replicas)}", free_port()
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(self._settings(port) | await self.redis.settings() | settings))
        arguments = [*(["--sabotage", sabotage] if sabotage else []), "serve", "-c", str(path)]
        # The first has a hash seed of its own, as no two replicas of a deployment share one.
        is_forked = not wrapper and env is None and self.replicas
        launch = versus_launcher(arguments) if is_forked else launcher([*wrapper, *STARTED_VERSUS, *arguments], env)
        replica = Replica(name, port, Program(launch, self.folder / f"{name}.log"))
        self.stack.push_async_callback(replica.program.end)
        self.replicas.append(replica)
        self.front.upstreams.append(("127.0.0.1", port))
        replica.program.start()
        await self.ready(replica)
        return replica

    async def add_instance(self, name: str) -> None:
        """One more simulated ServiceNow, for replicas to come."""
        options = ("--password", PASSWORD)
        self.instances[name] = await _simulator(
            "servicenow", self.folder, self.stack, self.session, *options, name=f"servicenow-{name}"
        )

    async def ready(self, replica: Replica) -> None:
        """Wait until it answers."""

        async def answers() -> bool:
            assert replica.program.is_running, replica.program.log.read_text()[-3000:]
            return await self.answers(replica)

        await until(answers, timeout_s=START_TIMEOUT_S, what=f"{replica.name} answering")

    async def answers(self, replica: Replica) -> bool:
        try:
            async with self.session.get(f"{replica.url}/healthz", timeout=aiohttp.ClientTimeout(total=2)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def mend(self) -> None:
        """Whatever went wrong is in order again."""
        await self.redis.mend()
        simulators = (self.slack, self.servicenow, *self.instances.values())
        for proxy in (*(it.proxy for it in simulators), self.front):
            proxy.mend()
        for simulator in simulators:
            await simulator.repair()
        for replica in self.replicas:
            if replica.program.is_stopping:
                await replica.program.stop()
            if replica.program.is_running:
                replica.program.signal(signal.SIGCONT)
            else:
                replica.program.start()
            await self.ready(replica)

    def _settings(self, port: int) -> dict[str, Any]:
        return {
            "host": "127.0.0.1",
            "port": port,
            "public_host": f"http://127.0.0.1:{port}",
            "data_dir": str(self.folder / "data"),
            "log": {"format": "json", "level": "debug"},
            "journal": {"keep": "redis"},
            "alert": {
                "slack": {
                    "enable": True,
                    "token": "xoxb-faults",
                    "channel_id": "C0ALERTS",
                    "signing_secret": SIGNING_SECRET,
                    "api_url": f"{self.slack.proxied_url}/api",
                    "channels": LEADS,
                }
            },
            **self.policies,
            "oncall": {
                "enable": True,
                **self.oncall,
                "servicenow": {
                    "instance_url": self.servicenow.proxied_url,
                    "username": "versus.integration",
                    "password": PASSWORD,
                    "comments_every_minutes": 0,
                    "fields": {"short_description": "{{ incident.title }}"},
                    "other_instance_urls": {name: it.proxied_url for name, it in self.instances.items()},
                },
            },
        }

    async def settled(self, *, timeout_s: float = 120.0) -> None:
        """Wait until nothing is left to be done; whoever asks finds out whether that came true."""
        with suppress(pytest.fail.Exception):
            await until(self._is_settled, timeout_s=timeout_s)

    async def _is_settled(self) -> bool:
        try:
            left = await self._left()
        except (RedisError, OSError):
            return False
        return not left["timers"] and not left["running"]

    async def records(self) -> list[dict[str, str]]:
        """Those of every instance."""
        tables = [(await it.state())["tables"] for it in (self.servicenow, *self.instances.values())]
        return [record for table in tables for record in table["incident"]]

    async def judged(
        self, events: Sequence[Event], *, clock_slack_ms: int = CLOCK_SLACK_MS, late_ms: int | None = None
    ) -> Report:
        """What the checker and the audit say, after everything has settled."""
        await self.settled()
        evidence = Evidence(
            events=events,
            records=await self.records(),
            messages=[*own_messages((await self.slack.state())["messages"])],
            incidents=await self.incidents(),
            left=await self._left(),
            uneditable=self.uneditable,
        )
        report = check(evidence, clock_slack_ms=clock_slack_ms, late_ms=late_ms)
        report.findings += await self._audited()
        if evidence.emptied_at_ms is not None:
            report.findings += [it for replica in self.replicas for it in await self._said_of_the_loss(replica)]
        report.findings += [
            Finding("crashed", replica.name, line) for replica in self.replicas for line in _crashes(replica)
        ]
        print(report)
        return report

    async def _left(self) -> dict[str, int]:
        async with self.redis.reached() as client:
            return await left_in(client)

    async def _audited(self) -> list[Finding]:
        """What `versus audit` finds, without a grace: nothing is left to be done."""
        async with self.redis.reached() as client:
            inspection = Inspection(client)
            audit = Audit(inspection, inspection.now_ms, retention_ms=RETENTION_MS, grace_ms=0)
            found = await audit.run([StoredJournal(client)])
        print(f"audited: {found.lines} lines, {found.incidents} incidents, {dict(found.standings)}")
        return [
            Finding(f"audit: {it.what}", it.incident or "", f"line {it.line}: {it.detail}") for it in found.findings
        ]

    async def _said_of_the_loss(self, replica: Replica) -> list[Finding]:
        """By the log, to whoever asks whether it is ready, and by a metric."""
        async with self.session.get(f"{replica.url}/readyz") as response:
            is_ready_with = (await response.json())["redis"]
        async with self.session.get(f"{replica.url}/metrics") as response:
            is_measured = "versus_store_emptied 1.0" in await response.text()
        said = {
            "the log": replica.has_said("store.emptied"),
            "/readyz": is_ready_with == "emptied",
            "/metrics": is_measured,
        }
        return [Finding("says nothing of its loss", replica.name, it) for it, is_said in said.items() if not is_said]

    async def has_messages(self) -> bool:
        """Whether Slack has any."""
        return bool((await self.slack.state())["messages"])

    async def incidents(self) -> list[dict[str, Any]]:
        """All that the API lists, by the first replica that answers; nothing while none does."""
        answering = [it for it in self.replicas if await self.answers(it)]
        if not answering:
            return []
        [replica, *_] = answering
        found: list[dict[str, Any]] = []
        query = {"limit": "200"}
        while True:
            async with self.session.get(f"{replica.url}/api/incidents", params=query) as response:
                page = await response.json()
            found += page["incidents"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]


def _crashes(replica: Replica) -> list[str]:
    """What its log says of errors that nobody expected."""
    lines = replica.program.log.read_text(errors="replace").splitlines()
    return [f"{line[:200]} … {line[-800:]}" for line in lines if "crashed" in line or line.startswith("Traceback")]


@asynccontextmanager
async def open_world(
    folder: Path, make_redis: Callable[[Path, AsyncExitStack], RedisT]
) -> AsyncIterator[World[RedisT]]:
    """A world without replicas yet; all of it ends with the block."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        server = make_redis(folder, stack)
        await server.start()
        front = await stack.enter_async_context(run_proxy())
        interactions = f"http://127.0.0.1:{front.port}/api/slack/interactions"
        signed = ("--signing-secret", SIGNING_SECRET, "--interactions-url", interactions)
        slack = await _simulator("slack", folder, stack, session, *signed)
        servicenow = await _simulator("servicenow", folder, stack, session, "--password", PASSWORD)
        yield World(folder, stack, session, server, slack, servicenow, front)


async def _simulator(
    system: str, folder: Path, stack: AsyncExitStack, session: aiohttp.ClientSession, *options: str, name: str = ""
) -> Simulator:
    port = free_port()
    log = folder / f"{name or system}.log"
    program = Program(versus_launcher(["simulate", system, "--port", str(port), *options]), log)
    stack.push_async_callback(program.end)
    program.start()
    proxy = await stack.enter_async_context(run_proxy(("127.0.0.1", port)))
    simulator = Simulator(f"http://127.0.0.1:{port}", program, proxy, session)

    async def answers() -> bool:
        assert program.is_running, program.log.read_text()
        with suppress(aiohttp.ClientError):
            await simulator.state()
            return True
        return False

    await until(answers, timeout_s=START_TIMEOUT_S, what=f"the simulated {system} answering")
    return simulator
