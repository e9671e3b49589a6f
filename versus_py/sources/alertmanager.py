"""Prometheus Alertmanager's webhook, version 4: one incident per notification group.

Source: github.com/prometheus/alertmanager, notify/webhook and docs/configuration.md.
"""

from collections.abc import Callable, Mapping
from hashlib import sha256
from json.encoder import encode_basestring as _quoted_as_it_is
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any
from urllib.parse import quote

from versus_py.config import SourcesConfig
from versus_py.errors import BadPayload
from versus_py.incidents.identity import dedup_key
from versus_py.incidents.model import Alert, AlertStatus, Incident, Notification, common
from versus_py.incidents.severity import highest_severity
from versus_py.incidents.updates import counted
from versus_py.sources import fields
from versus_py.sources.webhook import Group, Item

NAME = "alertmanager"

ALERTS_MAX = 5000
"""Most alerts that are read of one payload; what a body may hold beyond that would keep everybody else waiting."""

_ABOUT_A_RULE = ("DatasourceNoData", "DatasourceError")
"""Grafana's own alerts about a rule: grafana.com/docs, "Stale alert instances", "No data and error states"."""


_COUNT_MAX = 1_000_000  # a larger number would not fit JSON's integers everywhere


def recognizes(payload: Mapping[str, Any]) -> bool:
    """A list of alerts that is a group, or whose first alert has labels: other senders leave the group out."""
    if "alerts" not in payload:
        return False
    return bool({"groupKey", "groupLabels"} & payload.keys()) or _has_labels(payload["alerts"])


def _has_labels(alerts: Any) -> bool:
    first = alerts[0] if isinstance(alerts, list) and alerts else None
    return isinstance(first, dict) and isinstance(first.get("labels"), dict)


def parse(payload: Mapping[str, Any], settings: SourcesConfig) -> Notification:  # noqa: ARG001 - it has none
    """The group as it is now. Raises BadPayload when nothing in it is an alert."""
    return read_group(payload, NAME, read_alert)


def read_group(
    payload: Mapping[str, Any], source: str, read: Callable[[Mapping[str, Any]], Alert], *, namespace: str = ""
) -> Notification:
    """The group as it is now, its alerts as *read* reads them; its labels are its name, within *namespace*.

    Not the groupKey, which holds the path of the route as well: it is another one as soon as a matcher is edited.
    Raises BadPayload when nothing in it is an alert.
    """
    listed = payload["alerts"]
    if not isinstance(listed, list):
        raise BadPayload("its alerts are no list")
    items = [item for item in listed if isinstance(item, dict)]
    if not items:
        raise BadPayload("its list of alerts holds no alert")
    warnings = []
    if len(items) < len(listed):
        left_out = len(listed) - len(items)
        said = "is no JSON object and was left out" if left_out == 1 else "are no JSON objects and were left out"
        warnings.append(f"{left_out} of {len(listed)} alerts {said}")
    missing = payload.get("truncatedAlerts")
    truncated = min(max(int(missing), 0), _COUNT_MAX) if isinstance(missing, int) else 0  # true: some are
    if truncated:
        cut_off = f"{counted(truncated, 'alert')} {'was' if truncated == 1 else 'were'} cut off"
        warnings.append(f"{cut_off} by the sender (max_alerts): resolve is not recognised")
    if len(items) > ALERTS_MAX:
        warnings.append(f"only {ALERTS_MAX} of {len(items)} alerts were read, those that fire first")
        truncated += len(items) - ALERTS_MAX
        items.sort(key=lambda item: item.get("status") == AlertStatus.RESOLVED)
    labels, key = fields.text_map(payload.get("groupLabels")), fields.text(payload.get("groupKey"))
    return _list(
        tuple(read(item) for item in items[:ALERTS_MAX]),
        source,
        receiver=fields.text(payload.get("receiver")),
        name=_group_name(payload, labels, key),
        group_key=key or _canonical(labels),
        labels=labels,
        url=fields.web_url(payload.get("externalURL")),
        namespace=namespace,
        # A list that was cut, or that lost alerts on the way, says nothing about what it leaves out.
        is_complete=not truncated and len(items) == len(listed),
        truncated_alerts=truncated,
        warnings=tuple(warnings),
    )


def read_webhook(group: Group) -> Notification:
    """The same of what Alertmanager itself wrote."""
    labels, key = fields.stripped(group.group_labels), group.group_key.strip()
    return _list(
        tuple([_alert_of(it) for it in group.alerts]),
        NAME,
        receiver=group.receiver.strip(),
        name=_canonical(labels) if labels or not key else f"group {key}",
        group_key=key or _canonical(labels),
        labels=labels,
        url=fields.web_url(group.external_url),
    )


