"""Escalating to a channel when the on-call provider fails: a message of its own that mentions somebody else."""

from dataclasses import replace

from versus_py.config import SlackConfig
from versus_py.incidents.model import Delivery, Incident
from versus_py.targets.slack.target import SlackTarget


class Escalation:
    """The message of *target*, with a mention of its own."""

    def __init__(self, target: SlackTarget, mention: str) -> None:
        self._target = target
        self._mention = mention

    def system(self, incident: Incident) -> str:
        return self._target.system(incident)

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """As with every message."""
        own = {SlackConfig.NAME: self._mention} if self._mention else {}
        policy = replace(incident.policy, mentions={**incident.policy.mentions, **own})
        return await self._target.sync(replace(incident, policy=policy), attempt=attempt)
