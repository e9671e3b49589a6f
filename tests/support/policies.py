"""Configurations with policies."""

from typing import Any
from zoneinfo import ZoneInfo

from versus_py.config import Config
from versus_py.systems import model

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT_MS = 1_806_193_800_000
"""2027-03-28 01:30 in Berlin, half an hour before its clocks are put forward."""
MINUTE_MS = 60_000
OFFICE: dict[str, Any] = {
    "name": "office",
    "time_intervals": [
        {
            "weekdays": ["monday:friday"],
            "times": [{"start_time": "08:00", "end_time": "18:00"}],
            "location": "Europe/Berlin",
        }
    ],
}
CRITICAL: dict[str, Any] = {
    "name": "critical",
    "match": ['severity="critical"'],
    "steps": [
        {"notify": ["slack"]},
        {"after": "10m", "notify": ["slack:leads"], "mention": "<!subteam^S0123456789>"},
        {"after": "1h30m", "notify": ["servicenow"], "fields": {"urgency": "1"}, "on_failure": "wait"},
    ],
    "repeat": 1,
    "ack_timeout": "4h",
}
LOW: dict[str, Any] = {"name": "low", "match": ['severity="info"'], "in": ["office"], "steps": [{"notify": ["slack"]}]}


def make_config(*policies: dict[str, Any], **more: Any) -> Config:
    """With Slack, ServiceNow, a fallback, the office's hours, and these *policies*; *more* replaces sections."""
    return model().model_validate(
        {
            "alert": {"slack": {"enable": True, "channel_id": "C0ALERTS", "channels": {"leads": "C0LEADS0"}}},
            "oncall": {"enable": True, "fallback": {"slack_channel_id": "C0FALLBK"}},
            "time_intervals": [OFFICE],
            "policies": policies,
            **more,
        }
    )
