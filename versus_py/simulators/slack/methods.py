"""The methods of the Web API: what each does and answers, which scope it needs, and how often it may be called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from versus_py.simulators.slack.answers import Arguments, SlackError, is_set
from versus_py.simulators.slack.history import page_of
from versus_py.simulators.slack.messages import BOT_ID, BOT_USER_ID, TEAM_ID, Ephemeral, PostedMessage, User
from versus_py.simulators.slack.rates import Allowances
from versus_py.simulators.slack.validation import (
    TEXT_POST_MAX,
    TEXT_UPDATE_MAX,
    read_content,
    read_metadata,
)
from versus_py.simulators.slack.views import Views
from versus_py.simulators.slack.workspace import Workspace

# docs.slack.dev/apis/web-api/rate-limits: about a message a second in a channel, with short bursts; other methods by
# their tier, calls a minute in a workspace.
BURST = 3
POSTS_PER_S = 1.0
TIER_2 = 20
TIER_3 = 50
TIER_4 = 100

SCOPES = (
    "chat:write",
    "chat:write.public",
    "channels:read",
    "channels:history",
    "groups:read",
    "groups:history",
    "users:read",
    "users:read.email",
    "usergroups:read",
)


@dataclass(frozen=True, slots=True)
class Method:
    """*per_minute* None has no tier; one that only reads can be asked by GET as well.

    *private_scope* is the one for private channels; None: the same as for public ones.
    """

    perform: Callable[[Arguments], dict[str, Any]]
    scope: str | None = None
    per_minute: int | None = None
    reads: bool = False
    private_scope: str | None = None


class Methods:
    """The API of *workspace* for a token with *scopes*; *base_url* is where the app reaches it."""

    def __init__(
        self,
        workspace: Workspace,
        allowances: Allowances,
        views: Views,
        *,
        scopes: Sequence[str],
        base_url: Callable[[], str],
    ) -> None:
        self._workspace = workspace
        self._allowances = allowances
        self._scopes = scopes
        self._base_url = base_url
        self.by_name = {
            "auth.test": Method(self._auth_test),
            "chat.getPermalink": Method(self._permalink, reads=True),
            "chat.postEphemeral": Method(self._post_ephemeral, "chat:write", TIER_4),
            "chat.postMessage": Method(self._post_message, "chat:write"),
            "chat.update": Method(self._update, "chat:write", TIER_3),
            "conversations.history": Method(self._history, "channels:history", TIER_3, True, "groups:history"),
            "conversations.info": Method(self._describe_channel, "channels:read", TIER_3, True, "groups:read"),
            "conversations.replies": Method(self._replies, "channels:history", TIER_3, True, "groups:history"),
            "usergroups.users.list": Method(self._group, "usergroups:read", TIER_2, reads=True),
            "users.info": Method(self._describe_user, "users:read", TIER_4, reads=True),
            "users.lookupByEmail": Method(self._look_up, "users:read.email", TIER_3, reads=True),
            "views.open": Method(views.take, per_minute=TIER_4),
        }

    def call(self, name: str, arguments: Arguments) -> dict[str, Any]:
        """What the method answers; raises SlackError or RateLimited."""
        method, scope = self.by_name[name], self.scope(name, arguments)
        if scope is not None and scope not in self._scopes:
            raise SlackError("missing_scope", **self.about_scope(scope))
        if method.per_minute is not None:
            self._allowances.spend(name, burst=method.per_minute, per_s=method.per_minute / 60)
        return {"ok": True} | method.perform(arguments)

    def scope(self, name: str, arguments: Arguments) -> str | None:
        """What the call needs; None for nothing."""
        method = self.by_name[name]
        is_private = str(arguments.get("channel", "")) in self._workspace.private
        return method.private_scope if is_private and method.private_scope else method.scope

    def about_scope(self, needed: str | None) -> dict[str, str]:
        """What `missing_scope` says beside."""
        return {"needed": needed or "", "provided": ",".join(self._scopes)}

    def _auth_test(self, _: Arguments) -> dict[str, Any]:
        return {"team": "Demo", "team_id": TEAM_ID, "user": "versus", "user_id": BOT_USER_ID, "bot_id": BOT_ID}

    def _post_message(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._writable(arguments)
        self._allowances.spend(f"post {channel}", burst=BURST, per_s=POSTS_PER_S)
        content, metadata = read_content(arguments, text_max=TEXT_POST_MAX), read_metadata(arguments)
        thread = self._thread(channel, arguments)
        is_broadcast = is_set(arguments, "reply_broadcast")
        if is_broadcast and thread is None:
            raise SlackError("invalid_arguments", response_metadata={"messages": ["reply_broadcast needs thread_ts"]})
        message = self._workspace.add_message(
            channel, content, thread=thread, is_broadcast=is_broadcast, metadata=metadata
        )
        return {"channel": channel, "ts": message.ts, "message": message.described()}

    def _update(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel", "")), is_id=True)
        if channel in self._workspace.archived:
            raise SlackError("is_inactive")
        message = self._found(channel, arguments.get("ts"))
        if not message.is_own:
            raise SlackError("cant_update_message")
        content = read_content(arguments, text_max=TEXT_UPDATE_MAX)
        if "metadata" in arguments:
            message.metadata = read_metadata(arguments)
        # What is left out stays as it was; but text alone takes the place of blocks.
        attachments = content.attachments if "attachments" in arguments else message.attachments
        blocks = content.blocks if "blocks" in arguments or content.text else message.blocks
        message.edit(content.text, attachments, blocks)
        return {"channel": channel, "ts": message.ts, "text": message.text, "message": message.described()}

    def _post_ephemeral(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._writable(arguments)
        user = str(arguments.get("user", ""))
        if user not in self._workspace.users:
            raise SlackError("user_not_in_channel")
        content = read_content(arguments, text_max=TEXT_POST_MAX)
        thread = self._thread(channel, arguments)
        ts = self._workspace.new_ts()
        answer = Ephemeral(channel, user, content.text, ts, thread_ts=None if thread is None else thread.ts)
        self._workspace.ephemerals.append(answer)
        return {"message_ts": ts}

    def _permalink(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel", "")), is_id=True)
        message = self._found(channel, arguments.get("message_ts"))
        link = f"{self._base_url()}/archives/{channel}/p{message.ts.replace('.', '')}"
        if message.thread_ts is not None:
            link += f"?thread_ts={message.thread_ts}&cid={channel}"
        return {"channel": channel, "permalink": link}

    def _history(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._readable(arguments)
        return page_of(self._workspace.shown_in(channel)[::-1], arguments)

    def _replies(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._readable(arguments)
        parent = self._workspace.find(channel, arguments.get("ts"))
        if parent is None:
            raise SlackError("thread_not_found")
        return page_of([parent, *parent.thread], arguments)

    def _describe_channel(self, arguments: Arguments) -> dict[str, Any]:
        channel = self._workspace.channel(str(arguments.get("channel", "")), is_id=True)
        described = {"id": channel, "name": self._workspace.channel_name(channel), "is_channel": True}
        described |= {
            "is_private": channel in self._workspace.private,
            "is_archived": channel in self._workspace.archived,
        }
        return {"channel": described | {"is_member": channel not in self._workspace.not_joined}}

    def _describe_user(self, arguments: Arguments) -> dict[str, Any]:
        user = self._workspace.users.get(str(arguments.get("user", "")))
        if user is None:
            raise SlackError("user_not_found")
        return {"user": self._described(user)}

    def _look_up(self, arguments: Arguments) -> dict[str, Any]:
        email = str(arguments.get("email") or "").casefold()
        if not email:
            wrong = {"messages": ["[ERROR] missing required field: email"]}
            raise SlackError("invalid_arguments", response_metadata=wrong)
        user = next((it for it in self._workspace.users.values() if it.email.casefold() == email), None)
        if user is None:
            raise SlackError("users_not_found")
        return {"user": self._described(user)}

    def _described(self, user: User) -> dict[str, Any]:
        about = {"id": user.id, "team_id": TEAM_ID, "name": user.name, "real_name": user.real_name, "tz": user.tz}
        return about | {"deleted": False, "is_bot": False, "profile": self._profile(user)}

    def _profile(self, user: User) -> dict[str, str]:
        profile = {"real_name": user.real_name, "display_name": user.name}
        return profile | ({"email": user.email} if "users:read.email" in self._scopes else {})

    def _group(self, arguments: Arguments) -> dict[str, Any]:
        members = self._workspace.groups.get(str(arguments.get("usergroup", "")))
        if members is None:
            raise SlackError("no_such_subteam")
        return {"users": members}

    def _writable(self, arguments: Arguments) -> str:
        channel = self._workspace.open_channel(str(arguments.get("channel", "")))
        if channel in self._workspace.not_joined and "chat:write.public" not in self._scopes:
            raise SlackError("not_in_channel")
        return channel

    def _readable(self, arguments: Arguments) -> str:
        """Archived channels can be read; those that the bot has not joined cannot, whatever its scopes."""
        channel = self._workspace.channel(str(arguments.get("channel", "")), is_id=True)
        if channel in self._workspace.not_joined:
            raise SlackError("not_in_channel")
        return channel

    def _thread(self, channel: str, arguments: Arguments) -> PostedMessage | None:
        """What is replied to, which is no reply itself; None when nothing is."""
        ts = arguments.get("thread_ts")
        if not ts:
            return None
        parent = self._workspace.parent(channel, ts)
        if parent is None:
            raise SlackError("cannot_reply_to_message")
        if channel in self._workspace.without_threads:
            raise SlackError("restricted_action_non_threadable_channel")
        if parent.ts in self._workspace.locked:
            raise SlackError("restricted_action_thread_locked")
        return parent

    def _found(self, channel: str, ts: Any) -> PostedMessage:
        message = self._workspace.find(channel, ts)
        if message is None:
            raise SlackError("message_not_found")
        return message
