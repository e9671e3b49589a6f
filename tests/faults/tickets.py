"""Tickets of ServiceNow that people on both sides work on, and what must hold of them in the end."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from tests.faults.checker import Finding
from tests.faults.world import World
from versus_py.incidents.tickets import ticket_id

TOKEN = "a-token-of-the-business-rule"
CHANNELS = 50
"""Each takes a message a second."""

Act = Literal["start", "hold", "resolve", "note", "ack", "end", "comment"]

THERE: tuple[Act, ...] = ("start", "hold", "resolve", "note")
WRITES: Mapping[Act, int] = {"ack": 1, "end": 1, "comment": 1}
"""By acts here: an acknowledgment moves the ticket, and assigns it."""

RAISED = 1
"""The write for a ticket that nobody has acknowledged in time."""

_TRY_FOR_S = 60.0
_POSTED_WITHIN_S = 3.0


@dataclass(slots=True)
class Played:
    """A ticket, and what people did."""

    title: str
    sys_id: str = ""
    acts: list[Act] = field(default_factory=list)  # that were taken


@dataclass(frozen=True, slots=True)
class TicketEvidence:
    """What there is to see of all tickets when all is quiet."""

    played: Sequence[Played]
    records: Sequence[Mapping[str, str]]
    incidents: Sequence[Mapping[str, Any]]  # as the API lists them
    answered: frozenset[str] = frozenset()  # the sys_ids of those of which an event was answered with 201
    writes: Counter[str] = field(default_factory=Counter)  # of the integration, by sys_id
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by sys_id
    messages: Sequence[str] = ()  # the texts of Slack's, without threads


def settings(world: World[Any]) -> dict[str, Any]:
    """Of a replica: tickets go to many channels, and are compared all the time."""
    base = world._settings(0)
    routing = {f"team {it}": {"channel": f"C0TICKET{it:02}"} for it in range(CHANNELS)}
    servicenow = base["oncall"]["servicenow"] | {
        "events": {"token": TOKEN, "compare_every_minutes": 0.02},
        "routing_field": "description",
        "routing": routing,
    }
    return {
        "oncall": base["oncall"] | {"wait_minutes": 0.2, "servicenow": servicenow},
    }


async def add_business_rule(world: World[Any], *, seed: int) -> None:
    """One that posts through the front, badly."""
    control = f"{world.servicenow.url}/control/rules"
    url = f"http://127.0.0.1:{world.front.port}/api/servicenow/events"
    await _ordered(world, control, {"name": "versus", "url": url, "token": TOKEN})
    chances = {"lost": 0.2, "doubled": 0.2, "reordered": 0.3, "coalesced": 0.7}
    await _ordered(world, f"{control}/passage", {"seed": seed, "delay_s": [0, 0.5], "workers": 32, **chances})


async def play(world: World[Any], number: int, *, seed: int, seconds: float) -> list[Played]:
    """So many tickets, each opened and worked on within the time; those that were opened."""
    dice = random.Random(seed)
    gate = asyncio.Semaphore(20)
    async with asyncio.TaskGroup() as tasks:
        playing = [
            tasks.create_task(_play_one(world, it, random.Random(dice.random()), seconds, gate)) for it in range(number)
        ]
    return [it.result() for it in playing]


async def _play_one(
    world: World[Any], number: int, dice: random.Random, seconds: float, gate: asyncio.Semaphore
) -> Played:
    played = Played(f"Ticket {number:04}.")
    await asyncio.sleep(dice.uniform(0, seconds / 2))
    async with gate:
        columns = {"short_description": played.title, "description": f"team {number % CHANNELS}"}
        made = await _at(world, do="create", impact="2", urgency="2", **columns)
        played.sys_id = str(made["sys_id"])
    await asyncio.sleep(_POSTED_WITHIN_S)  # what is not New any more when it is posted is refused
    for act in dice.choice(_STORIES):
        await asyncio.sleep(dice.uniform(0, seconds / 4))
        async with gate:
            if await _acted(world, played, act):
                played.acts.append(act)
    return played


_STORIES: tuple[tuple[Act, ...], ...] = (
    ("ack", "note", "resolve"),
    ("start", "comment", "end"),
    ("note", "ack", "start", "comment", "end", "resolve"),
    ("start", "ack", "resolve", "end"),
    ("hold", "comment", "start", "end"),
    ("ack", "hold", "comment"),
    ("note", "comment"),
    ("note", "resolve"),
    ("end",),
    ("comment", "note", "start"),
)


async def _acted(world: World[Any], played: Played, act: Act) -> bool:
    """Whether it was done. People do nothing to what they see is over, and nothing to what they do not see."""
    if act in THERE:
        records = await world.records()
        state = next(it["state"] for it in records if it["sys_id"] == played.sys_id)
        if state in {"6", "7", "8"} and act != "note":
            return False
        columns = {"work_notes": f"note on {played.title}"} if act == "note" else {}
        await _at(world, record=played.sys_id, do=act, by="ben", **columns)
        return True
    path = f"/api/incidents/{ticket_id(_key(played.sys_id))}"
    body = {"ack": {"by": "ana"}, "end": {"by": "ana"}, "comment": {"by": "ana", "text": "Is it db-7?"}}[act]
    verb = {"ack": "acknowledge", "end": "resolve", "comment": "comments"}[act]
    async with asyncio.timeout(_TRY_FOR_S):
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                url = f"http://127.0.0.1:{world.front.port}{path}/{verb}"
                async with world.session.post(url, params=body if act != "comment" else None, json=body) as answer:
                    if answer.status < 500:
                        return answer.status < 300
            await asyncio.sleep(0.2)


def _key(sys_id: str) -> str:
    return f"servicenow\ndefault\n{sys_id}"


async def _at(world: World[Any], **order: str) -> dict[str, Any]:
    return await _ordered(world, f"{world.servicenow.url}/control/records", order)


async def _ordered(world: World[Any], url: str, order: Mapping[str, Any]) -> dict[str, Any]:
    async with world.session.post(url, json=order) as answer:
        found: dict[str, Any] = await answer.json()
        assert answer.status < 300, found
        return found


async def gathered(world: World[Any], played: Sequence[Played]) -> TicketEvidence:
    """What there is to see now."""
    state = await world.servicenow.state()
    async with world.session.get(f"{world.servicenow.url}/control/rules/journal") as answer:
        journal = (await answer.json())["journal"]
    patched = Counter(it.rpartition("/")[2] for it in state["calls"] if it.startswith("PATCH "))
    messages = (await world.slack.state())["messages"]
    return TicketEvidence(
        played,
        records=state["tables"]["incident"],
        incidents=await world.incidents(),
        answered=frozenset(it["sys_id"] for it in journal if it["status"] == 201),
        writes=patched,
        notes=state["notes"],
        messages=[it["text"] for it in messages],
    )


async def settled(world: World[Any], played: Sequence[Played], *, timeout_s: float = 120) -> TicketEvidence:
    """What there is to see when all has been posted and nothing is wrong any more, or after the time."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + timeout_s
    while True:
        async with world.session.get(f"{world.servicenow.url}/control/rules") as answer:
            pending = (await answer.json())["pending"]
        evidence = await gathered(world, played)
        if (not pending and not check(evidence)) or loop.time() > ends_s:
            return evidence
        await asyncio.sleep(1)


