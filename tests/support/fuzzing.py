"""How much is tried, and from which seed: a little with every run of the tests, much with `make fuzz`."""

import os

SEED = int(os.environ.get("FUZZ_SEED", "1"))
INPUTS = int(os.environ.get("FUZZ_INPUTS", "4000"))
"""Bad inputs in all, about; each test takes a share of them."""

tried: dict[str, int] = {}
"""Inputs that were tried, by what they went to."""


def summary() -> str:
    """What was tried, and how to try the same again."""
    counts = ", ".join(f"{inputs} to {name}" for name, inputs in sorted(tried.items()))
    again = f"FUZZ_SEED={SEED} FUZZ_INPUTS={INPUTS}"
    return f"fuzz: seed {SEED}, {sum(tried.values())} bad inputs ({counts}); the same again: {again}"


def share(name: str, percent: int) -> range:
    """That part of the inputs, counted under *name*."""
    found = range(max(1, INPUTS * percent // 100))
    count(name, len(found))
    return found


def count(name: str, inputs: int = 1) -> None:
    tried[name] = tried.get(name, 0) + inputs
