"""The whole service as processes: the real command, real Redis, Prometheus and Alertmanager, and the simulators."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from selenium import webdriver

from tests.support.browsers import run_browser
from tests.support.forking import VERSUS as VERSUS_MAIN
from tests.support.forking import ForkedProcess, running_versus
from tests.support.servers import Process, find_program, free_port, run_program, run_redis
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
VERSUS = [sys.executable, "-m", "versus_py"]
PASSWORD = "servicenow-secret"
TOKEN = "xoxb-acceptance-secret"
CHANNEL = "C0ALERTS"


def request(url: str, data: Any = None, *, method: str | None = None, headers: dict[str, str] | None = None) -> Any:
    """The answer to a request, as JSON; with *data*, it is posted."""
    body = None if data is None else json.dumps(data).encode()
    prepared = urllib.request.Request(url, body, headers or {}, method=method)
    with urllib.request.urlopen(prepared, timeout=10) as response:
        text = response.read()
        return json.loads(text) if text else None


def answers(url: str) -> bool:
    """Whether *url* answers well; a server that starts says 503 for a while (Prometheus while it reads its storage)."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


@dataclass
class Simulator:
    """One simulated system, in a process of its own."""

    url: str

    def state(self) -> Any:
        return request(f"{self.url}/control/state")

    def fault(self, **fault: Any) -> None:
        request(f"{self.url}/control/faults", fault)

    def press(self, message: dict[str, Any], action: str, user: str = "U0ANA", option: str | None = None) -> Any:
        """A person presses a button; how the app took it."""
        where = {"channel": message["channel"], "ts": message["ts"], "action_id": action, "user": user}
        return request(f"{self.url}/control/press", where | ({"option": option} if option else {}))

    def repair(self) -> None:
        request(f"{self.url}/control/faults", method="DELETE")

    @property
    def records(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.state()["tables"]["incident"]
        return found

    def shows(self, name: str, said: str) -> bool:
        """Whether there is a message about *name*, and its headline says so."""
        return any(said in it["text"] for it in self.messages(name))

    def messages(self, containing: str = "") -> list[dict[str, Any]]:
        return [it for it in self.state()["messages"] if containing in json.dumps(it, ensure_ascii=False)]


@dataclass
class World:
    """Processes that are started by a test, and ended with it."""

    folder: Path
    stack: ExitStack
    slack: Simulator
    servicenow: Simulator
    infra: Simulator
    settings: dict[str, Any]
    logs: list[Path] = field(default_factory=list)
    main: str = VERSUS_MAIN  # what a process of the command calls

    def write_config(self, **changes: Any) -> Path:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.settings | changes))
        return path

    def run(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        log = self.folder / f"{name}.log"
        self.logs.append(log)
        return self.stack.enter_context(run_program(command, log=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}))

    def versus(self, *arguments: str, name: str) -> ForkedProcess:
        log = self.folder / f"{name}.log"
        self.logs.append(log)
        return self.stack.enter_context(running_versus(arguments, log=log, main=self.main))

    def serve(self, **changes: Any) -> tuple[str, ForkedProcess]:
        """A server that answers, to people on this machine unless *changes* say else; its URL and its process."""
        port = changes.get("port") or free_port()
        path = self.write_config(**({"public_host": f"http://127.0.0.1:{port}"} | changes | {"port": port}))
        copy = path.rename(self.folder / f"config-{port}.yaml")
        process = self.versus("serve", "-c", str(copy), name=f"serve-{port}")
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or answers(f"{url}/healthz"), what=f"{url} to answer")
        assert process.poll() is None, (self.folder / f"serve-{port}.log").read_text()
        return url, process

    def alert(self, **slack: Any) -> dict[str, Any]:
        """The part of the configuration with that name, with more below `slack`."""
        part: dict[str, Any] = self.settings["alert"]
        return part | {"slack": part["slack"] | slack}

    def logged(self) -> str:
        return "\n".join(log.read_text(errors="replace") for log in self.logs if log.exists())


@contextmanager
def run_world(folder: Path) -> Iterator[World]:
    """A world with its simulators, in this folder."""
    with ExitStack() as stack:
        simulators = []
        for number, system in enumerate(("slack", "servicenow", "servicenow")):
            port = free_port()
            arguments = ["simulate", system, "--port", str(port), "--password", PASSWORD]
            stack.enter_context(running_versus(arguments, log=folder / f"{system}-{number}.log"))
            simulators.append(Simulator(f"http://127.0.0.1:{port}"))
        slack, servicenow, infra = simulators
        for simulator in simulators:
            wait_until(partial(answers, simulator.url), what=f"{simulator.url} to answer")
        settings = {
            "host": "127.0.0.1",
            "data_dir": str(folder / "data"),
            "log": {"format": "json", "level": "debug"},
            "alert": {
                "debug_body": True,
                "slack": {
                    "enable": True,
                    "token": TOKEN,
                    "channel_id": CHANNEL,
                    "template_path": str(ROOT / "config" / "slack_message.tmpl"),
                    "api_url": f"{slack.url}/api",
                },
            },
            "oncall": {
                "enable": True,
                "wait_minutes": 0.05,
                "servicenow": {
                    "instance_url": servicenow.url,
                    "username": "versus.integration",
                    "password": PASSWORD,
                    "other_instance_urls": {"infra": infra.url},
                },
            },
        }
        yield World(folder, stack, slack, servicenow, infra, settings)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with run_world(tmp_path) as found:
        yield found


