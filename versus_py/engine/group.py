"""The processes of one `versus serve --processes N`: each answers the others at a unix socket whether it is ready."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from versus_py.engine.health import Readiness

ANSWER_TIMEOUT_S = 5.0
"""How long another process may take to say whether it is ready. It waits for Redis, for WRITE_TIMEOUT_S at most."""

_READINESS = TypeAdapter(Readiness)
_WORST_FIRST = ("refused", "open", "ok")


@dataclass(frozen=True, slots=True)
class Member:
    """One of *count* processes. *folder* is theirs alone, and gone after them."""

    number: int  # the first is 0
    count: int
    folder: Path
    restarts: int = 0  # how often this process was started again
    has_embedded: bool = False  # Redis is the supervisor's own server

    @property
    def leads(self) -> bool:
        """Whether it does what one process of a machine has to do, such as to hold the connection to Slack.

        While the first process is started again, nobody leads.
        """
        return self.number == 0

    @property
    def is_on_disk(self) -> bool:
        """Whether the embedded server can write its files, as the supervisor sees it."""
        return not self.not_on_disk.exists()

    @property
    def not_on_disk(self) -> Path:
        """A file that is there while it cannot."""
        return self.folder / "not_on_disk"

    def socket(self, number: int) -> Path:
        """Where process *number* answers."""
        return self.folder / f"{number}.sock"


class Group:
    """The readiness of all processes. *own* is that of this one, and *trouble* why it should give no sign of life."""

    def __init__(
        self,
        member: Member,
        own: Callable[[], Awaitable[Readiness]],
        trouble: Callable[[], Awaitable[str]],
    ) -> None:
        self._member = member
        self._own = own
        self._trouble = trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Answer the others until *stop* is set."""
        path = self._member.socket(self._member.number)
        path.unlink(missing_ok=True)
        async with await asyncio.start_unix_server(self._answer, path):
            await stop.wait()

    async def readiness(self) -> Readiness:
        """Of all of them: the worst of each part."""
        others = [it for it in range(self._member.count) if it != self._member.number]
        own, *found = await asyncio.gather(self._own(), *map(self._ask, others))
        return worst([own, *found])

    async def trouble(self) -> str:
        """Why there should be no sign of life of all of them; "" when everything goes on."""
        if said := await self._trouble():
            return said
        found = await self.readiness()
        return "" if found.is_ready else f"not all processes are ready: worker {found.worker}, Redis {found.redis}"

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # whoever asked has gone
            writer.write(_READINESS.dump_json(await self._own()))
            await writer.drain()
        writer.close()

    async def _ask(self, number: int) -> Readiness:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._member.socket(number))
                try:
                    return _READINESS.validate_json(await reader.read())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):  # pydantic's errors are ValueErrors
            return Readiness("ok", f"process {number} does not answer", {}, 0)


def worst(found: Sequence[Readiness]) -> Readiness:
    """Of several processes, what is wrong with any."""
    targets = {name: said for it in found for name, said in it.targets.items()}
    for name in targets:
        said = {it.targets[name] for it in found if name in it.targets}
        targets[name] = min(said, key=_WORST_FIRST.index)
    return Readiness(
        redis=min((it.redis for it in found), key=_how_bad),
        worker=next((it.worker for it in found if it.worker != "ok"), "ok"),
        targets=targets,
        overdue=max(it.overdue for it in found),
        has_just_lost=any(it.has_just_lost for it in found),
    )


def _how_bad(redis: str) -> int:
    """Less is worse: what keeps a process from being ready, then what does not."""
    if redis == "ok":
        return 2
    return 1 if redis in {"full", "emptied"} else 0
