"""Webhooks of Sentry's integration platform: issue alerts, issues and metric alerts.

Source: docs.sentry.io/integrations/integration-platform/webhooks.
"""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload, NotAnAlert
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.incidents.severity import highest_severity
from versus_py.sources import fields

NAME = "sentry"

_SHAPE = {"action", "data", "installation"}
_PAGES = ("web_url", "permalink", "url")
_ISSUE_ID = re.compile(r"/issues/(\d+)(?:/|$)")
_ISSUE_FIRES = {"created", "unresolved"}
_ISSUE_IS_OVER = {"resolved", "archived", "ignored"}
_METRIC_FIRES = {"critical", "warning"}
_METRIC_IS_OVER = {"resolved"}


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether *signature*, the header Sentry-Hook-Signature, is that of *body* as it was received, made with *secret*.

    An empty secret signs nothing.
    """
    expected = hmac.new(secret.encode(), body, sha256).hexdigest()
    return bool(secret) and hmac.compare_digest(expected.encode(), signature.encode(errors="replace"))


def recognizes(payload: Mapping[str, Any]) -> bool:
    return payload.keys() >= _SHAPE


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - the web layer's
    """An issue or a metric alert as it is now.

    Raises BadPayload when that is no object or has no id, and NotAnAlert for everything else that Sentry tells.
    """
    data = payload["data"]
    if not isinstance(data, Mapping):
        raise BadPayload("its data is no JSON object")
    action = fields.text(payload["action"]).lower()
    if "metric_alert" in data:
        status = _status("metric alert", action, fires=_METRIC_FIRES, is_over=_METRIC_IS_OVER)
        return _metric_alert(data, action, status)
    if "event" in data:
        status = _status("event", action, fires={"triggered"}, is_over=set())
        return _event(data, status)
    if "issue" in data:
        status = _status("issue", action, fires=_ISSUE_FIRES, is_over=_ISSUE_IS_OVER)
        return _issue(data, status, is_new=action == "created")
    raise _not_an_alert(next(iter(data), "nothing"), action)


def _status(resource: str, action: str, *, fires: set[str], is_over: set[str]) -> AlertStatus:
    if action in fires:
        return AlertStatus.FIRING
    if action in is_over:
        return AlertStatus.RESOLVED
    raise _not_an_alert(resource, action)


def _not_an_alert(resource: str, action: str) -> NotAnAlert:
    return NotAnAlert(f"Sentry tells of {resource[:50]} {action[:50]!r}, which neither fires nor resolves anything")


def _event(data: Mapping[str, Any], status: AlertStatus) -> Notification:
    """An issue alert: an event to which a rule applied, which stands for its issue."""
    event = _object(data, "event")
    labels = _tags(event) | _labels(event, ("level", "platform", "project"))
    labels |= _labels(data, ("triggered_rule",))
    return _notification(
        Alert(
            fingerprint=_issue_id(event, "event", "issue_id"),
            status=status,
            labels=labels,
            annotations=_labels(event, ("culprit", "message")),
            starts_at_ms=fields.time_ms(event.get("datetime")),
            url=fields.first_url(event, _PAGES),
            resource=fields.resource(labels) or labels.get("project", ""),
        ),
        title=fields.text(event.get("title")),
        severity=fields.text(event.get("level")),
    )


def _issue(data: Mapping[str, Any], status: AlertStatus, *, is_new: bool) -> Notification:
    issue = _object(data, "issue")
    project = issue.get("project")
    slug = fields.text(project.get("slug")) if isinstance(project, Mapping) else ""
    labels = _labels(issue, ("level", "platform", "shortId"))
    if slug:
        labels["project"] = slug
    return _notification(
        Alert(
            fingerprint=_issue_id(issue, "issue", "id"),
            status=status,
            labels=labels,
            annotations=_labels(issue, ("culprit",)),
            # An issue that comes back was first seen long ago; when it came back is not said.
            starts_at_ms=fields.time_ms(issue.get("firstSeen")) if is_new else None,
            url=fields.first_url(issue, _PAGES),
            resource=slug,
        ),
        title=fields.text(issue.get("title")),
        severity=fields.text(issue.get("level")),
    )


def _metric_alert(data: Mapping[str, Any], action: str, status: AlertStatus) -> Notification:
    metric_alert = _object(data, "metric_alert")
    rule = metric_alert.get("alert_rule")
    labels = _labels(rule, ("aggregate", "dataset", "environment", "query")) if isinstance(rule, Mapping) else {}
    projects = metric_alert.get("projects")
    names = [name for it in projects if (name := fields.text(it))] if isinstance(projects, list) else []
    if names:
        labels["project"] = ", ".join(names)
    is_firing = status is AlertStatus.FIRING
    return _notification(
        Alert(
            fingerprint=f"metric_alert {_id(metric_alert, 'metric_alert', 'id')}",
            status=status,
            labels=labels,
            annotations=_labels({"description": data.get("description_text")}, ("description",)),
            starts_at_ms=fields.time_ms(metric_alert.get("date_started")),
            ends_at_ms=None if is_firing else fields.time_ms(metric_alert.get("date_closed")),
            url=fields.web_url(data.get("web_url")),
            resource=labels.get("project", ""),
        ),
        title=fields.text(data.get("description_title")) or fields.text(metric_alert.get("title")) or _name(rule),
        severity=action if is_firing else "",
    )


def _notification(alert: Alert, *, title: str, severity: str) -> Notification:
    """The news of *alert*, whose fingerprint tells issues and metric alerts apart."""
    title = fields.title(title) or "Sentry alert without a title"
    return Notification(
        source=NAME,
        title=title,
        severity=highest_severity([severity]),
        alerts=(replace(alert, labels={"alertname": title, **alert.labels}),),
        dedup_key=f"{NAME}\n{alert.fingerprint}",
        url=alert.url,
    )


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data[name]
    if not isinstance(found, Mapping):
        raise BadPayload(f"its data.{name} is no JSON object")
    return found


def _id(found: Mapping[str, Any], name: str, key: str) -> str:
    identity = fields.text(found.get(key))
    if not identity:
        raise BadPayload(f"its data.{name}.{key} is empty")
    return identity


def _issue_id(found: Mapping[str, Any], name: str, key: str) -> str:
    """The issue's number; older and self-hosted servers have it only in the addresses of its pages."""
    urls = (fields.text(found.get(it)) for it in ("issue_url", *_PAGES))
    return next((it[1] for url in urls if not found.get(key) and (it := _ISSUE_ID.search(url))), "") or _id(
        found, name, key
    )


def _name(rule: Any) -> str:
    return fields.text(rule.get("name")) if isinstance(rule, Mapping) else ""


def _labels(found: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Those of the named fields that say something."""
    return {name: text for name in names if (text := fields.text(found.get(name)))}


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    """Tags as labels; they come as a list of pairs."""
    listed = found.get("tags")
    tags = {}
    for item in listed if isinstance(listed, list) else []:
        match item:
            case [key, value]:
                tags[fields.text(key)] = fields.text(value)
    return {name: value for name, value in tags.items() if name and value}
