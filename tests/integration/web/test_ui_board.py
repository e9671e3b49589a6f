"""The rows of what is open: made once for a version of an incident, whoever looks."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from tests.integration.conftest import Engine
from tests.support.groups import alert, group
from versus_py.errors import StoreUnavailable, Unreadable
from versus_py.incidents.model import Actor, Incident, IncidentId
from versus_py.store import keys
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.now import ROWS_MAX

ANA = Actor("ana")


@pytest.fixture
def reads(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[IncidentId]:
    """The incidents that are read, in order."""
    found: list[IncidentId] = []
    get_each = engine.store.get_each

    async def noted(ids: Sequence[IncidentId]) -> list[Incident | Unreadable | None]:
        found.extend(ids)
        return await get_each(ids)

    monkeypatch.setattr(engine.store, "get_each", noted)
    return found


@pytest.fixture
def board(engine: Engine) -> Board:
    return Board(engine.store, engine.clock, str)


async def created(engine: Engine, name: str) -> IncidentId:
    found = await engine.post(group(alert(name)))
    return IncidentId(found["incidents"][0]["id"])


async def test_only_what_changed_is_read_again(engine, board, reads):
    first, second = await created(engine, "A"), await created(engine, "B")
    await board.rows()
    await board.rows()
    assert sorted(reads) == sorted([first, second])
    await engine.lifecycle.acknowledge(second, ANA)

    rows = await board.rows()

    assert reads[2:] == [second]
    assert {it.id: it.status for it in rows} == {first: "triggered", second: "acknowledged"}


async def test_those_who_ask_at_the_same_time_share_a_look(engine, board, reads, monkeypatch):
    await created(engine, "A")
    looks = 0
    look = board._look

    async def counted():
        nonlocal looks
        looks += 1
        await look()

    monkeypatch.setattr(board, "_look", counted)

    sights = await asyncio.gather(*(board.look() for _ in range(20)))

    assert looks == 2  # who comes during a look gets the next one
    assert {len(it.spots) for it in sights} == {1}


async def test_a_look_that_fails_is_nobody_elses(board, monkeypatch):
    looks = 0

    async def away():
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        raise StoreUnavailable("it is away")

    monkeypatch.setattr(board, "_look", away)

    found = await asyncio.gather(*(board.look() for _ in range(3)), return_exceptions=True)

    assert [type(it) for it in found] == [StoreUnavailable] * 3
    assert looks == 3


@pytest.mark.parametrize("ask", ["known_now", "rows"])
async def test_a_look_of_somebody_else_leaves_no_hole_in_a_page(engine, board, monkeypatch, ask):
    first, second = await created(engine, "A"), await created(engine, "B")
    await board.look()
    have_rows = board._have_rows
    others: list[asyncio.Task[object]] = []

    async def meanwhile(ids):
        await have_rows(ids)
        await engine.lifecycle.acknowledge(first, ANA)
        others.append(asyncio.create_task(board.look()))
        await asyncio.wait(others, timeout=0.2)

    monkeypatch.setattr(board, "_have_rows", meanwhile)

    found = await (board.rows() if ask == "rows" else board.known_now())

    rows = found if ask == "rows" else found.waiting.rows
    assert {it.id for it in rows} == {first, second}
    await asyncio.gather(*others)


async def test_of_many_only_what_a_page_shows_is_read(engine, board, reads):
    for number in range(80):
        await created(engine, f"A{number}")
    reads.clear()

    now = await board.now()

    assert now.waiting.total == 80
    assert [it.id for it in now.waiting.rows] == reads[: len(now.waiting.rows)]
    assert len(reads) <= ROWS_MAX + 1


async def test_what_an_older_version_wrote_has_its_place_too(engine, board, reads):
    first, second = await created(engine, "A"), await created(engine, "B")
    name = keys.incident(first)
    text = await engine.store._redis.hget(name, "incident")
    await engine.store._redis.hset(name, "incident", re.sub('"place":"[^"]+",', "", text))
    reads.clear()

    sight = await board.look()

    assert {it.id for it in sight.spots} == {first, second}
    assert reads == [first]


async def test_a_change_that_is_told_is_seen_without_a_look(engine, board):
    first, second = await created(engine, "A"), await created(engine, "B")
    await board.now()
    await engine.lifecycle.acknowledge(first, ANA)
    await engine.lifecycle.resolve(second, ANA)

    await board.read_again([first, second])

    assert {it.id: it.is_taken for it in board.sight.spots} == {first: True}


async def test_what_was_resolved_is_gone(engine, board):
    incident_id = await created(engine, "A")
    await board.look()
    await engine.lifecycle.resolve(incident_id, ANA)

    assert (await board.look()).spots == ()


async def test_what_cannot_be_read_is_counted_and_hides_nothing_else(engine, board):
    first, second = await created(engine, "A"), await created(engine, "B")
    await engine.store._redis.hset(keys.incident(first), "incident", "{}")

    sight = await board.look()

    assert ([it.id for it in sight.spots], sight.unread) == ([second], (first,))
