"""The state of a workspace: who is in it, which channels it has, and what was said."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from versus_py.simulators.slack.answers import SlackError
from versus_py.simulators.slack.messages import BOT_USER_ID, Ephemeral, PostedMessage, User
from versus_py.simulators.slack.validation import Content


class Workspace:
    """What the API changes, and what tests look at and prepare.

    With *channels*, no others exist; without, every id that starts with C does. *groups* are usergroups: ids to the
    ids of their users. *now_s* is unix time, and the time line of every `ts`.
    """

    def __init__(
        self,
        *,
        channels: Iterable[str] | None,
        users: Iterable[User],
        groups: Mapping[str, Iterable[str]],
        now_s: Callable[[], float],
    ) -> None:
        self._channels = None if channels is None else set(channels)
        self._now_s = now_s
        self._last_us = 0
        self.users = {user.id: user for user in users}
        self.groups = {group: list(members) for group, members in groups.items()}
        self.messages: list[PostedMessage] = []  # of the channels, oldest first; each has its thread
        self.ephemerals: list[Ephemeral] = []
        self.locked: set[str] = set()  # the `ts` of messages whose threads take no replies
        self.archived: set[str] = set()
        self.not_joined: set[str] = set()  # channels that the bot was not invited to
        self.without_threads: set[str] = set()  # channels that take no replies
        self.private: set[str] = set()
        self.unknown: set[str] = set()  # ids of channels that do not exist
        self.channel_names: dict[str, str] = {}  # what people call channels, by id; see `channel_name`

    def new_ts(self) -> str:
        """The time, as a string that no other message has."""
        self._last_us = max(round(self._now_s() * 1_000_000), self._last_us + 1)
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def user(self, user_id: str) -> User:
        """Who that is; a stranger has a name all the same."""
        return self.users.get(user_id) or User(user_id, user_id.lower(), user_id, "")

    def add_message(
        self,
        channel: str,
        content: Content,
        *,
        user: str = BOT_USER_ID,
        thread: PostedMessage | None = None,
        is_broadcast: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> PostedMessage:
        """Something is said, by the app or by somebody else."""
        message = PostedMessage(
            channel,
            self.new_ts(),
            content.text,
            content.attachments,
            content.blocks,
            thread_ts=None if thread is None else thread.ts,
            metadata=metadata,
            is_broadcast=is_broadcast,
            user=user,
        )
        (self.messages if thread is None else thread.thread).append(message)
        return message

    def say(
        self, channel: str, text: str, *, user: str = "U0ANA", thread: PostedMessage | None = None
    ) -> PostedMessage:
        """A person says something."""
        return self.add_message(channel, Content(text, [], []), user=user, thread=thread)

    def delete_message(self, ts: str) -> None:
        """Somebody deletes a message or a reply; unknown ones are gone already."""
        for kept in (self.messages, *(message.thread for message in self.messages)):
            kept[:] = [message for message in kept if message.ts != ts]

    def replies_of(self, message: PostedMessage) -> list[PostedMessage]:
        """Its thread, oldest first."""
        return list(message.thread)

    @property
    def replies(self) -> list[PostedMessage]:
        """Those of all threads, thread by thread."""
        return [reply for message in self.messages for reply in message.thread]

    def shown_in(self, channel: str) -> list[PostedMessage]:
        """What the channel shows, oldest first: its messages, and the replies that are broadcast."""
        shown = [*self.messages, *(reply for reply in self.replies if reply.is_broadcast)]
        return sorted((it for it in shown if it.channel == channel), key=lambda it: us_of(it.ts))

    def find(self, channel: str, ts: Any) -> PostedMessage | None:
        """A message or a reply."""
        every = (*self.messages, *self.replies)
        return next((it for it in every if (it.channel, it.ts) == (channel, ts)), None)

    def parent(self, channel: str, ts: Any) -> PostedMessage | None:
        """A message that is no reply, and so can be replied to."""
        return next((it for it in self.messages if (it.channel, it.ts) == (channel, ts)), None)

    def channel(self, name: str, *, is_id: bool = False) -> str:
        """The channel's id. A name is answered with an id, and is good for posting only.

        A private channel does not exist for a bot that is not in it.
        """
        found = name if is_id else self.channel_id(name)
        exists = found.startswith("C") if self._channels is None else found in self._channels
        if not exists or found in self.unknown or found in self.private & self.not_joined:
            raise SlackError("channel_not_found")
        return found

    def channel_id(self, name: str) -> str:
        """The id behind a name; an id stays as it is, and so does a name where only certain channels exist."""
        if self._channels is not None or name.startswith("C") or not name:
            return name
        called = name.lstrip("#")
        named = (channel for channel, its_name in self.channel_names.items() if its_name == called)
        return next(named, f"C0{called.upper().replace('-', '')}")

    def channel_name(self, channel: str) -> str:
        """What people call it: by default the id without what ids begin with."""
        return self.channel_names.get(channel) or channel.removeprefix("C0").lower()

    def known_channels(self) -> list[str]:
        """The ids of those that are in use, or of which something is known beside."""
        used = {*(it.channel for it in self.messages), *(it.channel for it in self.ephemerals)}
        listed = self.archived | self.not_joined | self.private | self.unknown
        return sorted({*used, *listed, *self.channel_names, *(self._channels or ())}, key=self.channel_name)

    def open_channel(self, name: str) -> str:
        """The same, of one that still takes messages."""
        channel = self.channel(name)
        if channel in self.archived:
            raise SlackError("is_archived")
        return channel

    def clear(self) -> None:
        """Nothing was ever said."""
        self.messages.clear()
        self.ephemerals.clear()
        self.locked.clear()


def us_of(ts: str) -> int:
    """A message's ts in microseconds."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int(fraction)
