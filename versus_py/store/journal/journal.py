"""What a journal is to those who write it and to those who read it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from versus_py.store.journal.chain import Acceptance, Head


class Journal(Protocol):
    """Where what is accepted is written, before its sender is answered."""

    @property
    def name(self) -> str:
        """Where it is."""

    @property
    def not_written(self) -> int:
        """How many notifications this process accepted although they could not be written."""

    async def add(self, accepted: Sequence[Acceptance]) -> None:
        """Write a line for each. Raises StoreUnavailable where the sender has to send it again."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some lines of a journal, in their order."""

    lines: Sequence[str]
    head: Head | None = None  # with the last of them: what else is known of the journal's last line


class Written(Protocol):
    """A journal to be read."""

    @property
    def name(self) -> str:
        """Where it is."""

    @property
    def is_file(self) -> bool:
        """Whether its last line may have been cut off, by the end of the process or the machine."""

    def stretches(self) -> AsyncIterator[Stretch]:
        """All of it, from its first line. Raises VersusError when it cannot be read."""
