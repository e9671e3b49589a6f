"""Query parameters of Versus Incident for systems that are not among ours."""

from collections.abc import Mapping

from versus_py.config.versus_incident.keys import CHANNELS, PROVIDERS

_SYSTEMS: Mapping[str, str] = {
    "telegram_chat_id": "telegram",
    "viber_channel_id": "viber",
    "viber_user_id": "viber",
    "email_to": "email",
    "email_subject": "email",
    "msteams_other_power_url": "msteams",
    "lark_other_webhook_url": "lark",
    "awsim_other_response_plan": "aws_incident_manager",
    "pagerduty_other_routing_key": "pagerduty",
    "incidentio_other_alert_source": "incident_io",
}

UNREAD_OVERRIDES: Mapping[str, str] = {
    name: (
        f"this server does not post to {CHANNELS[system]}"
        if system in CHANNELS
        else f"this server does not call {PROVIDERS[system]}"
    )
    for name, system in _SYSTEMS.items()
}
"""Why each has no effect here."""
