"""Understanding payloads: each module knows one family of them and says what it says about one incident.

To add a source: a module with NAME, recognizes and parse, and its line in _SOURCES.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from versus_py.errors import BadPayload
from versus_py.incident import Notification
from versus_py.sources import alertmanager, generic
from versus_py.sources.source import Source

__all__ = ["parse"]

_SOURCES: tuple[Source, ...] = (alertmanager,)


def parse(payload: Mapping[str, Any]) -> Notification:
    """What *payload*, any JSON object, says.

    One that looks like a source's but is broken is read as a generic one, with a warning: an alert is never
    lost because the payload around it is odd.
    """
    for source in _SOURCES:
        if source.recognizes(payload):
            try:
                return source.parse(payload)
            except BadPayload as exc:
                found = generic.parse(payload)
                warning = f"this looks like {source.NAME}, but {exc}; it was read as a generic alert"
                return replace(found, warnings=(warning, *found.warnings))
    return generic.parse(payload)
