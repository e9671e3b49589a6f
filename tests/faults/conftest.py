"""The world of a fault test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.world import OneRedis, World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World[OneRedis]]:
    async with open_world(tmp_path, OneRedis) as opened:
        yield opened
