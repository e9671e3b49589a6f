"""Two ways to read Alertmanager's webhook come to the same: at once by its types, and field by field."""

import json
import random
from typing import Any

import orjson
import pytest
from multidict import MultiDict

from tests.support.payloads import sample
from versus_py import sources
from versus_py.errors import BadPayload
from versus_py.incidents.copies import replace
from versus_py.incidents.payloads import pack, unpack
from versus_py.sources.webhook import ALERTS_MAX, read_webhook
from versus_py.systems import model
from versus_py.web.intake.contents import read_any, read_posted
from versus_py.web.intake.overrides import read_overrides
from versus_py.web.intake.reading import Reader

PAYLOADS = 10_000
NAMES = ["alertname", "severity", "instance", "job", "rulename", "summary", "message", "runbook_url", "dashboard_url"]
NAMES += ["password", "Ünïcode", " padded ", "", "x" * 300]
TEXTS = ["", " ", "critical", "CRITICAL ", "node-1", "DiskFull", " DiskFull\n", "a\tb", "é", "😀", "\x00", '"\\']
TEXTS += ["x" * 5000]
TEXTS += ["http://prom:9090/graph?g0.expr=x", "https://runbook.example.com/disk ", "javascript:alert(1)", "p4ss=word"]
TIMES = ["2026-11-29T23:17:00.273Z", "2026-11-29T23:17:00.123456789+02:00", "0001-01-01T00:00:00Z", "never", "", " "]
STATUSES = ["firing", "resolved", "RESOLVED", " resolved ", "", "other"]
ODD: list[Any] = [None, 1, 1.5, True, [], {}, ["x"], {"a": "b"}, "text", -1, 2**70]


class Dice:
    """Bodies as Alertmanager writes them, and some that are a little different."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def texts(self, most: int) -> dict[str, str]:
        some = self.random.sample(NAMES, self.random.randrange(most + 1))
        return {name: self.random.choice(TEXTS) for name in some}

    def alert(self) -> dict[str, Any]:
        return {
            "status": self.random.choice(STATUSES),
            "labels": self.texts(5),
            "annotations": self.texts(4),
            "startsAt": self.random.choice(TIMES),
            "endsAt": self.random.choice(TIMES),
            "generatorURL": self.random.choice(TEXTS),
            "fingerprint": self.random.choice(["", "a", "b ", "5ef77f1f8a3ecf8d", "x" * 1500]),
        }

    def payload(self) -> dict[str, Any]:
        choice = self.random.choice
        found = {
            "version": choice(["4", "3", ""]),
            "groupKey": choice(["", ' {}:{alertname="x"} ', "{}/{}:{}"]),
            "truncatedAlerts": choice([0, 0, 0, 2]),
            "status": choice(STATUSES),
            "receiver": choice(TEXTS),
            "groupLabels": self.texts(3),
            "commonLabels": self.texts(3),
            "commonAnnotations": self.texts(3),
            "externalURL": choice(TEXTS),
            "alerts": [self.alert() for _ in range(self.random.randrange(4))],
        }
        if self.random.random() < 0.5:
            found |= {"notification_reason": "new alerts added", "routeLabels": self.texts(2)}
        if self.random.random() < 0.2:
            self.damage(found)
        return found

    def damage(self, payload: dict[str, Any]) -> None:
        """A field is left out, added, or of another type."""
        part = self.random.choice([payload, *payload["alerts"]])
        name = self.random.choice([*part, "other", "orgId", "correlation_id"])
        if self.random.random() < 0.3:
            part.pop(name, None)
        else:
            part[name] = self.random.choice(ODD)


def said(reader: Reader, body: bytes, read: Any) -> Any:
    overrides = read_overrides(MultiDict(), model()())
    try:
        contents = read(body)
        reading = reader.read(contents.payloads, overrides, "sender")
    except BadPayload as exc:
        return str(exc)
    kept = [it and it.payload and unpack(pack(it.payload)[1]) for it in reading.notifications]
    return [it and replace(it, payload=None) for it in reading.notifications], kept, contents.are_many, reading.warnings


def test_both_ways_say_the_same():
    dice, reader, at_once = Dice(20), Reader(model()()), 0
    for number in range(PAYLOADS):
        body = json.dumps(dice.payload(), indent=number % 2 or None, ensure_ascii=number % 3 > 0).encode()
        at_once += read_webhook(body) is not None

        assert said(reader, body, read_posted) == said(reader, body, read_any), body

    assert PAYLOADS / 3 < at_once < PAYLOADS * 2 / 3


def test_what_alertmanager_sends_is_read_at_once():
    payload = sample("alertmanager_firing")
    webhook = read_webhook(orjson.dumps(payload))

    assert webhook is not None
    assert dict(webhook) == payload
    assert len(webhook) == len(payload)
    assert sources.parse(webhook) == sources.parse(payload)


def test_of_another_source_it_is_read_field_by_field():
    payload = sample("alertmanager_firing")
    webhook = read_webhook(orjson.dumps(payload))
    assert webhook

    assert sources.parse(webhook, name="generic") == sources.parse(payload, name="generic")


@pytest.mark.parametrize(
    "changes",
    [
        {"alerts": []},
        {"alerts": sample("alertmanager_firing")["alerts"] * (ALERTS_MAX + 1)},
        {"truncatedAlerts": 1},
        {"truncatedAlerts": None},
        {"groupLabels": None},
        {"commonLabels": {"n": 1}},
        {"orgId": 1},
        {"receiver": 5},
    ],
    ids=lambda it: next(iter(it)),
)
def test_what_is_different_is_read_field_by_field(changes):
    assert read_webhook(orjson.dumps(sample("alertmanager_firing") | changes)) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"a": "\xff"}', b"\xef\xbb\xbf{}"])
def test_what_is_no_payload_is_none_here(body):
    assert read_webhook(body) is None
