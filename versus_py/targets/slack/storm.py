"""One message for many: when more new incidents come than a channel takes, those beyond are counted in a digest.

Each of them keeps its own wait and escalation. Whichever of them is synced brings the digest up to date for all.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.incident import Delivery, Incident, Status, common
from versus_py.severity import highest_severity
from versus_py.store import Member, Rate, Storm, Storms
from versus_py.targets.slack.api import Refused
from versus_py.targets.slack.history import History, metadata
from versus_py.targets.slack.message import Message
from versus_py.targets.slack.mrkdwn import Mrkdwn, date, escape, link, shorten
from versus_py.targets.slack.wire import POSTS, Rank, Wire
from versus_py.targets.target import NotYet

log = structlog.get_logger()

QUIET_MS = 60_000
"""A storm is over when nobody has joined it for so long."""

EDIT_EVERY = Rate(interval_ms=5_000)
NAMES_SHOWN = 10
NAME_MAX = 100
COUNTED_MAX = 800


class StormMessages:
    """The digests. *list_url* makes the link to the page that lists a storm's incidents."""

    def __init__(
        self,
        config: SlackConfig,
        *,
        storms: Storms,
        wire: Wire,
        history: History,
        clock: Clock,
        list_url: Callable[[str, str], str],
    ) -> None:
        self._config = config
        self._storms = storms
        self._wire = wire
        self._history = history
        self._clock = clock
        self._list_url = list_url

    async def join(self, channel: str, incident: Incident) -> Delivery:
        """Count a new incident in the channel's digest."""
        storm_id, change = await self._storms.join(channel, incident.id, _member(incident), now_ms=self._clock.now_ms())
        log.info("slack.storm_joined", incident=incident.id, channel=channel, storm=storm_id)
        joined = Delivery(reference={"channel": channel, "storm": storm_id}, label=f"the alert storm in {channel}")
        return await self._shown(joined, change)

    async def sync(self, incident: Incident, before: Delivery) -> Delivery | None:
        """Count it as it stands now; None when it should have a message of its own: it was reopened after the storm."""
        channel, storm_id = before.reference["channel"], before.reference["storm"]
        storm = await self._storms.get(channel, storm_id)
        is_open = incident.status is Status.TRIGGERED
        if storm is None or (storm.ended_ms is not None and incident.waiting_since_ms > storm.ended_ms):
            return None if is_open else before
        change = await self._storms.change(
            channel, storm_id, incident.id, _member(incident), now_ms=self._clock.now_ms()
        )
        return await self._shown(before, change or 0)

    async def _shown(self, delivery: Delivery, change: int) -> Delivery:
        """Once the digest shows *change*. Raises NotYet, with what was achieved, while somebody else writes it."""
        channel, storm_id = delivery.reference["channel"], delivery.reference["storm"]
        now_ms = self._clock.now_ms()
        storm = await self._storms.get(channel, storm_id)
        if storm is None:
            return delivery
        if storm.ended_ms is None and now_ms - storm.joined_ms >= QUIET_MS:
            await self._storms.end(channel, storm, now_ms=now_ms)
            storm = await self._storms.get(channel, storm_id) or storm
            change = storm.changes
        if storm.shown >= change:
            is_watching = delivery.look_again_at_ms is not None
            return _watching(delivery, storm) if is_watching else delivery
        try:
            return await self._write(delivery, channel, storm)
        except NotYet as exc:
            raise NotYet(exc.at_ms, str(exc), delivery) from None

    async def _write(self, delivery: Delivery, channel: str, storm: Storm) -> Delivery:
        """The digest as it is now. Who writes it last also looks whether the storm is over."""
        async with self._storms.lock(channel, storm.id) as is_ours:
            if not is_ours:
                raise NotYet(self._clock.now_ms() + 1_000, "somebody else writes the storm's message")
            if storm.ts:
                await self._wire.take(f"{channel}:storm", storm.id, EDIT_EVERY)
            else:
                await self._wire.take(channel, storm.id, POSTS, rank=Rank.STORM)
            storm = await self._storms.get(channel, storm.id) or storm
            ts = await self._put(channel, storm)
            await self._storms.shown(channel, storm.id, ts=ts, change=storm.changes)
        return _watching(delivery, storm)

    async def _put(self, channel: str, storm: Storm) -> str:
        """Post the digest, or edit the one there is; its `ts`. One that people deleted is posted again next time."""
        ts = storm.ts or await self._found(channel, storm)
        message = self._message(channel, storm)
        if not ts:
            await self._storms.tried(channel, storm.id)
            reply = await self._wire.post(channel, message, metadata=metadata(storm=storm.id))
            return str(reply["ts"])
        try:
            await self._wire.edit(channel, ts, message)
        except Refused as exc:
            if exc.code != "message_not_found" or storm.ended_ms is not None:
                raise
            await self._storms.shown(channel, storm.id, ts="", change=storm.shown)
            raise NotYet(self._clock.now_ms(), "the storm's message is gone") from exc
        return ts

    async def _found(self, channel: str, storm: Storm) -> str:
        if not storm.was_tried:
            return ""
        found = await self._history.find(channel, "storm", storm.id, since_ms=storm.began_ms)
        return found.ts if found else ""

    def _message(self, channel: str, storm: Storm) -> Message:
        severity = highest_severity(member.severity for member in storm.members.values())
        mention = self._config.mention.get(severity, "")
        return build_digest(storm, list_url=self._list_url(channel, storm.id), mention=mention)


def build_digest(storm: Storm, *, list_url: str, mention: str) -> Message:
    """The digest of *storm* as it is now."""
    members = storm.members.values()
    count = len(storm.members)
    incidents = f"{count} incident{'' if count == 1 else 's'}"
    if storm.ended_ms is None:
        headline = f":ocean: *Alert storm* · {incidents} since {date(storm.began_ms)} {mention}".rstrip()
        rule = "More came than this channel takes, so they share this message. Each keeps its own wait and escalation."
    else:
        headline = f":ocean: *The alert storm is over* · {incidents} since {date(storm.began_ms)}"
        rule = f"It ended {date(storm.ended_ms)}; what comes now is posted by itself again."
    lines = [
        headline,
        _counted("", Counter(member.standing for member in members)),
        _counted("By severity: ", Counter(member.severity or "none" for member in members)),
        _counted("By alert: ", Counter(member.name for member in members)),
        link(list_url, "List of the incidents"),
        rule,
    ]
    return Message("\n".join(lines))


def _counted(title: str, counts: Counter[str]) -> Mrkdwn:
    shown = [f"{number} {escape(shorten(name, NAME_MAX))}" for name, number in counts.most_common(NAMES_SHOWN)]
    if len(counts) > NAMES_SHOWN:
        shown.append(f"{len(counts) - NAMES_SHOWN} more names")
    return Mrkdwn(shorten(f"{title}{' · '.join(shown)}", COUNTED_MAX))


def _member(incident: Incident) -> Member:
    standing = str(incident.status)
    if incident.status is Status.TRIGGERED and incident.ending is not None:
        standing = str(incident.ending)
    elif incident.snooze is not None:
        standing = "snoozed"
    labels = common([alert.labels for alert in incident.alerts])
    return Member(incident.severity, (labels.get("alertname") or incident.title)[:NAME_MAX], standing)


def _watching(delivery: Delivery, storm: Storm) -> Delivery:
    """To be looked at again when the storm may be over; once it is, no more."""
    return replace(delivery, look_again_at_ms=None if storm.ended_ms is not None else storm.joined_ms + QUIET_MS)
