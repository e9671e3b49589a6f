"""A mixed load: alerts fire, are told of again, acknowledged, given back, snoozed, and resolve. Seeds decide.

They are acknowledged by the API, by the button, and by the link.
"""

import asyncio
import html
import json
import random
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import aiohttp

from tests.faults.journal import Answer, Did, Event, Journal
from tests.faults.world import World

REQUEST_TIMEOUT_S = 10.0
PAUSE_S = 0.3
PAUSE_MAX_S = 3.0
"""How long a sender waits until it tries again: at first, and at most."""

PATIENCE_S = 90.0
"""How long it goes on trying, and people go on looking."""

LOOK_EVERY_S = 0.3

_WITH_A_WAIT = (Did.TRIGGER, Did.GIVE_BACK, Did.SNOOZE)
"""What is answered with when the alert escalates."""


class When(StrEnum):
    """The moment at which somebody acts."""

    EARLY = "early"
    AT_THE_END = "at the end of the wait"
    AFTER_THE_RECORD = "after the record"


class Deed(StrEnum):
    """What is done then."""

    NOTHING = "nothing"
    REPEAT = "repeat"
    ACKNOWLEDGE = "acknowledge"
    PRESS = "press"
    FOLLOW_THE_LINK = "follow the link"
    GIVE_BACK = "acknowledge, and give back"
    SNOOZE = "snooze"
    RESOLVE = "resolve"


