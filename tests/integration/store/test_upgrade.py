"""The upgrade from the release before: what was open goes on, whatever the new version would call it.

`tests/data/layout-2.json` was made by the last commit of schema 2 (1797f8c), in a test with that commit's `engine`:

1. `payload(kind, "escalated")` was posted for each kind. 5 minutes later, all of them had records.
2. The same for the states "acknowledged", "resolved" and "open", and for each kind
   `POST /api/incidents/{id}/acknowledge?by=ana`, and `payload(kind, "resolved", is_over=True)`.
3. When everything was synced, the file was written: the type and value of each key in Redis but for the stream, the
   messages and records of the simulators, the ids, and the links of the messages that had one.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

import pytest

from tests.integration.conftest import Engine
from tests.integration.store.test_layouts import restored
from tests.support.payloads import DATA
from versus_py.incidents.model import IncidentId
from versus_py.store import keys
from versus_py.tools import samples

DUMP = (DATA / "layout-2.json").read_text()
START = datetime.fromtimestamp(1_777_890_000, UTC)
KINDS = ("group", "alert", "grafana", "id", "dedup_key", "monasca")
TOKEN = "upgraded-token-0123456789"
TOKENS = {"intake": {"tokens": [{"name": "upgraded", "token": TOKEN}]}}

pytestmark = pytest.mark.parametrize("settings", [{}, TOKENS], ids=["without tokens", "with a token since"])


def payload(kind: str, state: str, *, is_over: bool = False) -> dict[str, Any]:
    """What makes the incident of that kind, and what ends it."""
    name = f"{kind} that was {state}"
    match kind:
        case "group" | "alert":
            return samples.alertmanager(name, starts_at=START, is_resolved=is_over)
        case "grafana":
            return samples.grafana(name, starts_at=START, is_resolved=is_over)
        case "monasca":
            return samples.monasca(name, starts_at=START, is_resolved=is_over)
        case "dedup_key":
            return samples.generic(name, starts_at=START, is_resolved=is_over)
    return {"id": crc32(name.encode()), "title": name, "severity": "critical", "status": "ok" if is_over else "alarm"}


async def posted(engine: Engine, kind: str, state: str, *, is_over: bool = False) -> tuple[str, str]:
    """The incident's id, and what the payload did."""
    query = {"incident_per": "alert"} if kind == "alert" else {}
    body, headers = payload(kind, state, is_over=is_over), {"Authorization": f"Bearer {TOKEN}"}
    response = await engine.http.post("/api/incidents", json=body, params=query, headers=headers)
    [found] = (await response.json())["incidents"]
    return found["id"], found["outcome"]


@pytest.fixture
async def dump(engine: Engine) -> dict[str, Any]:
    """What the release before has left; new incidents have the name of the installation in their ids."""
    engine.lifecycle._installation = engine.config.installation_name
    assert engine.config.installation_name
    return await restored(engine, DUMP)


def messages(engine: Engine) -> list[str]:
    return [it.ts for it in engine.slack.messages]


def records(engine: Engine) -> dict[str, str]:
    """The states of all records by their incidents; a second one of an incident fails."""
    found = [(it["correlation_id"], it["state"]) for it in engine.servicenow.incidents]
    assert len(dict(found)) == len(found)
    return dict(found)


def of(dump: dict[str, Any], *states: str) -> list[str]:
    return [dump["ids"][f"{kind} {state}"] for state in states for kind in KINDS]


async def minutes_later(engine: Engine) -> None:
    """The waits are over."""
    await engine.settle()
    for _ in range(8):
        await engine.after(minutes=1)


async def test_what_repeats_is_known_and_told_and_escalated_once(engine, dump):
    before = messages(engine)

    did = {(kind, state): await posted(engine, kind, state) for kind in KINDS for state in STATES}
    await minutes_later(engine)

    assert did == {(kind, state): (dump["ids"][f"{kind} {state}"], STATES[state]) for kind, state in did}
    assert messages(engine) == before
    assert records(engine).keys() == {*of(dump, "escalated", "open", "resolved")}


STATES = {"open": "updated", "acknowledged": "updated", "escalated": "updated", "resolved": "reopened"}
"""Beside each, what the same again does: this one was resolved a few seconds ago."""


async def test_what_ends_is_known_and_its_record_is_closed(engine, dump):
    before = messages(engine)

    states = ("open", "acknowledged", "escalated")
    did = {(kind, state): await posted(engine, kind, state, is_over=True) for kind in KINDS for state in states}
    await minutes_later(engine)

    assert did == {(kind, state): (dump["ids"][f"{kind} {state}"], "resolved") for kind, state in did}
    assert messages(engine) == before
    assert all("*Resolved*" in it.text for it in engine.slack.messages)
    assert records(engine) == dict.fromkeys(of(dump, "escalated"), "6")


async def test_the_link_of_a_message_still_acknowledges(engine, dump):
    before = messages(engine)

    statuses = [(await engine.http.post(signed(url, engine.clock.now_ms()))).status for url in dump["links"].values()]
    await minutes_later(engine)

    assert dump["links"].keys() == {f"{kind} {state}" for kind in KINDS for state in ("open", "escalated")}
    assert statuses == [201] * len(statuses)
    assert messages(engine) == before
    assert records(engine) == dict.fromkeys(of(dump, "escalated"), "2")


def signed(url: str, now_ms: int) -> str:
    """The link, as the release before would have signed it today: it has an end, which is part of what is signed."""
    found = re.fullmatch(r"(/api/ack/(.+))\?exp=(\d+)&sig=(\w+)", urlsplit(url)._replace(scheme="", netloc="").geturl())
    assert found
    path, incident_id, expires_s, signature = found.groups()
    assert _signature(incident_id, expires_s) == signature
    later_s = str(now_ms // 1000 + 3600)
    return f"{path}?exp={later_s}&sig={_signature(incident_id, later_s)}"


def _signature(incident_id: str, expires_s: str) -> str:
    return hmac.new(b"signing-key", f"{incident_id}\n{expires_s}".encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("kind", [it for it in KINDS if it != "id"])
async def test_an_episode_that_goes_on_after_its_key_is_forgotten_has_its_old_id(engine, dump, kind):
    """`reopen_minutes` after the resolve, no key names the incident; its id says which episode it is."""
    incident_id = IncidentId(dump["ids"][f"{kind} resolved"])
    incident = await engine.store.get(incident_id)
    await engine.store._redis.delete(keys.dedup(incident.dedup_key))
    engine.clock.advance(minutes=6)
    before = messages(engine)

    did = await posted(engine, kind, "resolved")
    await engine.settle()

    assert did == (incident_id, "reopened")
    assert messages(engine) == before
