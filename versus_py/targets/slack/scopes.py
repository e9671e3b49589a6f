"""The scopes of the bot, and what each is for: docs.slack.dev/reference/scopes.

The app's manifest asks for them, the doctor looks whether they are there, and docs/slack.md says what is lost without.
"""

from types import MappingProxyType

from versus_py.config import SlackConfig

WRITE = "chat:write"
PUBLIC = "chat:write.public"
GROUPS = "usergroups:read"
USERS = "users:read"
EMAILS = "users:read.email"
CHANNELS = "channels:read"
HISTORY = "channels:history"
PRIVATE_HISTORY = "groups:history"

PURPOSES = MappingProxyType(
    {
        WRITE: "to post, to edit, and to answer who presses a button",
        PUBLIC: "to post to public channels it was not invited to",
        CHANNELS: "to check public channels here",
        "groups:read": "to check private channels here",
        HISTORY: "to take replies in threads as comments, and to find a message again when Slack's answer got lost",
        PRIVATE_HISTORY: "the same in a private channel",
        USERS: "to show people by their names",
        EMAILS: "to know them in ServiceNow, and to know who acts there",
        GROUPS: "to know who is in allowed_groups",
    }
)
"""As the doctor says it, after the scope's name."""

OPTIONAL = tuple(scope for scope in PURPOSES if scope not in {WRITE, GROUPS})
"""Without which everything goes on, with less to it."""

BOT_EVENTS = ("message.channels", "message.groups")
"""What the app subscribes to: what is written in the public and the private channels that the bot is in."""

_DOCTORS = frozenset([CHANNELS, "groups:read"])


def scopes_in_use(config: SlackConfig | None) -> tuple[str, ...]:
    """What a server with that configuration makes use of; with any, when there is none yet.

    A scope that is missing later means to install the app once more; one that nothing uses, that somebody has to
    approve it for nothing. What only the doctor uses is left out: it can post a test message instead.
    """
    unused = _DOCTORS if config is None or config.allowed_groups else _DOCTORS | {GROUPS}
    return tuple(scope for scope in PURPOSES if scope not in unused)
