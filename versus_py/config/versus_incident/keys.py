"""Keys of Versus Incident's configuration that the model does not have, or not in that form."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from versus_py.config.versus_incident.places import Origin, drop, get, is_true, put

CHANNELS: Mapping[str, str] = {
    "telegram": "Telegram",
    "viber": "Viber",
    "email": "e-mail",
    "msteams": "Microsoft Teams",
    "lark": "Lark",
    "googlechat": "Google Chat",
}
"""The channels of Versus Incident that are not among ours, by their keys."""

PROVIDERS: Mapping[str, str] = {
    "aws_incident_manager": "AWS Incident Manager",
    "pagerduty": "PagerDuty",
    "incident_io": "incident.io",
}
"""Its on-call providers that are not among ours."""

_NO_EFFECT = (
    "proxy",
    "storage",
    "alert.sns",
    "alert.sqs",
    "redis.connection_timeout",
    "redis.read_timeout",
    "redis.write_timeout",
    "redis.max_retries",
    "redis.min_retry_backoff",
    "redis.max_retry_backoff",
)

SNS_PATH = "/sns"

_BARE = re.compile(r"\$[A-Za-z_]\w*")


class _Keys:
    """One configuration that is being adapted."""

    def __init__(self, data: dict[str, Any], origins: dict[str, Origin]) -> None:
        self.data = data
        self.origins = origins
        self.lost: list[str] = []
        self.changed: list[str] = []
        self.unread: list[str] = []

    def lose(self, key: str, said: str) -> None:
        origin = self.origins.get(key)
        by = f" ({origin.variable})" if origin else ""
        self.lost.append(f"{key}: is {_shown(get(self.data, key))}{by}, {said}")

    def ignore(self, key: str) -> None:
        """Not where an environment variable is all that made the key, which says nothing of a file."""
        found = drop(self.data, key)
        if found is not None and not self._is_by_variables_only(key, found):
            self.unread.append(key)

    def _is_by_variables_only(self, key: str, found: Any) -> bool:
        leaves = [key] if not isinstance(found, Mapping) else [f"{key}.{it}" for it in _leaves(found)]
        return all(it in self.origins for it in leaves)

    def move(self, key: str, to: str, value: Any) -> None:
        """To where the model has it, unless that is set already."""
        if get(self.data, to) is None:
            put(self.data, to, value)
            if key in self.origins:
                self.origins[to] = self.origins[key]


def adapt_keys(
    data: dict[str, Any], written: Mapping[str, Any], origins: dict[str, Origin], known: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """Change *data* into the model's keys. Returns what is lost, what is different, and the keys that are not read.

    *written* is the file as it is, *known* are the systems of the model.
    """
    keys = _Keys(data, origins)
    _channels(keys, known)
    _providers(keys, known)
    _queue(keys)
    if is_true(get(data, "agent.enable")):
        keys.lose("agent.enable", "but there is no AI agent here: nothing would watch your logs; set it to false")
    keys.ignore("agent")
    _redis(keys)
    for key in _NO_EFFECT:
        keys.ignore(key)
    if get(written, "alert.slack.message_properties.button_style") == "":
        put(data, "alert.slack.message_properties.button_style", "default")  # its grey one
    keys.changed += _bare_references(data)
    for key in [key for key in origins if get(data, key) is None]:
        del origins[key]
    return keys.lost, keys.changed, keys.unread


def _channels(keys: _Keys, known: Collection[str]) -> None:
    for name, title in CHANNELS.items():
        if name in known:
            continue
        if is_true(get(keys.data, f"alert.{name}.enable")):
            keys.lose(
                f"alert.{name}.enable",
                f"but this server does not post to {title}: nobody there would be notified; set it to false",
            )
        keys.ignore(f"alert.{name}")
        if get(keys.data, "alert") == {}:
            del keys.data["alert"]


def _providers(keys: _Keys, known: Collection[str]) -> None:
    provider = get(keys.data, "oncall.provider")
    if provider in PROVIDERS and provider not in known:
        if any(is_true(get(keys.data, f"oncall.{it}")) for it in ("enable", "initialized_only")):
            keys.lose(
                "oncall.provider",
                f"but this server does not call {PROVIDERS[provider]}: nobody would be called; "
                "write servicenow, or set oncall.enable and oncall.initialized_only to false",
            )
            for key in ("oncall.enable", "oncall.initialized_only"):  # what servicenow lacks is no news now
                put(keys.data, key, False)
        keys.ignore("oncall.provider")
    for name in PROVIDERS:
        if name not in known:
            keys.ignore(f"oncall.{name}")


def _queue(keys: _Keys) -> None:
    queue = get(keys.data, "queue")
    if not isinstance(queue, Mapping):
        return
    is_on = get(queue, "enable") is None or is_true(get(queue, "enable"))
    if is_on and is_true(get(queue, "sqs.enable")):
        keys.lose(
            "queue.sqs.enable",
            "but this server does not fetch from SQS: alerts would stay in the queue; "
            f"have SNS send them to {SNS_PATH}, and set it to false",
        )
    if not is_on or not is_true(get(queue, "sns.enable")):
        keys.ignore("queue")
        return
    _sns(keys)
    for key in ("enable", "sns.enable", "sns.topic_arn", "sns.https_endpoint_subscription_path"):
        drop(keys.data, f"queue.{key}")  # they are answered for
    for key in [*_leaves(get(keys.data, "queue"))]:
        keys.ignore(f"queue.{key}")
    drop(keys.data, "queue")


def _sns(keys: _Keys) -> None:
    """Messages of SNS are taken here too, at one path, from the topics that are named."""
    path = get(keys.data, "queue.sns.https_endpoint_subscription_path")
    if path not in (None, SNS_PATH):
        keys.lose(
            "queue.sns.https_endpoint_subscription_path",
            f"but SNS is answered at {SNS_PATH} only: its messages would be lost; "
            f"subscribe that address, and write {SNS_PATH} here",
        )
    topic = get(keys.data, "queue.sns.topic_arn")
    if topic is not None:
        topics = get(keys.data, "sources.cloudwatch.topics")
        if isinstance(topics, list) and topic not in topics:  # what is not listed would be refused
            put(keys.data, "sources.cloudwatch.topics", [*topics, topic])
        keys.move("queue.sns.topic_arn", "sources.cloudwatch.topics", [topic])
    elif not get(keys.data, "sources.cloudwatch.topics"):
        keys.lost.append(
            "queue.sns.topic_arn: is required with queue.sns.enable: true: messages of topics that are not named "
            "would be refused"
        )
    if drop(keys.data, "queue.sns.https_endpoint_subscription") is not None:
        keys.changed.append(
            "queue.sns.https_endpoint_subscription is not read: this server makes no subscription by itself; "
            f"one that exists keeps working, a new one has to be made for {SNS_PATH} of public_host"
        )


def _redis(keys: _Keys) -> None:
    data = keys.data
    cluster = get(data, "redis.cluster")
    if cluster is not None and not isinstance(cluster, Mapping):
        drop(data, "redis.cluster")
        host, port = get(data, "redis.host"), get(data, "redis.port")
        if is_true(cluster) and host is not None:
            drop(data, "redis.host")
            drop(data, "redis.port")
            put(data, "redis.cluster.hosts", [f"{host}:{6379 if port is None else port}"])


def _bare_references(data: Mapping[str, Any]) -> Iterator[str]:
    for key in _leaves(data):
        value = get(data, key)
        if isinstance(value, str) and _BARE.fullmatch(value):
            yield f"{key} begins with $ and is taken as it is: to refer to a variable, write ${{NAME}} with braces"


def _leaves(node: Any, path: str = "") -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        else:
            yield here


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
