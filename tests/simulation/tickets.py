"""Tickets that people open in ServiceNow, how an instance tells of them, and what people do to them on both sides."""

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

from yarl import URL

from tests.simulation.history import Did
from tests.simulation.insistence import Insistence, Request
from tests.simulation.judgments import OVER_STATES
from tests.simulation.knobs import Load
from tests.simulation.network import Lost
from tests.simulation.settings import EVENTS_TOKEN, GATEWAY_SECRET
from tests.simulation.world import World
from versus_py.simulators.servicenow import BusinessRule, Passage, RecordOrder, Reply

EVENTS_PATH = "/api/servicenow/events"
CALLED = "nobody has acknowledged"
"""What the note says of which the ticket was raised."""

TAKEN = 201
TICKETS_MAX = 8

_SHARES = (0.0, 0.1, 0.3)
_DELAYS_S = ((0.0, 0.0), (0.0, 5.0), (0.0, 60.0))


class Events:
    """What business rules post, by the world's network, to any replica, and what each ticket's posts were answered."""

    def __init__(self, world: World) -> None:
        self.incident_ids: dict[str, list[str]] = {}
        """By the sys_id of a ticket: the incidents that its posts were answered with, each once."""
        self._world = world
        self._dice = random.Random(f"events {world.seed}")
        self._posting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Post what is written from now on, as badly as the seed has it."""
        dice, knobs, rules = self._dice, self._world.knobs, self._world.servicenow.rules
        rules.add(
            BusinessRule(
                name="versus",
                url=f"http://versus.sim{EVENTS_PATH}",
                token=EVENTS_TOKEN,
                shape=dice.choice(("script", "raw")),
            )
        )
        rules.passage = Passage(
            seed=dice.randrange(2**32),
            lost=0.0 if knobs.is_told_all else dice.choice(_SHARES),
            doubled=dice.choice(_SHARES),
            reordered=dice.choice(_SHARES),
            coalesced=dice.choice((0.0, 0.5, 1.0)),
            delay_s=dice.choice(_DELAYS_S),
            workers=dice.choice((1, 4)),
        )
        rules.post = self._post
        self._posting = self._world.loop.environment.spawn(rules.run())

    def heal(self) -> None:
        """Post what is written from now on at once, and all of it."""
        self._world.servicenow.rules.passage = Passage()

    async def end(self) -> None:
        """Post nothing any more: the instance is left with nothing that it waits for."""
        if self._posting is not None:
            self._posting.cancel()
            await asyncio.wait([self._posting])

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> Reply:
        replica = self._dice.choice(self._world.replicas)
        try:
            answer, _ = await self._world.request(
                replica, "POST", URL(url).path, body=body, headers=headers, timeout_s=within_s
            )
        except Lost as lost:
            return Reply(None, error=str(lost))
        if answer.status == TAKEN:
            self._note(json.loads(body)["sys_id"], answer.data["incidents"][0]["id"])
        return Reply(answer.status, answer.body.decode())

    def _note(self, sys_id: str, incident_id: str) -> None:
        known = self.incident_ids.setdefault(sys_id, [])
        if incident_id not in known:
            known.append(incident_id)


class TicketStory:
    """One ticket, from the moment that somebody opens it."""

    def __init__(self, world: World, events: Events, number: int, dice: random.Random) -> None:
        self.row: dict[str, str] = {}
        """The ticket; empty until somebody has opened it."""
        self.written: dict[str, float] = {}
        """What people have written in its notes and comments, each once, and when, ms."""
        self.was_raised = False
        """Somebody has changed its urgency, so that a wait may have begun anew."""
        self._title = f"Ticket{number}"
        self._world = world
        self._events = events
        self._dice = dice
        self._insistence = Insistence(world, dice)

    @property
    def was_called(self) -> bool:
        """Nobody acknowledged it in time, which its notes say."""
        notes = self._world.servicenow.notes.get(self.row["sys_id"], [])
        return any(CALLED in it for it in notes)

    @property
    def incident_ids(self) -> list[str]:
        return self._events.incident_ids.get(self.row["sys_id"], []) if self.row else []

    async def play(self) -> None:
        """Until the world is healed, or nobody does anything any more."""
        dice, world = self._dice, self._world
        await asyncio.sleep(dice.uniform(1, world.knobs.minutes * 60 * 0.6))
        self._open()
        for _ in range(dice.choice((0, 1, 2, 3, 5))):
            await asyncio.sleep(dice.choice((dice.uniform(0, 1), dice.uniform(0, 20), dice.uniform(0, 120))))
            if not world.effects.are_faulty:
                return
            await dice.choice((self._there, self._here, self._at_once))()

    def _open(self) -> None:
        urgency, impact = self._dice.choice("123"), self._dice.choice("123")
        order = RecordOrder(do="create", short_description=self._title, urgency=urgency, impact=impact, by="ben")
        sys_id = self._world.servicenow.act(order)
        self.row = next(it for it in self._world.servicenow.incidents if it["sys_id"] == sys_id)

    async def _at_once(self) -> None:
        await asyncio.gather(self._there(), self._here())

    async def _there(self) -> None:
        """Somebody changes the ticket, unless it is over."""
        if self.row["state"] in OVER_STATES:
            return
        text = f"{self._title} at {self._world.loop.now_s:.3f}"
        orders: list[dict[str, Any]] = [
            {"do": "start"},
            {"do": "start", "assigned_to": "ana"},
            {"do": "hold"},
            {"do": "resolve"},
            {"do": "cancel"},
            {"do": "note", self._dice.choice(("work_notes", "comments")): text},  # found by looking only
            {"do": "change", "urgency": self._dice.choice("123")},
        ]
        order = self._dice.choice(orders)
        if order["do"] == "note" and self._world.knobs.is_told_all:
            return
        self.was_raised |= "urgency" in order
        if order["do"] == "note":
            self.written[text] = self._world.now_ms()
        self._world.servicenow.act(RecordOrder(record=self.row["sys_id"], by="ben", **order))

    async def _here(self) -> None:
        """Somebody acts on its incident, if it is known who that is."""
        if not self.incident_ids:
            return
        did = self._dice.choice((Did.ACKNOWLEDGE, Did.ACKNOWLEDGE, Did.RESOLVE))
        path = f"/api/incidents/{self.incident_ids[0]}/{did}"
        request = Request("POST", path, {"by": "ana"}, {"X-Gateway-Secret": GATEWAY_SECRET})
        await self._insistence.send(did, lambda: request)


def make_tickets(world: World, events: Events) -> list[TicketStory]:
    """None without that load."""
    if not world.knobs.plays(Load.TICKETS):
        return []
    count = random.Random(f"tickets {world.seed}").randint(2, TICKETS_MAX)
    return [
        TicketStory(world, events, number, random.Random(f"ticket {number} {world.seed}")) for number in range(count)
    ]
