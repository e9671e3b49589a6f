"""The escalation policies of a load, of three kinds; the name of an alert says which one it has."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

LEADS = {f"leads{number}": f"C0LEADS{number:02}" for number in range(6)}
"""Channels of a second step: several, as each takes one message a second."""

MINUTE_MS = 60_000
AHEAD_MS = 12_000
"""For so long nobody is told of what is held, at the least."""


class Kind(StrEnum):
    """What alerts are called that have a policy of this kind."""

    MADE = "Alert"  # made of the keys below oncall
    CHAIN = "Chain"  # a channel, leads, a record; twice
    HELD = "Held"  # nobody is told before its hours begin


def opening_ms() -> int:
    """When the hours of what is held begin: with a minute."""
    return (time.time_ns() // 1_000_000 + AHEAD_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS


def name_of(kind: Kind, number: int) -> str:
    """What the alert with that *number* begins with."""
    return f"{kind}{number % len(LEADS)}-" if kind is Kind.CHAIN else kind


def settings(opens_ms: int) -> Mapping[str, Any]:
    """Of a replica. A request's own wait is that until the record, and until the leads if they would come later."""
    return {"time_intervals": [_closed_until(opens_ms)], "policies": [*map(_chain, LEADS), HELD]}


def _chain(leads: str) -> dict[str, Any]:
    number = [*LEADS].index(leads)
    return {
        "name": f"chain {number}",
        "match": [f'alertname=~"{name_of(Kind.CHAIN, number)}.*"'],
        "steps": [
            {"notify": ["slack"]},
            {"after": "10m", "notify": [f"slack:{leads}"]},
            {"after": "5m", "notify": ["servicenow"]},
        ],
        "repeat": 1,
    }


HELD = {
    "name": "held",
    "match": [f'alertname=~"{Kind.HELD}.*"'],
    "not_in": ["before"],
    "steps": [{"notify": ["slack"]}, {"after": "5m", "notify": ["servicenow"]}],
}


def _closed_until(opens_ms: int) -> dict[str, Any]:
    """The minutes before: of two days, where one ends between them."""
    minutes = [datetime.fromtimestamp(opens_ms / 1000, UTC) - timedelta(minutes=ago) for ago in (1, 2, 3)]
    times = [{"start_time": f"{it:%H:%M}", "end_time": _end_of(it)} for it in minutes]
    return {"name": "before", "time_intervals": [{"times": times}]}


def _end_of(minute: datetime) -> str:
    after = f"{minute + timedelta(minutes=1):%H:%M}"
    return "24:00" if after == "00:00" else after
