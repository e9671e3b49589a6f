"""Understanding payloads: each module knows one family of them and says what it says about one incident.

To add a source: a module with NAME, recognizes and parse, and its place in _SOURCES.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload
from versus_py.incident import Notification
from versus_py.sources import alertmanager, cloudwatch, fluentbit, generic, grafana, monasca, sentry
from versus_py.sources.source import Source

__all__ = ["SOURCES", "parse", "source_of"]

# The first that recognizes a payload reads it.
_SOURCES: tuple[Source, ...] = (grafana, alertmanager, monasca, sentry, cloudwatch, fluentbit, generic)
SOURCES: Mapping[str, Source] = {source.NAME: source for source in _SOURCES}


_DEFAULTS = SourcesConfig()


def parse(payload: Mapping[str, Any], settings: SourcesConfig = _DEFAULTS, name: str | None = None) -> Notification:
    """What *payload*, any JSON object, says; *name* is a key of SOURCES, None goes by its shape.

    One that is broken is read as a generic one, with a warning: an alert is never lost because the payload
    around it is odd. Raises NotAnAlert when it is news of something else.
    """
    source = source_of(payload, name)
    try:
        return _titled(_parsed(source, payload, settings))
    except BadPayload as exc:
        found = generic.parse(payload, settings)
        how = f"source={source.NAME} was asked for" if name else f"this looks like {source.NAME}"
        warning = f"{how}, but {exc}; it was read as a generic alert"
        return _titled(replace(found, warnings=(warning, *found.warnings)))


def source_of(payload: Mapping[str, Any], name: str | None = None) -> Source:
    """Whose payload this is: the source called *name*, or the first that knows its shape."""
    return SOURCES[name] if name else next(it for it in _SOURCES if it.recognizes(payload))


def _titled(notification: Notification) -> Notification:
    """With its title as that of its alert too, where it has only one and that has none."""
    alerts = notification.alerts
    if len(alerts) != 1 or alerts[0].title:
        return notification
    return replace(notification, alerts=(replace(alerts[0], title=notification.title),))


def _parsed(source: Source, payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:
    if not source.recognizes(payload):
        raise BadPayload("its shape is another")
    return source.parse(payload, settings)
