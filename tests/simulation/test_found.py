"""What broke a promise once does so no more: every script in found/ is played again."""

from pathlib import Path

import pytest

from tests.simulation.play import play
from tests.simulation.scripts import FOUND, Recording


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.json")), ids=lambda path: path.stem)
def test_every_promise_is_kept(path: Path) -> None:
    it = Recording.read(path)

    world = play(it.seed, it.knobs, it.faults)

    assert world.violations == [], f"{it.broke}; its course: python -m tests.simulation --script {path} -v"
