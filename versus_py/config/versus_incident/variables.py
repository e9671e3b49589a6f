"""Environment variables that count by their name alone, without a reference in the file."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from versus_py.config.versus_incident.places import Origin, get, put

_OFF = {"false", "0", "no", "off"}


def _boolean(value: str) -> bool:
    """Raises ValueError. Versus Incident takes anything but true as false, which hides mistakes."""
    if value.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return value.lower() == "true"


def _unless_off(value: str) -> bool:
    return value.lower() not in _OFF


WINNING: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "DEBUG_BODY": ("alert.debug_body", _boolean),
    "SLACK_ENABLE": ("alert.slack.enable", _boolean),
    "ONCALL_ENABLE": ("oncall.enable", _boolean),
    "ONCALL_INITIALIZED_ONLY": ("oncall.initialized_only", _boolean),
    "ONCALL_WAIT_MINUTES": ("oncall.wait_minutes", str),
    "ONCALL_PROVIDER": ("oncall.provider", str),
    "REDIS_DB": ("redis.db", str),
    "REDIS_TLS": ("redis.tls", _unless_off),
    "REDIS_INSECURE_SKIP_VERIFY": ("redis.insecure_skip_verify", _boolean),
    "SNS_ENABLE": ("queue.sns.enable", _boolean),
    "SQS_ENABLE": ("queue.sqs.enable", _boolean),
    "AGENT_ENABLE": ("agent.enable", _boolean),
    "TELEGRAM_ENABLE": ("alert.telegram.enable", _boolean),
    "VIBER_ENABLE": ("alert.viber.enable", _boolean),
    "EMAIL_ENABLE": ("alert.email.enable", _boolean),
    "MSTEAMS_ENABLE": ("alert.msteams.enable", _boolean),
    "LARK_ENABLE": ("alert.lark.enable", _boolean),
    "GOOGLECHAT_ENABLE": ("alert.googlechat.enable", _boolean),
}
"""They win over the file, as there."""

FILLING: Mapping[str, str] = {
    "GATEWAY_SECRET": "gateway_secret",
    "SLACK_TOKEN": "alert.slack.token",
    "SLACK_CHANNEL_ID": "alert.slack.channel_id",
    "SERVICENOW_INSTANCE_URL": "oncall.servicenow.instance_url",
    "SERVICENOW_USERNAME": "oncall.servicenow.username",
    "SERVICENOW_PASSWORD": "oncall.servicenow.password",
    "SERVICENOW_OTHER_INSTANCE_URL_INFRA": "oncall.servicenow.other_instance_urls.infra",
    "SERVICENOW_OTHER_INSTANCE_URL_APP": "oncall.servicenow.other_instance_urls.app",
    "SERVICENOW_OTHER_INSTANCE_URL_DB": "oncall.servicenow.other_instance_urls.db",
    "REDIS_HOST": "redis.host",
    "REDIS_PORT": "redis.port",
    "REDIS_PASSWORD": "redis.password",
    "REDIS_TLS_CA_FILE": "redis.tls_ca_file",
    "REDIS_TLS_CERT_FILE": "redis.tls_cert_file",
    "REDIS_TLS_KEY_FILE": "redis.tls_key_file",
    "SNS_TOPIC_ARN": "queue.sns.topic_arn",
    "SNS_HTTPS_ENDPOINT_SUBSCRIPTION": "queue.sns.https_endpoint_subscription",
}
"""They count where the file does not set the key: the defaults that are built in there refer to them."""

UNREAD: Mapping[str, str] = {
    "TELEGRAM_BOT_TOKEN": "telegram",
    "TELEGRAM_CHAT_ID": "telegram",
    "TELEGRAM_USE_PROXY": "telegram",
    "VIBER_API_TYPE": "viber",
    "VIBER_BOT_TOKEN": "viber",
    "VIBER_USER_ID": "viber",
    "VIBER_CHANNEL_ID": "viber",
    "VIBER_USE_PROXY": "viber",
    "SMTP_HOST": "email",
    "SMTP_PORT": "email",
    "SMTP_USERNAME": "email",
    "SMTP_PASSWORD": "email",
    "EMAIL_TO": "email",
    "EMAIL_SUBJECT": "email",
    "MSTEAMS_POWER_AUTOMATE_URL": "msteams",
    "MSTEAMS_OTHER_POWER_URL_QC": "msteams",
    "MSTEAMS_OTHER_POWER_URL_OPS": "msteams",
    "MSTEAMS_OTHER_POWER_URL_DEV": "msteams",
    "LARK_WEBHOOK_URL": "lark",
    "LARK_OTHER_WEBHOOK_URL_DEV": "lark",
    "LARK_OTHER_WEBHOOK_URL_PROD": "lark",
    "LARK_USE_PROXY": "lark",
    "PROXY_URL": "",
    "PROXY_USERNAME": "",
    "PROXY_PASSWORD": "",
    "SQS_QUEUE_URL": "",
    "AWS_INCIDENT_MANAGER_RESPONSE_PLAN_ARN": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_INFRA": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_APP": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_DB": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_PROD": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_DEV": "aws_incident_manager",
    "AWS_INCIDENT_MANAGER_OTHER_RESPONSE_PLAN_ARN_STAGING": "aws_incident_manager",
    "PAGERDUTY_ROUTING_KEY": "pagerduty",
    "PAGERDUTY_OTHER_ROUTING_KEY_INFRA": "pagerduty",
    "PAGERDUTY_OTHER_ROUTING_KEY_APP": "pagerduty",
    "PAGERDUTY_OTHER_ROUTING_KEY_DB": "pagerduty",
    "INCIDENTIO_API_KEY": "incident_io",
    "INCIDENTIO_ALERT_SOURCE_CONFIG_ID": "incident_io",
    "INCIDENTIO_OTHER_ALERT_SOURCE_CONFIG_ID_INFRA": "incident_io",
    "INCIDENTIO_OTHER_ALERT_SOURCE_CONFIG_ID_APP": "incident_io",
    "INCIDENTIO_OTHER_ALERT_SOURCE_CONFIG_ID_DB": "incident_io",
    "REDIS_CONNECTION_TIMEOUT": "",
    "REDIS_READ_TIMEOUT": "",
    "REDIS_WRITE_TIMEOUT": "",
    "REDIS_MAX_RETRIES": "",
    "REDIS_MIN_RETRY_BACKOFF": "",
    "REDIS_MAX_RETRY_BACKOFF": "",
    "REDIS_TLS_ENABLED": "",
    "STORAGE_TYPE": "",
    "STORAGE_FILE_DATA_DIR": "",
    "POSTGRES_DSN": "",
    "DEFAULT_RUNBOOK_URL": "",
    "AGENT_MODE": "",
    "AGENT_SOURCES_PATH": "",
    "AGENT_NEW_SERVICE_GRACE": "",
    "AGENT_SERVICE_PATTERNS": "",
    "AGENT_AI_ENABLE": "",
    "AGENT_AI_PROVIDER": "",
    "AGENT_AI_BASE_URL": "",
    "AGENT_AI_API_KEY": "",
    "AGENT_AI_MODEL": "",
    "AGENT_GATEWAY_SECRET": "",
}
"""They have no effect here. Beside each the system that it belongs to, which a package may add; "" for none."""

_OTHER_SERVERS = ("redis.url", "redis.sentinel.hosts", "redis.cluster.hosts")


def apply_variables(data: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Origin], list[str]]:
    """Put into *data* what variables set. Returns their keys, and what is wrong with their values."""
    origins: dict[str, Origin] = {}
    problems: list[str] = []
    for variable, (key, read) in WINNING.items():
        text = environ.get(variable, "").strip()
        if not text:
            continue
        try:
            value = read(text)
        except ValueError as exc:
            problems.append(f"{key}: {variable} is {text!r}; {exc}")
            continue
        if put(data, key, value):
            origins[key] = Origin(variable, wins=True)
    for variable, key in FILLING.items():
        value = environ.get(variable, "")
        if value.strip() and _is_open(data, key) and put(data, key, value):
            origins[key] = Origin(variable, wins=False)
    return origins, problems


def _is_open(data: Mapping[str, Any], key: str) -> bool:
    """Whether the file neither sets *key* nor something in place of it."""
    if get(data, key) is not None:
        return False
    if key.startswith("redis."):
        in_place = any(get(data, it) is not None for it in _OTHER_SERVERS)
        return not in_place and (key == "redis.host" or get(data, "redis.host") is not None)
    if key in {"oncall.servicenow.username", "oncall.servicenow.password"}:
        return get(data, "oncall.servicenow.auth") is None
    return True


def unread_variables(environ: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """Those that are set and have no effect. *known* are the systems of the model."""
    return (name for name, system in UNREAD.items() if environ.get(name) and system not in known)
