"""What must hold at any moment: looked at whenever a record or a message comes to be, and in Redis now and then."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tests.simulation.judgments import OVER_STATES, Verdict
from tests.simulation.redis import Server
from versus_py.incidents.partitions import partitions

ON_ITS_WAY_MS = 60_000.0
"""What was sent before a loss may be posted so much later."""

_PREFIX = "versus:"
_NO_END, _NO_KEY = -1, -2  # replies of PTTL


class Watched(list[Any]):
    """A list that calls *came* for each item that is appended."""

    def __init__(self, items: Iterable[Any], came: Callable[[Any], None]) -> None:
        super().__init__(items)
        self._came = came

    def append(self, item: Any) -> None:
        super().append(item)
        self._came(item)


class RecordWatch:
    """Notes when each record of an instance was first there; an incident never has two that are open."""

    def __init__(self, now_ms: Callable[[], float], report: Callable[[str, str], None]) -> None:
        self.created_ms: dict[str, float] = {}  # by sys_id
        self._rows: list[dict[str, str]] = []
        self._now_ms = now_ms
        self._report = report

    def come(self, row: dict[str, str]) -> None:
        """A record is created."""
        self.created_ms[row["sys_id"]] = self._now_ms()
        self._rows.append(row)
        about = row["correlation_id"]
        is_open = [
            it["number"] for it in self._rows if it["correlation_id"] == about and it["state"] not in OVER_STATES
        ]
        if about and len(is_open) > 1:
            self._report("two records at once", f"{about}: {is_open}")


class Losses:
    """When Redis lost what was written last, or all: what was posted, created or edited then may be forgotten.

    Nothing in Redis tells any more that it was claimed, so that nobody looks for it first: a message may be posted
    again, a record may stay open, and a message may go on showing what is not true any more (docs/design.md).
    """

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def note(self, since_ms: float, now_ms: float) -> None:
        self._spans.append((since_ms, now_ms + ON_ITS_WAY_MS))

    def may_repeat(self, message: Any) -> bool:
        """Whether *message*, or the reply, was posted while its claim may have been lost."""
        return self.hide(float(message.ts) * 1000)

    def hide(self, at_ms: float) -> bool:
        """Whether Redis may know nothing of what was done at that moment."""
        return any(since_ms <= at_ms <= until_ms for since_ms, until_ms in self._spans)


class EditWatch:
    """Notes when each message was last edited, by `ts`; one that never was is not there."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        self.edited_ms: dict[str, float] = {}
        self._now_ms = now_ms

    def come(self, message: Any) -> None:
        """A message is posted; each edit adds to its versions."""
        message.versions = Watched(message.versions, lambda _: self._note(message.ts))

    def _note(self, ts: str) -> None:
        self.edited_ms[ts] = self._now_ms()


class MessageWatch:
    """An incident never has two messages in one channel, but where a loss makes one be posted again."""

    def __init__(self, losses: Losses, report: Callable[[str, str], None]) -> None:
        self._posted: dict[tuple[str, str], Any] = {}
        self._losses = losses
        self._report = report

    def come(self, message: Any) -> None:
        """A message or a reply is posted."""
        about = incident_of(message)
        if not about or message.thread_ts is not None:
            return
        before = self._posted.get((message.channel, about))
        if before is not None and not self._losses.may_repeat(before):
            self._report("two messages at once", f"{about} in {message.channel}: {before.ts} and {message.ts}")
        self._posted[message.channel, about] = message


def incident_of(message: Any) -> str:
    """The incident that a message says in its metadata that it is about."""
    payload = (message.metadata or {}).get("event_payload") or {}
    return str(payload.get("incident") or "")


class Keys:
    """Reads the store's keys in *server*."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def sorted_set(self, name: str) -> dict[str, float]:
        """Of all partitions."""
        found: dict[str, float] = {}
        for partition in partitions():
            key = f"{_PREFIX}{{{partition}}}:{name}"
            found |= dict(self._server.execute(["ZRANGE", key, 0, -1, "WITHSCORES"], withscores=True))
        return found

    def hash(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for partition in partitions():
            found |= self._server.execute(["HGETALL", f"{_PREFIX}{{{partition}}}:{name}"])
        return found

    def journal(self) -> tuple[list[str], dict[str, str]]:
        """Its lines, and its head."""
        key = f"{_PREFIX}{{0}}:journal"
        return self._server.execute(["LRANGE", key, 0, -1]), self._server.execute(["HGETALL", f"{key}_head"])

    def outlived(self) -> Iterator[Verdict]:
        """Each timer's incident outlives it."""
        now_ms = self._server.now_ms()
        for member, due_ms in self.sorted_set("timers").items():
            incident_id = member.partition("|")[0]
            key = f"{_PREFIX}{{{incident_id.rpartition('-')[2]}}}:incident:{incident_id}"
            left_ms = int(self._server.execute(["PTTL", key]))
            if left_ms == _NO_KEY:
                yield "a timer without its incident", member
            elif left_ms == _NO_END:
                yield "an incident without an end", key
            elif now_ms + left_ms <= due_ms:
                yield "an incident that ends before its timer", f"{key} {now_ms + left_ms} {due_ms:.0f}"

    def left(self, now_ms: float, soon_ms: float) -> dict[str, list[str]]:
        """What is unfinished: of timers and the ledger what is due within *soon_ms*; all claims and attempts."""
        timers, pending = self.sorted_set("timers"), self.sorted_set("pending")
        later = {it for it, at in timers.items() if at >= now_ms + soon_ms}
        left = {
            "timers": [it for it in timers if it not in later],
            "running": list(self.sorted_set("running")),
            "attempts": [it for it in self.hash("attempts") if it not in later],
            "pending": [it for it, at in pending.items() if at < now_ms + soon_ms],
        }
        return {name: found for name, found in left.items() if found}


def without_looks(left: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """What is *left* but the timers of records that are looked at every few minutes, which is no unfinished work."""
    unfinished = {*left.get("attempts", []), *left.get("running", [])}
    timers = [it for it in left.get("timers", []) if it in unfinished or it.endswith("|slack")]
    return {name: found for name, found in {**left, "timers": timers}.items() if found}
