"""Payloads to try with: what each source would send, starting now."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zlib import crc32

_LABELS = {"severity": "critical", "instance": "db-7:9100", "team": "storage"}
_DESCRIPTION = "A sample, to see what such an alert looks like."


def alertmanager(
    name: str = "DiskFull",
    *,
    starts_at: datetime,
    is_resolved: bool = False,
    labels: Mapping[str, str] = _LABELS,
    summary: str = "",
    description: str = _DESCRIPTION,
) -> dict[str, Any]:
    """What Alertmanager posts for a group of one alert; its *labels* are beside its name."""
    status = "resolved" if is_resolved else "firing"
    labels = {"alertname": name, **labels}
    annotations = {"summary": summary or f"{name} on db-7", "description": description}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": starts_at.isoformat(),
        "endsAt": starts_at.isoformat() if is_resolved else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=sample",
        "fingerprint": f"{_number(name):016x}",
    }
    return {
        "receiver": "versus",
        "status": status,
        "alerts": [alert],
        "groupLabels": {"alertname": name},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.example:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
    }


def generic(name: str = "Backup", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What a script of one's own might post."""
    return {
        "title": f"{name} failed on db-7",
        "severity": "warning",
        "status": "resolved" if is_resolved else "firing",
        "dedup_key": f"{name.lower()}-db-7",
        "message": "pg_dump ended with status 1",
        "startsAt": starts_at.isoformat(),
    }


