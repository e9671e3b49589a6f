"""Alerts as Opsgenie and Jira Service Management take them: one incident per alias.

Requests about an alert have its alias and what they do in their address. Here these are the fields `alias` and
`action` of the body.

Source: docs.opsgenie.com, "Alert API"; developer.atlassian.com, "Jira Service Management ops, integration events";
github.com/prometheus/alertmanager, notify/opsgenie.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload
from versus_py.incidents.model import Alert, AlertStatus, Notification, SenderRequest
from versus_py.incidents.severity import highest_severity
from versus_py.sources import fields
from versus_py.sources.details import labels_and_annotations, texts
from versus_py.sources.generic import tables
from versus_py.sources.generic.search import normal

NAME = "opsgenie"

CREATE, ACKNOWLEDGE, CLOSE, ADD_NOTE = "Create", "Acknowledge", "Close", "AddNote"
UPDATE_MESSAGE, UPDATE_DESCRIPTION = "UpdateMessage", "UpdateDescription"
ACTIONS = (CREATE, ACKNOWLEDGE, CLOSE, ADD_NOTE, UPDATE_MESSAGE, UPDATE_DESCRIPTION)

_PRIORITY = re.compile(r"P[1-5]")
_OWN_FIELDS = ("alias", "responders", "visibleTo", "teams", "entity", "details", "actions")
"""Of which an alert that names its priority as Opsgenie does has one, at the least."""

_STANDING = frozenset(map(normal, (*tables.CONCLUSIONS, *tables.STATUS, *tables.FLAGS, *tables.ENDED)))
"""Fields of other tools' alerts: one that Opsgenie is to create does not say how it stands."""


def recognizes(payload: Mapping[str, Any]) -> bool:
    if payload.get("action") in ACTIONS and fields.text(payload.get("alias")):
        return True
    if not _STANDING.isdisjoint(map(normal, payload)):
        return False
    has_priority = _PRIORITY.fullmatch(fields.text(payload.get("priority"))) is not None
    has_own = has_priority and any(name in payload for name in _OWN_FIELDS)
    return bool(fields.text(payload.get("message"))) and (has_own or isinstance(payload.get("responders"), list))


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The alert, or what is done about it. Raises BadPayload for an alert without a message."""
    action = fields.text(payload.get("action")) or CREATE
    alias, message = fields.text(payload.get("alias")), fields.text(payload.get("message"))
    if action == CREATE and not message:
        raise BadPayload("its message is empty")
    labels, annotations = labels_and_annotations(payload.get("details") or payload.get("extraProperties"))
    url = fields.web_url(payload.get("source"))
    alert = Alert(
        fingerprint=alias,
        status=AlertStatus.FIRING if action == CREATE else AlertStatus.RESOLVED,
        labels=labels | dict(_labels(payload)),
        annotations=annotations | dict(_annotations(payload, action)),
        url=url,
        resource=fields.text(payload.get("entity")) or fields.resource(labels),
        links=fields.links(labels | annotations),
    )
    return Notification(
        source=NAME,
        title=fields.title(message or alias),
        severity=highest_severity([fields.text(payload.get("priority")) or labels.get("severity", "")]),
        alerts=(alert,) if action in {CREATE, CLOSE} else (),
        dedup_key=f"{NAME}\n{alias}" if alias else None,
        older_keys=(f"generic\n{alias}",) if alias else (),  # as it was read before it was a source of its own
        is_keyed_by_sender=bool(alias),
        is_titled=bool(message),
        url=url,
        asks=None if action == CREATE else _request(payload, action),
    )


def _labels(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What it says of itself. Who is to respond is shown: whom it tells is the configuration's to say."""
    found = {
        "entity": fields.text(payload.get("entity")),
        "source": "" if fields.web_url(payload.get("source")) else fields.text(payload.get("source")),
        "tags": ", ".join(texts(payload.get("tags"))),
        "responders": ", ".join(_responders(payload)),
    }
    return ((name, text) for name, text in found.items() if text)


def _responders(payload: Mapping[str, Any]) -> Iterator[str]:
    for listed in (payload.get("responders"), payload.get("teams")):
        for it in listed if isinstance(listed, list) else ():
            if isinstance(it, Mapping) and (name := fields.first_text(it, ("name", "username", "id"))):
                yield name


def _annotations(payload: Mapping[str, Any], action: str) -> Iterator[tuple[str, str]]:
    """What it says of itself. The note of a later request is a comment, and no text of the alert."""
    for name in ("description", "note") if action == CREATE else ("description",):
        if text := fields.text(payload.get(name)):
            yield name, text


def _request(payload: Mapping[str, Any], action: str) -> SenderRequest:
    note, user = fields.text(payload.get("note")), fields.text(payload.get("user"))
    return SenderRequest(
        acknowledges=action == ACKNOWLEDGE,
        comment=f"{user}: {note}" if note and user else note,
        title=fields.title(fields.text(payload.get("message"))) if action == UPDATE_MESSAGE else "",
        description=fields.text(payload.get("description")) if action == UPDATE_DESCRIPTION else "",
    )
