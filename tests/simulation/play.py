"""One seed from its beginning to its verdict."""

import asyncio
from collections.abc import Sequence

from tests.simulation import settings
from tests.simulation.effects import Script
from tests.simulation.knobs import Knobs, Load
from tests.simulation.loop import Stuck
from tests.simulation.oracle import Oracle, rules_of
from tests.simulation.patches import simulated_chance
from tests.simulation.people import Story, make_stories
from tests.simulation.senders import POISONED, Alertmanager
from tests.simulation.tickets import Events, TicketStory, make_tickets
from tests.simulation.world import World
from versus_py.simulators import Fault, ServiceNowSimulator
from versus_py.simulators.slack.errors import ErrorOrder

_RECORDS = "/api/now/table/incident"
SLOW_S = 8.0
UP_AFTER_S = 2.0
"""When replicas listen after a start, unless something goes wrong."""


async def _play(world: World, events: Events) -> None:
    alertmanager = Alertmanager(world.now_ms)
    world.add_host(settings.ALERTMANAGER, alertmanager.app())
    rules = rules_of(world.knobs)
    stories = make_stories(world, alertmanager, rules)
    instances = [world.servicenow, *_slow_instances(world)]
    tickets = make_tickets(world, events)
    oracle = Oracle(world, stories, instances, tickets)
    world.on_loss, world.on_doubt = oracle.note_loss, oracle.note_doubt
    if world.knobs.plays(Load.POISON):
        world.servicenow.faults.order(Fault(kind="500", times=None, method="POST", path=_RECORDS, text=POISONED))
    if not world.knobs.takes_edits:
        world.slack.errors.order(ErrorOrder(error="edit_window_closed", times=None, method="chat.update"))
    if tickets:
        events.begin()
    world.start()
    await asyncio.sleep(UP_AFTER_S)
    await _tell(world, [*stories, *tickets], events)
    await oracle.settle()
    await oracle.judge()


def _slow_instances(world: World) -> list[ServiceNowSimulator]:
    """One that some alerts escalate to, whose every answer takes seconds; none without that load."""
    if not world.knobs.plays(Load.SLOW_INSTANCE):
        return []
    slow = ServiceNowSimulator(password=settings.PASSWORD, now_s=world.now_s)
    slow.faults.order(Fault(kind="slow", times=None, seconds=SLOW_S))
    world.add_host(settings.SLOW_SERVICENOW, slow.app())
    return [slow]


async def _tell(world: World, stories: Sequence[Story | TicketStory], events: Events) -> None:
    """All stories, while things go wrong; then nothing does any more."""
    async with asyncio.TaskGroup() as group:
        for story in stories:
            group.create_task(story.play())
        await asyncio.sleep(world.knobs.minutes * 60)
        world.heal()
        events.heal()
        world.servicenow.faults.clear()


def play(
    seed: int, knobs: Knobs, script: Script | None = None, *, keeps_log: bool = False, stops: bool = False
) -> World:
    """The world afterwards, with its violations, its trace, and the faults that happened.

    *stops*: it ends at its first violation.
    """
    with simulated_chance(seed), World(seed, knobs, script, keeps_log=keeps_log, stops=stops) as world:
        _run(world)
        for line in world.loop.unhandled:
            world.violation("an exception that nobody caught", line)
    return world


def _run(world: World) -> None:
    """To its end, or until it is stopped; then nothing holds what is left of it."""
    events = Events(world)
    try:
        _run_until_done(world, world.people.spawn(_play(world, events)))
    except Stuck as exc:
        world.violation("stuck", str(exc))
        return
    ended = world.people.spawn(events.end())
    while not ended.done():  # what others still do may break a promise too
        _run_until_done(world, ended)


def _run_until_done(world: World, task: asyncio.Task[None]) -> None:
    """Or until a violation stops it."""
    try:
        world.loop.run_until_complete(task)
    except RuntimeError:  # asyncio's word for a loop that was stopped
        if task.done() or not world.violations:
            raise
