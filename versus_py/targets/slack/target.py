"""The incident's message: posted once, and edited from then on; and what its thread is told."""

import asyncio
from collections.abc import Callable, Mapping

import orjson
import structlog

from versus_py.ack_links import DAY_MS, needed_until_ms, same_until_ms
from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.errors import CredentialsRefused, Permanent, StoreUnavailable, Transient, VersusError
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, Status
from versus_py.incidents.severity import severity_rank
from versus_py.targets.remote_clock import NOT_APART_MS
from versus_py.targets.slack.api import (
    CREDENTIALS,
    GONE,
    LATE_EDIT_S,
    PAYLOAD,
    THREAD,
    RateLimited,
    Refused,
    channel_url,
    is_about_channel,
    locator_of,
)
from versus_py.targets.slack.body import MessageBody, warning_of
from versus_py.targets.slack.history import History, metadata
from versus_py.targets.slack.message import Message, build, build_moved, build_plain, mention_of
from versus_py.targets.slack.storm import StormMessages
from versus_py.targets.slack.thread import Reply, Told, reply_of
from versus_py.targets.slack.users import Users
from versus_py.targets.slack.who import Who
from versus_py.targets.slack.wire import EDITS, POSTS, SEARCHES, SEARCHING, WORKSPACE, Urgency, Wire
from versus_py.targets.target import Called, NotYet

log = structlog.get_logger()

DEAD_MS = 10 * 60_000
"""How long to believe that a channel takes no messages: somebody may repair it."""

LATE_MS = 60_000
"""An incident that came here so much later than it began may have been here before, with the same id."""

SENDERS_MS = 10 * 60_000
"""How far the clock of who says when an alert began may be from the shared time."""

SEARCH_S = 5.0
"""How long a new message waits until it is sure that there is none."""

LATE_EDIT_MS = round(LATE_EDIT_S * 1000)

LINKS_WITHIN_MS = DAY_MS // 2
"""Within so much time the links of all messages are renewed, half a day or more before they end."""


MOVED = "moved"
"""In a reference: by which of the times that a person had the incident go elsewhere the message is where it is."""

LEFT = "left"
"""In a reference: that of the message before, in another channel, which does not say yet where the incident went."""

UNSURE = "unsure"
"""In the reference of that one: a line of its thread may have been posted whose answer was lost."""

LEFT_AGAIN_MS = 60_000
"""When to try that again."""

ANEW = "anew"
"""In a reference, and in the metadata: how the incident stood when the message was posted in place of another one."""


