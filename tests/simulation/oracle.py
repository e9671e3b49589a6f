"""Judges a world: at each effect, from time to time, and in the end, by what people were answered and what is there."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.simulation.chain import judge_journal
from tests.simulation.course import Course
from tests.simulation.judgments import Bounds, Message, Record, Seen, Verdict, judge
from tests.simulation.knobs import FaultKind, Knobs
from tests.simulation.log_judgments import judge_log
from tests.simulation.network import Lost
from tests.simulation.people import Story
from tests.simulation.settings import (
    CHANNEL,
    COMMENTS_EVERY_MINUTES,
    COMPARE_EVERY_MINUTES,
    GATEWAY_SECRET,
    LEADS_CHANNEL,
    opens_ms_of,
)
from tests.simulation.ticket_judgments import SeenTicket, judge_ticket
from tests.simulation.tickets import TicketStory
from tests.simulation.waits import Rules
from tests.simulation.watch import (
    EditWatch,
    Keys,
    Losses,
    MessageWatch,
    RecordWatch,
    Watched,
    incident_of,
    without_looks,
)
from tests.simulation.world import World
from versus_py.simulators import ServiceNowSimulator

SOON_MS = 3_600_000
"""Timers that are due later are no unfinished work: an open incident is looked at again on another day."""

SETTLES_WITHIN_S = 5400.0
"""When all has to be done after the last fault."""

QUIET_S = 20.0
LOOK_EVERY_S = 5.0
ASKED_MAX = 60
"""How often the API is asked in the end until it answers."""

CALM_LATE_MS = 8000.0
"""How late a record may be where nothing goes wrong."""

YOUNG_MS = 60_000.0
"""Where Redis is emptied, a message that is younger may be posted again when its alert is sent again."""

KEY_IS_NEW_S = 1.5
"""So long after the first start, a Redis that loses its last second may have lost the key that signs links."""

STARTED_S = 60.0
"""When every replica has seen what is in Redis."""

_NOT_IN_THE_WAY = {FaultKind.REDIS_FULL}
"""Faults in spite of which what was accepted goes on in time."""


def rules_of(knobs: Knobs) -> Rules:
    """What the configuration of the world promises, and how exactly, with these faults."""
    is_slow = knobs.chance(FaultKind.REDIS_SLOW) > 0
    steps = knobs.chance(FaultKind.REDIS_STEPS) > 0
    slack_ms = 500 + 3000 * is_slow + 6000 * steps
    return Rules(
        wait_ms=knobs.wait_minutes * 60_000,
        record_after_ms=(knobs.record_after_minutes or 0) * 60_000,
        repeat=knobs.repeat,
        has_steps=knobs.record_after_minutes is not None,
        opens_ms=opens_ms_of(knobs),
        ack_timeout_ms=knobs.ack_timeout_minutes * 60_000,
        reopen_ms=knobs.reopen_minutes * 60_000,
        slack_ms=slack_ms,
        lead_ms=knobs.redis_offset_ms,
        has_sure_clock=not knobs.chance(FaultKind.REDIS_JUMPS),
        has_last_look=knobs.has_alertmanager,
        may_end_at_once=knobs.chance(FaultKind.HTTP_REFUSED) > 0,
    )


class Oracle:
    """Of one world and its stories. It watches from the moment that it is made."""

    def __init__(
        self,
        world: World,
        stories: Sequence[Story],
        instances: Sequence[ServiceNowSimulator],
        tickets: Sequence[TicketStory] = (),
    ) -> None:
        self._world = world
        self._tickets = tickets
        self._stories = stories
        self._keys = Keys(world.server)
        self._records = RecordWatch(world.now_ms, world.violation)
        self._rules = rules_of(world.knobs)
        self._losses, self._forgotten = Losses(), Losses()
        self._may_have_lost_key = False  # of links, see docs/design.md
        self._edits = EditWatch(world.now_ms)
        self._instances = instances
        for instance in instances:
            instance.tables["incident"] = Watched(instance.incidents, self._records.come)
        self._emptied_s: float | None = None
        self._messages = MessageWatch(self._losses, world.violation)
        world.slack.messages = Watched(world.slack.messages, self._message_came)

    def note_doubt(self, why: str) -> None:
        """What goes on may be otherwise than it was."""
        for story in self._stories:
            story.put_in_doubt(why)

    def note_loss(self, why: str, since_ms: float | None = None) -> None:
        """Redis lost what was written after *since_ms*, or everything: what was in it is in doubt."""
        if since_ms is None and self._emptied_s is None:
            self._emptied_s = self._world.loop.now_s
        is_searched_for = since_ms is None and self._world.knobs.faults.keys() <= {FaultKind.REDIS_EMPTIED}
        # A search that fails holds up no post; and a message that is younger is not searched for (docs/operations.md).
        repeated_since_ms = self._world.now_ms() - YOUNG_MS if is_searched_for else since_ms or 0
        self._losses.note(repeated_since_ms, self._world.now_ms())
        is_kept = self._world.knobs.durability != "memory"
        if since_ms is None or not is_kept:
            self._forgotten.note(since_ms or 0, self._world.now_ms())
        self._may_have_lost_key |= not is_kept and self._world.loop.now_s < KEY_IS_NEW_S
        for story in self._stories:
            if since_ms is None or (not is_kept and _acted_after(story, since_ms)):
                story.put_in_doubt(why)

    def _message_came(self, message: Any) -> None:
        self._edits.come(message)
        if self._world.knobs.takes_edits and not self._world.knobs.chance(FaultKind.REDIS_EMPTIED):
            self._messages.come(message)

    def _report(self, found: Iterator[Verdict]) -> None:
        for what, detail in found:
            self._world.violation(what, detail)

    async def settle(self) -> None:
        """Until there is nothing left to do; a violation when that does not come."""
        world = self._world
        deadline_ms, quiet_since_ms = world.now_ms() + SETTLES_WITHIN_S * 1000, None
        while world.now_ms() < deadline_ms:
            await asyncio.sleep(LOOK_EVERY_S)
            self._report(self._keys.outlived())
            if self._left():
                quiet_since_ms = None
            elif quiet_since_ms is None:
                quiet_since_ms = world.now_ms()
            elif world.now_ms() - quiet_since_ms > self._quiet_ms:
                return
        for name, found in self._left().items():
            world.violation(f"left: {name}", ", ".join(found[:5]))

    @property
    def _quiet_ms(self) -> float:
        """Where records are looked at or compared, until each was: what a comparison finds is done after the next."""
        looks_s = 90 * COMMENTS_EVERY_MINUTES * self._world.knobs.looks_at_records
        return (QUIET_S + looks_s + 150 * COMPARE_EVERY_MINUTES * bool(self._tickets)) * 1000

    def _left(self) -> Mapping[str, list[str]]:
        world = self._world
        now_ms = max(world.server.now_ms(), world.now_ms() + world.knobs.redis_offset_ms)  # replicas follow no jump
        left = self._keys.left(now_ms, SOON_MS)
        # Records with comments, and what the Alertmanager may say is over, are looked at again and again.
        return without_looks(left) if world.knobs.looks_at_records or world.knobs.has_alertmanager else left

    async def judge(self) -> None:
        """In the end."""
        if (failed := self._failed()) and not self._world.knobs.chance(FaultKind.HTTP_REFUSED):
            self._world.violation("left: failed", ", ".join(failed[:5]))
        self._judge_log()
        self._judge_journal()
        for story in self._stories:
            bounds = self._bounds(story)
            for course in story.courses:
                self._count(course)
                if course.id:
                    course.finish(self._world.now_ms())
                    self._report(judge(course, await self._see(course), bounds))
        for ticket in self._tickets:
            if ticket.row:
                self._report(judge_ticket(await self._see_ticket(ticket)))

    def _failed(self) -> list[str]:
        """What was given up, but for a record that somebody may have closed between a look at it and a write."""
        closed = {course.id for story in self._stories for course in story.courses if course.closings}
        return [it for it in self._keys.sorted_set("failed") if it.partition("|")[0] not in closed]

    def _count(self, course: Course) -> None:
        """How much was judged, and why not all of it: a load that judges nothing finds nothing."""
        counts = self._world.counts
        counts["incidents"] += 1
        counts[f"in doubt: {course.doubt}"] += bool(course.doubt)
        for act in course.acts:
            counts[f"did {act.did}"] += 1
        for wait in course.waits:
            counts["waits that have to escalate"] += wait.has_to_escalate()
            counts["waits that were ended in time"] += wait.was_ended_in_time(self._rules.slack_ms)

    def _bounds(self, story: Story) -> Bounds:
        knobs = self._world.knobs
        is_calm = knobs.faults.keys() <= _NOT_IN_THE_WAY and not story.is_hindered
        is_calm = is_calm and not self._rules.opens_ms  # else all that is held is told at once, one after the other
        late_ms = CALM_LATE_MS if is_calm else None
        return Bounds(
            late_ms=late_ms,
            slack_ms=self._rules.slack_ms,
            may_refuse=knobs.chance(FaultKind.HTTP_REFUSED) > 0,
            takes_edits=knobs.takes_edits,
            may_refuse_links=self._may_have_lost_key,
            later_channel=LEADS_CHANNEL if self._rules.has_steps else "",
        )

    def _judge_log(self) -> None:
        possible = self._world.knobs.faults.keys()
        is_sure = possible == {FaultKind.REDIS_EMPTIED} and (self._emptied_s or 0) > STARTED_S
        emptied_s = self._emptied_s if is_sure else None
        self._report(judge_log(self._world.errors, possible, emptied_s, ended_s=self._world.loop.now_s))

    def _judge_journal(self) -> None:
        if self._world.knobs.has_journal:
            accepted = [it.id for story in self._stories for it in story.courses if it.id and not it.doubt]
            self._report(judge_journal(*self._keys.journal(), accepted))

    async def _see(self, course: Course) -> Seen:
        world = self._world
        every = (it for instance in self._instances for it in instance.incidents)
        rows = [it for it in every if it["correlation_id"] == course.id]
        records = [self._as_record(it) for it in rows]
        own = [it for it in world.slack.messages if it.thread_ts is None]
        messages = [self._as_seen(it) for it in self._not_repeated(own, course.id)]
        is_in_storm = any("torm" in it.text for it in own)
        return Seen(await self._incident(course.id), records, messages, is_in_storm=is_in_storm)

    async def _see_ticket(self, ticket: TicketStory) -> SeenTicket:
        world, row, accepted = self._world, ticket.row, ticket.incident_ids
        own = [it for it in world.slack.messages if it.thread_ts is None and it.channel == CHANNEL]
        listed = await self._asked("/api/incidents?limit=200") or {"incidents": []}
        incidents = {it["id"]: it for it in listed["incidents"] if it["record"] == row["number"]}
        ids = {*accepted, *incidents}
        world.counts["tickets"] += 1
        world.counts["tickets with an incident"] += bool(ids)
        return SeenTicket(
            row["number"],
            row["state"],
            row["priority"],
            accepted,
            incidents,
            messages=sum(incident_of(it) in ids for it in own),
            records=[it["number"] for it in world.servicenow.incidents if it["correlation_id"] in ids],
            written=ticket.written,
            replies=[it.text for about in own if incident_of(about) in ids for it in about.thread],
            may_be_unread=bool(world.knobs.faults),
            was_called=ticket.was_called,
            was_raised=ticket.was_raised,
        )

    async def _incident(self, incident_id: str) -> Mapping[str, Any] | None:
        return await self._asked(f"/api/incidents/{incident_id}")

    async def _asked(self, path: str) -> Mapping[str, Any] | None:
        """What the API of the first replica that answers has; None when that knows of none."""
        headers = {"X-Gateway-Secret": GATEWAY_SECRET}
        for number in range(ASKED_MAX):
            replica = self._world.replicas[number % len(self._world.replicas)]
            try:
                answer, _ = await self._world.request(replica, "GET", path, headers=headers)
            except Lost:
                await asyncio.sleep(LOOK_EVERY_S)  # it may still stand still
                continue
            if answer.status in {200, 404}:
                found: Mapping[str, Any] | None = answer.data if answer.status == 200 else None
                return found
        self._world.violation("the API does not answer", path)
        return None

    def _not_repeated(self, own: Sequence[Any], incident_id: str) -> list[Any]:
        """The messages about an incident, without those that a loss had posted again."""
        about = [it for it in own if incident_of(it) == incident_id]
        return [it for it in about[:-1] if not self._losses.may_repeat(it)] + about[-1:]

    def _as_record(self, row: Mapping[str, str]) -> Record:
        created_ms = self._records.created_ms[row["sys_id"]]
        changed_ms = datetime.fromisoformat(f"{row['sys_updated_on']}Z").timestamp() * 1000  # of whole seconds
        return Record(
            row["number"],
            row["state"],
            created_ms,
            may_be_forgotten=self._forgotten.hide(created_ms),
            may_be_outdated=self._forgotten.hide(changed_ms) or self._forgotten.hide(changed_ms + 999),
        )

    def _as_seen(self, message: Any) -> Message:
        thread = [it for it in message.thread if not self._losses.may_repeat(it)]
        told = [(it.metadata or {}).get("event_payload") or {} for it in thread]
        replies = [it.text for it in thread]
        posted_ms = float(message.ts) * 1000
        edited_ms = self._edits.edited_ms.get(message.ts)
        return Message(
            message.channel,
            message.text,
            message.shown,
            replies,
            told,
            posted_ms,
            may_be_outdated=edited_ms is not None and self._forgotten.hide(edited_ms),
        )


def _acted_after(story: Story, since_ms: float) -> bool:
    """Something that Redis has lost may be of this story."""
    acts = [act for course in story.courses for act in course.acts]
    return story.is_busy or any(act.over_ms >= since_ms for act in acts)