def grafana(name: str = "High CPU", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What Grafana posts for a group of one alert."""
    group = alertmanager(name, starts_at=starts_at, is_resolved=is_resolved)
    alert = group["alerts"][0] | {
        "generatorURL": "https://grafana.example/alerting/grafana/ab1/view?orgId=1",
        "silenceURL": "https://grafana.example/alerting/silence/new",
        "dashboardURL": "https://grafana.example/d/ab1",
        "panelURL": "",
        "ruleUID": "ab1",
        "orgId": 1,
        "values": {"A": 93.1, "C": 1},
        "valueString": "[ var='A' value=93.1 ]",
    }
    return group | {
        "alerts": [alert],
        "externalURL": "https://grafana.example/",
        "version": "1",
        "orgId": 1,
        "title": f"[{group['status'].upper()}] {name}",
        "state": "ok" if is_resolved else "alerting",
        "message": f"**{group['status'].capitalize()}**",
        "appVersion": "12.1.0",
    }


def monasca(name: str = "cpu idle low", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What Monasca's notification engine posts."""
    return {
        "alarm_id": f"20a54a65-44b8-4ac9-a398-{_number(name):012x}",
        "alarm_definition_id": "78ce7b53-f7e6-4b51-88d0-000000000002",
        "alarm_name": name,
        "alarm_description": "A sample, to see what such an alarm looks like.",
        "alarm_timestamp": int(starts_at.timestamp()),
        "state": "OK" if is_resolved else "ALARM",
        "old_state": "ALARM" if is_resolved else "OK",
        "message": "Thresholds were exceeded for the sub-alarms: avg(cpu.idle_perc) < 5.0 with the values: [2.1]",
        "tenant_id": "62f7a7a314904aa3ab137d569d6b4fde",
        "metrics": [{"id": None, "name": "cpu.idle_perc", "dimensions": {"hostname": "node-3", "service": "compute"}}],
    }


def sentry(name: str = "KeyError", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What Sentry posts for an event to which an alert rule applies, and when its issue is resolved."""
    issue_id = str(_number(name))
    said = {"title": f"{name}: sku", "level": "error", "culprit": "cart.add", "platform": "python"}
    url = f"https://acme.sentry.example/issues/{issue_id}/"
    if is_resolved:
        action = "resolved"
        issue = {"id": issue_id, "status": "resolved", "project": {"id": "17", "slug": "shop"}, "web_url": url}
        data: dict[str, Any] = {"issue": said | issue}
    else:
        action = "triggered"
        event = {
            "event_id": "e4874d664c3540c1a32eab185f12c5ab",
            "issue_id": issue_id,
            "datetime": starts_at.isoformat(),
            "project": 17,
            "tags": [["environment", "prod"], ["level", "error"], ["server_name", "web-2"]],
            "web_url": f"{url}events/e487/",
        }
        data = {"triggered_rule": "Checkout errors", "event": said | event}
    return {
        "action": action,
        "actor": {"type": "application", "id": "sentry", "name": "Sentry"},
        "installation": {"uuid": "0a1b2c3d-0000-4000-8000-000000000001"},
        "data": data,
    }


def cloudwatch(name: str = "cpu-high", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """What SNS delivers for an alarm; nobody signed it."""
    state, old_state = ("OK", "ALARM") if is_resolved else ("ALARM", "OK")
    dimensions = [{"name": "InstanceId", "value": "i-0abc"}]
    alarm = {
        "AlarmName": name,
        "AlarmDescription": "A sample, to see what such an alarm looks like.",
        "AWSAccountId": "123456789012",
        "NewStateValue": state,
        "OldStateValue": old_state,
        "NewStateReason": "Threshold Crossed: 1 datapoint [93.1] was greater than the threshold (80.0).",
        "StateChangeTime": starts_at.isoformat(),
        "Region": "EU (Ireland)",
        "AlarmArn": f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}",
        "Trigger": {"MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Dimensions": dimensions},
    }
    return {
        "Type": "Notification",
        "MessageId": f"22b80b92-0000-4000-8000-{_number(name):012x}",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:alarms",
        "Subject": f'{state}: "{name}" in EU (Ireland)',
        "Message": json.dumps(alarm),
        "Timestamp": starts_at.isoformat(),
        "SignatureVersion": "2",
        "Signature": "bm8gc2lnbmF0dXJlLCBidXQgYSBzYW1wbGU=",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-sample.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=sample",
    }


def fluentbit(name: str = "OOM", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """A record as Fluent Bit posts them, with a key of its own, so that a status can say that it is over."""
    state = {"level": "info", "status": "resolved"} if is_resolved else {"level": "error"}
    return state | {
        "date": starts_at.timestamp(),
        "log": f"{name}: killed process 4242 (java)",
        "dedup_key": name,
        "kubernetes": {"namespace_name": "shop", "pod_name": "cart-5f7", "container_name": "cart"},
    }


def pagerduty(name: str = "DiskFull", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """An event as senders of PagerDuty post them; here the routing key is none that anybody has."""
    return {
        "routing_key": "0123456789abcdef0123456789abcdef",
        "event_action": "resolve" if is_resolved else "trigger",
        "dedup_key": f"{name.lower()}-db-7",
        "payload": {
            "summary": f"{name} on db-7",
            "source": "db-7",
            "severity": "critical",
            "timestamp": starts_at.isoformat(),
            "component": "postgres",
            "group": "storage",
            "class": "disk",
            "custom_details": {"free": "2 %", "mount": "/var/lib/postgresql"},
        },
        "client": "Sample",
        "client_url": "https://monitoring.example/db-7",
        "links": [{"href": "https://runbooks.example/disk-full", "text": "Runbook"}],
    }


def opsgenie(name: str = "DiskFull", *, starts_at: datetime, is_resolved: bool = False) -> dict[str, Any]:
    """An alert as senders of Opsgenie and Jira Service Management post it; its end, as it is read from the address."""
    alias = f"{name.lower()}-db-7"
    if is_resolved:
        return {"action": "Close", "alias": alias, "source": "Sample", "user": "sample"}
    return {
        "message": f"{name} on db-7",
        "alias": alias,
        "description": f"A sample of {starts_at:%H:%M}, to see what such an alert looks like.",
        "priority": "P1",
        "entity": "db-7",
        "source": "Sample",
        "tags": ["storage", "prod"],
        "details": {"mount": "/var/lib/postgresql", "free": "2 %"},
        "responders": [{"type": "team", "name": "storage"}],
    }


def _number(name: str) -> int:
    """The same number whenever the name is the same."""
    return crc32(name.encode())


SAMPLES: dict[str, Callable[..., dict[str, Any]]] = {
    "alertmanager": alertmanager,
    "cloudwatch": cloudwatch,
    "fluentbit": fluentbit,
    "generic": generic,
    "grafana": grafana,
    "monasca": monasca,
    "opsgenie": opsgenie,
    "pagerduty": pagerduty,
    "sentry": sentry,
}
