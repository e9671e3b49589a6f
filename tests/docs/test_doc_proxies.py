"""The reverse proxies that docs/reverse-proxy.md shows publish what they should, and nothing else."""

import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from tests.docs.loaders import nginx_command
from tests.support.blocks import blocks
from tests.support.servers import free_port, run_program
from tests.support.waiting import wait_until

PAGE = "docs/reverse-proxy.md"
LINKS = (
    "/api/ack/5ef77f-2",
    "/api/storms/C0ALERTS/5ef77f",
    "/static/app.css",
    "/api/slack/interactions",
    "/api/servicenow/events",
    "/api/servicenow/events/infra",
)
UI = ("/", "/incidents/5ef77f-2", "/stream", "/login", "/history.csv", "/health", "/you")
CLOSED = (
    "/api/incidents",
    "/api/incidents/",
    "/API/Incidents",
    "/api/incidents/5ef77f-2/acknowledge",
    "/api/heartbeats/backup",
    "/api/retry",
    "/api/login-links",
    "/api/openapi.json",
    "/metrics",
    "/healthz",
    "/readyz",
    "/sns",
    "/v2/enqueue",
    "/v2/alerts",
    "/jsm/ops/integration/v2/alerts",
)


class _Upstream(BaseHTTPRequestHandler):
    """Answers everything with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Upstream) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def nginx_blocks():
    found = [it for it in blocks() if it.page == PAGE and it.kind == "nginx"]
    assert len(found) == 2
    return found


@pytest.mark.parametrize(("number", "also_open"), [(0, ()), (1, UI)], ids=["links only", "with the web UI"])
def test_nginx_publishes_what_it_should_and_nothing_else(number, also_open, upstream, tmp_path):
    block, port = nginx_blocks()[number], free_port()
    command = nginx_command(block.text, tmp_path, {443: port, 3000: upstream})
    ask = partial_ask(port)

    with run_program(command, log=tmp_path / "log"):
        wait_until(lambda: ask("/static/app.css") == 200, what="nginx")
        answers = {path: ask(path) for path in (*LINKS, *UI, *CLOSED)}

    assert {path for path, status in answers.items() if status == 200} == {*LINKS, *also_open}
    assert {*answers.values()} == {200, 404}


def partial_ask(port: int) -> Callable[[str], int]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ask(path: str) -> int:
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", timeout=10, context=context) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code
        except OSError:
            return 0

    return ask


def test_the_routers_of_traefik_take_what_they_should_and_nothing_else():
    [shown] = [yaml.safe_load(it.text) for it in blocks() if it.page == PAGE and it.kind == "yaml"]
    links, ui = (rule(router["rule"]) for router in shown["http"]["routers"].values())

    assert {path for path in (*LINKS, *UI, *CLOSED) if links(path)} == {*LINKS}
    assert {path for path in (*LINKS, *UI, *CLOSED) if links(path) or ui(path)} == {*LINKS, *UI}


def rule(text: str) -> Callable[[str], bool]:
    """As Traefik reads a rule, of the matchers that the page uses."""
    matchers = {
        "Host": lambda value, path: value == "versus.example.com",
        "Path": lambda value, path: path == value,
        "PathPrefix": lambda value, path: path.startswith(value),
        "PathRegexp": lambda value, path: re.search(value, path) is not None,
    }
    parts = re.findall(r"(\w+)\(`([^`]*)`\)", text)
    logic = re.sub(r"\w+\(`[^`]*`\)", "{}", text).replace("&&", "and").replace("||", "or").replace("!", "not ")

    def matches(path: str) -> bool:
        found = [matchers[name](value, path) for name, value in parts]
        return bool(eval(logic.format(*found)))

    return matches
