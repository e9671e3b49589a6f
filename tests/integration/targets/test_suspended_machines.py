"""A machine that is suspended in the middle of a sync: what its claim allowed before is another replica's by now."""

from datetime import UTC, datetime

import pytest

from tests.integration.conftest import Engine
from versus_py.targets.servicenow.connection import Connection
from versus_py.targets.slack.wire import Wire
from versus_py.tools.samples import alertmanager


async def accepted(engine: Engine, **overrides: str) -> None:
    payload = alertmanager("DiskFull", starts_at=datetime(2026, 5, 4, tzinfo=UTC), is_resolved=False)
    await engine.post(payload, **overrides)


def suspended_after(owner, name: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is, once, when *owner* has done that."""
    do = getattr(owner, name)

    async def suspended(*args, **kwargs):
        done = await do(*args, **kwargs)
        monkeypatch.setattr(owner, name, do)
        engine.clock.advance(seconds=143)
        return done

    monkeypatch.setattr(owner, name, suspended)


async def test_a_message_is_not_posted_when_its_turn_came_before_a_suspension(engine, monkeypatch):
    suspended_after(Wire, "take_among", engine, monkeypatch)
    await accepted(engine)

    await engine.worker.run_due()

    assert engine.slack.messages == []
    await engine.after(minutes=2)
    assert len(engine.slack.messages) == 1


@pytest.mark.parametrize("settings", [{"alert": {"slack": {"enable": False}}}])
async def test_no_record_is_created_when_it_was_searched_for_before_a_suspension(engine, monkeypatch):
    suspended_after(Connection, "send", engine, monkeypatch)
    await accepted(engine, oncall_wait_minutes="0")

    await engine.worker.run_due()

    assert engine.servicenow.incidents == []
    await engine.after(minutes=2)
    assert len(engine.servicenow.incidents) == 1
