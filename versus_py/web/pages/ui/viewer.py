"""Who looks at the web UI, and what they may do."""

from dataclasses import dataclass
from enum import IntEnum

from versus_py.incidents.model import Actor

NAME_MAX = 100
NAMELESS = "somebody in the web UI"


class Role(IntEnum):
    """What somebody may do; each includes those below it."""

    VIEWER = 1
    """Look."""
    RESPONDER = 2
    """Acknowledge, resolve, and everything else that changes an incident."""

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page. *name* is "" where nobody has said it."""

    name: str
    email: str
    role: Role

    @property
    def actor(self) -> Actor:
        """Who does what this viewer does."""
        return Actor(self.name or NAMELESS, self.email)

    @property
    def may_act(self) -> bool:
        return self.role >= Role.RESPONDER

    @property
    def initials(self) -> str:
        words = self.name.split()
        return "".join(it[0] for it in (words[:1] + words[1:][-1:])).upper() or "?"


def clean_name(text: str) -> str:
    """A name as somebody typed it, on one line and of bounded length; "" when nothing is left."""
    return " ".join("".join(it if it.isprintable() else " " for it in text[:NAME_MAX]).split())
