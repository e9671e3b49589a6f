"""Names that are looked up: each once, and none waits for another."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from tests.support.clock import FakeClock
from tests.support.waiting import DEADLINE_S
from versus_py.errors import RateLimited, Transient, Unreachable
from versus_py.targets.servicenow.fields import References, Rendered, unresolved
from versus_py.targets.servicenow.table_api import Row, TableApi

COLUMNS = {
    "caller_id": "sys_user.email",
    "assigned_to": "sys_user.email",
    "assignment_group": "sys_user_group.name",
    "cmdb_ci": "cmdb_ci.name",
}


class Api:
    """Answers when so many have asked at the same time; what a table is said to fail with, it fails with."""

    def __init__(self, *, together: int = 1, **failures: Transient) -> None:
        self.asked: list[str] = []
        self._failures = failures
        self._together = asyncio.Barrier(together)

    async def search(self, table: str, query: str, fields: Sequence[str], *, limit: int) -> list[Row]:
        self.asked.append(query)
        if table in self._failures:
            raise self._failures[table]
        async with asyncio.timeout(DEADLINE_S):
            await self._together.wait()
        name = query.partition("=")[2].partition("^")[0]
        return [{"sys_id": f"id of {name}", fields[1]: name}]


def references(api: Api, clock: FakeClock | None = None) -> References:
    return References(cast("TableApi", api), COLUMNS, clock or FakeClock())


async def test_names_of_many_incidents_are_looked_up_at_the_same_time():
    shared = references(Api(together=12))

    found = await asyncio.gather(*(shared.find("cmdb_ci.name", f"ci-{number}") for number in range(12)))

    assert [sys_id for sys_id, _ in found] == [f"id of ci-{number}" for number in range(12)]


async def test_the_names_of_one_record_are_looked_up_at_the_same_time():
    api = Api(together=4)
    fields = {column: f"x {column}" for column in COLUMNS}

    rendered = await references(api).resolve(Rendered({**fields, "short_description": "y"}))

    assert rendered.fields == {**{column: f"id of x {column}" for column in COLUMNS}, "short_description": "y"}
    assert rendered.warnings == ()


async def test_many_that_need_one_name_cost_one_request():
    api = Api()
    shared = references(api)

    await asyncio.gather(*(shared.find("cmdb_ci.name", "db-7") for _ in range(20)))

    assert len(api.asked) == 1


async def test_a_table_that_cannot_be_asked_is_left_alone_and_the_others_are_not():
    clock = FakeClock()
    api = Api(cmdb_ci=Unreachable("did not answer within 15 s"))
    shared = references(api, clock)

    for _ in range(3):
        with pytest.raises(Unreachable):
            await shared.find("cmdb_ci.name", "db-7")

    assert len(api.asked) == 1
    assert (await shared.find("sys_user.email", "ana@example.com"))[0] == "id of ana@example.com"
    clock.advance(seconds=30)
    with pytest.raises(Unreachable):
        await shared.find("cmdb_ci.name", "db-7")
    assert len(api.asked) == 3


def test_a_look_up_that_is_not_answered_is_no_outage_of_the_instance():
    error = unresolved(Unreachable("did not answer within 15 s"))
    assert not isinstance(error, Unreachable)
    assert "names cannot be looked up: did not answer" in str(error)

    limited = RateLimited("429", retry_after_s=60)
    assert unresolved(limited) is limited