def check(evidence: TicketEvidence) -> list[Finding]:
    """What is wrong; empty for nothing."""
    records = {it["sys_id"]: it for it in evidence.records}
    by_title = Counter(str(it["title"]) for it in evidence.incidents)
    incidents = {str(it["title"]): it for it in evidence.incidents}
    found = [
        Finding("a second record", it["number"], it["short_description"])
        for it in evidence.records
        if it["sys_created_by"] == "versus.integration"
        or it["sys_id"] not in {played.sys_id for played in evidence.played}
    ]
    for it in evidence.played:
        if it.sys_id not in records:
            found.append(Finding("ticket gone", it.title, it.sys_id))
            continue
        if by_title[it.title] > 1:
            found.append(Finding("more than one incident", it.title, str(by_title[it.title])))
        if it.sys_id in evidence.answered and not by_title[it.title]:
            found.append(Finding("incident not known", it.title, it.sys_id))
        if it.title in incidents:
            found += _of_one(it, records[it.sys_id], incidents[it.title], evidence)
    return found


_AGREES = {
    "triggered": {"1", "3"},  # on hold: snoozed
    "acknowledged": {"2", "3"},
    "resolved": {"6", "7", "8"},
}


def _of_one(
    it: Played, record: Mapping[str, str], incident: Mapping[str, Any], evidence: TicketEvidence
) -> list[Finding]:
    found = []
    status, state = str(incident["status"]), record["state"]
    if state not in _AGREES[status]:
        found.append(Finding("sides differ", it.title, f"{status} here, state {state} there, after {it.acts}"))
    is_over = bool({"end", "resolve"} & {*it.acts})
    if is_over != (status == "resolved"):
        found.append(Finding("wrong status", it.title, f"{status} after {it.acts}"))
    writes_max = RAISED + sum(WRITES.get(act, 0) for act in it.acts)
    if evidence.writes.get(it.sys_id, 0) > writes_max:
        found.append(Finding("echo", it.title, f"{evidence.writes[it.sys_id]} writes after {it.acts}"))
    lines = [line.partition(" UTC: ")[2] for note in evidence.notes.get(it.sys_id, ()) for line in note.splitlines()]
    for line, times in Counter(line for line in lines if line).items():
        if times > max(1, it.acts.count("comment")):
            found.append(Finding("noted twice", it.title, line))
    texts = [text for text in evidence.messages if it.title in text]
    if len(texts) != 1:
        found.append(Finding("not one message", it.title, str(len(texts))))
    elif status in {"acknowledged", "resolved"} and f"*{status.capitalize()}*" not in texts[0]:
        found.append(Finding("message not up to date", it.title, texts[0][:80]))
    return found
