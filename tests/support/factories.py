"""Values that a test does not care about, filled in."""

from typing import Any

from tests.support.clock import START_MS
from versus_py.incidents.model import Alert, AlertStatus, Incident, Notification
from versus_py.incidents.policies import Policy, made
from versus_py.incidents.transitions import trigger


def make_policy(**keys: Any) -> Policy:
    """Slack at once and ServiceNow after five minutes, but for these *keys*."""
    return made(**{"channels": ("slack",), "oncall": "servicenow", "wait_ms": 5 * 60_000, **keys})


POLICY = make_policy()


def make_alert(
    name: str = "DiskFull", *, firing: bool = True, starts_at_ms: int | None = START_MS, **labels: str
) -> Alert:
    return Alert(
        fingerprint=labels.get("fingerprint", f"fp-{name}"),
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        labels={"alertname": name, "severity": "critical"} | labels,
        annotations={"summary": f"{name} happened"},
        starts_at_ms=starts_at_ms,
        ends_at_ms=None if firing else START_MS,
        url="http://prometheus/graph",
    )


def make_notification(*alerts: Alert, **fields: Any) -> Notification:
    values: dict[str, Any] = {
        "source": "alertmanager",
        "title": "DiskFull",
        "severity": "critical",
        "alerts": alerts or (make_alert(),),
        "dedup_key": "group",
        "is_complete": True,
    }
    return Notification(**(values | fields))


def make_incident(*alerts: Alert, policy: Policy = POLICY, now_ms: int = START_MS, **fields: Any) -> Incident:
    notification = make_notification(*alerts, **fields)
    return trigger(notification, policy, dedup_key=notification.dedup_key or "own", now_ms=now_ms).incident
