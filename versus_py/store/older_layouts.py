"""Incidents of layouts 1 to 5, whose texts were JSON as it is, and how they become those of today."""

from typing import Any

import msgspec
import orjson

from versus_py.incidents.copies import replace
from versus_py.incidents.listings import seen
from versus_py.incidents.model import Alert, Call, Entry, Incident, Status
from versus_py.incidents.policies import made

LATEST = 5
"""The last of these layouts."""

_decode_incident = msgspec.json.Decoder(Incident).decode
_decode_alerts = msgspec.json.Decoder(tuple[Alert, ...]).decode
_ALERTS_APART = 3  # from this layout on
_STEPS = 4


def load_incident(text: str, schema: int, status: Status, alerts: str) -> Incident:
    """From the text of an incident, and that of its alerts. Raises ValueError, KeyError or TypeError."""
    if schema >= _STEPS:
        return replace(_decode_incident(text), status=status, alerts=_decode_alerts(alerts))
    data = _with_steps(_with_actors(orjson.loads(text)) if schema == 1 else orjson.loads(text))
    incident = replace(msgspec.convert(data, Incident), status=status)
    if schema >= _ALERTS_APART:
        return replace(incident, alerts=_decode_alerts(alerts))
    # Nobody knows which of them people knew. They are not to be told again of what they dealt with.
    if incident.is_dealt_with:
        incident = replace(incident, alerts=seen(incident.alerts), seen_severity=incident.severity)
    return incident


def load_entry(text: str) -> Entry:
    """An entry of any layout, today's too. Raises ValueError."""
    data = orjson.loads(text)
    _upgrade_actor(data.get("by"))
    return msgspec.convert(data, Entry)


def _with_steps(data: dict[str, Any]) -> dict[str, Any]:
    """An incident of layout 3 or before as one of layout 4."""
    before = data["policy"]
    policy = made(
        channels=tuple(before.get("channels", ())),
        oncall=before.get("oncall"),
        wait_ms=before.get("wait_ms", 0),
        fallback=before.get("fallback"),
        fallback_after_ms=before.get("fallback_after_ms", 0),
        ack_timeout_ms=before.get("ack_timeout_ms", 0),
        destinations=before.get("destinations"),
        mentions=before.get("mentions"),
    )
    since_ms, due_ms = data["waiting_since_ms"], data.get("escalates_at_ms")
    began_ms = data.pop("escalation_began_at_ms", None)
    calls = {target: Call(0, since_ms, since_ms) for target in policy.channels}
    if began_ms is not None and policy.oncall is not None:
        calls[policy.oncall] = Call(1, due_ms or began_ms, began_ms)
    called = policy.targets if data.pop("may_have_record", False) else policy.channels
    return data | {
        "policy": msgspec.to_builtins(policy),
        "next_step": 1 if began_ms is None else 2,
        "escalates_at_ms": due_ms if began_ms is None else None,
        "calls": msgspec.to_builtins(calls),
        "told": called,
    }


def _with_actors(data: dict[str, Any]) -> dict[str, Any]:
    """An incident of layout 1 as one of layout 2."""
    for actor in (data.get("acknowledged_by"), data.get("resolved_by"), (data.get("snooze") or {}).get("by")):
        _upgrade_actor(actor)
    for entry in data.get("news", ()):
        _upgrade_actor(entry.get("by"))
    mention = data["policy"].pop("mention", "")
    if mention:
        data["policy"]["mentions"] = {"slack": mention}
    return data


def _upgrade_actor(actor: dict[str, Any] | None) -> None:
    if actor and (slack_id := actor.pop("slack_id", "")):
        actor["ids"] = {"slack": slack_id}
