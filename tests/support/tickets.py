"""Records of ServiceNow as business rules post them, and a feed that reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from versus_py.config import Config
from versus_py.incidents.model import Incident
from versus_py.incidents.sides import Report
from versus_py.systems import model
from versus_py.targets.feed import FeedSource
from versus_py.targets.servicenow.events import ServiceNowFeed

SYS_ID = "9f1c2d3e4b5a69788796a5b4c3d2e1f0"
GROUP = "287ebd7da9fe198100f92cc8d1d2154e"
BETH = "5137153cc611227c000bbd1bd8cd2007"
TOKEN = "events-token-0123456789"

RAW: Mapping[str, Any] = {
    "sys_meta": None,
    "sys_id": SYS_ID,
    "number": "INC0012345",
    "state": "2",
    "incident_state": "2",
    "active": "1",
    "impact": "2",
    "urgency": "1",
    "priority": "2",
    "short_description": "Disk full on db-7",
    "description": None,
    "correlation_id": None,
    "caller_id": "5137153cc611227c000bbd1bd8cd2005",
    "assignment_group": GROUP,
    "assigned_to": None,
    "close_code": None,
    "sys_mod_count": "3",
    "sys_updated_by": "beth.anglin",
    "sys_updated_on": "2026-05-04 10:22:31",
    "sys_class_name": "incident",
    "server_url": "https://dev12345.service-now.com/",
}
"""What the script of the seed's kind sends: the columns of a GlideRecord."""

OURS: Mapping[str, Any] = {
    **RAW,
    "assigned_to": BETH,
    "versus": {
        "version": 1,
        "instance": "",
        "operation": "update",
        "display": {"assignment_group": "Leads", "assigned_to": "Beth Anglin", "priority": "2 - High"},
        "assigned_to": {"email": "beth@example.com", "user_name": "beth.anglin", "name": "Beth Anglin"},
        "updated_by": {"email": "beth@example.com", "user_name": "beth.anglin", "name": "Beth Anglin"},
    },
}
"""What the script of `versus servicenow business-rule` sends."""


def ticket_settings(*, events: Mapping[str, Any] | None = None, **servicenow: Any) -> dict[str, Any]:
    """A configuration with tickets that come in, by *events* and other settings of the instance."""
    return {
        "public_host": "https://versus.example",
        "alert": {
            "slack": {
                "enable": True,
                "token": "xoxb-1",
                "channel_id": "C0ALERTS01",
                "channels": {"leads": "C0LEADS001"},
            }
        },
        "oncall": {
            "enable": True,
            "servicenow": {
                "instance_url": "https://dev12345.service-now.com",
                "username": "Versus.Integration",
                "password": "p",
                "events": {"token": TOKEN, **(events or {})},
                **servicenow,
            },
        },
        "policies": [{"name": "leads", "match": ['team="leads"'], "steps": [{"notify": ["slack"]}]}],
    }


def ticket_config(**settings: Any) -> Config:
    return model().model_validate(ticket_settings(**settings))


async def look(_: str, __: Sequence[Incident]) -> Mapping[str, Report | None]:
    """Nothing is known of any."""
    return {}


def feed_of(config: Config) -> ServiceNowFeed:
    servicenow = config.oncall.servicenow.with_severities(config.severity_map)
    return ServiceNowFeed(config, servicenow, look)


def body_of(record: Mapping[str, Any], **changes: Any) -> bytes:
    """The bytes of *record* with *changes*; a column that is set to ... is left out."""
    return json.dumps({name: it for name, it in {**record, **changes}.items() if it is not ...}).encode()


MAIN = FeedSource("", "")
