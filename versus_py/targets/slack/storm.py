"""One message for many: when more new incidents come than a channel takes, those beyond are counted in a digest.

Each of them keeps its own wait and escalation. Their syncs only count them; the digest is kept up to date by `run`,
on whichever replica is first.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from slack_sdk.models.attachments import BlockAttachment

from versus_py.ack_links import DAY_MS, STORM_MS
from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.errors import StoreUnavailable, Transient, Unreadable, VersusError
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, IncidentId, Status, common
from versus_py.store import Member, Storm, Storms
from versus_py.targets.slack.actions import acknowledge_all_block
from versus_py.targets.slack.api import CREDENTIALS, GONE, LATE_EDIT_S, THREAD, Refused, channel_url, is_about_channel
from versus_py.targets.slack.history import History, metadata
from versus_py.targets.slack.message import Message, mention_of
from versus_py.targets.slack.mrkdwn import date, escape, link, shorten
from versus_py.targets.slack.wire import EDITS, POSTS, WORKSPACE, Urgency, Wire
from versus_py.targets.target import NotYet

log = structlog.get_logger()

QUIET_MS = 60_000
"""A storm is over when nobody has joined it for so long."""

LOOK_EVERY_S = 1.0
STOP_GRACE_S = 5.0
"""How long a digest that is being written may take after the word to stop: as long as a sync."""

EDIT_EVERY_MS = 5_000
TELL_EVERY_MS = 60_000
LATE_EDIT_MS = round(LATE_EDIT_S * 1000)
FAILED_MS = 5_000
"""How long to leave alone what failed, unless Slack wants more."""

LINK_RENEWED_MS = STORM_MS - 2 * DAY_MS
"""How old the link of a digest gets while somebody is needed: each incident of the storm is looked at once a day."""

NAMES_SHOWN = 10
MENTIONS_SHOWN = 5
NAME_MAX = 100
COUNTED_MAX = 800

_HELD_UP = "held up"
_WORTH_A_PING = ("escalated", "failed", _HELD_UP)


class StormMessages:
    """The digests. *list_url* makes the link to the page that lists a storm's incidents.

    *wake* has an incident synced once more: it needs a message of its own after all.
    """

    def __init__(
        self,
        config: SlackConfig,
        *,
        storms: Storms,
        wire: Wire,
        history: History,
        clock: Clock,
        list_url: Callable[[str, str], str],
        wake: Callable[[IncidentId], Awaitable[None]],
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._config = config
        self._storms = storms
        self._wire = wire
        self._history = history
        self._clock = clock
        self._list_url = list_url
        self._wake = wake
        self._look_every_s = look_every_s
        self._unreadable: set[tuple[str, str]] = set()  # which storms were told to be so

    async def join(self, channel: str, incident: Incident) -> Delivery:
        """Count a new incident in the channel's digest."""
        storm_id = await self._storms.join(channel, incident.id, self._member(incident), now_ms=self._clock.now_ms())
        log.info("slack.storm_joined", incident=incident.id, channel=channel, storm=storm_id)
        return self._counted_in(channel, storm_id)

    async def joined(self, channel: str, incident: Incident) -> Delivery | None:
        """That it is counted in the channel's digest already; None when it is not."""
        storm_id = await self._storms.joined(channel, incident.id)
        return None if storm_id is None else self._counted_in(channel, storm_id)

    async def sync(self, incident: Incident, before: Delivery) -> Delivery | None:
        """Count it as it stands now; None when it should have a message of its own.

        That is when the digest is lost, and when it was reopened after the storm. Raises Refused, once, when somebody
        has to hear of it, and Slack will not take the digest; NotYet before that, when it did take one.
        """
        channel, storm_id = before.reference["channel"], before.reference["storm"]
        storm = await self._storms.summary(channel, storm_id)
        needs_somebody = incident.status is Status.TRIGGERED
        if storm is None or storm.refused:
            if needs_somebody and storm is not None and storm.ts and not before.label:
                told = replace(before, label=f"message {storm.ts} in {channel}")
                raise NotYet(self._clock.now_ms(), "people were told by the digest, which is noted first", told)
            has_left = await self._storms.leave(channel, storm_id, incident.id)
            if not needs_somebody:
                return before
            # Slack has said so for all of them. Who comes back later, as after a retry, asks it anew; of credentials
            # that may be good by now, each asks itself.
            if has_left and storm is not None and storm.refused not in GONE | CREDENTIALS:
                raise Refused(storm.refused)
            return None
        if needs_somebody and storm.ended_ms is not None and incident.waiting_since_ms > storm.ended_ms:
            await self._storms.leave(channel, storm_id, incident.id)
            return None
        if needs_somebody and self._ends_soon(storm):
            await self._note(storm, shown=storm.changes - 1)  # so that the digest is written anew
        member = self._member(incident)
        is_counted = await self._storms.change(channel, storm_id, incident.id, member, now_ms=self._clock.now_ms())
        return before if is_counted or not needs_somebody else None

    async def leave(self, incident: Incident, before: Delivery) -> None:
        """Count it no more: it went to another channel."""
        await self._storms.leave(before.reference["channel"], before.reference["storm"], incident.id)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep every digest up to date until *stop*, then finish the one at hand within STOP_GRACE_S."""
        async with asyncio.TaskGroup() as loops:
            keeping = loops.create_task(self._keep_until(stop))
            await stop.wait()
            await asyncio.wait([keeping], timeout=STOP_GRACE_S)
            keeping.cancel()

    async def _keep_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.keep_all(stop)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every_s):
                    await stop.wait()

    async def keep_all(self, stop: asyncio.Event | None = None) -> None:
        """One look at every storm; what fails is looked at again the next time, and stops none of the others.

        None is begun after *stop*.
        """
        try:
            kept = await self._storms.kept()
        except StoreUnavailable as exc:
            log.warning("slack.storms_unavailable", error=str(exc))
            return
        self._unreadable.intersection_update(kept)
        for place, storm_id in kept:
            if not _is_ours(place):
                continue
            if stop is not None and stop.is_set():
                return
            await self._keep_or_log(place, storm_id)

    async def _keep_or_log(self, place: str, storm_id: str) -> None:
        about = {"channel": place, "storm": storm_id}
        try:
            await self._keep(place, storm_id)
        except StoreUnavailable as exc:
            log.warning("slack.storms_unavailable", error=str(exc), **about)
        except Unreadable as exc:
            if (place, storm_id) not in self._unreadable:
                self._unreadable.add((place, storm_id))
                log.error("slack.storm_unreadable", error=str(exc), **about)  # noqa: TRY400
        except Exception:
            log.exception("slack.storms_crashed", **about)

    async def _keep(self, place: str, storm_id: str) -> None:
        storm = await self._storms.summary(place, storm_id)
        now_ms = self._clock.now_ms()
        if storm is not None and storm.ended_ms is None and now_ms - storm.joined_ms >= QUIET_MS:
            await self._storms.end(storm, now_ms=now_ms)
            storm = await self._storms.summary(place, storm_id)
        if storm is not None and storm.refused:
            await self._hand_over(place, storm_id)
        elif storm is None or (storm.ended_ms is not None and not storm.is_behind):
            await self._storms.dismiss(place, storm_id)
        elif storm.is_behind:
            async with self._storms.lock(place, storm_id) as is_ours:
                if is_ours:
                    await self._write(place, storm_id)

    async def _write(self, place: str, storm_id: str) -> None:
        """The digest as it is now, and what its thread is to be told: neither waits for the other's turn."""
        storm = await self._storms.get(place, storm_id)
        if storm is None:
            return
        now_ms = self._clock.now_ms()
        try:
            is_settling = storm.settle_at_ms is not None and now_ms >= storm.settle_at_ms
            if (storm.shown < storm.changes or is_settling) and now_ms >= storm.write_at_ms:
                await self._attempt(self._put, storm, "write_at_ms")
            if storm.ts and storm.told != _news(storm) and now_ms >= storm.tell_at_ms:
                await self._attempt(self._tell, storm, "tell_at_ms")
        except Refused as exc:
            await self._refused(storm, exc)

    async def _attempt(self, act: Callable[[Storm], Awaitable[None]], storm: Storm, again_at: str) -> None:
        """Do it if it is its turn; *again_at* is the field that says when to come back to it after a failure."""
        try:
            with suppress(NotYet):
                await act(storm)
        except Transient as exc:
            log.warning("slack.storm_not_written", channel=storm.place, storm=storm.id, error=str(exc))
            wait_ms = max(FAILED_MS, round((exc.retry_after_s or 0) * 1000))
            await self._note(storm, **{again_at: self._clock.now_ms() + wait_ms})

    async def _put(self, storm: Storm) -> None:
        """Post the digest, or edit the one there is."""
        if storm.ts:
            await self._wire.take(WORKSPACE, storm.id, EDITS)
        else:
            await self._wire.take(storm.place, storm.id, POSTS, urgency=Urgency.STORM)
        ts = storm.ts or await self._found(storm)
        message = build_digest(storm, self._config, list_url=self._list_url(storm.place, storm.id))
        if ts:
            try:
                async with self._noted(storm, "editing", is_noted=storm.is_being_edited):
                    await self._wire.edit(storm.place, ts, message)
            except Refused as exc:
                if is_about_channel(exc) or exc.code in GONE | CREDENTIALS:
                    raise
                await self._not_edited(storm, exc)
                return
        else:
            async with self._noted(storm, "tried", is_noted=storm.was_tried):
                reply = await self._wire.post(storm.place, message, metadata=metadata(storm=storm.id))
            ts = str(reply["ts"])
        now_ms = self._clock.now_ms()
        times = {"write_at_ms": now_ms + EDIT_EVERY_MS, "settle_at_ms": _settle_at_ms(storm, now_ms) or ""}
        await self._note(storm, ts=ts, shown=storm.changes, news=_news(storm), editing="", **times)

    async def _not_edited(self, storm: Storm, exc: Refused) -> None:
        """The digest cannot be edited: it is posted anew, once; that one stays as it is, and its thread goes on."""
        log.warning("slack.edit_refused", channel=storm.place, storm=storm.id, ts=storm.ts, error=str(exc))
        if storm.was_posted_anew:
            await self._note(storm, shown=storm.changes, news=_news(storm), editing="", settle_at_ms="")
        else:
            await self._note(storm, ts="", tried="", editing="", settle_at_ms="", anew="1")

    async def _found(self, storm: Storm) -> str:
        """The digest that an attempt whose answer was lost has posted; "" when there is none to be found."""
        if not storm.was_tried:
            return ""
        found = await self._history.find(storm.place, {"storm": storm.id}, since_ms=storm.began_ms)
        return found.ts if found else ""

    async def _tell(self, storm: Storm) -> None:
        """Edits ping nobody, so that escalations are said in the thread, now and then."""
        news = _news(storm)
        if not news:
            await self._note(storm, told="")
            return
        await self._wire.take(storm.place, f"{storm.id} thread", POSTS, urgency=Urgency.STORM)
        if news != await self._told(storm):
            await self._say(storm, news)
        await self._note(storm, told=news, telling="", tell_at_ms=self._clock.now_ms() + TELL_EVERY_MS)

    async def _say(self, storm: Storm, news: str) -> None:
        """A line in the thread. One that the thread does not take is left out: the digest itself stands."""
        message = Message(f":rotating_light: Of these incidents: {news} {_mentions(storm)}".rstrip())
        about = metadata(reply_about=storm.id, told=news)
        try:
            async with self._noted(storm, "telling", is_noted=storm.is_being_told):
                await self._wire.post(storm.place, message, metadata=about, thread_ts=storm.ts)
        except Refused as exc:
            if exc.code not in THREAD - GONE:
                raise
            log.warning("slack.thread_refused", channel=storm.place, storm=storm.id, error=exc.code)

    @asynccontextmanager
    async def _noted(self, storm: Storm, field: str, *, is_noted: bool) -> AsyncIterator[None]:
        """Around a call whose answer may be lost: *field* says so, unless it surely did nothing."""
        if not is_noted:
            await self._note(storm, **{field: "1"})
        try:
            yield
        except VersusError as exc:
            if exc.without_effect and not is_noted:
                await self._note(storm, **{field: ""})
            raise

    async def _told(self, storm: Storm) -> str:
        """What the thread was told last, also by an attempt whose answer was lost."""
        found = (
            await self._history.last_reply(storm.place, storm.ts, of_standing=False) if storm.is_being_told else None
        )
        return str(found.said.get("told", "")) if found else storm.told

    async def _refused(self, storm: Storm, exc: Refused) -> None:
        """It cannot be: a digest that was deleted while the storm goes on is posted again, once.

        Else everybody is on their own.
        """
        if exc.code in GONE:
            await self._note(storm, ts="", tried="", anew="1")
            if storm.ended_ms is None and not storm.was_posted_anew:
                return
        log.warning("slack.storm_refused", channel=storm.place, storm=storm.id, error=str(exc))
        await self._storms.end(storm, now_ms=self._clock.now_ms(), refused=exc.code)

    async def _hand_over(self, place: str, storm_id: str) -> None:
        """Everybody is on their own: one replica wakes all of them, once.

        Until that is done, the storm is kept, so that another one goes on after a crash.
        """
        async with self._storms.lock(place, storm_id) as is_ours:
            if not is_ours or not await self._storms.is_kept(place, storm_id):
                return
            storm = await self._storms.get(place, storm_id)
            for incident_id in storm.members if storm is not None else ():
                await self._wake(incident_id)
            await self._storms.dismiss(place, storm_id)

    async def _note(self, storm: Storm, **values: str | int) -> None:
        await self._storms.note(storm.place, storm.id, **values)

    def _counted_in(self, channel: str, storm_id: str) -> Delivery:
        note = f"counted in the message of an alert storm in {channel}"
        reference = {"channel": channel, "storm": storm_id}
        return Delivery(reference=reference, url=channel_url(self._config, channel), note=note)

    def _ends_soon(self, storm: Storm) -> bool:
        """Whether the digest's link to the list is to be renewed: nothing else has changed the digest for so long."""
        return bool(storm.ts) and self._clock.now_ms() - storm.write_at_ms > LINK_RENEWED_MS

    def _member(self, incident: Incident) -> Member:
        standing = str(incident.status)
        if incident.status is Status.TRIGGERED and incident.ending is not None:
            standing = str(incident.ending)
        elif incident.status is Status.ACKNOWLEDGED and incident.acknowledged_by is not None:
            standing = f"{standing} by {incident.acknowledged_by.name}"
        elif incident.held_up_by is not None:
            standing = _HELD_UP
        elif incident.snooze is not None:
            standing = "snoozed"
        labels = common([alert.labels for alert in incident.alerts])
        name = labels.get("alertname") or incident.title
        return Member(incident.severity, name[:NAME_MAX], standing, mention_of(incident, self._config))