def _list(
    alerts: tuple[Alert, ...],
    source: str,
    *,
    receiver: str,
    name: str,
    group_key: str,
    labels: Mapping[str, str],
    url: str,
    namespace: str = "",
    is_complete: bool = True,
    truncated_alerts: int = 0,
    warnings: tuple[str, ...] = (),
) -> Notification:
    """What the list says. Its dedup key is made of *name*, an older one, which leads to it too, of *group_key*."""
    firing = [alert for alert in alerts if alert.is_firing] or alerts
    key, older_key = dedup_key(source, receiver, name, namespace), dedup_key(source, receiver, group_key)
    return Notification(
        source=source,
        title=_title(labels, firing),
        severity=highest_severity(alert.labels.get("severity", "") for alert in firing),
        alerts=alerts,
        dedup_key=key,
        older_keys=() if older_key == key else (older_key,),
        group=dedup_key(source, receiver, group_key, namespace),
        namespace=namespace,
        is_ungrouped=not name,
        receiver=receiver,
        is_complete=is_complete,
        truncated_alerts=truncated_alerts,
        url=url,
        warnings=warnings,
    )


def read_alert(item: Mapping[str, Any]) -> Alert:
    """One alert of the list."""
    return _alert(
        fields.text_map(item.get("labels")),
        fields.text_map(item.get("annotations")),
        status=fields.text(item.get("status")),
        fingerprint=fields.text(item.get("fingerprint")),
        starts_at=item.get("startsAt"),
        ends_at=item.get("endsAt"),
        url=item.get("generatorURL"),
    )


def _alert_of(item: Item) -> Alert:
    return _alert(
        fields.stripped(item.labels),
        fields.stripped(item.annotations),
        status=item.status.strip(),
        fingerprint=item.fingerprint.strip(),
        starts_at=item.starts_at,
        ends_at=item.ends_at,
        url=item.generator_url,
    )


def _alert(
    labels: dict[str, str],
    annotations: dict[str, str],
    *,
    status: str,
    fingerprint: str,
    starts_at: Any,
    ends_at: Any,
    url: Any,
) -> Alert:
    is_firing = status.lower() != "resolved"
    return Alert(
        fingerprint=fingerprint or _made_up_fingerprint(labels),
        status=AlertStatus.FIRING if is_firing else AlertStatus.RESOLVED,
        labels=labels,
        annotations=annotations,
        starts_at_ms=fields.time_ms(starts_at),
        ends_at_ms=None if is_firing else fields.time_ms(ends_at),
        title=fields.title(_named(_name(labels), _summary(annotations))),
        severity=labels.get("severity", ""),
        url=fields.web_url(url),
        resource=fields.resource(labels),
        links=fields.links(annotations),
    )


def silence_url(incident: Incident) -> str:
    """Alertmanager's page to silence what fires; "" when the incident is not all Alertmanager's."""
    return _page(incident, "silences/new")


def alerts_url(incident: Incident) -> str:
    """Alertmanager's page that lists what fires; "" when the incident is not all Alertmanager's."""
    return _page(incident, "alerts")


def _page(incident: Incident, path: str) -> str:
    """About what fires, by a filter in the notation of matchers: prometheus/alertmanager, ui/app."""
    labels = common([alert.labels for alert in incident.firing])
    if incident.source != NAME or incident.has_other_senders or not incident.url or not labels:
        return ""
    matchers = ",".join(f"{name}={_quoted_as_it_is(value)}" for name, value in labels.items())
    return f"{incident.url.rstrip('/')}/#/{path}?filter={quote(f'{{{matchers}}}')}"


def _made_up_fingerprint(labels: Mapping[str, str]) -> str:
    """For senders that leave it out; not in the form of Alertmanager's own, which does not know it."""
    return f"labels-{sha256(_canonical(labels).encode()).hexdigest()[:16]}"


def _group_name(payload: Mapping[str, Any], labels: Mapping[str, str], key: str) -> str:
    """The group by its labels; one that has none by its key, as every route may have such a group.

    Where the sender names no group, by the labels that its alerts share; "" without any.
    """
    shared = fields.text_map(payload.get("commonLabels"))
    if labels or key or "groupLabels" in payload:
        return _canonical(labels) if labels or not key else f"group {key}"
    return _canonical(shared) if shared else ""


def _title(labels: Mapping[str, str], alerts: list[Alert] | tuple[Alert, ...]) -> str:
    """What fires and how, as far as all alerts agree on it; else the group's *labels*."""
    names = dict.fromkeys(name for alert in alerts if (name := _name(alert.labels)))
    summaries = dict.fromkeys(_summary(alert.annotations) for alert in alerts)
    summary = next(iter(summaries)) if len(summaries) == 1 else ""
    group = ", ".join(f"{key}={value}" for key, value in labels.items())
    return fields.title(_named(", ".join(names), summary) or group or "Alert without a name")


def _name(labels: Mapping[str, str]) -> str:
    """What fires; of what Grafana says about a rule that it cannot evaluate, with the rule."""
    name, rule = labels.get("alertname", ""), labels.get("rulename", "")
    return f"{name} of {rule}" if rule and name in _ABOUT_A_RULE else name


def _named(name: str, summary: str) -> str:
    return summary if name in summary else f"{name}: {summary}".strip(": ")


def _summary(annotations: Mapping[str, str]) -> str:
    return fields.first_text(annotations, ("summary", "title", "message"))


def _canonical(labels: Mapping[str, str]) -> str:
    """As `json.dumps` writes it with its keys sorted, in a tenth of the time."""
    return f"{{{', '.join([f'{_quoted(name)}: {_quoted(labels[name])}' for name in sorted(labels)])}}}"
