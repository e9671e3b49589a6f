"""What the documentation has people type: what is run, with which addresses, and what cannot be run here."""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import yaml

from tests.support.blocks import ROOT, Block, Command, blocks, commands_of


def parses(command: Command) -> None:
    """As bash reads it, without running it."""
    said = subprocess.run(["bash", "-n"], input=command.text, capture_output=True, text=True, check=False)
    assert said.returncode == 0, f"{command.block}: {said.stderr}"


def names_a_target(command: Command) -> None:
    """Of the Makefile."""
    [target] = re.findall(r"\bmake ([\w-]+)", command.text)
    assert f"\n{target}:" in (ROOT / "Makefile").read_text()


def names_services(command: Command) -> None:
    """`docker compose exec SERVICE` and the like, and `--profile NAME`, of docker-compose.yml."""
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    profiles = {name for it in composed.values() for name in it.get("profiles", [])}
    options = r"(?: -\w+| --[\w-]+(?:=\S+)?)*"
    assert {*re.findall(r"--profile (\w+)", command.text)} <= profiles
    for service in re.findall(rf" (?:exec|run|logs|restart|stop|start){options} ([\w-]+)", command.text):
        assert service in composed, f"{command.block}: docker-compose.yml has no service {service}"


@dataclass(frozen=True)
class NotHere:
    """Commands that this machine cannot run, and what is looked at instead."""

    pattern: str
    reason: str
    check: Callable[[Command], None] = parses


NOT_HERE = (
    NotHere(r"make ", "these are the tests; tests/acceptance/test_commands.py runs the demo", names_a_target),
    NotHere(r".*docker compose ", "needs a container engine", names_services),
    NotHere(r"docker (build|buildx|push) ", "needs a container engine"),
    NotHere(r"helm ", "tests/integration/test_kubernetes_pages.py renders them, `make kubernetes` installs"),
    NotHere(
        r"(kubectl|oc) ", "needs a cluster; what is run in pods, tests/integration/test_kubernetes_pages.py looks at"
    ),
    NotHere(r"python3 -m venv ", "installs from PyPI; the tests of the wheel do that"),
    NotHere(r"/opt/versus/bin/pip ", "installs from PyPI; the tests of the wheel do that"),
    NotHere(r"cat dist/", "what `make sbom` has built"),
    NotHere(r"(systemctl |cp deploy/systemd/)", "changes the machine; the tests of the unit look at its directives"),
    NotHere(r"monasca ", "needs an OpenStack with Monasca"),
)
"""The first whose pattern a command begins with counts."""

PLACEHOLDER = re.compile(r"export .*(…|dev12345\.|\.example\.com|C0123456789)|set -a; \. ")
"""Values that a reader replaces: those of the simulators stay in place of them."""

SERVERS = re.compile(r"versus (serve|worker|simulate|demo)\b(?!.*--help)")
"""What runs until it is ended, and is started in the background."""

PORTS: Mapping[int, str] = {3000: "server", 3001: "shadow", 8081: "slack", 8082: "servicenow"}
"""Those that pages name."""


def not_here(command: Command) -> NotHere | None:
    return next((it for it in NOT_HERE if re.match(it.pattern, command.text)), None)


def consoles() -> dict[str, list[Block]]:
    """The blocks of commands of each page."""
    found: dict[str, list[Block]] = {}
    for block in blocks():
        if block.kind == "console":
            found.setdefault(block.page, []).append(block)
    return found


def commands() -> list[Command]:
    return [command for found in consoles().values() for block in found for command in commands_of(block)]


def as_run(text: str, ports: Mapping[str, int], incident: str) -> str:
    """The command with the addresses of this machine."""
    text = re.sub(r"(\bvenv|/opt/versus)/bin/versus\b", "versus", text).replace("/etc/versus", "etc/versus")
    for port, name in PORTS.items():
        text = re.sub(rf"\b(versus|localhost|127\.0\.0\.1):{port}\b", f"127.0.0.1:{ports[name]}", text)
        text = re.sub(rf"--port {port}\b", f"--port {ports[name]}", text)
    return re.sub(r"\bID\b", incident, text)
