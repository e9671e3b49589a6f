"""The pictures of the README and the docs: `python -m tests.pictures`.

They are of messages as the simulated Slack shows them, of a ticket, and of the web UI. With paths of payloads (JSON, or
YAML as in tests/data/payloads), a picture of the message of each of their requests instead.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.browsers import run_browser
from tests.support.payloads import sample
from tests.support.png import shrunk
from versus_py import sources
from versus_py.config import SlackConfig
from versus_py.errors import VersusError
from versus_py.incidents.copies import replace
from versus_py.incidents.grouping import Grouping
from versus_py.incidents.model import Incident, IncidentId
from versus_py.incidents.policies import made
from versus_py.incidents.transitions import trigger
from versus_py.simulators import SlackSimulator, run_app
from versus_py.simulators.slack import read_content
from versus_py.store import Member, Storm
from versus_py.systems import called
from versus_py.targets.slack.default_body import default_body
from versus_py.targets.slack.message import Message, build
from versus_py.targets.slack.storm import build_digest

NOW_MS = 1_795_749_600_000
"""27 November 2026, 03:20 UTC: pictures are the same whenever they are made."""

SEEN_AFTER_MS = 4 * 60_000
"""How long after the first alert a picture is taken."""

PHONE_PX = 412
CHANNEL = "C0ALERTS"
CONFIG = SlackConfig(token="xoxb-x", channel_id=CHANNEL, signing_secret="s", mention={})
POLICY = made(channels=("slack",), oncall="servicenow", wait_ms=5 * 60_000)

# Headless machines mostly have no font with emoji: what the messages use is drawn.
DRAW_EMOJI = """
const drawn = {"🔴": ["●", "#d92d20"], "🟠": ["●", "#f79009"], "🟢": ["●", "#12b76a"], "🌊": ["≋", "#1570ef"],
  "💬": ["❝", "#667085"]};
const style = document.createElement("style");
style.textContent = ".small, .meta, .inline { display: none } main { padding: 0 .4rem }";
document.head.append(style);
const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), found = [];
while (walker.nextNode()) found.push(walker.currentNode);
for (const node of found) for (const [emoji, [sign, colour]] of Object.entries(drawn)) {
  if (!node.textContent.includes(emoji)) continue;
  const span = document.createElement("span");
  span.style.color = colour; span.textContent = sign;
  node.textContent = node.textContent.replace(emoji, ""); node.before(span);
}
"""


UI_NAMES = ("ui-now", "ui-incident")
"""Those of the web UI."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A message, and the name of its file."""

    name: str
    message: Message
    now_ms: int


def of_payload(name: str, payload: Mapping[str, Any]) -> Iterator[Picture]:
    """The message of each incident that the payload begins; none for what is over."""
    arranged = Grouping().arrange(sources.parse(payload))
    for number, notification in enumerate(it for it in arranged if it.is_firing):
        starts = [it.starts_at_ms for it in notification.alerts if it.starts_at_ms is not None]
        now_ms = max(starts, default=NOW_MS) + SEEN_AFTER_MS
        change = trigger(notification, POLICY, dedup_key=notification.dedup_key or name, now_ms=now_ms)
        yield Picture(f"{name}-{number}" if number else name, message_of(change.incident), now_ms)


def message_of(incident: Incident) -> Message:
    return build(incident, default_body(incident), CONFIG, called=called(), ack_url="https://versus.example.com/ack")


def storm() -> Message:
    """The message of a storm."""
    alerts = (("HostDown", "critical", 31), ("KubePodNotReady", "warning", 9), ("DiskFull", "error", 5))
    everything = [(name, severity) for name, severity, count in alerts for _ in range(count)]
    standings = ["acknowledged by Ana Diaz"] * 6 + ["resolved"] * 4 + ["triggered"] * 35
    members = {
        IncidentId(str(number)): Member(severity, name, standing)
        for number, ((name, severity), standing) in enumerate(zip(everything, standings, strict=True))
    }
    found = Storm(CHANNEL, "0" * 16, NOW_MS - 240_000, NOW_MS, None, True, "1.1", 1, 0, 0, "", "", False, "", 0)
    return build_digest(replace(found, members=members), CONFIG, list_url="https://versus.example.com/storm")


