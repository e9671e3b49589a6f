"""Who may post alerts, and how much of it is taken at once: intake."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from versus_py.config.parts import (
    MAX_WAIT_MINUTES,
    SECRET_MIN,
    Minutes,
    Number,
    Part,
    Secret,
    Secrets,
    SystemPart,
    some,
)
from versus_py.config.policies import PolicyConfig, policy_name_problem

SourceName = Literal[
    "alertmanager", "cloudwatch", "fluentbit", "generic", "grafana", "monasca", "opsgenie", "pagerduty", "sentry"
]
SenderOf = Literal[SourceName, "heartbeat"]
"""What a sender may be limited to: payloads of a source, or heartbeats at their own address."""

_ACKNOWLEDGING = {"opsgenie", "pagerduty"}


def _sendable(value: str) -> str:
    if not value.strip() or ":" in value or not value.isprintable():
        raise ValueError("must be a name without a colon: it is the user name of Basic authentication too")
    return value


def _not_blank(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("is blank")
    return value


class OverrideLimits(Part):
    """What the query parameters of a sender may ask for; what is not limited here is allowed."""

    channels: tuple[str, ...] | None = None
    """The channels that an override such as slack_channel_id may name; none of them with an empty list."""
    instances: tuple[str, ...] | None = None
    """The instances that an override such as servicenow_other_instance may name."""
    min_wait_minutes: Minutes = 0
    """The shortest oncall_wait_minutes."""
    max_wait_minutes: Minutes = MAX_WAIT_MINUTES
    """The longest oncall_wait_minutes."""
    oncall: bool = True
    """Whether oncall_enable counts."""
    severities: tuple[str, ...] | None = None
    """The severities that the override severity may name, in any case; none of them with an empty list."""
    policies: tuple[str, ...] | None = None
    """The policies that the override policy may name; none of them with an empty list."""


class IntakeToken(Part):
    """A sender, and how it shows who it is: `Authorization: Bearer token`, or Basic with its name and the token.

    Senders of PagerDuty and Opsgenie send it as their routing_key and GenieKey.
    """

    name: Annotated[str, AfterValidator(_sendable)]
    """What the sender is called, in the log too."""
    token: Annotated[Secret, AfterValidator(_not_blank)]
    """Its token."""
    previous_tokens: Secrets = ()
    """Tokens that are still taken while senders change over to a new one."""
    sources: Annotated[tuple[SenderOf, ...], some("name a source; leave it out to allow all of them")] | None = None
    """The sources whose payloads it may post, heartbeat being POST /api/heartbeats/NAME; without any, all of them."""
    acknowledge: bool = False
    """Whether it may acknowledge: an event of PagerDuty, or a request of Opsgenie, that does so counts."""
    policy: str = ""
    """The policy of all its incidents, whatever their labels are; without one, the first that matches."""
    overrides: OverrideLimits = OverrideLimits()
    """What its query parameters may ask for."""

    def accepted(self) -> Iterator[tuple[str, str]]:
        """Every token that it may send, after the key that holds it."""
        yield "token", self.token.get_secret_value()
        for index, token in enumerate(self.previous_tokens):
            yield f"previous_tokens.{index}", token.get_secret_value()


class IntakeConfig(Part):
    """Who may post alerts, and how much of it is taken at once."""

    tokens: tuple[IntakeToken, ...] = ()
    """The senders; without any, whoever reaches the port may post."""
    max_working: Annotated[int, Number] = Field(64, ge=1, le=1000)
    """The most requests that are written down at the same time."""
    max_waiting: Annotated[int, Number] = Field(1000, ge=0, le=100_000)
    """The most requests that wait for their turn beside them; what comes beyond that is answered with 503."""
    requests_per_second: Annotated[float, Number] | None = Field(None, gt=0, le=100_000, allow_inf_nan=False)
    """How many requests a sender, by token or else by address, may make; what comes beyond is answered with 503."""
    burst: Annotated[int, Number] = Field(100, ge=1, le=100_000)
    """How many it may make at once after a quiet time, where requests_per_second is set."""

    @property
    def named_policies(self) -> frozenset[str]:
        """The policies that senders name."""
        return frozenset(name for it in self.tokens for name in (it.policy, *(it.overrides.policies or ())) if name)

    def policy_problems(self, policies: Sequence[PolicyConfig]) -> Iterator[str]:
        """What is wrong with the names of policies."""
        for index, sender in enumerate(self.tokens):
            path = f"intake.tokens.{index}"
            if sender.policy:
                yield from policy_name_problem(f"{path}.policy", sender.policy, policies)
            if sender.policy and sender.overrides.policies:
                yield f"{path}.overrides.policies: is set together with policy, which leaves nothing to choose"
            for at, name in enumerate(sender.overrides.policies or ()):
                yield from policy_name_problem(f"{path}.overrides.policies.{at}", name, policies)

    def problems(self, providers: Sequence[SystemPart]) -> Iterator[str]:
        """What does not go together; *providers* know which instances there are."""
        owners: dict[str, str] = {}
        names: set[str] = set()
        for index, sender in enumerate(self.tokens):
            path = f"intake.tokens.{index}"
            if sender.name in names:
                yield f"{path}.name: is {sender.name!r}, as that of another token is"
            names.add(sender.name)
            for key, token in sender.accepted():
                if owners.setdefault(token, path) != path:
                    yield f"{path}.{key}: is another sender's too, so that it does not tell who sends"
            limits = sender.overrides
            if limits.min_wait_minutes > limits.max_wait_minutes:
                yield f"{path}.overrides.min_wait_minutes: is more than max_wait_minutes"
            for name in limits.instances or ():
                allowed = [it.problem_with(name) for it in providers if it.OVERRIDE]
                if all(allowed):
                    yield f"{path}.overrides.instances: {name!r} is not known; allowed: {'; '.join(allowed)}"

    def warnings(self, *, is_reachable: bool) -> Iterator[str]:
        """What works, but is hardly what was meant."""
        if not self.tokens and is_reachable:
            yield "intake.tokens is not set: whoever reaches this server's port may post alerts, and resolve them"
        for index, sender in enumerate(self.tokens):
            if sender.acknowledge and sender.sources is not None and not _ACKNOWLEDGING & {*sender.sources}:
                yield (
                    f"intake.tokens.{index}.acknowledge has no effect: of the sources, only "
                    f"{' and '.join(sorted(_ACKNOWLEDGING))} acknowledge, and its sources name neither"
                )
            for key, token in sender.accepted():
                if len(token) < SECRET_MIN:
                    yield f"intake.tokens.{index}.{key} has fewer than {SECRET_MIN} characters, which can be guessed"
