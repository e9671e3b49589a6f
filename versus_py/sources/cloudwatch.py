"""CloudWatch alarms as SNS delivers them: an envelope whose Message is the alarm, as a JSON string.

Source: docs.aws.amazon.com/sns, "HTTP/HTTPS notification JSON format"; github.com/aws/aws-lambda-go, events/testdata.
Whether an envelope is to be trusted is not decided here.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload, NotAnAlert
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.incidents.severity import UNKNOWN_SEVERITY
from versus_py.sources import fields

NAME = "cloudwatch"

NOTIFICATION = "Notification"
SUBSCRIPTION = "SubscriptionConfirmation"
UNSUBSCRIPTION = "UnsubscribeConfirmation"
_TYPES = {NOTIFICATION, SUBSCRIPTION, UNSUBSCRIPTION}

_ARN = re.compile(r"arn:(aws[a-z-]*):cloudwatch:([a-z0-9-]+):\d+:alarm:(.+)")


def recognizes(payload: Mapping[str, Any]) -> bool:
    return fields.text(payload.get("Type")) in _TYPES and payload.keys() >= {"TopicArn", "MessageId"}


def is_raw(payload: Mapping[str, Any]) -> bool:
    """Whether it is an alarm without its envelope, and so without a signature: SNS' raw message delivery."""
    return payload.keys() >= {"AlarmName", "NewStateValue"}


def message(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an envelope carries, where that is a JSON object that is no alarm."""
    inner = _json(payload.get("Message"))
    return inner if inner is not None and not is_raw(_alarm_of_event(inner)) else None


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - the web layer's
    """The alarm as it is now.

    Raises BadPayload when the message is about something else than an alarm, and NotAnAlert for one about a
    subscription and for an alarm that lacks data.
    """
    kind = fields.text(payload["Type"])
    if kind != NOTIFICATION:
        raise NotAnAlert(f"this is the {kind} of SNS topic {fields.text(payload['TopicArn'])!r}")
    alarm = _alarm(payload.get("Message"))
    name = fields.text(alarm["AlarmName"])
    status = _status(alarm, name)
    is_firing = status is AlertStatus.FIRING
    at_ms = fields.time_ms(alarm.get("StateChangeTime"))
    trigger = alarm.get("Trigger")
    dimensions = dict(_dimensions(trigger)) if isinstance(trigger, Mapping) else {}
    description = fields.text(alarm.get("AlarmDescription"))
    identity = _identity(alarm, name)
    alert = Alert(
        fingerprint=identity,
        status=status,
        labels=_labels(alarm, name) | dimensions,
        annotations=_named(description=description, message=fields.text(alarm.get("NewStateReason"))),
        starts_at_ms=at_ms if is_firing else None,
        ends_at_ms=None if is_firing else at_ms,
        url=_console_url(alarm),
        resource="/".join(dimensions.values()),
    )
    return Notification(
        source=NAME,
        title=fields.title(f"{name}: {description}" if description else name),
        severity=UNKNOWN_SEVERITY,
        alerts=(alert,),
        dedup_key=f"{NAME}\n{identity}",
        is_complete=alarm.get("OldStateValue") == "OK",  # what it was before is over, also when that was not told
        url=alert.url,
    )


def _alarm(said: Any) -> Mapping[str, Any]:
    alarm = _json(said)
    alarm = None if alarm is None else _alarm_of_event(alarm)
    if alarm is None or not is_raw(alarm) or not fields.text(alarm["AlarmName"]):
        raise BadPayload("its Message is no CloudWatch alarm")
    return alarm


def _json(said: Any) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(said) if isinstance(said, str) else None
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _alarm_of_event(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """An EventBridge event about an alarm, in the words that the alarm itself uses; anything else as it is."""
    match event.get("detail"):
        case {"alarmName": name, "state": {"value": value, **state}, **detail}:
            arns = event.get("resources")
            return {
                "AlarmName": name,
                "AlarmArn": arns[0] if isinstance(arns, list) and arns else None,
                "AlarmDescription": _member(detail.get("configuration"), "description"),
                "AWSAccountId": event.get("account"),
                "Region": event.get("region"),
                "NewStateValue": value,
                "NewStateReason": state.get("reason"),
                "OldStateValue": _member(detail.get("previousState"), "value"),
                "StateChangeTime": state.get("timestamp"),
            }
    return event


def _member(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, Mapping) else None


def _status(alarm: Mapping[str, Any], name: str) -> AlertStatus:
    match fields.text(alarm["NewStateValue"]):
        case "ALARM":
            return AlertStatus.FIRING
        case "OK":
            return AlertStatus.RESOLVED
        case "INSUFFICIENT_DATA":
            raise NotAnAlert(f"CloudWatch's alarm {name!r} has INSUFFICIENT_DATA, which neither fires nor resolves it")
        case state:
            raise BadPayload(f"its NewStateValue is {state[:50]!r}, which is none of ALARM, OK and INSUFFICIENT_DATA")


def _identity(alarm: Mapping[str, Any], name: str) -> str:
    place = (fields.text(alarm.get("AWSAccountId")), fields.text(alarm.get("Region")))
    return fields.text(alarm.get("AlarmArn")) or ":".join((*place, name))


def _labels(alarm: Mapping[str, Any], name: str) -> dict[str, str]:
    trigger = alarm.get("Trigger")  # a composite alarm has none
    metric = trigger if isinstance(trigger, Mapping) else {}
    return _named(
        alertname=name,
        region=fields.text(alarm.get("Region")),
        account=fields.text(alarm.get("AWSAccountId")),
        namespace=fields.text(metric.get("Namespace")),
        metric=fields.text(metric.get("MetricName")),
        rule=fields.text(alarm.get("AlarmRule")),
    )


def _named(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


def _dimensions(trigger: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is measured, by name and value; an alarm on a calculation lists the metrics that go into it."""
    metrics = trigger.get("Metrics")
    stats = [it.get("MetricStat") for it in metrics if isinstance(it, Mapping)] if isinstance(metrics, list) else []
    for metric in (trigger, *(stat.get("Metric") for stat in stats if isinstance(stat, Mapping))):
        dimensions = metric.get("Dimensions") if isinstance(metric, Mapping) else None
        for dimension in dimensions if isinstance(dimensions, list) else []:
            if isinstance(dimension, Mapping):
                name, value = fields.text(dimension.get("name")), fields.text(dimension.get("value"))
                if name and value:
                    yield name, value


def _console_url(alarm: Mapping[str, Any]) -> str:
    """The alarm's page, as CloudWatch's own mails have it; "" outside AWS' public partition."""
    arn = _ARN.fullmatch(fields.text(alarm.get("AlarmArn")))
    if arn is None or arn[1] != "aws":
        return ""
    console = f"https://{arn[2]}.console.aws.amazon.com/cloudwatch/deeplink.js?region={arn[2]}"
    return f"{console}#alarmsV2:alarm/{quote(arn[3], safe='')}"
