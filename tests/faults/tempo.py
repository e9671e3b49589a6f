"""The times that versus_py keeps, shortened: a lease of a minute makes every kill a minute's wait for the test.

The proportions stay: what a sync has sent last settles within the rest of its lease. A constant is found by
its name in whatever modules hold it, and one that is nowhere any more is an error.
"""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from versus_py import systems
from versus_py.engine.retries import RetryPolicy
from versus_py.incidents.copies import replace
from versus_py.store import Rate

LEASE_S = 12.0
"""How long a claim is nobody else's, in the quick tempo."""

SETTLES_S = 6.0
"""How long what got no answer may take to have its effect; a reply that a fault delays comes sooner."""

LATE_S = 3.0
"""What comes so long after its start may have been there before."""

QUICK: Mapping[str, Any] = {
    "SYNC_MAX_S": 5.0,
    "LEASE_MARGIN_S": LEASE_S - 5.0 - SETTLES_S,
    "SYNC_MIN_S": 1.0,
    "RetryPolicy": partial(RetryPolicy, longest_s=4.0),
    "OPEN_FIRST_MS": 1000,
    "OPEN_MAX_MS": 4000,
    "SPREAD_MS": 500,
    "UNTRIED_FIRST_MS": 1000,
    "PROBE_MS": round(LEASE_S * 1000),
    "UNANSWERED_SETTLES_S": SETTLES_S,
    "LATE_POST_S": SETTLES_S,
    "LATE_EDIT_S": SETTLES_S,
    "LATE_EDIT_MS": round(SETTLES_S * 1000),
    "CLOCK_EVERY_S": 2.0,
    "CLOCK_IN_DOUBT_EVERY_S": 1.0,
    "STEADY_MS": 10_000,
    "PROBE_EVERY_MS": 4000,
    "PROVEN_MS": 4000,
    "FIRST_S": 1.0,
    "UPTIME_MIN_MS": 2000,
    "EDITS": Rate(interval_ms=20, burst=100),
    "SEARCHES": Rate(interval_ms=20, burst=100),
    "LATE_MS": round(LATE_S * 1000),
    "ROUND_MIN_MS": 4000,
    "LOOK_FOR_TURN_S": 1.0,
}

QUICK_SLACK: Mapping[str, Any] = {"TIER_2": 60_000, "TIER_3": 60_000, "TIER_4": 60_000}
"""The simulated Slack's allowances, a minute. That of posts in a channel stays as in the original."""


def shorten(values: Mapping[str, Any]) -> None:
    """Set each constant wherever versus_py holds it."""
    modules = [module for name, module in sys.modules.items() if name.startswith("versus_py")]
    for name, value in values.items():
        holders = [module for module in modules if hasattr(module, name)]
        if not holders:
            raise LookupError(f"versus_py has no constant {name} any more: tests/faults/tempo.py wants to shorten it")
        for module in holders:
            setattr(module, name, value)


def settle_soon() -> None:
    """What the systems that are built in declare, shortened likewise."""
    abilities = {it.name: replace(it.abilities, settles_within_s=SETTLES_S) for it in systems.BUILT_IN}
    systems.BUILT_IN = tuple(replace(it, abilities=abilities[it.name]) for it in systems.BUILT_IN)  # type: ignore[assignment]
    systems.registered.cache_clear()
