"""What a workspace holds: people, messages with their threads, and what only one person sees."""

from dataclasses import dataclass, field, fields
from typing import Any

from versus_py.simulators.slack.blocks import Block, all_blocks, placed, text_of

TEAM_ID = "T0DEMO"
TEAM_DOMAIN = "demo"
APP_ID = "A0DEMO"
BOT_ID = "B0DEMO"
BOT_USER_ID = "U0DEMO"


@dataclass(frozen=True, slots=True)
class User:
    """A person; *name* is the handle."""

    id: str
    name: str
    real_name: str
    email: str
    tz: str = "UTC"


PEOPLE = (
    User("U0ANA", "ana", "Ana Diaz", "ana@example.com", "Europe/Madrid"),
    User("U0BEN", "ben", "Ben Okafor", "ben@example.com", "Africa/Lagos"),
    User("U0CHI", "chi", "Chi Tanaka", "chi@example.com", "Asia/Tokyo"),
)


@dataclass(slots=True)
class PostedMessage:
    """One message of a channel or of a thread, as it is now."""

    channel: str
    ts: str
    text: str
    attachments: list[dict[str, Any]]
    blocks: list[Block]
    thread_ts: str | None = None  # of the message that it replies to
    metadata: dict[str, Any] | None = None
    is_broadcast: bool = False  # a reply that is shown in the channel, too
    user: str = BOT_USER_ID
    edits: int = 0
    versions: list[str] = field(default_factory=list)  # the texts it had
    thread: list["PostedMessage"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.versions = self.versions or [self.text]

    @property
    def replies(self) -> list[str]:
        """The texts of its thread."""
        return [reply.text for reply in self.thread]

    @property
    def is_own(self) -> bool:
        """Whether the app posted it."""
        return self.user == BOT_USER_ID

    @property
    def button_url(self) -> str | None:
        """Where its first button with a URL leads; None without one."""
        urls = (it.element.get("url") for it in placed(self.blocks, self.attachments))
        return next((str(url) for url in urls if url), None)

    @property
    def shown(self) -> str:
        """Everything a reader sees, markup and all."""
        return "\n".join([self.text, *(text_of(block) for block in all_blocks(self.blocks, self.attachments))])

    def edit(self, text: str, attachments: list[dict[str, Any]], blocks: list[Block]) -> None:
        self.text, self.attachments, self.blocks = text, attachments, blocks
        self.edits += 1
        self.versions.append(text)

    def state(self) -> dict[str, Any]:
        """All of it for a test in another process; of its thread the texts."""
        kept = {it.name: getattr(self, it.name) for it in fields(self) if it.name != "thread"}
        return kept | {"replies": self.replies, "button_url": self.button_url}

    def described(self, *, with_metadata: bool = False) -> dict[str, Any]:
        """It as the API tells of it."""
        about: dict[str, Any] = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        if self.is_own:
            about |= {"bot_id": BOT_ID, "app_id": APP_ID, "team": TEAM_ID}
        about |= {"blocks": self.blocks} if self.blocks else {}
        about |= {"attachments": self.attachments} if self.attachments else {}
        about |= {"edited": {"user": self.user, "ts": self.ts}} if self.edits else {}
        about |= {"metadata": self.metadata} if with_metadata and self.metadata else {}
        about |= {"subtype": "thread_broadcast"} if self.is_broadcast else {}
        if self.thread:
            return about | {"thread_ts": self.ts, "reply_count": len(self.thread)}
        return about | ({"thread_ts": self.thread_ts} if self.thread_ts else {})


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """What only *user* sees, and nobody finds again."""

    channel: str
    user: str
    text: str
    ts: str
    thread_ts: str | None = None
