"""The commands that act on incidents say what they changed, and fail where they changed nothing."""

import asyncio

import pytest
import typer

from tests.integration.conftest import Engine
from versus_py.cli.incidents import incidents_app


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
