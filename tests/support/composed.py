"""Runs the services of docker-compose.yml as processes of this machine, as an engine would run them as containers.

What docker-compose prints is taken as it is: commands, environments, mounted files, published ports. Each service has a
loopback address of its own, on which it listens on the ports of its container. Of what it is given,

- names of services become these addresses,
- paths in the container become paths below a folder, into which what is mounted is copied,
- ports that are published on this machine become free ones, from which connections are passed on.
"""

import os
import re
import select
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.forking import call_versus, running_versus
from tests.support.servers import find_program, free_port, run_program

ROOT = Path(__file__).parents[2]
OURS = "versus-py"
WRITABLE = {"redis": ("/data",), "prometheus": ("/prometheus",), "alertmanager": ("/alertmanager",), OURS: ("/data",)}
"""Image -> the folders that it declares as volumes, and writes to."""

PROGRAMS = {
    "redis-server": ("redis-server", ("--bind {address}", "--dir {root}/data")),
    "/bin/prometheus": ("prometheus", ("--web.listen-address={address}:9090", "--rules.alert.resend-delay=3s")),
    "/bin/alertmanager": (
        "prometheus-alertmanager",
        ("--web.listen-address={address}:9093", "--cluster.listen-address="),
    ),
}
"""Program in the image -> Debian's, and what has it listen on its address alone. What Prometheus sends before it has
found Alertmanager is lost, and sent again after a minute without that option."""

ENTRYPOINTS = {"alertmanager": ["/bin/alertmanager"]}


def composed(env_file: Path, *profiles: str) -> dict[str, Any]:
    """The services as docker-compose reads them with this .env file, and nothing of this process' environment."""
    command = [find_program("docker-compose", "docker-compose"), "-f", str(ROOT / "docker-compose.yml")]
    command += [it for profile in profiles for it in ("--profile", profile)]
    command += ["--env-file", str(env_file), "config"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.defpath})
    assert shown.returncode == 0, shown.stderr
    services: dict[str, Any] = yaml.safe_load(shown.stdout)["services"]
    return services