STORIES = (
    (When.EARLY, Deed.NOTHING),
    (When.EARLY, Deed.REPEAT),
    (When.EARLY, Deed.ACKNOWLEDGE),
    (When.EARLY, Deed.PRESS),
    (When.EARLY, Deed.FOLLOW_THE_LINK),
    (When.EARLY, Deed.GIVE_BACK),
    (When.EARLY, Deed.SNOOZE),
    (When.EARLY, Deed.RESOLVE),
    (When.AT_THE_END, Deed.ACKNOWLEDGE),
    (When.AT_THE_END, Deed.RESOLVE),
    (When.AFTER_THE_RECORD, Deed.ACKNOWLEDGE),
    (When.AFTER_THE_RECORD, Deed.RESOLVE),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen to one alert."""

    name: str
    when: When
    deed: Deed
    starts_after_s: float
    wait_s: float
    channel: str


def make_plans(number: int, *, seed: int, seconds: float, wait_s: float = 4.0, channels: int = 20) -> list[Plan]:
    """*number* alerts that begin over so many *seconds*, every story equally often."""
    dice = random.Random(seed)
    stories = [STORIES[index % len(STORIES)] for index in range(number)]
    dice.shuffle(stories)
    return [
        Plan(
            name=f"Alert{seed}x{index}",
            when=when,
            deed=deed,
            starts_after_s=seconds * index / number,
            wait_s=wait_s * dice.uniform(0.8, 1.2),
            channel=f"C0FAULT{index % channels:02}",
        )
        for index, (when, deed) in enumerate(stories)
    ]


class Load:
    """Plays plans, and writes down what came of each request."""

    def __init__(self, world: World[Any], *, seed: int, patience_s: float = PATIENCE_S) -> None:
        print(f"seed {seed}")
        self._world = world
        self._dice = random.Random(seed)
        self._patience_s = patience_s
        self._messages: dict[str, dict[str, Any]] = {}  # incident -> its message
        self._recorded: set[str] = set()  # incidents that have a record
        self.journal = Journal(world.folder / "journal.jsonl")

    async def run(self, plans: Sequence[Plan]) -> list[Event]:
        """Until every plan has been played to its end; the journal."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look())
            async with asyncio.TaskGroup() as stories:
                for plan in plans:
                    stories.create_task(self._play(plan))
            looking.cancel()
        print(Counter(f"{it.did}: {it.answer}" for it in self.journal.events))
        return self.journal.events

    async def _look(self) -> None:
        """What people see: the messages, and the records."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                for message in (await self._world.slack.state())["messages"]:
                    about = (message["metadata"] or {}).get("event_payload", {}).get("incident")
                    if about and not message["thread_ts"]:
                        self._messages[about] = message
                records = (await self._world.servicenow.state())["tables"]["incident"]
                self._recorded.update(record["correlation_id"] for record in records)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _play(self, plan: Plan) -> None:
        await asyncio.sleep(plan.starts_after_s)
        starts_at = datetime.now(UTC)
        incident_id = await self._fire(plan, starts_at)
        if incident_id is not None and await self._comes(plan, incident_id):
            await self._do(plan, incident_id, starts_at)

    async def _comes(self, plan: Plan, incident_id: str) -> bool:
        """Wait for the moment, just after the alert was taken; whether it came."""
        match plan.when:
            case When.EARLY:
                await asyncio.sleep(plan.wait_s * self._dice.uniform(0.1, 0.4))
            case When.AT_THE_END:
                await asyncio.sleep(plan.wait_s + self._dice.uniform(-0.15, 0.15))
            case When.AFTER_THE_RECORD:
                if not await self._comes_true(lambda: incident_id in self._recorded):
                    return False
                now_ms = _now_ms()
                self.journal.add(Event(Did.SAW_RECORD, plan.name, now_ms, now_ms, Answer.TAKEN))
        return True

    async def _do(self, plan: Plan, incident_id: str, starts_at: datetime) -> None:
        match plan.deed:
            case Deed.NOTHING:
                pass
            case Deed.REPEAT:
                for _ in range(4):
                    await self._fire(plan, starts_at)
                    await asyncio.sleep(plan.wait_s * self._dice.uniform(0.2, 0.5))
            case Deed.ACKNOWLEDGE:
                await self._act(plan, Did.ACKNOWLEDGE, incident_id, "acknowledge")
            case Deed.PRESS:
                await self._press(plan, incident_id)
            case Deed.FOLLOW_THE_LINK:
                await self._follow_the_link(plan, incident_id)
            case Deed.GIVE_BACK:
                await self._take_and_give_back(plan, incident_id)
            case Deed.SNOOZE:
                await self._act(plan, Did.SNOOZE, incident_id, "snooze", minutes=plan.wait_s / 60)
            case Deed.RESOLVE:
                await self._fire(plan, starts_at, is_over=True)

    async def _fire(self, plan: Plan, starts_at: datetime, *, is_over: bool = False) -> str | None:
        """As Alertmanager does: again and again, until it is taken. The incident's id; None when nobody took it."""
        did = Did.RESOLVE if is_over else Did.TRIGGER
        query = f"oncall_wait_minutes={plan.wait_s / 60:.6f}&slack_channel_id={plan.channel}"
        path = f"/api/incidents?{query}"
        taken = await self._insist(plan, did, path, _payload(plan.name, starts_at, is_over=is_over))
        return taken.incident_id if taken else None

    async def _act(self, plan: Plan, did: Did, incident_id: str, action: str, **more: float) -> Event | None:
        """By the API."""
        return await self._insist(plan, did, f"/api/incidents/{incident_id}/{action}", {"by": "ana", **more})

    async def _take_and_give_back(self, plan: Plan, incident_id: str) -> None:
        if await self._act(plan, Did.ACKNOWLEDGE, incident_id, "acknowledge"):
            await asyncio.sleep(plan.wait_s * self._dice.uniform(0, 0.5))
            await self._act(plan, Did.GIVE_BACK, incident_id, "unacknowledge")

    async def _follow_the_link(self, plan: Plan, incident_id: str) -> None:
        """A person looks for the message, opens its link, and confirms; which replica that is, a balancer says."""
        if not await self._comes_true(lambda: incident_id in self._messages):
            return
        message = html.unescape(json.dumps(self._messages[incident_id]))
        [link, *_] = re.findall(r"(/api/ack/[^|\"\\]+)", message) or [""]
        await self._insist(plan, Did.ACKNOWLEDGE, link, {})

    async def _press(self, plan: Plan, incident_id: str) -> None:
        """A person looks for the message, and presses until Slack shows no trouble."""
        if not await self._comes_true(lambda: incident_id in self._messages):
            return

        async def press() -> Event:
            message = self._messages[incident_id]
            where = {"channel": message["channel"], "ts": message["ts"], "action_id": "acknowledge", "user": "U0ANA"}
            return await self._post(plan, Did.ACKNOWLEDGE, f"{self._world.slack.url}/control/press", where)

        await self._repeated(press)

    async def _insist(self, plan: Plan, did: Did, path: str, body: Any) -> Event | None:
        async def attempt() -> Event:
            replica = self._dice.choice(self._world.replicas)
            return await self._post(plan, did, f"{replica.url}{path}", body)

        return await self._repeated(attempt)

    async def _post(self, plan: Plan, did: Did, url: str, body: Any) -> Event:
        sent_ms = _now_ms()
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        is_late = False
        said: Any = {}
        try:
            async with self._world.session.post(url, json=body, timeout=timeout) as response:
                said = await response.json(content_type=None)
                answer, detail = _answer(response.status, said), f"{response.status} {said}"[:200]
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            answer, detail, is_late = Answer.UNKNOWN, repr(exc), isinstance(exc, TimeoutError)
        event = Event(
            did,
            plan.name,
            sent_ms,
            _now_ms(),
            answer,
            wait_ms=round(plan.wait_s * 1000) if did in _WITH_A_WAIT else 0,
            **_told(did, said if answer is Answer.TAKEN else {}),
            may_come_late=is_late,
            detail="" if answer is Answer.TAKEN else detail,
        )
        self.journal.add(event)
        return event

    async def _repeated(self, attempt: Callable[[], Awaitable[Event]]) -> Event | None:
        """Until it is taken or refused, or patience is over."""
        deadline_s = time.monotonic() + self._patience_s
        pause_s = PAUSE_S
        while time.monotonic() < deadline_s:
            event = await attempt()
            if event.answer is not Answer.UNKNOWN:
                return event if event.answer is Answer.TAKEN else None
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, pause_s * 1.5)
        return None

    async def _comes_true(self, condition: Callable[[], bool]) -> bool:
        deadline_s = time.monotonic() + self._patience_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            await asyncio.sleep(0.05)
        return True


def _answer(status: int, said: Any) -> Answer:
    """A press is answered 200 by the simulator, with how the app answered it."""
    if status == 200 and isinstance(said, dict) and "trouble" in said:
        status = said["status"] or 503
    if status < 300:
        return Answer.TAKEN
    return Answer.UNKNOWN if status >= 500 else Answer.REFUSED


def _told(did: Did, said: Any) -> dict[str, Any]:
    if did not in _WITH_A_WAIT or not said:
        return {}
    incident = said["incidents"][0] if did is Did.TRIGGER else said
    told_ms = incident["escalates_at"]
    return {
        "incident_id": incident["id"] or "",
        "escalates_at_ms": None if told_ms is None else round(datetime.fromisoformat(told_ms).timestamp() * 1000),
    }


def _payload(name: str, starts_at: datetime, *, is_over: bool) -> dict[str, Any]:
    """What Alertmanager posts for a group of one alert."""
    status = "resolved" if is_over else "firing"
    labels = {"alertname": name, "severity": "critical"}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"{name} happened"},
        "startsAt": starts_at.isoformat(),
        "endsAt": datetime.now(UTC).isoformat() if is_over else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": name,
    }
    return {
        "receiver": "versus",
        "status": status,
        "alerts": [alert],
        "groupLabels": {"alertname": name},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
