"""Asynchronous business rules: after each write they post the record somewhere, as badly as the original's may."""

import asyncio
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.posting import Post, Reply, post
from versus_py.simulators.servicenow.properties import Properties
from versus_py.simulators.servicenow.rule import BusinessRule, Passage
from versus_py.simulators.servicenow.rule_bodies import Bodies, Operation

JOURNAL_MAX = 10_000
ANSWER_MAX = 500
"""How many characters of an answer the journal keeps."""

LOST = "lost before it was sent"
GONE = "the record was deleted before it was sent"

_HEADERS = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "ServiceNow/1.0"}
_PLACES = 8
"""How far a post that is reordered moves among those of the same time."""

_LOOK_EVERY_S = 0.1
"""While a post waits for its time: a test that moves the clock wakes nobody."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A line of the journal: what was posted of which record, and what was answered. *at* is in UTC."""

    at: str
    rule: str
    table: str
    sys_id: str
    number: str
    mod_count: int
    operation: Operation
    status: int | None
    error: str
    answer: str
    body: Mapping[str, Any]  # empty where nothing was sent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A post that is not sent yet. *row* is the record itself, or a copy of what it was."""

    due_s: float
    place: float
    rule: BusinessRule
    table: str
    row: Row
    operation: Operation
    is_lost: bool
    is_copy: bool


class BusinessRules:
    """The rules of an instance, what waits to be posted, and the journal of what was, oldest first.

    Nothing is tried again, whatever the answer. *post* may be replaced where there is no network.
    """

    def __init__(self, database: Database, properties: Properties, *, now_s: Callable[[], float]) -> None:
        self._database = database
        self._properties = properties
        self._bodies = Bodies(database, properties)
        self._now_s = now_s
        self._rules: dict[str, BusinessRule] = {}
        self._waiting: list[_Waiting] = []
        self._under_way: set[asyncio.Task[Posted]] = set()
        self._woken = asyncio.Event()
        self.post: Post = post
        self.journal: deque[Posted] = deque(maxlen=JOURNAL_MAX)
        self.passage = Passage()

    @property
    def rules(self) -> list[BusinessRule]:
        return list(self._rules.values())

    @property
    def passage(self) -> Passage:
        """Once set, it counts for the writes from then on, and chances are drawn from its seed anew."""
        return self._passage

    @passage.setter
    def passage(self, passage: Passage) -> None:
        self._passage = passage
        self._random = random.Random(passage.seed)  # noqa: S311 - chance, not a secret
        self._places = itertools.count()
        self._last_due_s = 0.0
        self._woken.set()

    @property
    def pending(self) -> int:
        """How many posts wait or are under way."""
        return len(self._waiting) + len(self._under_way)

    def add(self, rule: BusinessRule) -> None:
        """Also in place of one with its name."""
        self._rules[rule.name] = rule

    def remove(self, name: str) -> None:
        """What waits is posted all the same. Raises KeyError."""
        del self._rules[name]

    def clear(self) -> None:
        """Remove all rules; what waits is posted all the same."""
        self._rules.clear()

    def forget(self) -> None:
        """Drop what waits and the journal, and begin the seed's chances anew; the rules stay."""
        self._waiting.clear()
        self.journal.clear()
        self.passage = self._passage

    def note_write(self, table: str, row: Row, operation: Operation) -> None:
        """A record was written: each rule for that is going to post it."""
        for rule in self._rules.values():
            if rule.table == table and operation in rule.on:
                self._enqueue(rule, table, row, operation)
        self._woken.set()

    async def run_due(self, *, now: bool = False) -> list[Posted]:
        """Post what is due, one after the other; what that causes is for the next call.

        With *now*, all that waits is due. Returns the lines of the journal, after what was under way has ended.
        """
        batch = self._take(len(self._waiting), now=now)
        while self._under_way:
            await asyncio.wait(self._under_way)
        return [await self._send(it) for it in batch]

    async def run(self) -> None:
        """Post what is due until cancelled, unless that is done by hand."""
        async with asyncio.TaskGroup() as posts:
            while True:
                self._woken.clear()
                if not self._passage.by_hand:
                    for it in self._take(self._passage.workers - len(self._under_way)):
                        task = posts.create_task(self._send(it))
                        self._under_way.add(task)
                        task.add_done_callback(self._end)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._idle_s()):
                        await self._woken.wait()

    def _end(self, task: asyncio.Task[Posted]) -> None:
        self._under_way.discard(task)
        self._woken.set()

    def _idle_s(self) -> float | None:
        """How long nothing has to be done if nothing happens; None: for ever."""
        is_full = len(self._under_way) >= self._passage.workers
        return None if not self._waiting or is_full or self._passage.by_hand else _LOOK_EVERY_S

    def _enqueue(self, rule: BusinessRule, table: str, row: Row, operation: Operation) -> None:
        """Every write draws as often, so that a share that is changed leaves the other chances as they are."""
        passage, draw = self._passage, self._random.random
        is_lost, is_doubled = draw() < passage.lost, draw() < passage.doubled
        is_reordered, is_coalesced = draw() < passage.reordered, draw() < passage.coalesced
        least, most = passage.delay_s
        copies = [(least + draw() * (most - least), (2 * draw() - 1) * _PLACES) for _ in range(2)]
        for delay_s, moves in copies if is_doubled else copies[:1]:
            due_s, place = self._now_s() + delay_s, float(next(self._places))
            if is_reordered:
                place += moves
            else:
                due_s = self._last_due_s = max(due_s, self._last_due_s)
            waiting = _Waiting(
                due_s=due_s,
                place=place,
                rule=rule,
                table=table,
                row=row if is_coalesced else dict(row),
                operation=operation,
                is_lost=is_lost,
                is_copy=not is_coalesced,
            )
            self._waiting.append(waiting)

    def _take(self, limit: int, *, now: bool = False) -> list[_Waiting]:
        """Up to so many of those that are due, in their order; they wait no longer."""
        if limit <= 0 or not self._waiting:
            return []
        now_s = self._now_s()
        due = sorted((it for it in self._waiting if now or it.due_s <= now_s), key=lambda it: (it.due_s, it.place))
        taken = due[:limit]
        ids = {id(it) for it in taken}
        self._waiting = [it for it in self._waiting if id(it) not in ids]
        return taken

    async def _send(self, it: _Waiting) -> Posted:
        body: dict[str, Any] = {}
        if it.is_lost:
            reply = Reply(None, error=LOST)
        elif not it.is_copy and self._database.find(it.table, it.row["sys_id"]) is None:
            reply = Reply(None, error=GONE)
        else:
            body = self._bodies.body(it.rule.shape, it.table, it.row, it.operation)
        mod_count = int(it.row["sys_mod_count"])  # the one that is posted: the record may change meanwhile
        if body:
            content = json.dumps(body).encode()
            reply = await self.post(it.rule.url, content, self._headers(it.rule), self._passage.timeout_s)
        line = Posted(
            at=self._database.now(),
            rule=it.rule.name,
            table=it.table,
            sys_id=it.row["sys_id"],
            number=it.row.get("number", ""),
            mod_count=mod_count,
            operation=it.operation,
            status=reply.status,
            error=reply.error,
            answer=reply.text[:ANSWER_MAX],
            body=body,
        )
        self.journal.append(line)
        return line

    def _headers(self, rule: BusinessRule) -> Mapping[str, str]:
        if not rule.token and not rule.token_property:
            return _HEADERS
        # A script that puts a property together with text that does not exist sends "null", as this does.
        token = rule.token or self._properties[rule.token_property] or "null"
        return _HEADERS | {"Authorization": f"Bearer {token}"}
