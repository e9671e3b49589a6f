"""What is posted: whole requests, built before they are sent but for the number of their group."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from versus_py.tools import samples

NUMBER = "@@@@@@@@"
"""Stands where a request has the number of its group: eight hexadecimal digits."""

Body = Callable[[], Any]
"""Makes what is posted, of alerts that begin now."""


def alertmanager(alerts: int) -> Body:
    """A group of so many alerts, labelled as those of a cluster are; 1, 5 and 100 have 1.3, 4.3 and 77 KB."""
    return lambda: _group([_alert(number) for number in range(alerts)])


def grafana(alerts: int) -> Body:
    """The same as Grafana has it."""

    def body() -> Any:
        group = samples.grafana("HighLatency", starts_at=datetime.now(UTC))
        own = {name: it for name, it in group["alerts"][0].items() if name not in _alert(0)}
        return (
            group
            | _group([own | _alert(number) for number in range(alerts)])
            | {"version": "1", "externalURL": group["externalURL"]}
        )

    return body


def generic() -> Body:
    """What a script of one's own posts."""
    return lambda: samples.generic(f"backup-{NUMBER}", starts_at=datetime.now(UTC))


def array(count: int, body: Body) -> Body:
    """Many in one request, each about a group of its own."""

    def bodies() -> Any:
        return [json.loads(json.dumps(body()).replace(NUMBER, f"{NUMBER}-{number}")) for number in range(count)]

    return bodies


def _group(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    group = {"alertname": "HighLatency", "namespace": f"shop-{NUMBER}"}
    common = {it: alerts[0]["labels"][it] for it in ("alertname", "cluster", "namespace", "severity", "team")}
    return {
        "receiver": "versus",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": {"runbook_url": "https://runbooks.example.com/high-latency"},
        "externalURL": "http://alertmanager.example.com:9093",
        "version": "4",
        "groupKey": '{}/{severity=~"critical|error"}:{alertname="HighLatency", namespace="shop-' + NUMBER + '"}',
        "truncatedAlerts": 0,
    }


def _alert(number: int) -> dict[str, Any]:
    pod = f"checkout-7d9f8b6c5-{number:05d}"
    return {
        "status": "firing",
        "labels": {
            "alertname": "HighLatency",
            "cluster": "eu-west-1",
            "container": "checkout",
            "instance": f"10.0.{number // 250}.{number % 250}:9090",
            "job": "kubernetes-pods",
            "namespace": f"shop-{NUMBER}",
            "pod": pod,
            "severity": "critical",
            "team": "shop",
        },
        "annotations": {
            "summary": f"p99 latency of {pod} is above 2 s",
            "description": f"The 99th percentile of {pod} has been 2.41 s for ten minutes.",
            "runbook_url": "https://runbooks.example.com/high-latency",
            "dashboard_url": "https://grafana.example.com/d/latency?var-namespace=shop",
        },
        "startsAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=histogram_quantile%280.99%29&g0.tab=1",
        "fingerprint": f"{number:08x}{NUMBER}",
    }


def size(body: Body) -> int:
    """Bytes of the JSON that is posted."""
    return len(_encoded(body))


def request(body: Body, query: Mapping[str, str] | None = None) -> bytes:
    """The whole request, with NUMBER still in it."""
    encoded, path = _encoded(body), "/api/incidents" + (f"?{urlencode(query)}" if query else "")
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(encoded)}\r\n\r\n"
    return head.encode() + encoded


_numbers = itertools.count(1)
"""No group has the number of another one, whatever the run of the load."""


def new_groups(template: bytes, count: int | None = None) -> Iterator[bytes]:
    """Requests that are each about a new group; without an end, or *count*."""
    pieces = template.split(NUMBER.encode())
    for _ in itertools.repeat(None) if count is None else range(count):
        yield (b"%08x" % next(_numbers)).join(pieces)


def repeats(template: bytes, groups: int = 1) -> Iterator[bytes]:
    """The same requests again and again, without an end, about so many groups in turn."""
    return itertools.cycle([*new_groups(template, groups)])


def _encoded(body: Body) -> bytes:
    return json.dumps(body(), separators=(",", ":")).encode()
