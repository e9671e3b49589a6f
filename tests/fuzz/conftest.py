"""What the fuzz tests share: a seed that is told, and a server to send things to."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

from tests.acceptance.conftest import answers
from tests.support import fuzzing
from tests.support.forking import running_versus
from tests.support.nasty import Nasty
from tests.support.servers import free_port
from tests.support.waiting import wait_until

SECRET = "the-gateway-secret"
SIGNING_SECRET = "the-signing-secret"

settings.register_profile("fuzz", max_examples=max(50, fuzzing.INPUTS // 100), deadline=None, database=None)
settings.load_profile("fuzz")


@pytest.fixture
def nasty(request: pytest.FixtureRequest) -> Nasty:
    return Nasty(f"{fuzzing.SEED} {request.node.name}")


class Server:
    """`versus serve` as a process, with its own Valkey and a simulated Slack."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log

    def complaints(self) -> list[str]:
        """Lines of its log that somebody should look at."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        stray = [line for line in self._log.read_text().splitlines() if line and not line.startswith("{")]
        return stray + [str(it)[:3000] for it in lines if it["level"] in {"error", "critical"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("fuzz")
    port, slack_port = free_port(), free_port()
    settings = {
        "host": "127.0.0.1",
        "port": port,
        "public_host": f"http://127.0.0.1:{port}",
        "gateway_secret": SECRET,
        "data_dir": str(folder / "data"),
        "log": {"format": "json"},
        "alert": {
            "slack": {
                "enable": True,
                "token": "xoxb-fuzz",
                "channel_id": "C0ALERTS",
                "signing_secret": SIGNING_SECRET,
                "api_url": f"http://127.0.0.1:{slack_port}/api",
            },
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    with ExitStack() as stack:
        simulate = ["simulate", "slack", "--port", str(slack_port)]
        stack.enter_context(running_versus(simulate, log=folder / "slack.log"))
        wait_until(lambda: answers(f"http://127.0.0.1:{slack_port}"), what="the simulated Slack")
        command = ["serve", "-c", str(folder / "config.yaml")]
        process = stack.enter_context(running_versus(command, log=folder / "serve.log"))
        found = Server(f"http://127.0.0.1:{port}", folder / "serve.log")
        wait_until(lambda: process.poll() is not None or answers(f"{found.url}/healthz"), what="the server")
        yield found
        assert process.poll() is None, "it is still there"
        assert found.complaints() == []
