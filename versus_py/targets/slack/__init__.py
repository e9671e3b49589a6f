"""Slack: one message for each incident, and its thread."""

from versus_py.targets.slack.api import TIMEOUT_S, Refused, SlackApi
from versus_py.targets.slack.target import NAME, SlackTarget

__all__ = ["NAME", "TIMEOUT_S", "Refused", "SlackApi", "SlackTarget"]