class SlackTarget:
    """The incident's message. *ack_url* makes the link that acknowledges an incident; *name* is the target's."""

    def __init__(
        self,
        config: SlackConfig,
        *,
        clock: Clock,
        wire: Wire,
        history: History,
        storms: StormMessages,
        users: Users,
        ack_url: Callable[[Incident], str | None],
        called: Called,
        name: str = SlackConfig.NAME,
    ) -> None:
        self._config = config
        self._clock = clock
        self._wire = wire
        self._history = history
        self._storms = storms
        self._users = users
        self._ack_url = ack_url
        self._called = called
        self._name = name
        self._dead: dict[str, tuple[int, Refused]] = {}  # channel -> until when nothing is sent there, and why
        self._body = MessageBody(config)

    def system(self, incident: Incident) -> str:  # noqa: ARG002 - all channels are in one workspace
        return SlackConfig.NAME

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """Post the message; or tell the thread of the one there is what is new, and edit it if it would look different.

        A message that Slack does not let be edited is posted anew, once; one that people deleted is posted again while
        the incident still needs somebody. Past the threshold of a storm, the incident is counted in the channel's
        digest instead.
        """
        begun_ms = self._clock.now_ms()
        try:
            shown = await self._shown(incident, is_unsure=attempt > 1)
        except Refused as exc:
            if exc.code not in CREDENTIALS:
                raise
            raise CredentialsRefused(str(exc), without_effect=exc.without_effect) from exc
        if self._may_have_edited(incident, attempt) and "ts" in shown.reference:
            shown = self._unsettled(shown)
        locator = _locator(shown.reference)  # also of what a version wrote that knew none
        return replace(shown, locator=locator, look_again_at_ms=self._look_again_at_ms(incident, shown, begun_ms))

    def _may_have_edited(self, incident: Incident, attempt: int) -> bool:
        """Whether an attempt before may have edited without an answer: also what it found, as the second one does."""
        return attempt > (1 if "ts" in incident.delivery(self._name).reference else 2)

    def _unsettled(self, shown: Delivery) -> Delivery:
        """The message, which an edit that Slack did not answer may yet undo."""
        return _changed(shown, unsettled_until_ms=str(self._clock.now_ms() + LATE_EDIT_MS))

    async def _shown(self, incident: Incident, *, is_unsure: bool) -> Delivery:
        before = incident.delivery(self._name)
        if self._has_to_move(incident, before):
            before = await self._moved(incident, before, is_unsure=is_unsure)
        if "storm" in before.reference:
            counted = await self._count(incident, before)
            if counted is not None:
                return await self._said_where_it_went(incident, counted, is_unsure=is_unsure)
            if incident.due_ms(self._name) is not None and not incident.is_called(self._name):
                return before  # a message of its own is due with its step
            before = Delivery()
        if "ts" in before.reference:
            shown = await self._brought_up_to_date(incident, before, is_unsure=is_unsure)
            shown = await self._said_where_it_went(incident, shown, is_unsure=is_unsure)
        else:
            shown = await self._post_first(incident, is_unsure=is_unsure)
            shown = _changed(shown, **self._mark(incident)) if shown.reference else shown
            if "ts" in shown.reference:
                shown = await self._told(incident, shown, is_unsure=is_unsure)
        if "storm" in shown.reference:  # only counted, which does not undo that an earlier message told people
            shown = replace(shown, label=incident.delivery(self._name).label)
        return shown

    async def _brought_up_to_date(self, incident: Incident, before: Delivery, *, is_unsure: bool) -> Delivery:
        """Its thread, and then the message: what pings people waits for no edit, and neither fails with the other."""
        untold: NotYet | Transient | Refused | None = None
        shown = before
        try:
            shown = await self._tell_thread(incident, before, is_unsure=is_unsure)
        except (NotYet, Transient, Refused) as exc:
            untold = exc
        if isinstance(untold, NotYet) and untold.delivery is not None:
            raise NotYet(await self._edited_at_ms(incident, untold.delivery), str(untold), untold.delivery)
        if isinstance(untold, Refused) and is_about_channel(untold):
            return await self._moved_away(incident, before, untold, is_unsure=is_unsure)
        try:
            shown = await self._edit(incident, shown, is_unsure=is_unsure)
        except (NotYet, Transient, Permanent) as exc:
            raise _of_both(untold, exc) from exc
        if untold is None or shown.reference.get("ts") != _ts(before):  # a new message shows all there is to tell
            return shown
        if isinstance(untold, NotYet):
            raise NotYet(untold.at_ms, str(untold), None if shown == before else shown) from untold
        raise untold

    async def _told(self, incident: Incident, shown: Delivery, *, is_unsure: bool) -> Delivery:
        """The same of a message that was just posted or found.

        Raises NotYet with it where its thread is to be told something: if that failed, it would be posted once more.
        """
        if self._reply_of(incident, Told.read(shown.reference), shown, Who()) is not None:
            raise NotYet(self._clock.now_ms(), "the message is noted before its thread is told", shown)
        return await self._tell_thread(incident, shown, is_unsure=is_unsure)

    async def _count(self, incident: Incident, before: Delivery) -> Delivery | None:
        """In the digest; None when it needs a message of its own, which a channel that is dead does not get."""
        try:
            return await self._storms.sync(incident, before)
        except Refused as exc:
            if not self._is_dead(before.reference["channel"], exc):
                raise
            return None

    def _has_to_move(self, incident: Incident, before: Delivery) -> bool:
        """Whether a person had the incident go to another channel since it was posted, and it is to be shown there."""
        mark, is_open = self._mark(incident), incident.status is not Status.RESOLVED
        is_elsewhere = bool(mark) and bool(before.reference) and before.reference.get(MOVED) != mark[MOVED]
        return is_elsewhere and is_open and incident.is_called(self._name)

    def _mark(self, incident: Incident) -> dict[str, str]:
        """What tells messages by the last time that a person had them go elsewhere; nothing before the first."""
        moved_ms = incident.moved.get(self._name)
        return {} if moved_ms is None else {MOVED: str(moved_ms)}

    async def _moved(self, incident: Incident, before: Delivery, *, is_unsure: bool) -> Delivery:
        """The message as it is where that channel takes none. Raises NotYet with the one that is posted there."""
        channel, mark = self._channel(incident), self._mark(incident)
        left = {LEFT: orjson.dumps(dict(before.reference)).decode()} if "ts" in before.reference else {}
        if "storm" in before.reference:
            await self._storms.leave(incident, before)
        try:
            self._raise_if_dead(channel)
            posted = await self._post_or_join(incident, channel, "", is_unsure=is_unsure)
        except NotYet as exc:
            found = None if exc.delivery is None else _changed(exc.delivery, **mark, **left)
            raise NotYet(exc.at_ms, str(exc), found) from None
        except Refused as exc:
            if not is_about_channel(exc):
                raise
            self._is_dead(channel, exc)
            log.warning("slack.channel_refused", incident=incident.id, channel=channel, error=str(exc))
            return replace(_changed(before, **mark), note=f"not moved: channel {channel} cannot be used: {exc}")
        moved = _changed(posted, **mark, **left)
        raise NotYet(self._clock.now_ms(), "the message in the other channel is noted first", moved)

    async def _said_where_it_went(self, incident: Incident, shown: Delivery, *, is_unsure: bool) -> Delivery:
        """Once the message in the channel that it left says so, if there is one.

        What is in the way of that is no failure of the message that is shown now.
        """
        if LEFT not in shown.reference:
            return shown
        left = Delivery(reference=orjson.loads(shown.reference[LEFT]))
        is_unsure = is_unsure or UNSURE in left.reference
        try:
            left = await self._tell_thread(incident, left, is_unsure=is_unsure)
            await self._wire.take(WORKSPACE, f"{incident.id} left", EDITS, urgency=Urgency.REPLY)
            who = replace(await self._users.who(incident), is_edit=True)
            moved = build_moved(incident, incident.moved.get(self._name), called=self._called, who=who)
            await self._wire.edit(left.reference["channel"], _ts(left), moved)
        except NotYet as exc:
            raise NotYet(exc.at_ms, str(exc), _leaving(shown, exc.delivery or left)) from None
        except Transient as exc:
            log.warning("slack.left_not_edited", incident=incident.id, error=str(exc))
            return _leaving(shown, _changed(left, **{UNSURE: "true"}))
        except Refused as exc:
            if exc.code in CREDENTIALS:
                raise
            log.warning("slack.left_not_edited", incident=incident.id, error=str(exc))
        kept = {name: value for name, value in shown.reference.items() if name != LEFT}
        earlier = {LEFT: left.reference[LEFT]} if LEFT in left.reference else {}
        return replace(shown, reference=kept | earlier)

    def _channel(self, incident: Incident) -> str:
        return incident.policy.destinations.get(self._name) or self._config.channel_id

    async def _post_first(self, incident: Incident, *, is_unsure: bool) -> Delivery:
        channel = self._channel(incident)
        try:
            self._raise_if_dead(channel)
            return await self._post_or_join(incident, channel, "", is_unsure=is_unsure)
        except Refused as exc:
            if not self._is_dead(channel, exc):
                raise
            return await self._post_to_default(incident, channel, exc, is_unsure=is_unsure)

    async def _post_or_join(self, incident: Incident, channel: str, note: str, *, is_unsure: bool) -> Delivery:
        """A new message; what an earlier attempt has posted or joined, if it is found; in a storm, only a count."""
        joined = await self._storms.joined(channel, incident) if is_unsure else None
        if joined is not None:
            return joined
        urgency, most = _urgency(incident), self._config.storm.threshold
        is_its_turn = await self._wire.take_among(channel, incident.id, POSTS, urgency=urgency, most=most)
        # Only now, as who waits for a turn comes back.
        found = await self._find(incident, channel, note) if is_unsure else None
        if found is not None:
            return await self._edit_found(incident, found)
        forgotten = await self._forgotten(incident, channel, note)
        if forgotten is not None:
            return forgotten
        is_only_called = incident.escalates_to(self._name) and self._name not in incident.policy.channels
        if is_unsure and is_only_called and not incident.wants(self._name):
            return incident.delivery(self._name)  # too late to call anybody
        if not is_its_turn:
            return await self._storms.join(channel, incident)
        return await self._post(incident, channel, note)

    async def _forgotten(self, incident: Incident, channel: str, note: str) -> Delivery | None:
        """The message of an incident that came here late, as after Redis was emptied, edited; None without one.

        It may have been moved to the default channel. Whatever is in the way of finding or editing it does not hold up
        a new one.
        """
        is_late = incident.created_at_ms - _began_ms(incident) > LATE_MS
        if not (is_late or _begins_later(incident)) or incident.delivery(self._name).reference:
            return None
        if not await self._wire.take_at_once(SEARCHING, incident.id, SEARCHES):
            return None
        try:
            async with asyncio.timeout(SEARCH_S):
                since_ms = _began_ms(incident) - SENDERS_MS
                found = await self._find(incident, channel, note, since_ms=since_ms)
                if found is None and channel != self._config.channel_id:
                    moved = f"posted here because channel {channel} could not be used"
                    found = await self._find(incident, self._config.channel_id, moved, since_ms=since_ms)
        except (Transient, TimeoutError) as exc:
            log.warning(
                "slack.not_adopted", incident=incident.id, channel=channel, error=str(exc) or "no answer in time"
            )
            if isinstance(exc, RateLimited):
                await self._wire.hold_back(SEARCHING, SEARCHES, exc.retry_after_s)
            return None
        return None if found is None else await self._adopted(incident, found)

    async def _adopted(self, incident: Incident, found: Delivery) -> Delivery | None:
        """None when Slack does not take the edit. Raises NotYet with what was found, also when the edit fails."""
        try:
            return await self._edit_found(incident, found)
        except Transient as exc:
            wait_ms = round((exc.retry_after_s or 0) * 1000)
            noted = self._unsettled(found)
            raise NotYet(self._clock.now_ms() + wait_ms, "the message that was found is noted first", noted) from exc
        except Refused as exc:
            channel = found.reference["channel"]
            log.warning("slack.not_adopted", incident=incident.id, channel=channel, error=str(exc))
            return None

    async def _post_to_default(self, incident: Incident, dead: str, exc: Refused, *, is_unsure: bool) -> Delivery:
        log.warning("slack.channel_refused", incident=incident.id, channel=dead, error=str(exc))
        return await self._post_or_join(incident, self._config.channel_id, _moved(dead, exc), is_unsure=is_unsure)

    def _is_dead(self, channel: str, exc: Refused) -> bool:
        """Whether *exc* is about the channel, and there is another one. Then nothing is sent there for a while."""
        if not is_about_channel(exc) or channel == self._config.channel_id:
            return False
        now_ms = self._clock.now_ms()
        # Senders name channels as they like: what is no more believed is dropped, so that it does not pile up.
        self._dead = {name: known for name, known in self._dead.items() if now_ms < known[0]}
        self._dead[channel] = (now_ms + DEAD_MS, exc)
        return True

    def _raise_if_dead(self, channel: str) -> None:
        until_ms, exc = self._dead.get(channel, (0, None))
        if exc is not None and self._clock.now_ms() < until_ms:
            raise Refused(exc.code, exc.needed)

    async def _find(
        self, incident: Incident, channel: str, note: str = "", *, since_ms: int | None = None
    ) -> Delivery | None:
        """What was posted since then, or by an earlier attempt. Its looks are not known, so that it will be edited."""
        since_ms = since_ms or incident.created_at_ms
        found = await self._history.find(channel, self._about(incident), since_ms=since_ms)
        if found is None:
            return None
        log.info("slack.message_found", incident=incident.id, channel=channel, ts=found.ts)
        told = Told.read(found.said).within(incident).written()
        anew = {ANEW: str(found.said[ANEW])} if ANEW in found.said else {}
        return self._delivery(channel, found.ts, note, **told, **self._mark(incident), **anew)

    def _about(self, incident: Incident) -> dict[str, str]:
        """What tells its message; the fallback's channel may be the one that the incident is posted to besides."""
        return {"incident": incident.id, "target": self._name, **self._mark(incident)}

    async def _find_anew(self, incident: Incident, before: Delivery, exc: Refused) -> Delivery | None:
        """What an earlier attempt has posted in place of the message, also when that is not needed any more."""
        channel = before.reference["channel"]
        if is_about_channel(exc):
            is_dead = self._is_dead(channel, exc)
            return await self._find(incident, self._config.channel_id, _moved(channel, exc)) if is_dead else None
        found = await self._find(incident, channel, before.note if exc.code in GONE else _anew(exc))
        if found is None or _ts(found) == _ts(before):
            return None
        return found if exc.code in GONE or ANEW in found.reference else _changed(found, **{ANEW: str(incident.status)})

    async def _post(
        self, incident: Incident, channel: str, note: str = "", *, anew: Mapping[str, str] | None = None
    ) -> Delivery:
        """*anew* goes into the metadata and the reference: who finds the message knows that it may not be edited."""
        message, anew = self._message(incident, note), anew or {}
        told = Told.by_message(incident, self._name).written()
        about = metadata(**self._about(incident), **told, **anew)
        posted = message if incident.status is Status.TRIGGERED else self._without_mention(incident, message)
        try:
            reply = await self._wire.post(channel, posted, metadata=about)
        except Refused as exc:
            if exc.code not in PAYLOAD:
                raise
            reply = await self._wire.post(channel, self._plain(incident, exc), metadata=about)
        shown = {"digest": message.digest, "standing": _standing(incident), **told, **self._mark(incident), **anew}
        return self._delivery(str(reply["channel"]), str(reply["ts"]), note, **shown)

    def _delivery(self, channel: str, ts: str, note: str, **reference: str) -> Delivery:
        known, url = {"channel": channel, "ts": ts, **reference}, channel_url(self._config, channel)
        label = f"message {ts} in {channel}"
        return Delivery(reference=known, label=label, url=url, locator=_locator(known), note=note)

    async def _edit(self, incident: Incident, before: Delivery, *, is_unsure: bool = False) -> Delivery:
        channel, ts = before.reference["channel"], before.reference["ts"]
        standing = _standing(incident)
        is_news = before.reference.get("standing") != standing
        urgency = Urgency.INCIDENT if is_news else Urgency.REPLY
        is_another = _looks_different(incident, before)
        if is_another:
            await self._wire.take(WORKSPACE, incident.id, EDITS, urgency=urgency)
        who = replace(await self._users.who(incident), is_edit=True)
        message = self._message(incident, before.note, who)
        is_settling = self._is_settling(before)
        if before.reference.get("digest") == message.digest and not is_unsure and not is_settling:
            return _changed(before, looked_at=standing) if is_another else before
        if not is_another:
            await self._wire.take(WORKSPACE, incident.id, EDITS, urgency=urgency)
        before = _settled(before) if is_settling else before
        try:
            await self._wire.edit(channel, ts, message)
        except Refused as exc:
            return await self._after_refused_edit(incident, before, message, exc, is_unsure=is_unsure)
        return _changed(before, digest=message.digest, standing=standing, said="")

    async def _edited_at_ms(self, incident: Incident, shown: Delivery) -> int:
        """When to edit the message whose thread has just been told: in a storm, most edits wait for their turn.

        At once where it is not written down yet that this channel has the escalation: the next sync does that.
        """
        now_ms = self._clock.now_ms()
        is_untold = incident.wants(self._name) and not incident.has_told(self._name)
        if is_untold or not _looks_different(incident, shown):
            return now_ms
        try:
            return await self._wire.turn_at_ms(WORKSPACE, incident.id, EDITS, urgency=Urgency.INCIDENT)
        except StoreUnavailable:  # what the thread was told is written down in any case
            return now_ms

    async def _edit_found(self, incident: Incident, found: Delivery) -> Delivery:
        """The same of what a search has found. Raises NotYet with it, as the next sync goes on from there.

        Else that would search for it again, and take a turn for that: what waits would never have its own. Where the
        credentials are refused now, it would seem that nobody was told.
        """
        try:
            return await self._edit(incident, found, is_unsure=True)
        except NotYet as exc:
            raise NotYet(exc.at_ms, str(exc), exc.delivery or found) from None
        except Refused as exc:
            if exc.code not in CREDENTIALS:
                raise
            raise NotYet(self._clock.now_ms(), "the message that was found is noted first", found) from exc

    def _is_settling(self, shown: Delivery) -> bool:
        """Whether an edit that Slack did not answer may have undone a newer one, and can do so no more."""
        until_ms = _unsettled_until_ms(shown)
        return until_ms is not None and until_ms <= self._clock.now_ms()

    async def _after_refused_edit(
        self, incident: Incident, before: Delivery, message: Message, exc: Refused, *, is_unsure: bool
    ) -> Delivery:
        channel = before.reference["channel"]
        if exc.code in PAYLOAD:
            try:
                await self._wire.edit(channel, _ts(before), self._plain(incident, exc))
            except Refused as of_plain:
                exc = of_plain
            else:
                return _changed(before, digest=message.digest, standing=_standing(incident), said="")
        if is_about_channel(exc):
            return await self._moved_away(incident, before, exc, is_unsure=is_unsure)
        if exc.code in CREDENTIALS:
            raise exc
        if is_unsure and (found := await self._find_anew(incident, before, exc)):
            return await self._edit_found(incident, found)
        log.warning("slack.edit_refused", incident=incident.id, channel=channel, ts=_ts(before), error=str(exc))
        if _may_be_posted_anew(incident, before, exc):
            return await self._posted_anew(incident, before, exc, is_unsure=is_unsure)
        if exc.code in GONE:
            return _changed(before, digest=message.digest)
        return await self._say_standing(incident, _changed(before, digest=message.digest), is_unsure=is_unsure)

    async def _moved_away(self, incident: Incident, before: Delivery, exc: Refused, *, is_unsure: bool) -> Delivery:
        """In the default channel, when its own takes no messages any more."""
        channel = before.reference["channel"]
        if is_unsure and (found := await self._find_anew(incident, before, exc)):
            return await self._edit_found(incident, found)
        if incident.status is Status.RESOLVED or not self._is_dead(channel, exc):
            raise exc
        return await self._post_to_default(incident, channel, exc, is_unsure=is_unsure)

    async def _posted_anew(self, incident: Incident, before: Delivery, exc: Refused, *, is_unsure: bool) -> Delivery:
        """A message in place of one that cannot be edited. The links and buttons of that one go on working."""
        channel, mark = before.reference["channel"], {ANEW: str(incident.status)}
        if exc.code in GONE:
            posted = await self._post_or_join(incident, channel, before.note, is_unsure=is_unsure)
            return _changed(posted, **mark)
        await self._wire.take(channel, incident.id, POSTS, urgency=_urgency(incident))
        return await self._post(incident, channel, _anew(exc), anew=mark)

    async def _say_standing(self, incident: Incident, shown: Delivery, *, is_unsure: bool) -> Delivery:
        """How the incident stands, in the thread of a message that cannot be edited; where that has changed."""
        channel, standing = shown.reference["channel"], _standing(incident)
        said = _changed(shown, said=standing)
        if standing in {shown.reference.get("standing"), shown.reference.get("said")}:
            return said
        if is_unsure:
            last = await self._history.last_reply(channel, _ts(shown), of_standing=True)
            if last is not None and last.said.get("standing") == standing:
                return said
        await self._wire.take(channel, f"{incident.id} thread", POSTS, urgency=Urgency.REPLY)
        line = build_plain(
            incident, self._config, called=self._called, ack_url=self._ack_link(incident), name=self._name
        )
        about = metadata(reply_about=incident.id, standing=standing, **Told.read(shown.reference).written())
        try:
            await self._wire.post(channel, self._without_mention(incident, line), metadata=about, thread_ts=_ts(shown))
        except Refused as exc:
            if exc.code not in THREAD:
                raise
            log.warning("slack.thread_refused", incident=incident.id, error=exc.code)
        return said

    async def _tell_thread(self, incident: Incident, shown: Delivery, *, is_unsure: bool) -> Delivery:
        """What is new; nothing that a lost attempt has said already. Raises NotYet when its turn has not come.

        And with what was told, to be kept before anything else is sent: a line that is said twice shows.
        """
        told = Told.read(shown.reference)
        everything = told.with_all(incident, self._name)
        noted = _changed(shown, **everything.written())
        reply = None if told == everything else self._reply_of(incident, told, shown, Who())
        if reply is None:
            return noted
        channel, ts = shown.reference["channel"], shown.reference["ts"]
        if is_unsure:
            said = await self._history.last_reply(channel, ts, of_standing=False)
            told = Told.read(said.said).within(incident) if said else told
        who = await self._users.who(incident)
        if is_unsure or who != Who():
            reply = self._reply_of(incident, told, shown, who)
        if reply is None:
            return noted
        urgency = Urgency.INCIDENT if reply.is_urgent else Urgency.REPLY
        await self._wire.take(channel, f"{incident.id} thread", POSTS, urgency=urgency)
        try:
            await self._say(channel, ts, incident, reply, everything)
        except Refused as exc:
            if exc.code not in THREAD:
                raise
            log.warning("slack.thread_refused", incident=incident.id, error=exc.code)
            return noted
        is_standing = reply.is_urgent and incident.status is Status.TRIGGERED
        noted = _changed(noted, said=_standing(incident)) if is_standing else noted
        raise NotYet(self._clock.now_ms(), "what the thread was told is kept first", noted)

    def _reply_of(self, incident: Incident, told: Told, shown: Delivery, who: Who) -> Reply | None:
        locator = _locator(shown.reference)
        return reply_of(incident, told, self._config, self._called, self._name, locator=locator, who=who)

    async def _say(self, channel: str, ts: str, incident: Incident, reply: Reply, told: Told) -> None:
        broadcast = {"reply_broadcast": True} if reply.is_urgent and self._config.broadcast_on_escalate else {}
        about = metadata(reply_about=incident.id, **told.written())
        await self._wire.post(channel, Message(reply.text), metadata=about, thread_ts=ts, **broadcast)

    def _message(self, incident: Incident, note: str = "", who: Who | None = None) -> Message:
        ack_url = self._ack_link(incident)
        body, failure = self._body.render(incident, ack_url)
        if failure:
            log.error("slack.template_failed", incident=incident.id, error=failure)
        warnings = tuple(text for text in (note, failure and warning_of(failure)) if text)
        return build(
            incident,
            body,
            self._config,
            called=self._called,
            ack_url=ack_url,
            warnings=warnings,
            name=self._name,
            who=who,
        )

    def _without_mention(self, incident: Incident, message: Message) -> Message:
        """For a post about what nobody has to deal with now."""
        mention = mention_of(incident, self._config, self._name)
        return replace(message, text=message.text.replace(f" {mention}", "")) if mention else message

    def _plain(self, incident: Incident, exc: Permanent) -> Message:
        log.error("slack.blocks_refused", incident=incident.id, error=str(exc))
        return build_plain(
            incident, self._config, called=self._called, ack_url=self._ack_link(incident), name=self._name
        )

    def _ack_link(self, incident: Incident) -> str | None:
        """The link to acknowledge, while that would change anything; a link does not know who opens it."""
        may_act = self._config.actions.acknowledge and not self._config.is_restricted
        would_change = (incident.policy.gives_time and incident.status is Status.TRIGGERED) or incident.is_renewable
        return self._ack_url(incident) if may_act and would_change else None

    def _look_again_at_ms(self, incident: Incident, shown: Delivery, begun_ms: int) -> int | None:
        """When what is *shown* since *begun_ms* would not be true any more, or its link is to be renewed."""
        times = [] if incident.snooze is None else [incident.snooze.until_ms]
        if (until_ms := _unsettled_until_ms(shown)) is not None:
            times.append(until_ms)
        if LEFT in shown.reference:
            times.append(begun_ms + LEFT_AGAIN_MS)
        if "storm" in shown.reference and incident.status is Status.TRIGGERED:
            times.append(_renewed_at_ms(incident, begun_ms))
        elif self._ack_link(incident) is not None:
            times.append(_renewed_at_ms(incident, max(begun_ms, needed_until_ms(incident))))
        return min(times, default=None)