def alertmanager_group() -> dict[str, Any]:
    """A group whose alerts differ by pod and node."""
    shared = {"alertname": "KubePodCrashLooping", "severity": "critical", "cluster": "eu-1", "namespace": "shop"}
    alerts = [
        {
            "status": "firing",
            "labels": shared | {"pod": f"checkout-7d9f-{pod}", "node": f"node-{number % 3 + 1}"},
            "annotations": {
                "summary": f"checkout-7d9f-{pod} restarts every 40 s",
                "description": "Customers cannot pay while no pod of checkout is ready.",
                "runbook_url": "https://wiki.example.com/runbooks/checkout",
                "dashboard_url": "https://grafana.example.com/d/checkout",
            },
            "startsAt": f"2026-11-27T03:{10 + number:02}:00Z",
            "generatorURL": "https://prometheus.example.com/graph?g0.expr=x",
            "fingerprint": f"{number:016x}",
        }
        for number, pod in enumerate(("x2vqk", "mm4tz", "8rw5c", "kk9pl", "c7d2f", "zz81n", "p0o3q", "t6h4w"))
    ]
    group = {"alertname": "KubePodCrashLooping", "cluster": "eu-1"}
    return {
        "version": "4",
        "status": "firing",
        "receiver": "versus",
        "groupKey": "{}:{}",
        "groupLabels": group,
        "externalURL": "https://alertmanager.example.com",
        "alerts": alerts,
    }


def nested() -> dict[str, Any]:
    """What a tool sends that versus_py does not know by name."""
    return {
        "event": {
            "id": "f2e0-77",
            "title": "Payment latency above 2 s",
            "severity": "high",
            "state": "open",
            "host": "pay-3",
            "url": "https://monitor.example.com/events/f2e0-77",
        },
        "check": {"name": "payment latency", "value": "2.7 s", "threshold": "2 s"},
    }


def of_the_docs() -> Iterator[Picture]:
    yield from of_payload("alertmanager-group", alertmanager_group())
    yield from of_payload("grafana-values", sample("grafana_documented"))
    yield from of_payload("cloudwatch", sample("cloudwatch_alarm"))
    yield from of_payload("sentry", sample("sentry_event_alert"))
    yield from of_payload("generic-nested", nested())
    yield Picture("storm", storm(), NOW_MS)


def of_files(paths: Sequence[Path]) -> Iterator[Picture]:
    for path in paths:
        text = path.read_text()
        if path.suffix == ".json":
            yield from of_payload(path.stem, json.loads(text))
            continue
        for request in yaml.safe_load(text)["requests"]:
            if isinstance(request.get("body"), dict):
                with suppress(VersusError):
                    yield from of_payload(f"{path.stem}-{request['name']}", request["body"])


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """A window as wide as a phone."""
    with run_browser("--hide-scrollbars") as driver:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": PHONE_PX, "height": 1400, "deviceScaleFactor": 1, "mobile": False},
        )
        yield driver


async def make(pictures: Sequence[Picture], out: Path, *, is_small: bool) -> None:
    """Write them; *is_small* ones have fewer colours, which takes seconds."""
    out.mkdir(parents=True, exist_ok=True)
    with browser() as driver:
        for it in pictures:
            slack = SlackSimulator(token="xoxb-x", now_s=partial(_seconds, it.now_ms))
            content = read_content(
                {"text": it.message.text, "attachments": list(it.message.attachments)}, text_max=4000
            )
            slack.add_message(CHANNEL, content)
            async with run_app(slack.app()) as url:
                picture = await asyncio.to_thread(_shoot, driver, url)
            (out / f"{it.name}.png").write_bytes(shrunk(picture) if is_small else picture)


def _seconds(now_ms: int) -> float:
    return now_ms / 1000


def _shoot(driver: webdriver.Chrome, url: str) -> bytes:
    driver.get(url)
    driver.execute_script(DRAW_EMOJI)
    return driver.find_element(By.CLASS_NAME, "message").screenshot_as_png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("payloads", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    pictures = of_files(arguments.payloads) if arguments.payloads else of_the_docs()
    asyncio.run(make([*pictures], arguments.out, is_small=not arguments.payloads))
    if not arguments.payloads:
        subprocess.run([sys.executable, "-m", "tests.ticket_pictures", "--out", arguments.out], check=True)
        of_the_ui(arguments.out)


def of_the_ui(out: Path) -> None:
    """Those of the web UI: they need an engine, which is a fixture of pytest."""
    file = Path(__file__).parent / "integration" / "web" / "ui_pictures.py"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(file)]
    subprocess.run(command, check=True, env=os.environ | {"PICTURES": str(out.absolute())})


if __name__ == "__main__":
    main()
