"""Systems that an installed package brings: the whole life of an incident, with Slack and ServiceNow beside them."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.support.servers import free_port
from tests.support.toys import BoardServer, PagerServer, plug_in
from tests.support.waiting import DEADLINE_S, until
from versus_py.simulators import ServiceNowSimulator, SlackSimulator, run_app

ROOT = Path(__file__).parents[2]
PASSWORD = "servicenow-secret"
ALERT = {"title": "Disk full", "id": "d1", "severity": "critical"}


class Installed:
    """A machine with the package on it: commands, and the systems that the configuration leads to."""

    def __init__(self, folder, config):
        self.folder = folder
        self.config = config
        self.url = f"http://127.0.0.1:{config['port']}"
        self.path = folder / "config.yaml"

    @property
    def environment(self):
        path = os.pathsep.join([str(self.folder / "site"), str(ROOT)])
        return os.environ | {"PYTHONPATH": path, "VERSUS_URL": self.url, "COLUMNS": "200"}

    async def versus(self, *arguments, **changes):
        """Run a command to its end, by a configuration with these *changes*: its exit status and what it says."""
        self.path.write_text(yaml.safe_dump(self.config | changes))
        process = await self._start(*arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        async with asyncio.timeout(DEADLINE_S):
            output, _ = await process.communicate()
        return process.returncode, output.decode()

    @asynccontextmanager
    async def serving(self):
        self.path.write_text(yaml.safe_dump(self.config))
        with (self.folder / "serve.log").open("wb") as log:
            process = await self._start("serve", "--config", str(self.path), stdout=log, stderr=log)
            try:
                async with aiohttp.ClientSession() as session:
                    await until(lambda: self._answers(session))
                    yield session
            finally:
                process.terminate()
                async with asyncio.timeout(DEADLINE_S):
                    await process.wait()

    async def _answers(self, session):
        try:
            async with session.get(f"{self.url}/readyz") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def _start(self, *arguments, **pipes):
        command = (sys.executable, "-m", "versus_py", *arguments)
        return await asyncio.create_subprocess_exec(*command, env=self.environment, cwd=self.folder, **pipes)


@pytest.fixture
def slack():
    return SlackSimulator(token="xoxb-secret-token")


@pytest.fixture
def servicenow():
    return ServiceNowSimulator(password=PASSWORD)


@pytest.fixture
def board():
    return BoardServer()


@pytest.fixture
def pager():
    return PagerServer()


@pytest.fixture
async def installed(tmp_path, slack, servicenow, board, pager):
    site = tmp_path / "site"
    site.mkdir()
    plug_in(site)
    async with (
        run_app(slack.app()) as slack_url,
        run_app(servicenow.app()) as servicenow_url,
        run_app(board.app()) as board_url,
        run_app(pager.app()) as pager_url,
    ):
        yield Installed(
            tmp_path,
            {
                "host": "127.0.0.1",
                "port": free_port(),
                "data_dir": str(tmp_path / "data"),
                "alert": {
                    "slack": {
                        "enable": True,
                        "token": "xoxb-secret-token",
                        "channel_id": "C0ALERTS",
                        "api_url": f"{slack_url}/api",
                    },
                    "board": {"enable": True, "url": board_url, "pin": "board-secret"},
                },
                "routes": [{"matchers": ["severity=critical"], "board": {"name": "kitchen"}}],
                "oncall": {
                    "enable": True,
                    "wait_minutes": 10,
                    "provider": "pager",
                    "pager": {"url": pager_url},
                    "fallback": {"servicenow_other_instance": "infra", "after_minutes": 0},
                    "servicenow": {
                        "instance_url": servicenow_url,
                        "username": "versus.integration",
                        "password": PASSWORD,
                        "other_instance_urls": {"infra": servicenow_url},
                    },
                },
            },
        )


async def post(installed, session, alert, query=""):
    async with session.post(f"{installed.url}/api/incidents{query}", json=alert) as response:
        assert response.status == 201
        return await response.json()


async def test_an_incident_lives_its_whole_life_with_them(installed, slack, servicenow, board, pager):
    async with installed.serving() as session:
        answer = await post(installed, session, ALERT, "?pager_team=night&oncall_wait_minutes=0.02")
        [incident] = answer["incidents"]
        await until(lambda: pager.pages and len(board.texts("kitchen")) == 2)

        assert answer["warnings"] == []
        assert pager.pages[incident["id"]] == {"number": "PAGE1", "team": "night", "text": "Disk full", "state": "sent"}
        assert board.texts("kitchen") == ["Disk full: triggered", "Disk full: triggered escalated"]
        await until(lambda: "Escalated" in slack.messages[0].text)
        await until(lambda: any("Pager" in text and "PAGE1" in text for text in slack.messages[0].replies))

        _, shown = await installed.versus("incidents", "show", incident["id"])
        assert "Pager PAGE1" in shown
        assert "Board notice on kitchen" in shown
        _, acked = await installed.versus("incidents", "ack", incident["id"], "--by", "ana")
        assert "acknowledged by ana" in acked
        await until(lambda: pager.pages[incident["id"]]["state"] == "seen")
        await post(installed, session, ALERT | {"status": "resolved"})
        await until(lambda: pager.pages[incident["id"]]["state"] == "over")
        await until(lambda: board.texts("kitchen")[-1].startswith("Disk full: resolved"))

        async with session.get(f"{installed.url}/metrics") as response:
            metrics = await response.text()
    assert 'versus_syncs_total{result="done",target="pager"}' in metrics
    assert 'target="board"' in metrics
    assert servicenow.incidents == []
    assert "board-secret" not in (installed.folder / "serve.log").read_text()


@pytest.mark.long
async def test_the_fallback_steps_in_for_an_installed_provider(installed, servicenow, pager):
    pager.faults[:] = [400]
    async with installed.serving() as session:
        [incident] = (await post(installed, session, ALERT, "?oncall_wait_minutes=0"))["incidents"]

        await until(lambda: servicenow.incidents)

    assert [it["correlation_id"] for it in servicenow.incidents] == [incident["id"]]
    assert pager.pages == {}


@pytest.mark.long
async def test_what_a_sender_gets_wrong_about_them_is_told(installed, pager, board):
    async with installed.serving() as session:
        answer = await post(installed, session, ALERT, "?pager_team=dawn&board_nam=hall")

    assert answer["warnings"] == [
        "query parameter board_nam is not known and was ignored; did you mean board_name?",
        "query parameter pager_team=dawn was ignored; allowed: day, night",
    ]


@pytest.mark.long
async def test_the_commands_know_them(installed, board, pager):
    _, checked = await installed.versus("check-config", "--config", str(installed.path))
    _, shown = await installed.versus("doctor", "--config", str(installed.path))
    status, mistaken = await installed.versus(
        "check-config",
        "--config",
        str(installed.path),
        alert={"board": {"enable": True, "ulr": "http://board", "pin": 7}},
        oncall={"provider": "pagr"},
    )
    _, schema = await installed.versus("config-schema")

    assert "board-secret" not in checked
    assert all(name in shown for name in ("Board", "Pager", "Slack", "ServiceNow infra"))
    assert status != 0
    assert "alert.board.ulr: is not a known key; did you mean 'url'?" in mistaken
    assert "alert.board.url: is required when alert.board.enable is true" in mistaken
    assert "alert.board.pin: must be text: put it in quotes" in mistaken
    assert "oncall.provider: is 'pagr'; input should be 'servicenow' or 'pager'" in mistaken
    assert {"board", "slack"} <= json.loads(schema)["$defs"]["AlertConfig"]["properties"].keys()


@pytest.mark.long
async def test_a_recording_is_replayed_with_them(installed, tmp_path):
    recording = tmp_path / "alerts.jsonl"
    line = {"at": "2026-01-01T00:00:00Z", "query": "pager_team=night", "payload": ALERT}
    recording.write_text(json.dumps(line) + "\n")

    status, story = await installed.versus("replay", str(recording), "--config", str(installed.path))

    assert status == 0, story
    assert "Board kitchen" in story
    assert "Pager night record" in story


async def test_without_the_package_its_settings_are_unknown(installed):
    (installed.folder / "site" / "toys-1.0.dist-info" / "entry_points.txt").write_text("")

    status, said = await installed.versus("check-config", "--config", str(installed.path))

    assert status != 0
    assert "alert.board: is not a known key; known here are debug_body, slack" in said