def _urgency(incident: Incident) -> int:
    """The gravest go first, by so little that the others do not wait long for them."""
    return Urgency.INCIDENT + Urgency.GRADE * severity_rank(incident.severity)


def _may_be_posted_anew(incident: Incident, before: Delivery, exc: Refused) -> bool:
    """Whether a message that cannot be edited gets another one in its place: once, and when somebody is needed again.

    One that people deleted, only while somebody is needed; and not at every deletion, until there is news.
    """
    is_needed, anew = incident.status is Status.TRIGGERED, before.reference.get(ANEW)
    if exc.code in GONE:
        return is_needed and (anew is None or before.reference.get("standing") != _standing(incident))
    return anew is None or (is_needed and anew != Status.TRIGGERED)


def _of_both(untold: NotYet | Transient | Refused | None, unedited: NotYet | Transient | Permanent) -> VersusError:
    """What a sync raises whose edit came to nothing, and whose thread was told nothing.

    What may have had an effect goes before the rest: the next attempt has to look for it.
    """
    if untold is None:
        return unedited
    if not isinstance(untold, NotYet):
        return unedited if untold.without_effect and not unedited.without_effect else untold
    if isinstance(unedited, NotYet):
        return NotYet(min(unedited.at_ms, untold.at_ms), str(unedited), unedited.delivery)
    return unedited


