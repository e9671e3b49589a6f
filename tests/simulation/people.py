"""Senders and people: what they do about each alert, often at the worst moment."""

import asyncio
import html
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.simulation.course import ACKNOWLEDGED, RESOLVED, TRIGGERED, Course
from tests.simulation.history import Act, Did, Listed
from tests.simulation.insistence import Insistence, Request
from tests.simulation.knobs import Load
from tests.simulation.senders import OTHER_SENDER, POISONED, SENDER, Alertmanager, payload
from tests.simulation.settings import GATEWAY_SECRET
from tests.simulation.waits import Rules
from tests.simulation.world import World
from versus_py.incidents.copies import replace
from versus_py.simulators.servicenow.people import RecordOrder
from versus_py.simulators.servicenow.writing import is_closed
from versus_py.simulators.slack.interactions import NotShown

SNOOZE_CHOICE = 15
"""The shortest snooze that the buttons offer, in minutes."""

_FOLLOW = re.compile(r"/api/ack/[^|\"\s>]+")


class Story:
    """One group of alerts, from its first notification on; each incident that it makes is a course."""

    def __init__(self, world: World, alertmanager: Alertmanager, name: str, rules: Rules, dice: random.Random) -> None:
        self.name = name
        self.courses: list[Course] = []
        self._world = world
        self._alertmanager = alertmanager
        self._rules = rules
        self._dice = dice
        self._insistence = Insistence(world, dice)
        self._firing: list[Listed] = []
        self._instances = 0
        self._route = ""
        self._is_slow = world.knobs.plays(Load.SLOW_INSTANCE) and dice.random() < 0.3

    @property
    def course(self) -> Course:
        return self.courses[-1]

    @property
    def is_hindered(self) -> bool:
        """Its records cannot be made in time."""
        return self._is_slow or self.name.startswith(POISONED)

    def put_in_doubt(self, why: str) -> None:
        for course in self.courses:
            course.put_in_doubt(why)

    @property
    def is_busy(self) -> bool:
        """A request of its is on its way, or may still have an effect."""
        return self._insistence.is_busy

    async def play(self) -> None:
        """Until the world is healed, or the story is over."""
        dice, minutes = self._dice, self._world.knobs.minutes
        await asyncio.sleep(dice.uniform(1, minutes * 60 * 0.6))
        await self._begin()
        for _ in range(dice.choice((0, 1, 2, 3, 5, 8))):
            if not self.courses or not self.course.id:
                return
            await asyncio.sleep(self._pause_s())
            if not self._world.effects.are_faulty:
                return
            if self._world.knobs.wild and dice.random() < 0.5:
                await self._overlap()
            else:
                await self._choose()()

    def _pause_s(self) -> float:
        """Often up to a moment at which something ends: just before it, or just after."""
        dice = self._dice
        ends_in_s = (dice.choice(self._ends()) - self._world.now_ms()) / 1000
        pause_s = dice.choice(
            (
                dice.uniform(0.1, 20),
                dice.uniform(0.1, 20),
                dice.uniform(0.2, 1) * self._rules.wait_ms / 1000,
                ends_in_s + dice.uniform(-1.5, 1.5),
                ends_in_s + dice.uniform(-0.06, 0.04),
                ends_in_s + dice.uniform(-0.06, 0.04),
                ends_in_s + dice.uniform(0, 60),
                dice.uniform(0.95, 1.2) * self._rules.reopen_ms / 1000,
            )
        )
        return max(0.01, pause_s)

    def _ends(self) -> list[float]:
        course = self.course
        ends_ms = [course.wait.due_lo_ms] if course.wait is not None else []
        ends_ms += [course.ack_ends_ms[0]] if course.ack_ends_ms is not None else []
        ends_ms += [course.snoozed_until_ms] if course.snoozed_until_ms is not None else []
        return ends_ms or [self._world.now_ms()]

    def _choose(self) -> Callable[[], Awaitable[None]]:
        deeds: list[Callable[[], Awaitable[None]]] = []
        for status in (TRIGGERED, ACKNOWLEDGED, RESOLVED):
            if status in self.course.statuses:
                deeds += self._deeds(status)
        return self._dice.choice(deeds)

    def _deeds(self, status: str) -> list[Callable[[], Awaitable[None]]]:
        usual = {
            TRIGGERED: [self.acknowledge, self.acknowledge, self.resolve],
            ACKNOWLEDGED: [self.resolve],
            RESOLVED: [self.resolve],
        }
        return [*usual[status], *(deed for load, deed in self._by_load(status) if self._world.knobs.plays(load))]

    def _by_load(self, status: str) -> list[tuple[Load, Callable[[], Awaitable[None]]]]:
        by_status: Mapping[str, list[tuple[Load, Callable[[], Awaitable[None]]]]] = {
            TRIGGERED: [
                (Load.FLIPS, self.take_and_flip),
                (Load.FLIPS, self.take_and_flip),
                (Load.FLIPS, self.take_and_flip),
                (Load.REPEATS, self.repeat),
                (Load.RACES, self.fire_twice),
                (Load.RACES, self.acknowledge_and_resolve),
                (Load.RACES, self.acknowledge_and_snooze),
                (Load.PRESSES, self.press_acknowledge),
                (Load.PRESSES, self.press_snooze),
                (Load.LINKS, self.follow_link),
                (Load.SNOOZES, self.snooze),
                (Load.ESCALATIONS, self.escalate),
                (Load.JOINS, self.join),
                (Load.PEERS, self.end_for_one),
                (Load.RECORDS, self.touch_record),
                (Load.ROUTES, self.edit_route),
                (Load.SILENT_ENDS, self.end_silently),
            ],
            ACKNOWLEDGED: [
                (Load.REPEATS, self.repeat),
                (Load.RACES, self.acknowledge_twice),
                (Load.FLIPS, self.flip),
                (Load.FLIPS, self.flip),
                (Load.GIVE_BACK, self.give_back),
                (Load.GIVE_BACK, self.give_back),
                (Load.ESCALATIONS, self.escalate),
                (Load.JOINS, self.join),
                (Load.JOINS, self.replace),
                (Load.PRESSES, self.press_give_back),
                (Load.ROUTES, self.edit_route),
                (Load.RECORDS, self.touch_record),
            ],
            RESOLVED: [
                (Load.EPISODES, self.repeat),
                (Load.EPISODES, self.fire_anew),
                (Load.EPISODES, self.fire_anew),
            ],
        }
        return by_status[status]

    # What senders do

    async def _begin(self) -> None:
        self._firing = [self._new_alert(self._dice.choice(("warning", "warning", "critical")))]
        self.courses.append(Course(self._rules))
        if self._world.knobs.wild:
            self.course.put_in_doubt("deeds of people overlap")
        await self.repeat()
        if not self.course.id and not self.course.doubt:
            self.course.put_in_doubt("never accepted")

    def _new_alert(self, severity: str, sender: str = SENDER) -> Listed:
        self._instances += 1
        starts_ms = self._world.now_ms() - self._dice.choice((0, 5_000, 30_000))
        return Listed(f"db-{self._instances}", severity, starts_ms, sender=sender)

    async def repeat(self) -> None:
        """What fires is listed, again."""
        firing = [replace(it, is_over=False) for it in self._firing]
        await self._take(await self._list(firing))

    async def edit_route(self) -> None:
        """Somebody edits a matcher of the route, and the group is sent again."""
        self._route = f'/{{team="{self._dice.randrange(1000)}"}}'
        await self.repeat()

    async def fire_twice(self) -> None:
        """By two peers of the Alertmanager, at two replicas."""
        firing = [replace(it, is_over=False) for it in self._firing]
        acts = await asyncio.gather(self._list(firing), self._list(firing))
        self._take_together(*acts)

    async def fire_anew(self) -> None:
        """The alert begins another time: an episode that repeats. What fires besides goes on."""
        self._firing[0] = replace(self._firing[0], starts_ms=self._world.now_ms())
        await self.repeat()

    async def resolve(self) -> None:
        """All of it is over; the first may begin another time."""
        await self._take(await self._list([replace(it, is_over=True) for it in self._firing]))
        self._firing = self._firing[:1]

    async def join(self) -> None:
        """Another alert of the group fires, too."""
        severity = self._dice.choice(("warning", "critical"))
        self._firing.append(self._new_alert(severity, self._firing[0].sender))
        await self.repeat()

    async def replace(self) -> None:
        """What fired is over, and another fires in its place."""
        over = [replace(it, is_over=True) for it in self._firing]
        self._firing = [self._new_alert("warning", self._firing[0].sender)]
        await self._take(await self._list([*over, *self._firing]))

    async def end_for_one(self) -> None:
        """Another sender lists an alert of its own in an equal group, or an equal one; that of the first one ends."""
        if self._firing[0].sender == OTHER_SENDER:  # whose list would have to name all that it has
            return
        theirs = self._new_alert("warning", sender=OTHER_SENDER)
        if self._dice.random() < 0.5 and self._has_time(40):  # else the equal one may be news
            theirs = replace(theirs, instance=self._firing[0].instance, severity=self._firing[0].severity)
        await self._take(await self._list([theirs]))
        await asyncio.sleep(self._dice.uniform(0, 20))
        is_equal = theirs.instance == self._firing[0].instance
        if self.course.status == TRIGGERED and (not is_equal or self._has_time(10)):
            await self._take(await self._list([replace(it, is_over=True) for it in self._firing]))
            self._firing = [theirs]

    def _has_time(self, seconds: float) -> bool:
        """Whether the wait goes on for longer."""
        wait = self.course.wait
        return wait is not None and wait.due_lo_ms - self._world.now_ms() > seconds * 1000

    async def end_silently(self) -> None:
        """It is over, and its Alertmanager does not tell: only who asks finds out."""
        for alert in self._firing:
            self._alertmanager.end(self.name, alert)
        self.course.is_over_at_alertmanager = True

    def _tell_alertmanager(self, alerts: list[Listed]) -> None:
        """Who lists them knows of them before."""
        for alert in alerts:
            if alert.is_over:
                self._alertmanager.end(self.name, alert)
            else:
                self._alertmanager.fire(self.name, alert)
                self.course.fire_at_alertmanager(self._world.now_ms())

    async def _list(self, alerts: list[Listed]) -> Act:
        self._tell_alertmanager(alerts)
        query = "?servicenow_other_instance=slow" if self._is_slow else ""
        body = payload(self.name, alerts, self._world.now_ms(), self._route)
        request = Request("POST", f"/api/incidents{query}", body)
        act = await self._insistence.send(Did.LIST, lambda: request)
        said = act.said.get("incidents") or [{}]
        return replace(act, said=said[0] if act.is_taken else act.said, alerts=tuple(alerts))

    async def _take(self, act: Act) -> None:
        if not self._is_another_incident(act):
            self.course.take(act)
            return
        self._begin_another(act)
        self.course.take(act)

    def _begin_another(self, act: Act) -> None:
        """Not before the incident has resolved, unless nobody can say how it stands."""
        before = self.course
        if not before.doubt and RESOLVED not in before.statuses:
            before.problems.append(("another incident", f"{before.id}, then {act.said.get('id')}: {act}"))
        self.courses.append(Course(self._rules))
        if before.doubt:
            self.course.put_in_doubt(before.doubt)

    def _is_another_incident(self, act: Act) -> bool:
        known, named = self.course.id, act.said.get("id")
        return act.did is Did.LIST and bool(known and named) and known != named

    def _take_together(self, *acts: Act) -> None:
        another = next((act for act in acts if self._is_another_incident(act)), None)
        if another is not None:
            self._begin_another(another)
        self.course.take_together(acts)
        if another is not None:  # what is done at once does not tell the course which incident it is
            self.course.id = str(another.said["id"])

    # What people do by the API

    async def acknowledge(self) -> None:
        await self._take(await self._act(Did.ACKNOWLEDGE))

    async def acknowledge_twice(self) -> None:
        self._take_together(*await asyncio.gather(self._act(Did.ACKNOWLEDGE), self._act(Did.ACKNOWLEDGE)))

    async def acknowledge_and_resolve(self) -> None:
        self._take_together(*await asyncio.gather(self._act(Did.ACKNOWLEDGE), self._act(Did.RESOLVE)))

    async def acknowledge_and_snooze(self) -> None:
        self._take_together(*await asyncio.gather(self._act(Did.ACKNOWLEDGE), self._act(Did.SNOOZE, minutes=2)))

    async def give_back(self) -> None:
        await self._take(await self._act(Did.GIVE_BACK))

    async def take_and_flip(self) -> None:
        """Acknowledged, given back and acknowledged, all within seconds: what a replica had begun is not done yet."""
        await self.acknowledge()
        await asyncio.sleep(self._dice.uniform(0, 2))
        if self.course.status == ACKNOWLEDGED:
            await self.flip()

    async def flip(self) -> None:
        """Somebody gives it back, and takes it again at once."""
        await self.give_back()
        await asyncio.sleep(self._dice.uniform(0, 5))
        await self.acknowledge()

    async def snooze(self) -> None:
        await self._take(await self._act(Did.SNOOZE, minutes=self._dice.choice((1, 4))))

    async def escalate(self) -> None:
        await self._take(await self._act(Did.ESCALATE))

    async def _act(self, did: Did, *, minutes: float = 0) -> Act:
        body = {"by": "ana"} | ({"minutes": minutes} if minutes else {})
        request = Request("POST", f"/api/incidents/{self.course.id}/{did}", body, {"X-Gateway-Secret": GATEWAY_SECRET})
        act = await self._insistence.send(did, lambda: request)
        return replace(act, minutes=minutes)

    # What people do in Slack

    async def follow_link(self) -> None:
        """The page behind the link of the message, and its button."""
        message = self._message()
        found = _FOLLOW.search(html.unescape(message.shown)) if message is not None else None
        if found is None:
            await self.acknowledge()
            return
        request = Request("POST", found.group(), None)
        await self._take(await self._insistence.send(Did.ACKNOWLEDGE, lambda: request))

    async def press_acknowledge(self) -> None:
        await self._press(Did.ACKNOWLEDGE)

    async def press_give_back(self) -> None:
        await self._press(Did.GIVE_BACK)

    async def press_snooze(self) -> None:
        await self._press(Did.SNOOZE, minutes=SNOOZE_CHOICE)

    async def _press(self, did: Did, *, minutes: float = 0) -> None:
        """Each attempt is another press. Without such a button in the message, nothing is done."""
        message = self._message()
        option = f"{self.course.id} {SNOOZE_CHOICE}" if minutes else None
        if message is None:
            return

        def press() -> Request | None:
            try:
                body, headers = self._world.slack.prepare_press(message, str(did), option=option)
            except NotShown:
                return None
            return Request("POST", "/api/slack/interactions", body, headers)

        act = await self._insistence.send(did, press)
        if act.attempts:  # Slack is answered with nothing, whatever the press changed
            await self._take(replace(act, minutes=minutes, status=201 if act.status == 200 else act.status, said={}))

    def _message(self) -> Any:
        """That of the incident, in the channel of all."""
        return next((it for it in self._world.slack.messages if _is_about(it, self.course.id)), None)

    # What people do to the record

    async def touch_record(self) -> None:
        """Somebody comments on it, resolves or closes it; nothing, while there is none, or when it is closed."""
        rows = [it for it in self._world.servicenow.incidents if it["correlation_id"] == self.course.id]
        if not rows or is_closed(rows[-1]):
            return
        number, closes = rows[-1]["number"], self._dice.random() < 0.5
        self.course.touch_record(self._world.now_ms(), closes=closes)
        if closes:
            self._world.servicenow.act(RecordOrder(record=number, do=self._dice.choice(("resolve", "close"))))
        else:
            self._world.servicenow.comment(number, f"Comment {self.course.comments} on {self.name}")

    async def _overlap(self) -> None:
        """Any two deeds at once: only what holds in any order is judged."""
        deeds = self._dice.sample([self.repeat, self.acknowledge, self.give_back, self.resolve, self.snooze], 2)
        await asyncio.gather(*(deed() for deed in deeds))


def _is_about(message: Any, incident_id: str) -> bool:
    about = (message.metadata or {}).get("event_payload") or {}
    return message.thread_ts is None and about.get("incident") == incident_id


def make_stories(world: World, alertmanager: Alertmanager, rules: Rules) -> list[Story]:
    """One for each alert of the world's seed."""
    knobs = world.knobs
    stories = []
    for number in range(knobs.alerts):
        dice = random.Random(f"story {number} {world.seed}")
        is_poisoned = knobs.plays(Load.POISON) and dice.random() < 0.4
        name = f"{POISONED if is_poisoned else 'Alert'}{number}"
        stories.append(Story(world, alertmanager, name, rules, dice))
    return stories
