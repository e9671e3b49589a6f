"""What a source is: a module that understands one family of payloads."""

from collections.abc import Mapping
from typing import Any, Protocol

from versus_py.config import SourcesConfig
from versus_py.incidents.model import Notification


class Source(Protocol):
    """The names such a module has to define."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """What the source is called in incidents, logs and messages."""

    def recognizes(self, payload: Mapping[str, Any]) -> bool:
        """Whether *payload* has the shape of this family."""

    def parse(self, payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:
        """What it says. Raises BadPayload when it is broken, NotAnAlert when it is about something else."""
