"""What was pressed, and how the app took it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal


@dataclass(frozen=True, slots=True)
class Press:
    """Who pressed what; *option* is the value of what was chosen in a menu."""

    channel: str
    ts: str
    action_id: str
    user: str
    option: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the app took an interaction.

    *status* is HTTP's; over a socket it is 200 for an acknowledgment; None without an answer. *trouble* is what a
    person is told beside the warning triangle; empty when all is well. *press* is None for a request that was prepared
    elsewhere and only sent.
    """

    via: Literal["http", "socket", "nobody"]
    status: int | None
    body: str
    seconds: float
    trouble: str
    press: Press | None = None

    @property
    def in_time(self) -> bool:
        """Whether there was an answer before Slack stopped waiting."""
        return self.status is not None


UNDELIVERABLE = Delivery("nobody", None, "", 0.0, "the app takes no interactions: there is neither a URL nor a socket")


def late(via: Literal["http", "socket"], within_s: float, seconds: float) -> Delivery:
    return Delivery(via, None, "", seconds, f"the app did not answer in {within_s:g} s")


def answered(via: Literal["http", "socket"], status: int, body: str, seconds: float) -> Delivery:
    return Delivery(via, status, body, seconds, "" if status == HTTPStatus.OK else f"the app answered {status}")
