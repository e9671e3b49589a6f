"""What is common to all that is accepted: it is written down before its sender gives up, and told in one way."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from versus_py.engine.lifecycle import Accepted, Refused
from versus_py.errors import StoreUnavailable
from versus_py.web.api.views import escalates_at

ACCEPT_TIMEOUT_S = 4.0
BODY_TIMEOUT_S = 30.0

LOGGED_BODY_MAX = 256 * 1024

WARNINGS_MAX = 50
"""Of one request; each is a line of the log, and thousands of elements may be wrong in the same way."""


class answering_in_time:  # noqa: N801 - as the context managers of the standard library
    """Raises StoreUnavailable when what is within takes too long: Monasca's senders wait 5 s."""

    def __init__(self, within_s: float = ACCEPT_TIMEOUT_S) -> None:
        self._within_s = within_s
        self._timeout = asyncio.timeout(within_s)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, exc, trace)
        except TimeoutError:
            raise StoreUnavailable(f"Redis did not answer within {self._within_s:g} s") from None


def first_warnings(warnings: Sequence[str]) -> list[str]:
    """As many as are told, each once."""
    once = list(dict.fromkeys(warnings))
    left_out = len(once) - WARNINGS_MAX
    return [*once[:WARNINGS_MAX], f"and {left_out} further warnings"] if left_out > 0 else once


def outcome_view(accepted: Accepted | Refused | None) -> dict[str, Any]:
    """What became of one payload; None: it is no news of an alert."""
    if isinstance(accepted, Refused):
        return {"id": None, "outcome": "refused", "status": None, "escalates_at": None, "error": accepted.error}
    incident = accepted.incident if accepted else None
    if incident is None or accepted is None:
        return {"id": None, "outcome": "ignored", "status": None, "escalates_at": None}
    return {
        "id": incident.id,
        "outcome": accepted.outcome,
        "status": incident.status,
        "escalates_at": escalates_at(incident),
    }
