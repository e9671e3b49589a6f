"""Incidents as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from versus_py.incidents.model import Actor, Alert, Comment, Delivery, Entry, Incident
from versus_py.incidents.overview import Line, Overview, overview, subject
from versus_py.incidents.progress import Next, Position, StepProgress, held_until_ms, next_of, position_of, steps_of
from versus_py.store import GivenUp, Unread, UnreadFailure

LINES = 20
"""The most alerts that an overview lists; the alerts themselves are all there."""


def rfc3339(at_ms: int | None) -> str | None:
    """A moment in UTC, to the millisecond; None for None."""
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc(at_ms: int | None) -> str:
    """A moment for people, to the second; empty for None."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def escalates_at(incident: Incident) -> str | None:
    """When it escalates, or goes on to, if nobody acknowledges; None when it will not, or nobody knows."""
    if not incident.is_waiting or incident.suppression is not None:
        return None
    opening = () if incident.next_step else steps_of(incident)[:2]
    if not opening or set(opening[0].step.targets) & set(incident.policy.providers):
        return rfc3339(incident.escalates_at_ms)
    return rfc3339(opening[1].due_ms) if len(opening) > 1 else None


def summary(incident: Incident) -> dict[str, Any]:
    """An incident in a list."""
    return {
        "id": incident.id,
        "status": incident.status,
        "outcome": incident.ending,
        "title": incident.title,
        "subject": subject(incident),
        "severity": incident.severity,
        "source": incident.source,
        "alerts": len(incident.alerts),
        "firing": len(incident.firing),
        "occurrences": incident.occurrences,
        "created_at": rfc3339(incident.created_at_ms),
        "updated_at": rfc3339(incident.updated_at_ms),
        "escalates_at": escalates_at(incident),
        "held_until": rfc3339(held_until_ms(incident)),
        "step": _position(position_of(incident)),
        "next": _next(next_of(incident)),
        "suppressed_by": incident.suppression.by if incident.suppression else None,
        "suppressed_until": rfc3339(incident.suppression.until_ms) if incident.suppression else None,
        "acknowledged_at": rfc3339(incident.acknowledged_at_ms),
        **_actor("acknowledged_by", incident.acknowledged_by),
        "acknowledged_until": rfc3339(incident.ack_ends_at_ms),
        "resolved_at": rfc3339(incident.resolved_at_ms),
        **_actor("resolved_by", incident.resolved_by),
        "snoozed_until": rfc3339(incident.snooze.until_ms) if incident.snooze else None,
        **_actor("snoozed_by", incident.snooze.by if incident.snooze else None),
        "origin": incident.origin or None,
        "record": incident.record.label or None,
        "record_url": incident.record.url or None,
    }


def failure(given_up: GivenUp) -> dict[str, Any]:
    """An incident in the list of those that were given up, once for each target."""
    it = given_up.delivery
    failed = {"target": given_up.target, "since": rfc3339(it.failed_at_ms), "error": it.error}
    return summary(given_up.incident) | {"failed": failed}


def unread(it: Unread) -> dict[str, Any]:
    """An incident in a list, of which only that is known."""
    return {"id": it.incident_id, "error": it.error}


def unread_failure(it: UnreadFailure) -> dict[str, Any]:
    """The same in the list of those that were given up."""
    return {"id": it.incident_id, "error": it.error, "failed": {"target": it.target, "since": rfc3339(it.at_ms)}}


def detail(incident: Incident, timeline: Sequence[Entry]) -> dict[str, Any]:
    """An incident with everything that is known of it."""
    return summary(incident) | {
        "dedup_key": incident.dedup_key,
        "aliases": incident.aliases,
        "url": incident.url or None,
        "warnings": incident.warnings,
        "truncated_alerts": incident.truncated_alerts,
        "overview": _overview(overview(incident, lines=LINES)),
        "policy": {
            "name": incident.policy.name or None,
            "channels": incident.policy.channels,
            "oncall": incident.policy.oncall,
            "fallback": incident.policy.fallback.targets[0] if incident.policy.fallback else None,
            "wait_minutes": (incident.policy.wait_ms or 0) / 60_000,
            "ack_timeout_minutes": incident.policy.ack_timeout_ms / 60_000,
            "destinations": dict(incident.policy.destinations),
            "steps": [_step(it) for it in steps_of(incident)],
        },
        "alerts": [_alert(alert) for alert in incident.alerts],
        "deliveries": {target: _delivery(delivery) for target, delivery in incident.deliveries.items()},
        "comments": [_comment(side, it) for side, it in incident.comments],
        "timeline": [_entry(entry) for entry in timeline],
    }


def _position(position: Position | None) -> dict[str, int] | None:
    return None if position is None else asdict(position)


def _next(coming: Next | None) -> dict[str, Any] | None:
    if coming is None:
        return None
    return {**asdict(coming.position), "targets": coming.targets, "due_at": rfc3339(coming.due_ms)}


def _step(it: StepProgress) -> dict[str, Any]:
    return {
        "targets": it.step.targets,
        "after_minutes": it.step.after_ms / 60_000,
        "on_failure": it.step.on_failure,
        "mention": it.step.mention or None,
        "fields": dict(it.step.fields),
        "due_at": rfc3339(it.due_ms),
        "began_at": rfc3339(it.began_ms),
        "states": dict(it.states),
    }


def _overview(shown: Overview) -> dict[str, Any]:
    return {
        "name": shown.name or None,
        "resource": shown.resource or None,
        "count": shown.count,
        "since": rfc3339(shown.since_ms),
        "texts": shown.texts,
        "values": shown.values or None,
        "labels": dict(shown.labels),
        "url": shown.url or None,
        "links": dict(shown.links),
        "lines": [_line(it) for it in shown.lines],
        "left_out": shown.left_out,
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "fingerprint": line.alert.fingerprint,
        "lead": line.lead,
        "labels": dict(line.labels),
        "texts": line.texts,
        "values": line.values or None,
        "since": rfc3339(line.since_ms),
        "url": line.url or None,
        "links": dict(line.links),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "starts_at": rfc3339(alert.starts_at_ms),
        "ends_at": rfc3339(alert.ends_at_ms),
        "not_listed_since": rfc3339(alert.unlisted_since_ms),
        "resource": alert.resource or None,
        "url": alert.url or None,
        "links": dict(alert.links),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "label": delivery.label or None,
        "url": delivery.url or None,
        "version": delivery.version,
        "note": delivery.note or None,
        "attempts": delivery.attempts,
        "error": delivery.error or None,
        "failing_since": rfc3339(delivery.failing_since_ms),
        "failed_at": rfc3339(delivery.failed_at_ms),
    }


def _comment(side: Delivery, comment: Comment) -> dict[str, Any]:
    """What somebody wrote in a record."""
    return {
        "at": rfc3339(comment.at_ms),
        "by": comment.by or None,
        **({"by_email": comment.email} if comment.email else {}),
        "text": comment.text,
        "record": side.label or None,
        "record_url": side.url or None,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    said = {"at": rfc3339(entry.at_ms), "event": entry.event, "detail": entry.detail or None}
    return said | _actor("by", entry.by)


def _actor(key: str, actor: Actor | None) -> dict[str, str | None]:
    """The name by that key, and beside it the e-mail address, where that is known."""
    said = {key: actor.name if actor else None}
    if actor is not None and actor.email:
        said[f"{key}_email"] = actor.email
    return said
