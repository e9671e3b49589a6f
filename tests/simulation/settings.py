"""How versus_py is configured in a world."""

from datetime import UTC, datetime
from typing import Any

from tests.simulation.knobs import Knobs, Load
from versus_py.config import Config
from versus_py.simulators.slack import SIGNING_SECRET
from versus_py.systems import model

SLACK, SERVICENOW, ALERTMANAGER = "slack.sim", "servicenow.sim", "alertmanager.sim"
SLOW_SERVICENOW = "slow.servicenow.sim"
CHANNEL, FALLBACK_CHANNEL, LEADS_CHANNEL = "C0ALERTS", "C0ONCALL", "C0LEADS"
SLACK_TOKEN, PASSWORD = "xoxb-secret-token", "servicenow-secret"
GATEWAY_SECRET = "a-gateway-secret-of-the-simulation"
EVENTS_TOKEN = "a-token-of-the-business-rule"

COMMENTS_EVERY_MINUTES = 2
COMPARE_EVERY_MINUTES = 2
START_MS = 1_790_000_000_000
"""When every world begins, ms since the epoch."""

IDLE_FACTOR = 20.0
"""Loops that look for what they were not told of are most of what a quiet world computes."""


def config_for(knobs: Knobs) -> Config:
    slack = {
        "enable": True,
        "token": SLACK_TOKEN,
        "channel_id": CHANNEL,
        "api_url": f"http://{SLACK}/api",
        "signing_secret": SIGNING_SECRET,
        "storm": {"threshold": knobs.storm_threshold},
        "channels": {"leads": LEADS_CHANNEL},
    }
    servicenow = {
        "instance_url": f"http://{SERVICENOW}",
        "username": "versus.integration",
        "password": PASSWORD,
        "allow_insecure_http": True,
        "fields": {"short_description": "{{ incident.title }}"},
        "comments_every_minutes": COMMENTS_EVERY_MINUTES if knobs.looks_at_records else 0,
    }
    if knobs.plays(Load.TICKETS):
        servicenow["events"] = {"token": EVENTS_TOKEN, "compare_every_minutes": COMPARE_EVERY_MINUTES}
    if knobs.plays(Load.SLOW_INSTANCE):
        servicenow["other_instance_urls"] = {"slow": f"http://{SLOW_SERVICENOW}"}
    oncall = {
        "enable": True,
        "wait_minutes": knobs.wait_minutes,
        "reopen_minutes": knobs.reopen_minutes,
        "servicenow": servicenow,
    }
    if knobs.ack_timeout_minutes:
        oncall["ack_timeout_minutes"] = knobs.ack_timeout_minutes
    if knobs.fallback_after_minutes is not None:
        oncall["fallback"] = {"slack_channel_id": FALLBACK_CHANNEL, "after_minutes": knobs.fallback_after_minutes}
    settings = {
        "public_host": "http://versus.sim",
        "gateway_secret": GATEWAY_SECRET,
        "alert": {"slack": slack},
        "oncall": oncall,
        "redis": {"url": "redis://redis.sim:6379/0", "durability": knobs.durability, "partitions": knobs.partitions},
    }
    if knobs.has_key_template:
        settings["dedup_key"] = "{{ labels.alertname }}"
    if knobs.has_journal:
        settings["journal"] = {"keep": "redis"}
    if knobs.has_alertmanager:
        settings["alertmanager"] = {"url": [f"http://{ALERTMANAGER}"]}
    return model().model_validate(settings | _policy_for(knobs))


def opens_ms_of(knobs: Knobs) -> int:
    """When the hours of the policy begin, with a minute; 0: it has none."""
    at_ms = START_MS + round(knobs.opens_after_minutes * 60_000)
    return at_ms // 60_000 * 60_000 if knobs.opens_after_minutes else 0


def _policy_for(knobs: Knobs) -> dict[str, Any]:
    if knobs.record_after_minutes is None:
        return {}
    policy = {
        "name": "steps",
        "steps": [
            {"notify": ["slack"]},
            {"after": f"{round(knobs.wait_minutes * 60)}s", "notify": ["slack:leads"]},
            {"after": f"{round(knobs.record_after_minutes * 60)}s", "notify": ["servicenow"]},
        ],
        "repeat": knobs.repeat,
        "ack_timeout": f"{round(knobs.ack_timeout_minutes * 60)}s",
    }
    if not (opens_ms := opens_ms_of(knobs)):
        return {"policies": [policy]}
    times = [{"start_time": f"{datetime.fromtimestamp(opens_ms / 1000, UTC):%H:%M}", "end_time": "24:00"}]
    return {
        "time_intervals": [{"name": "later", "time_intervals": [{"times": times}]}],
        "policies": [policy | {"in": ["later"]}],
    }
