"""The commands that act on incidents say what they changed, and fail where they changed nothing."""

import asyncio
import re

import pytest
import typer

from tests.integration.conftest import Engine
from versus_py.cli.incidents import incidents_app
from versus_py.incidents.model import IncidentId


async def run(engine: Engine, *arguments: str) -> int:
    """Its exit status."""
    at = ("--url", str(engine.http.make_url("")).rstrip("/"), "--gateway-secret", await engine.store.gateway_secret())
    return await asyncio.to_thread(_run, [*arguments, *at, "--by", "ana"])


def _run(arguments: list[str]) -> int:
    try:
        return incidents_app(arguments, standalone_mode=False) or 0
    except typer.Exit as exc:
        return exc.exit_code


@pytest.fixture
async def incident(engine: Engine) -> str:
    [created] = (await engine.post({"title": "Disk full", "id": "d1"}))["incidents"]
    return str(created["id"])


async def test_an_acknowledgment_of_what_is_resolved_fails_and_says_how_it_stands(engine, incident, capsys):
    await run(engine, "resolve", incident)

    status = await run(engine, "ack", incident)

    assert status == 1
    assert f"nothing was changed: {incident} is resolved" in capsys.readouterr().err


async def test_an_acknowledgment_or_a_resolve_once_more_is_no_failure(engine, incident):
    statuses = [await run(engine, *twice, incident) for twice in (["ack"], ["ack"], ["resolve"], ["resolve"])]

    assert statuses == [0, 0, 0, 0]


async def test_a_resolve_confirms_the_comment_that_it_kept_and_fails_for_a_second_one(engine, incident, capsys):
    first = await run(engine, "resolve", incident, "--comment", "Rotated the logs")
    kept = capsys.readouterr().out
    second = await run(engine, "resolve", incident, "--comment", "Once more")

    assert (first, second) == (0, 1)
    assert kept.splitlines()[-1] == "comment: Rotated the logs"
    assert "nothing was changed" in capsys.readouterr().err


async def test_a_severity_is_set_once_and_said(engine, incident, capsys):
    statuses = [await run(engine, "severity", incident, "critical") for _ in range(2)]

    assert statuses == [0, 1]
    said = capsys.readouterr()
    assert said.out.strip().endswith("; severity critical")
    assert said.err.startswith(f"nothing was changed: {incident} is triggered")


async def test_a_route_is_done_once_and_said(engine, incident, capsys):
    statuses = [await run(engine, "route", incident, "--channel", "C0DATABASE") for _ in range(2)]

    assert statuses == [0, 1]
    assert capsys.readouterr().out.startswith(f"routed: {incident} is triggered")
    assert (await engine.detail(incident))["policy"]["destinations"] == {"slack": "C0DATABASE"}


@pytest.mark.parametrize(
    ("said", "minutes"),
    [
        (["15"], 15),
        (["1h"], 60),
        (["0.5"], 0.5),
        (["--for", "1h30m"], 90),
        (["--for", "45s"], 0.75),
        (["--for", "7"], 7),
    ],
)
async def test_a_snooze_takes_minutes_or_a_duration(engine, incident, said, minutes):
    assert await run(engine, "snooze", incident, *said) == 0

    found = await engine.store.get(IncidentId(incident))
    assert found.snooze.until_ms == engine.clock.now_ms() + minutes * 60_000


async def test_a_search_lists_what_matches_and_goes_on(engine, capsys):
    for name in "ABC":
        await engine.post({"title": f"Disk {name}", "severity": "critical"})
        engine.clock.advance(ms=1)
    at = ["--url", str(engine.http.make_url("")), "--gateway-secret", await engine.store.gateway_secret()]

    async def listed(*arguments: str) -> tuple[list[str], str]:
        await asyncio.to_thread(incidents_app, ["list", *at, *arguments], standalone_mode=False)
        said = capsys.readouterr()
        return re.findall(r"Disk \w", said.out), said.err

    first, more = await listed("--search", "disk", "--severity", "critical", "--limit", "2")
    [cursor] = re.findall(r"--cursor (\S+) goes on", more)

    assert first == ["Disk C", "Disk B"]
    assert await listed("--search", "disk", "--cursor", cursor) == (["Disk A"], "")
    assert (await listed("--outcome", "escalated", "--from", "2026-01-01", "--to", "2099-01-01"))[0] == []


async def test_without_a_secret_it_says_how_to_give_one(engine, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    status = await asyncio.to_thread(_run, ["list", "--url", str(engine.http.make_url(""))])

    assert status == 1
    said = capsys.readouterr().err
    assert "--gateway-secret, VERSUS_GATEWAY_SECRET, or the server's configuration in VERSUS_CONFIG" in said
    assert "cannot read config/config.yaml" in said


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["snooze", "ID"], "say for how long, as an argument or with --for: 45, 45m or 1h30m"),
        (["snooze", "ID", "15", "--for", "15m"], "say for how long, as an argument or with --for"),
        (["snooze", "ID", "--for", "soon"], "the duration is 'soon'; it must be a duration"),
        (["snooze", "ID", "inf"], "the duration is 'inf'; it must be a duration"),
        (["route", "ID"], "say where to: --policy, --channel, or both"),
    ],
)
def test_a_command_that_does_not_say_enough_says_what_it_takes(command, what):
    with pytest.raises(typer.BadParameter, match=re.escape(what)):
        incidents_app(command, standalone_mode=False)
