"""What every template of a target sees of an incident; plain mappings, lists, texts and times in ms."""

from typing import Any

from versus_py.incidents.model import Actor, Alert, Incident, common
from versus_py.incidents.overview import Line, Overview, overview, subject


def incident_values(incident: Incident, shown: Overview | None = None) -> dict[str, Any]:
    """The `incident`, its `alerts`, those `firing`, the last `payload`, and what alerts agree on, such as `labels`.

    `overview` says what they share once and of each what differs, of the first few: *shown*, where that is at hand.
    """
    alerts = [_alert_values(alert) for alert in incident.alerts]
    return {
        "incident": {
            "id": incident.id,
            "title": incident.title,
            "subject": subject(incident),
            "severity": incident.severity,
            "status": incident.status.value,
            "source": incident.source,
            "url": incident.url,
            "occurrences": incident.occurrences,
            "created_at": incident.created_at_ms,
            "escalates_at": incident.last_due_ms if incident.escalates_at_ms is None else incident.escalates_at_ms,
            "acknowledged_at": incident.acknowledged_at_ms,
            "acknowledged_by": _name(incident.acknowledged_by),
            "acknowledged_until": incident.ack_ends_at_ms,
            "resolved_at": incident.resolved_at_ms,
            "resolved_by": _name(incident.resolved_by),
            "resolve_comment": incident.resolve_comment,
        },
        "alerts": alerts,
        "firing": [alert for alert in alerts if alert["status"] == "firing"],
        "links": common_links(incident),
        "labels": common([alert.labels for alert in incident.alerts]),
        "annotations": common([alert.annotations for alert in incident.alerts]),
        "payload": incident.payload or {},
        "overview": _overview_values(shown or overview(incident)),
    }


def common_links(incident: Incident) -> dict[str, str]:
    """The pages that all that fires refers to, by what to call them: runbook, dashboard."""
    return common([alert.links for alert in incident.firing or incident.alerts])


def _overview_values(shown: Overview) -> dict[str, Any]:
    return {
        "name": shown.name,
        "resource": shown.resource,
        "count": shown.count,
        "labels": dict(shown.labels),
        "texts": list(shown.texts),
        "values": shown.values,
        "since": shown.since_ms,
        "url": shown.url,
        "links": dict(shown.links),
        "lines": [_line_values(it) for it in shown.lines],
        "left_out": shown.left_out,
    }


def _line_values(line: Line) -> dict[str, Any]:
    return {
        "lead": line.lead,
        "name": line.name,
        "labels": dict(line.labels),
        "texts": list(line.texts),
        "values": line.values,
        "since": line.since_ms,
        "url": line.url,
        "links": dict(line.links),
        "alert": _alert_values(line.alert),
    }


def _name(actor: Actor | None) -> str:
    return "" if actor is None else str(actor)


def _alert_values(alert: Alert) -> dict[str, Any]:
    return {
        "name": alert.name,
        "status": alert.status.value,
        "severity": alert.severity,
        "resource": alert.resource,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "starts_at": alert.starts_at_ms,
        "ends_at": alert.ends_at_ms,
        "not_listed_since": alert.unlisted_since_ms,
        "url": alert.url,
        "links": dict(alert.links),
        "fingerprint": alert.fingerprint,
    }
