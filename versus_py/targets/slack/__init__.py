"""Slack: one message for each incident, and its thread."""

from collections.abc import Callable

from versus_py.clock import Clock
from versus_py.config import SlackConfig
from versus_py.incident import Incident
from versus_py.store import Storms, Turns
from versus_py.targets.slack.api import TIMEOUT_S, Refused, SlackApi
from versus_py.targets.slack.history import History
from versus_py.targets.slack.storm import StormMessages
from versus_py.targets.slack.target import NAME, SlackTarget
from versus_py.targets.slack.wire import Wire

__all__ = ["NAME", "TIMEOUT_S", "Refused", "SlackApi", "SlackTarget", "make_target"]


def make_target(
    config: SlackConfig,
    api: SlackApi,
    *,
    clock: Clock,
    turns: Turns,
    storms: Storms,
    ack_url: Callable[[Incident], str],
    storm_url: Callable[[str, str], str],
) -> SlackTarget:
    """The target with its parts. *ack_url* and *storm_url* (channel, id of the storm) make the links for people."""
    wire, history = Wire(api, turns, clock), History(api, clock)
    digests = StormMessages(config, storms=storms, wire=wire, history=history, clock=clock, list_url=storm_url)
    return SlackTarget(config, clock=clock, wire=wire, history=history, storms=digests, ack_url=ack_url)
