"""How versus_py is configured in a world."""

from tests.simulation.knobs import Knobs, Load
from versus_py.config import Config
from versus_py.simulators.slack import SIGNING_SECRET
from versus_py.systems import model

SLACK, SERVICENOW, ALERTMANAGER = "slack.sim", "servicenow.sim", "alertmanager.sim"
SLOW_SERVICENOW = "slow.servicenow.sim"
CHANNEL, FALLBACK_CHANNEL = "C0ALERTS", "C0ONCALL"
SLACK_TOKEN, PASSWORD = "xoxb-secret-token", "servicenow-secret"
GATEWAY_SECRET = "a-gateway-secret-of-the-simulation"

COMMENTS_EVERY_MINUTES = 2
IDLE_FACTOR = 10.0
"""Loops that look for what they were not told of are most of what a quiet world computes."""


def config_for(knobs: Knobs) -> Config:
    slack = {
        "enable": True,
        "token": SLACK_TOKEN,
        "channel_id": CHANNEL,
        "api_url": f"http://{SLACK}/api",
        "signing_secret": SIGNING_SECRET,
        "storm": {"threshold": knobs.storm_threshold},
    }
    servicenow = {
        "instance_url": f"http://{SERVICENOW}",
        "username": "versus.integration",
        "password": PASSWORD,
        "allow_insecure_http": True,
        "fields": {"short_description": "{{ incident.title }}"},
        "comments_every_minutes": COMMENTS_EVERY_MINUTES if knobs.plays(Load.RECORDS) else 0,
    }
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
        "redis": {"url": "redis://redis.sim:6379/0", "durability": knobs.durability},
    }
    if knobs.has_key_template:
        settings["dedup_key"] = "{{ labels.alertname }}"
    if knobs.has_journal:
        settings["journal"] = {"keep": "redis"}
    if knobs.has_alertmanager:
        settings["alertmanager"] = {"url": [f"http://{ALERTMANAGER}"]}
    return model().model_validate(settings)
