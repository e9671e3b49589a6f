"""Slack: one message for each incident, and its thread."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from versus_py.clock import Clock
from versus_py.config import OncallFallback, SlackConfig, SlackStorm
from versus_py.incidents.model import Incident, IncidentId
from versus_py.store import Storms, Turns
from versus_py.targets.slack.api import TIMEOUT_S, Refused, SlackApi
from versus_py.targets.slack.escalation import Escalation
from versus_py.targets.slack.history import History
from versus_py.targets.slack.storm import StormMessages
from versus_py.targets.slack.target import NAME, SlackTarget
from versus_py.targets.slack.wire import Wire
from versus_py.targets.target import Target

__all__ = ["NAME", "TIMEOUT_S", "Refused", "Slack", "SlackApi", "SlackTarget", "StormMessages", "make_slack"]


@dataclass(frozen=True, slots=True)
class Slack:
    """The target, and the loop that keeps the digests of storms."""

    target: SlackTarget
    storms: StormMessages
    fallback: Target | None  # a channel that incidents escalate to


def make_slack(
    config: SlackConfig,
    api: SlackApi,
    *,
    clock: Clock,
    turns: Turns,
    storms: Storms,
    ack_url: Callable[[Incident], str],
    storm_url: Callable[[str, str], str],
    wake: Callable[[IncidentId], Awaitable[None]],
    fallback: OncallFallback | None = None,
) -> Slack:
    """Slack with its parts. *ack_url* and *storm_url* (channel, id of the storm) make the links for people.

    *wake* has the target sync an incident once more.
    """
    wire, history = Wire(api, turns, clock), History(api, clock)
    digests = StormMessages(
        config, storms=storms, wire=wire, history=history, clock=clock, list_url=storm_url, wake=wake
    )

    def target(own: SlackConfig, name: str) -> SlackTarget:
        return SlackTarget(own, clock=clock, wire=wire, history=history, storms=digests, ack_url=ack_url, name=name)

    escalation = None
    if fallback is not None and fallback.slack_channel_id and fallback.target is not None:
        # An escalation is not counted in the message of a storm.
        own = {"channel_id": fallback.slack_channel_id, "storm": SlackStorm(threshold=1000)}
        escalation = Escalation(target(config.model_copy(update=own), fallback.target), fallback.mention)
    return Slack(target(config, NAME), digests, escalation)