def build_digest(storm: Storm, config: SlackConfig, *, list_url: str) -> Message:
    """The digest of *storm* as it is now."""
    members = storm.members.values()
    count = len(storm.members)
    incidents = f"{count} incident{'' if count == 1 else 's'}"
    if storm.ended_ms is None:
        headline = f":ocean: *Alert storm* · {incidents} since {date(storm.began_ms)} {_mentions(storm)}".rstrip()
        rule = (
            "More came than this channel takes, so they share this message; those posted before it have messages of "
            "their own. Each keeps its own wait and escalation."
        )
    else:
        headline = f":ocean: *The alert storm is over* · {incidents} since {date(storm.began_ms)}"
        rule = f"Nothing has joined since {date(storm.joined_ms)}; what comes now is posted by itself again."
    lines = [
        headline,
        _counts("", Counter(member.standing for member in members)),
        _counts("By severity: ", Counter(member.severity or "none" for member in members)),
        _counts("By alert: ", Counter(member.name for member in members)),
        link(list_url, "List of the incidents"),
        rule,
    ]
    actions = acknowledge_all_block(storm, config)
    attachments = () if actions is None else (BlockAttachment(blocks=[actions], fallback=incidents).to_dict(),)
    return Message("\n".join(lines), attachments)


def _settle_at_ms(storm: Storm, now_ms: int) -> int | None:
    """When the digest that was just edited is to be edited once more; None where no edit can undo this one."""
    if storm.is_being_edited:
        return now_ms + LATE_EDIT_MS
    return storm.settle_at_ms if (storm.settle_at_ms or 0) > now_ms else None


def _news(storm: Storm) -> str:
    """What people should be pinged about."""
    counts = Counter(member.standing for member in storm.members.values())
    return ", ".join(f"{counts[standing]} {standing}" for standing in _WORTH_A_PING if counts[standing])


def _counts(title: str, counts: Counter[str]) -> str:
    shown = [f"{number} {escape(shorten(name, NAME_MAX))}" for name, number in counts.most_common(NAMES_SHOWN)]
    if len(counts) > NAMES_SHOWN:
        shown.append(f"{len(counts) - NAMES_SHOWN} more names")
    return shorten(f"{title}{' · '.join(shown)}", COUNTED_MAX)


def _mentions(storm: Storm) -> str:
    """Of those who would be mentioned in messages of their own, each once."""
    mentions = Counter(member.mention for member in storm.members.values() if member.mention)
    return " ".join(mention for mention, _ in mentions.most_common(MENTIONS_SHOWN))


def _is_ours(place: str) -> bool:
    """Slack's places are its channels' ids, without its name before them, as they always were: they have no colon."""
    return ":" not in place