@dataclass
class Stack:
    """Services of one stack. Files that are mounted are copied at once, so that they can be changed before `start`."""

    services: Mapping[str, Any]
    folder: Path
    stack: ExitStack
    prefix: str = field(default_factory=lambda: "127.{}.{}".format(*divmod(free_port(), 256)))
    published: dict[int, int] = field(default_factory=dict)  # port in the compose file -> free one

    def __post_init__(self) -> None:
        self._addresses = {name: f"{self.prefix}.{number}" for number, name in enumerate(self.services, 1)}
        for name in self.services:
            for host_port, _ in self._ports(name):
                self.published[host_port] = free_port()
        for name in self.services:
            for source, target, _ in (it.split(":") for it in self.services[name].get("volumes", [])):
                if source.startswith("/"):
                    self._mount(name, Path(source), target)
            for target in (*WRITABLE.get(self._image(name), ()), "/tmp"):
                self.file(name, target).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, path: str) -> Path:
        """Where the service finds what is at *path* in its container."""
        return self.folder / name / path.removeprefix("/")

    def change(self, name: str, path: str, old: str, new: str) -> None:
        """In a file that is mounted, before the service starts."""
        file = self.file(name, path)
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))

    def url(self, host_port: int) -> str:
        """What a browser on this machine opens for a port that is published."""
        return f"http://localhost:{self.published[host_port]}"

    def start(self, name: str) -> None:
        """Start the service, and publish its ports."""
        image, environment = self._image(name), self._environment(name)
        log = self.folder / f"{name}.log"
        if image == OURS:
            self.stack.enter_context(running_versus(self._command(name), log=log, env=environment))
        else:
            self.stack.enter_context(run_program(self._command(name), log=log, env=environment))
        for host_port, port in self._ports(name):
            self.stack.enter_context(passed_on(self.published[host_port], self._addresses[name], port))

    def run(self, name: str) -> str:
        """Run a service of ours that ends by itself; what it prints."""
        done = call_versus(*self._command(name), env=self._environment(name))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def logs(self) -> str:
        return "\n".join(f"{it.name}:\n{it.read_text(errors='replace')}" for it in self.folder.glob("*.log"))

    def _image(self, name: str) -> str:
        return re.sub(r"^.*/|:.*$", "", self.services[name]["image"])

    def _ports(self, name: str) -> Iterator[tuple[int, int]]:
        for text in self.services[name].get("ports", []):
            address, host_port, port = text.removesuffix("/tcp").split(":")
            assert address == "127.0.0.1", f"{name} is published to the network"
            yield int(host_port), int(port)

    def _environment(self, name: str) -> dict[str, str]:
        own = {key: str(value) for key, value in self.services[name].get("environment", {}).items()}
        return {key: self._here(name, value) for key, value in own.items()} | {"PATH": os.defpath}

    def _command(self, name: str) -> list[str]:
        service, image = self.services[name], self._image(name)
        if image == OURS:
            arguments = service.get("command") or _instruction("CMD")
            assert _instruction("ENTRYPOINT") == ["versus"]
            return [self._here(name, it) for it in arguments]
        words = [*(service.get("entrypoint") or ENTRYPOINTS.get(image, [])), *service.get("command", [])]
        words = [self._here(name, it.replace("$$", "$")) for it in words]
        options = {"address": self._addresses[name], "root": self.folder / name}
        for program, (package, more) in PROGRAMS.items():
            path, added = find_program(package, package), [it.format(**options) for it in more]
            if words[0] == program:
                return [path, *words[1:], *added]
            words = [re.sub(rf"(?<=exec ){program}\b", " ".join((path, *added)), it) for it in words]
        return words

    def _mount(self, name: str, source: Path, target: str) -> None:
        copy = self.file(name, target)
        shutil.copytree(source, copy)
        for file in (it for it in copy.rglob("*") if it.is_file()):
            file.write_text(self._here(name, file.read_text()))

    def _here(self, name: str, text: str) -> str:
        """*text* that is given to a service, with the paths, the names and the ports that this machine has."""
        targets = [it.split(":")[1] for it in self.services[name].get("volumes", [])]
        paths = "|".join(map(re.escape, (*targets, *WRITABLE.get(self._image(name), ()), "/tmp")))
        text = re.sub(rf"(?<![\w./-])({paths})(?![\w-])", lambda it: str(self.file(name, it[1])), text)
        text = re.sub(r"\blocalhost:(\d+)", self._published_at, text)
        text = re.sub(r"\b0\.0\.0\.0\b", self._addresses[name], text)
        names = "|".join(sorted(self._addresses, key=len, reverse=True))
        text = re.sub(rf"(?<![\w.-])({names})(?=:\d)", lambda it: self._addresses[it[1]], text)
        return self._addresses.get(text, text)  # REDIS_HOST: a name alone

    def _published_at(self, found: re.Match[str]) -> str:
        port = int(found[1])
        return f"localhost:{self.published.get(port, port)}"


def _instruction(name: str) -> list[str]:
    """What an instruction of the Dockerfile says, in its last stage."""
    found: list[str] = yaml.safe_load(
        re.findall(rf"^{name} (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    )
    return found


class _PassingOn(socketserver.ThreadingTCPServer):
    """Passes connections on to another address, until it is closed."""

    allow_reuse_address = True

    def __init__(self, port: int, there: tuple[str, int]) -> None:
        self.there, self.is_closing = there, False
        super().__init__(("127.0.0.1", port), _Connection)


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _PassingOn)
        with suppress(OSError), socket.create_connection(server.there) as there:
            other = {self.request: there, there: self.request}
            while not server.is_closing:
                readable, _, _ = select.select([*other], [], [], 0.2)
                for it in readable:
                    data = it.recv(65536)
                    if not data:
                        return
                    other[it].sendall(data)


@contextmanager
def passed_on(port: int, address: str, target_port: int) -> Iterator[None]:
    """Connections to *port* of this machine go to the other, as with a published port."""
    with _PassingOn(port, (address, target_port)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.is_closing = True
            server.shutdown()
            thread.join(10)
