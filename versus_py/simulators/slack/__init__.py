"""A Slack workspace: the Web API with its limits and its ways to refuse, and the people who read it."""

from versus_py.simulators.slack.delivery import Delivery, Press
from versus_py.simulators.slack.interactions import NotShown
from versus_py.simulators.slack.messages import PEOPLE, Ephemeral, PostedMessage, User
from versus_py.simulators.slack.methods import SCOPES
from versus_py.simulators.slack.simulator import SIGNING_SECRET, SlackSimulator
from versus_py.simulators.slack.validation import read_content

__all__ = [
    "PEOPLE",
    "SCOPES",
    "SIGNING_SECRET",
    "Delivery",
    "Ephemeral",
    "NotShown",
    "PostedMessage",
    "Press",
    "SlackSimulator",
    "User",
    "read_content",
]