def _ts(shown: Delivery) -> str:
    return shown.reference["ts"]


def _locator(reference: Mapping[str, str]) -> str:
    """Of the message, for who writes in its thread; that of a digest is no incident's."""
    return locator_of(reference["channel"], reference["ts"]) if "ts" in reference else ""


def _standing(incident: Incident) -> str:
    """What people look for in the message: a change of it is shown before mere counts."""
    return f"{incident.status} {incident.ending} {incident.snooze is not None}"


def _looks_different(incident: Incident, shown: Delivery) -> bool:
    """Whether the message does not show how the incident stands, and nobody has looked: most likely it is edited.

    In a storm, most wait for their turn again and again: it is taken before the message is made.
    """
    reference, standing = shown.reference, _standing(incident)
    return standing not in {reference.get("standing"), reference.get("looked_at")}


def _began_ms(incident: Incident) -> int:
    """When its episode began, and at the latest when it came here."""
    starts = [alert.starts_at_ms for alert in incident.alerts if alert.starts_at_ms is not None]
    return min([*starts, incident.created_at_ms])


def _begins_later(incident: Incident) -> bool:
    """Whether it began after it came here, by its sender's clock: how late it came is not known then."""
    return any((alert.starts_at_ms or 0) > incident.created_at_ms + NOT_APART_MS for alert in incident.alerts)


