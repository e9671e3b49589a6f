"""Understanding payloads: each module knows one family of them and says what it says about one incident.

To add a source: a module with NAME, recognizes and parse, and its place in _SOURCES.
"""

from collections.abc import Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload, WrongAddress
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Notification
from versus_py.sources import (
    alertmanager,
    cloudwatch,
    fluentbit,
    generic,
    grafana,
    monasca,
    opsgenie,
    pagerduty,
    sentry,
)
from versus_py.sources.bounds import bounded
from versus_py.sources.records import raise_if_record
from versus_py.sources.source import Source
from versus_py.sources.webhook import Webhook

__all__ = ["SOURCES", "parse", "source_of"]

# The first that recognizes a payload reads it.
_SOURCES: tuple[Source, ...] = (
    grafana,
    alertmanager,
    monasca,
    sentry,
    cloudwatch,
    pagerduty,
    opsgenie,
    fluentbit,
    generic,
)
SOURCES: Mapping[str, Source] = {source.NAME: source for source in _SOURCES}


_DEFAULTS = SourcesConfig()


def parse(payload: Mapping[str, Any], settings: SourcesConfig = _DEFAULTS, name: str | None = None) -> Notification:
    """What *payload*, any JSON object, says; *name* is a key of SOURCES, None goes by its shape.

    One that is broken is read as a generic one, with a warning: an alert is never lost because the payload
    around it is odd. It stays its source's, so that it names no incident of another. Raises NotAnAlert when it
    is news of something else, and WrongAddress for a record of ServiceNow, whatever *name* is.
    """
    if isinstance(payload, Webhook) and name in {None, alertmanager.NAME}:
        return bounded(_titled(alertmanager.read_webhook(payload.group)))
    raise_if_record(payload)
    source = source_of(payload, name)
    how = f"source={name} was asked for" if name else f"this looks like {source.NAME}"
    try:
        found = _carried(source, payload, settings) or source.parse(payload, settings)
    except WrongAddress:
        raise
    except BadPayload as exc:
        found = _warned(_broken(generic.parse(payload, settings), source), f"{how}, but {exc}")
    else:
        if name not in {None, source.NAME}:
            found = _warned(found, f"{how}, but its shape is another")
    return bounded(_titled(found))


def _carried(source: Source, payload: Mapping[str, Any], settings: SourcesConfig) -> Notification | None:
    """What an envelope of SNS carries, read as what it is: an incident of this source, whoever made it.

    SNS may deliver a message more than once: what nothing else identifies is known by the message's id.
    """
    inner = cloudwatch.message(payload) if source is cloudwatch else None
    if inner is None:
        return None
    if source_of(inner) is generic and generic.read(inner).title is None:
        inner = {**inner, "Subject": payload.get("Subject")}
    found = parse(inner, settings)
    keys = [
        f"{source.NAME}\n{key}" for key in (found.dedup_key or f"message {payload['MessageId']}", *found.older_keys)
    ]
    group = found.group and f"{source.NAME}\n{found.group}"
    return replace(found, source=source.NAME, dedup_key=keys[0], older_keys=tuple(keys[1:]), group=group)


def source_of(payload: Mapping[str, Any], name: str | None = None) -> Source:
    """Whose payload this is: the source called *name*, the generic one if it has not that one's shape.

    Without *name*, the first that knows its shape. Whatever is wrong with it, its notification is of this source.
    """
    if name is None:
        return next(it for it in _SOURCES if it.recognizes(payload))
    return SOURCES[name] if SOURCES[name].recognizes(payload) else generic


def _broken(found: Notification, source: Source) -> Notification:
    """*found* in a broken payload of *source*: it can only resolve what came as broken, of the same source."""
    [alert] = found.alerts
    identity = alert.fingerprint and f"broken {alert.fingerprint}"
    return replace(
        found,
        source=source.NAME,
        alerts=(replace(alert, fingerprint=identity),),
        dedup_key=f"{source.NAME}\n{identity}" if identity else None,
        older_keys=(),
    )


def _warned(found: Notification, wrong: str) -> Notification:
    return replace(found, warnings=(f"{wrong}; it was read as a generic alert", *found.warnings))


def _titled(notification: Notification) -> Notification:
    """With its title as that of its alert too, where it has only one and that has none.

    An end whose title is no title of its own leaves its alert the one that is known.
    """
    alerts = notification.alerts
    is_end_only = not notification.is_titled and not notification.is_firing
    if len(alerts) != 1 or alerts[0].title or is_end_only:
        return notification
    return replace(notification, alerts=(replace(alerts[0], title=notification.title),))
