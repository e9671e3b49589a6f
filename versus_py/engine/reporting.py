"""Which senders list resolved alerts: what these leave out of a list still fires, unless they say otherwise.

That is a setting of a receiver (`send_resolved`), which shows in no list that has none. A sender that was seen to leave
out what fires counts as one of them.
"""

from collections import OrderedDict
from collections.abc import Sequence

from versus_py.clock import Clock
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Notification
from versus_py.store import Store

REMEMBERED_MAX = 4096
"""The most senders that a process remembers; of others it asks Redis with each of their lists."""

WRITTEN_EVERY_MS = 24 * 3600_000
"""How often it is written down of one sender that it does."""


class Reporting:
    """Remembers them, in Redis and in this process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._written_ms: OrderedDict[str, int] = OrderedDict()  # origin -> when that was last written down
        self._doubtful: OrderedDict[str, None] = OrderedDict()  # origins that the store could not tell of

    async def note(self, notifications: Sequence[Notification]) -> None:
        """Write down, now and then, which senders list resolved alerts. Raises StoreUnavailable."""
        await self._note({it.origin for it in notifications if it.lists_resolves})

    async def note_omission(self, notification: Notification) -> None:
        """The same of one that leaves out what fires."""
        await self._note({notification.origin})

    async def _note(self, origins: set[str]) -> None:
        now_ms = self._clock.now_ms()
        doing = origins - {""}
        due = [it for it in doing if self._written_ms.get(it, 0) <= now_ms - WRITTEN_EVERY_MS]
        if due:
            for origin, is_written in zip(due, await self._store.note_resolves(due), strict=True):
                self._remember([origin], now_ms if is_written else 0)  # else again with its next list

    def write_again(self) -> None:
        """Redis has lost what was written down: it is, with the next list of each sender."""
        self._written_ms = OrderedDict.fromkeys(self._written_ms, 0)

    def unknown(self, notifications: Sequence[Notification]) -> list[str]:
        """The senders, as `Store.find` takes them, of which this process does not know that they do."""
        return [*dict.fromkeys(it.origin for it in notifications if it.origin and it.origin not in self._written_ms)]

    def learn(self, origins: Sequence[str], report: Sequence[bool | None]) -> None:
        """What the store says of them. What another process wrote down is written once more from here."""
        for it, does in zip(origins, report, strict=True):
            self._doubtful.pop(it, None)
            if does is None:
                self._doubtful[it] = None
        while len(self._doubtful) > REMEMBERED_MAX:
            self._doubtful.popitem(last=False)
        self._remember([it for it, does in zip(origins, report, strict=True) if does], 0)

    def marked(self, notification: Notification) -> Notification:
        """*notification* with what is known of its sender. In doubt, what it leaves out is not taken to be over."""
        does = notification.origin in self._written_ms or notification.origin in self._doubtful
        return replace(notification, reports_resolves=does)

    def _remember(self, origins: Sequence[str], written_ms: int) -> None:
        for it in origins:
            self._written_ms[it] = written_ms
            self._written_ms.move_to_end(it)
        while len(self._written_ms) > REMEMBERED_MAX:
            self._written_ms.popitem(last=False)
