"""PagerDuty's Events API v2: one incident per dedup_key, which is triggered, acknowledged and resolved.

Source: developer.pagerduty.com, "Events API v2"; github.com/prometheus/alertmanager, notify/pagerduty.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload
from versus_py.incidents.model import Alert, AlertStatus, Notification, SenderRequest
from versus_py.incidents.severity import highest_severity
from versus_py.sources import fields
from versus_py.sources.details import labels_and_annotations

NAME = "pagerduty"

ACTIONS = ("trigger", "acknowledge", "resolve")

_LABELS = ("source", "component", "group", "class")


def recognizes(payload: Mapping[str, Any]) -> bool:
    is_event = "payload" in payload or "dedup_key" in payload or "routing_key" in payload
    return is_event and fields.text(payload.get("event_action")) in ACTIONS


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The event. Raises BadPayload for a trigger without a summary, and for another action without a dedup_key.

    The event's timestamp is no start of the alert: each repeat has its own.
    """
    found = payload.get("payload")
    event: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    action, key = fields.text(payload["event_action"]), fields.text(payload.get("dedup_key"))
    summary = fields.text(event.get("summary"))
    if action == "trigger" and not summary:
        raise BadPayload("its payload.summary is empty")
    if action != "trigger" and not key:
        raise BadPayload(f"its dedup_key is empty, so it does not say what to {action}")
    url = fields.web_url(payload.get("client_url"))
    return Notification(
        source=NAME,
        title=fields.title(summary or key),
        severity=highest_severity([fields.text(event.get("severity"))]),
        alerts=() if action == "acknowledge" else (_alert(payload, event, key, action),),
        dedup_key=f"{NAME}\n{key}" if key else None,
        older_keys=(f"generic\n{key}",) if key else (),  # as it was read before it was a source of its own
        is_keyed_by_sender=bool(key),
        is_titled=bool(summary),
        url=url,
        asks=SenderRequest(acknowledges=True) if action == "acknowledge" else None,
    )


def _alert(payload: Mapping[str, Any], event: Mapping[str, Any], key: str, action: str) -> Alert:
    labels, annotations = labels_and_annotations(event.get("custom_details"))
    own = {name: text for name in _LABELS if (text := fields.text(event.get(name)))}
    if client := fields.text(payload.get("client")):
        own["client"] = client
    return Alert(
        fingerprint=key,
        status=AlertStatus.FIRING if action == "trigger" else AlertStatus.RESOLVED,
        labels=labels | own,
        annotations=annotations,
        url=fields.web_url(payload.get("client_url")),
        resource=own.get("source", ""),
        links=fields.links(labels | annotations) | dict(_pages(payload)),
    )


def _pages(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What it links to, and its pictures."""
    for listed, url_name, text_name, default in (("links", "href", "text", "Link"), ("images", "src", "alt", "Image")):
        items = payload.get(listed)
        for number, it in enumerate(items if isinstance(items, list) else (), start=1):
            if isinstance(it, Mapping) and (url := fields.web_url(it.get("href")) or fields.web_url(it.get(url_name))):
                yield fields.text(it.get(text_name)) or f"{default} {number}", url