@pytest.fixture
def redis_settings(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A Redis server of Debian's, as the `redis` part of a configuration."""
    binary = find_program("redis-server", "redis-server")
    with run_redis(binary, tmp_path / "redis", "--appendonly", "yes") as socket:
        yield {"redis": {"url": f"unix://{socket}"}}


def kill(process: Process) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


@dataclass(frozen=True)
class Alertmanager:
    """One of Debian's."""

    address: str
    external_url: str  # what it calls itself in what it sends
    config: Path
    process: subprocess.Popen[bytes]

    def post(self, *alerts: dict[str, Any]) -> None:
        """As Prometheus does."""
        self.ask("alerts", list(alerts))

    def ask(self, what: str, data: Any = None, *, method: str | None = None) -> Any:
        """The answer of its API."""
        return request(
            f"http://{self.address}/api/v2/{what}", data, method=method, headers={"Content-Type": "application/json"}
        )

    def reload(self, config: str) -> None:
        """Have it go on with another configuration."""
        self.config.write_text(config)
        request(f"http://{self.address}/-/reload", method="POST")


def start_alertmanager(
    world: World,
    config: str,
    *,
    name: str = "alertmanager",
    external_url: str = "",
    cluster: Sequence[str] = ("--cluster.listen-address=",),
) -> Alertmanager:
    """One with this configuration. *cluster* are its options about that: by default, there is none."""
    binary = find_program("prometheus-alertmanager", "prometheus-alertmanager")
    path = world.folder / f"{name}.yml"
    path.write_text(config)
    address, external_url = f"127.0.0.1:{free_port()}", external_url or f"http://{name}.example"
    command = [binary, f"--config.file={path}", f"--storage.path={world.folder / name}", *cluster]
    command += [f"--web.listen-address={address}", f"--web.external-url={external_url}"]
    process = world.run(command, name)
    wait_until(lambda: answers(f"http://{address}/-/ready"), what="Alertmanager")
    return Alertmanager(address, external_url, path, process)


def start_alertmanagers(world: World, config: str) -> list[Alertmanager]:
    """Two that are peers of one cluster."""
    ports = [free_port(), free_port()]
    peers = [f"--cluster.peer=127.0.0.1:{port}" for port in ports] + ["--cluster.peer-timeout=1s"]
    found = [
        start_alertmanager(
            world, config, name=f"peer-{port}", cluster=(f"--cluster.listen-address=127.0.0.1:{port}", *peers)
        )
        for port in ports
    ]
    wait_until(
        lambda: all(len(it.ask("status")["cluster"]["peers"]) == len(ports) for it in found),
        what="the peers to know each other",
    )
    return found


@pytest.fixture
def prometheus(world: World):
    """Starts Prometheus with the stack's files and another Alertmanager; the path of its rules."""

    def start(alertmanager: Alertmanager) -> tuple[Path, object]:
        binary = find_program("prometheus", "prometheus")
        stack = ROOT / "config" / "prometheus"
        text = (stack / "prometheus.yml").read_text()
        assert "alertmanager:9093" in text
        text = text.replace("alertmanager:9093", alertmanager.address)
        text = text.replace("evaluation_interval: 5s", "evaluation_interval: 1s")
        (world.folder / "prometheus.yml").write_text(text)
        rules = world.folder / "example.rules.yml"
        rules.write_text((stack / "example.rules.yml").read_text())
        # What it sends before it has found Alertmanager is lost, and by default sent again after a minute. An alert
        # is good for four times as long: a reload of the rules takes some seconds, and must not end it.
        command = [binary, f"--config.file={world.folder / 'prometheus.yml'}", "--rules.alert.resend-delay=3s"]
        port = free_port()
        command += [f"--storage.tsdb.path={world.folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
        process = world.run(command, "prometheus")
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), what="Prometheus")
        return rules, process

    return start


def start_nginx(world: World, server: str) -> str:
    """Debian's, which passes everything on to *server* with `proxy_pass` and nothing else; its URL."""
    binary = find_program("nginx", "nginx-light")
    folder = world.folder / "nginx"
    folder.mkdir()
    temporary = "".join(
        f"  {kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder / 'pid'};\nerror_log stderr;\nevents {{}}\n"
        f"http {{\n  access_log off;\n{temporary}"
        f"  server {{\n    listen 127.0.0.1:{port};\n    location / {{ proxy_pass {server}; }}\n  }}\n}}\n"
    )
    world.run([binary, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")], "nginx")
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{url}/healthz"), what="nginx")
    return url


@pytest.fixture
def browser_arguments() -> tuple[str, ...]:
    """Further arguments of the browser, to be overridden."""
    return ()


@pytest.fixture
def browser(browser_arguments) -> Iterator[webdriver.Chrome]:
    with run_browser("--window-size=1100,800", *browser_arguments) as driver:
        yield driver


@pytest.fixture
def other_browser(browser_arguments) -> Iterator[webdriver.Chrome]:
    """Of another person."""
    with run_browser("--window-size=1100,800", *browser_arguments) as driver:
        yield driver
