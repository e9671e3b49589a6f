"""Every command of README.md and docs/ is run, against simulators and a real server, and prints what its page shows."""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import CHANNEL, PASSWORD, TOKEN, World, request, run_world
from tests.docs.commands import NOT_HERE, PLACEHOLDER, PORTS, SERVERS, as_run, commands, consoles, not_here
from tests.docs.loaders import merged
from tests.support.blocks import ROOT, Command, blocks, commands_of, is_as_shown
from tests.support.servers import find_program, free_port, run_redis
from tests.support.shells import Shell, run_shell, serve_versus
from tests.support.waiting import wait_until

POLICIES = "docs/policies.md"
CONFIGURED = {POLICIES: POLICIES, "docs/api.md": POLICIES}
"""Pages whose commands go by a configuration that a page shows first."""

ALERT = {"title": "Disk full", "dedup_key": "example", "severity": "critical"}


AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""A snapshot is sent as it is asked for, and not five seconds later."""

pytestmark = pytest.mark.timeout(300)  # on a busy machine: a page starts up to three servers, one after the other


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    """The folder with `versus`, by a short name: paths of sockets are at most 107 characters."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="versus-"))
        stack.enter_context(serve_versus(Path(folder)))
        backup = Path(folder) / "backup"
        backup.write_text("#!/bin/sh\n")
        backup.chmod(0o755)
        (Path(folder) / ".curlrc").write_text("silent\nshow-error\n")  # as in a terminal, where there is no progress
        socket = stack.enter_context(
            run_redis(find_program("redis-server", "redis-server"), Path(folder) / "redis", *AT_ONCE)
        )
        client = Path(folder) / "redis-cli"
        client.write_text(
            f'#!/bin/sh\nshift 2  # -h redis\nexec {find_program("redis-cli", "redis-tools")} -s {socket} "$@"\n'
        )
        client.chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """One server and its simulators, for all pages that do not start their own."""
    with run_world(tmp_path_factory.mktemp("world")) as world:
        heartbeats = [{"name": "backup", "every": "25h"}]
        oncall = world.settings["oncall"] | {"wait_minutes": 3}
        server, _ = world.serve(journal={"keep": "redis"}, heartbeats=heartbeats, oncall=oncall)
        yield world, server


@pytest.mark.parametrize("page", consoles())
def test_the_commands_of_a_page_print_what_it_shows(page, shared, programs, tmp_path):
    world, server = shared
    todo = [it for block in consoles()[page] for it in commands_of(block) if not not_here(it)]
    typed = "\n".join(it.text for it in todo)
    if "curl " in typed:
        find_program("curl", "curl")
    own = bool(re.search(r"versus serve\b(?!.*--help)", typed))  # it starts its server, and what belongs to it
    urls = {"server": server, "shadow": server, "slack": world.slack.url, "servicenow": world.servicenow.url}
    ports = {it: int(urls[it].rpartition(":")[2]) if it in urls and not own else free_port() for it in PORTS.values()}
    incident = request(f"{server}/api/incidents?oncall_wait_minutes=60", ALERT)["incidents"][0]["id"]
    prepare(tmp_path, page, world, server)

    variables = environment(world, ports, programs)
    if own:
        shutil.rmtree(tmp_path / "data")
        variables |= {"VERSUS_CONFIG": "config/config.yaml", "PUBLIC_HOST": ""}
    with run_shell(tmp_path, programs, variables) as shell:
        for command in todo:
            play(command, as_run(command.text, ports, incident), shell)


def play(command: Command, text: str, shell: Shell) -> None:
    if PLACEHOLDER.match(text):
        return
    if SERVERS.search(text):
        printed = shell.start(text)
        ready(text, printed, shell)
        return
    done = shell.run(text)
    assert done.status == 0, f"{command.block}: {text}\n{done.printed}"
    if command.shown.strip():
        assert is_as_shown(command.shown, done.printed), f"{command.block}: {text}\n{done.printed}"


def ready(text: str, printed: Path, shell: Shell) -> None:
    """Wait for the server that was started."""
    if "versus demo" in text:
        wait_until(lambda: "Everything ended" in printed.read_text(), timeout_s=120, what=text)
        return
    found = re.search(r"--port (\d+)", text)
    asked = f"curl --fail http://127.0.0.1:{found[1] if found else '$PORT'}/{'readyz' if 'serve' in text else ''}"
    wait_until(lambda: shell.run(asked).status == 0, timeout_s=120, what=text)


def prepare(folder: Path, page: str, world: World, server: str) -> None:
    """The files that commands name."""
    shutil.copytree(ROOT / "config", folder / "config")
    shutil.copy(ROOT / ".env.example", folder)
    config = yaml.safe_load((world.folder / f"config-{server.rpartition(':')[2]}.yaml").read_text())
    if page in CONFIGURED:
        config = merged(config, configuration_of(CONFIGURED[page]))
    for name in ("config.yaml", "changed.yaml"):
        (folder / name).write_text(yaml.safe_dump(config))
    files = folder / "data" / "appendonlydir"
    shutil.copytree(world.folder / "data" / "appendonlydir", files)
    with (files / "appendonly.aof.1.incr.aof").open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n")  # cut off
    (folder / "payload.json").write_text(shown_in(page, "cat payload.json") or "{}")
    (folder / "body.json").write_text(json.dumps(ALERT))
    (folder / "slack.tmpl").write_text("*{{ .title }}* {{ if .severity }}{{ .severity | upper }}{{ end }}")
    recordings = [it.text for it in blocks() if it.kind == "jsonl"]
    (folder / "recording.jsonl").write_text(recordings[0])
    (folder / "promises.txt").write_text(
        'severity="critical" reaches servicenow within 30m\nseverity="info" reaches slack within 1h\n'
    )


def configuration_of(page: str) -> Any:
    return yaml.safe_load(next(it.text for it in blocks() if it.page == page and it.kind == "yaml"))


def shown_in(page: str, text: str) -> str:
    """What the page shows as the output of a command."""
    return next((it.shown for it in commands() if it.block.page == page and it.text == text), "")


def environment(world: World, ports: Mapping[str, int], programs: Path) -> dict[str, str]:
    """What config/config.yaml refers to, and what the commands look at."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # as when its environment is active
        "COLUMNS": "200",
        "NO_COLOR": "1",
        "CURL_HOME": str(programs),
        "PORT": str(ports["server"]),
        "PUBLIC_HOST": f"http://127.0.0.1:{ports['server']}",
        "VERSUS_CONFIG": "config.yaml",
        "VERSUS_URL": f"http://127.0.0.1:{ports['server']}",
        "SLACK_API_URL": f"{world.slack.url}/api",
        "SLACK_TOKEN": TOKEN,
        "SLACK_CHANNEL_ID": CHANNEL,
        "SERVICENOW_INSTANCE_URL": world.servicenow.url,
        "SERVICENOW_USERNAME": "versus.integration",
        "SERVICENOW_PASSWORD": PASSWORD,
        "SERVICENOW_EVENTS_TOKEN": "events-token-0123456789",
        "TOKEN": "token-0123456789",
    }


@pytest.mark.parametrize("command", commands(), ids=lambda it: f"{it.block}-{it.text.split()[0]}")
def test_a_command_that_cannot_be_run_here_is_right_as_far_as_can_be_told(command):
    if elsewhere := not_here(command):
        elsewhere.check(command)


@pytest.mark.parametrize("elsewhere", NOT_HERE, ids=lambda it: it.pattern)
def test_a_kind_of_command_that_cannot_be_run_here_is_still_in_use(elsewhere):
    assert [it for it in commands() if not_here(it) is elsewhere]