def _moved(dead: str, exc: Refused) -> str:
    """The note of a message that is in the default channel instead."""
    return f"posted here because channel {dead} cannot be used: {exc}"


def _anew(exc: Refused) -> str:
    """The note of a message that is in place of another one."""
    return f"posted anew, as the message before cannot be edited any more: {exc}"


def _changed(delivery: Delivery, **reference: str) -> Delivery:
    return replace(delivery, reference={**delivery.reference, **reference})


def _leaving(shown: Delivery, left: Delivery) -> Delivery:
    """The message that is shown now, with the one that is to say where the incident went."""
    return _changed(shown, **{LEFT: orjson.dumps(dict(left.reference)).decode()})


def _unsettled_until_ms(shown: Delivery) -> int | None:
    """Until when an edit that Slack did not answer may take effect; None when there is none."""
    text = shown.reference.get("unsettled_until_ms")
    return None if text is None else int(text)


def _settled(shown: Delivery) -> Delivery:
    kept = {name: value for name, value in shown.reference.items() if name != "unsettled_until_ms"}
    return replace(shown, reference=kept)


def _renewed_at_ms(incident: Incident, from_ms: int) -> int:
    """When a link that has to be good from then on is exchanged: as soon as the next one would be another.

    At a time of day of the incident's own, so that not all messages are edited at midnight.
    """
    return same_until_ms(from_ms) + 1 + incident.created_at_ms % LINKS_WITHIN_MS
