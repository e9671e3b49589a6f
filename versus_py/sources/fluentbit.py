"""One record of Fluent Bit's http output: a line of a log that somebody thought worth an alert.

Source: docs.fluentbit.io, outputs/http and filters/kubernetes.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from versus_py.config import SourcesConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Notification
from versus_py.incidents.severity import from_syslog, highest_severity, is_graver
from versus_py.sources import fields
from versus_py.sources.generic import tables
from versus_py.sources.generic.search import embedded, normal
from versus_py.sources.generic.words import is_over

NAME = "fluentbit"

_DATE = "date"
_MESSAGE = ("log", "message", "msg")
_NAMES_OF_LOGS = {"rule", "trigger", "service_desc", "policy_name", "error_class", "exception_class"}
_NAMES_OF_ALERTS = (*tables.HEADLINES, *tables.NAMES, *tables.NOUNS, "chart")
_TITLES = frozenset(normal(name) for name in _NAMES_OF_ALERTS if name not in _NAMES_OF_LOGS)
"""Somebody wrote it to be read, or named it, so it is no line of a log."""

_SEVERITY = ("level", "severity", "log_level", "loglevel", "levelname", "priority")
_STATUS = ("status", "state", "alert_status", "event_action")
_IDENTITY = ("dedup_key", "deduplication_key", "dedupKey", "fingerprint", "alias", "incident_key")
_NUMBERS = ("alert_id", "alertId", "incident_id", "id", "uuid", "event_id", "MessageId")
"""Of a request, or of the line: no identity. Before 1.0 they were one."""

_READ = {_DATE, *_MESSAGE, *_STATUS, *_IDENTITY, *_NUMBERS}  # what becomes something better than a label

_LINE_MAX = 2000  # characters of a line that count for what it is about
_VARYING = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|\b0x[0-9a-f]+\b"
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{6,}\b"  # a hash, which a word of the letters a to f is not
    r"|[0-9]+",
    re.IGNORECASE,
)


def recognizes(payload: Mapping[str, Any]) -> bool:
    """A record has a message and a date. Without a date (json_date_key false), only Fluent Bit's own `log` will do."""
    named = _MESSAGE if _date_ms(payload) is not None else ("log",)
    return bool(fields.first_text(payload, named)) and _TITLES.isdisjoint(map(normal, payload))


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The line; repeated, though with other numbers in it, it is the same incident.

    A status in a line is mostly that of an order or a request. It ends an incident only of an explicit identity, and
    never at level warning or worse.
    """
    line = _unpacked(payload)
    found = _notification(line)
    older = (_notification(payload).dedup_key or "", *found.older_keys)
    return replace(found, older_keys=tuple(dict.fromkeys(key for key in older if key != found.dedup_key)))


def _notification(payload: Mapping[str, Any]) -> Notification:
    message = fields.first_text(payload, _MESSAGE)
    labels = _labels(payload)
    resource = labels.get("pod_name") or fields.resource(labels)
    level = highest_severity([fields.first_text(payload, _SEVERITY)])
    severity = _named(level, payload)
    explicit = fields.first_text(payload, _IDENTITY)
    identity = explicit or _digest(labels.get("namespace_name", ""), resource, level, message)
    older = fields.first_text(payload, (*_IDENTITY, *_NUMBERS))
    title = fields.title(message)
    is_said_over = bool(explicit) and is_over(fields.first_text(payload, _STATUS)) is True
    is_grave = is_graver(severity, "notice")
    is_resolved = is_said_over and not is_grave
    at_ms = _date_ms(payload)
    alert = Alert(
        fingerprint=identity,
        status=AlertStatus.RESOLVED if is_resolved else AlertStatus.FIRING,
        labels=labels,
        annotations={"message": message} if message != title else {},
        starts_at_ms=None if is_resolved else at_ms,
        ends_at_ms=at_ms if is_resolved else None,
        resource=resource,
    )
    return Notification(
        source=NAME,
        title=title,
        severity=severity,
        alerts=(alert,),
        dedup_key=f"{NAME}\n{identity}",
        older_keys=(f"{NAME}\n{older}",) if older and older != identity else (),
        warnings=(f"it fires although its status says otherwise: a line of level {severity} ends nothing",)
        if is_said_over and is_grave
        else (),
    )


def _named(level: str, payload: Mapping[str, Any]) -> str:
    """The severity that a number stands for, in the shapes of records that number them."""
    names = {normal(name) for name in payload}
    if names & tables.SYSLOG_FIELDS:
        return from_syslog(level) or level
    return tables.NODE_LEVELS.get(level, level) if names >= tables.NODE_FIELDS else level


def _unpacked(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the fields of a line that is JSON itself, as those of containers often are, in place of the line."""
    inner = embedded(fields.first_text(payload, _MESSAGE))
    if not isinstance(inner, Mapping) or not fields.first_text(inner, _MESSAGE):
        return payload
    return {name: value for name, value in payload.items() if name not in _MESSAGE} | dict(inner)


def _date_ms(payload: Mapping[str, Any]) -> int | None:
    """json_date_format: a number (double, epoch, epoch_ms), iso8601, or java_sql_timestamp, which is in UTC unsaid."""
    date = payload.get(_DATE)
    return fields.epoch_ms(date) or fields.time_ms(date) or fields.time_ms(f"{fields.text(date)}Z")


def _labels(payload: Mapping[str, Any]) -> dict[str, str]:
    """The record's other fields, and what the kubernetes filter adds, by the names that it has there."""
    kubernetes = payload.get("kubernetes")
    pod = kubernetes if isinstance(kubernetes, Mapping) else {}
    labels = fields.text_map(pod.get("labels")) | fields.text_map(pod) | fields.text_map(payload)
    return {name: value for name, value in labels.items() if name not in _READ and value}


def _digest(namespace: str, resource: str, severity: str, message: str) -> str:
    """The same for lines that differ in numbers only."""
    same = _VARYING.sub("#", message[:_LINE_MAX])
    return sha256(f"{namespace}\n{resource}\n{severity.lower()}\n{same}".encode(errors="replace")).hexdigest()[:32]
