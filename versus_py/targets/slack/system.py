"""Slack, as the registry knows it."""

from collections.abc import Mapping
from functools import partial

from versus_py.config import Config, SlackConfig, SlackStorm
from versus_py.config.tickets import channel_of
from versus_py.targets.check import Examination
from versus_py.targets.interactive import Loop
from versus_py.targets.slack.api import LATE_POST_S, TIMEOUT_S, SlackApi
from versus_py.targets.slack.checks import NAME as CHECK
from versus_py.targets.slack.checks import examine
from versus_py.targets.slack.clock import watch_clock
from versus_py.targets.slack.history import History
from versus_py.targets.slack.interactive import SlackInteractive
from versus_py.targets.slack.preview import preview
from versus_py.targets.slack.requests import PATH
from versus_py.targets.slack.storm import LOOK_EVERY_S, StormMessages
from versus_py.targets.slack.target import SlackTarget
from versus_py.targets.slack.users import Users
from versus_py.targets.slack.wire import Wire
from versus_py.targets.system import Abilities, Examined, Parts, Surroundings, System
from versus_py.targets.target import Target

NAME = SlackConfig.NAME


def build(around: Surroundings) -> Parts:
    """The message of each incident, also in the channels that steps name; the digests of storms; what people press."""
    config: SlackConfig = around.config.alert.slack
    api = SlackApi(config, around.session, clock=around.clock)
    wire, history = Wire(api, around.turns, around.clock), History(api, around.clock)
    users = Users(api, wire, around.clock)
    digests = StormMessages(
        config,
        storms=around.storms,
        wire=wire,
        history=history,
        clock=around.clock,
        list_url=around.storm_url,
        wake=lambda incident_id: around.wake(incident_id, NAME),
        look_every_s=LOOK_EVERY_S * around.idle_factor,
    )

    def target(own: SlackConfig, name: str) -> SlackTarget:
        return SlackTarget(
            own,
            clock=around.clock,
            wire=wire,
            history=history,
            storms=digests,
            users=users,
            ack_url=around.ack_url,
            called=around.called,
            name=name,
        )

    targets: dict[str, Target] = {NAME: target(config, NAME)}
    for name, channel in around.config.places(NAME).items():
        # An escalation is not counted in the message of a storm.
        own = {"channel_id": channel, "storm": SlackStorm(threshold=1000)}
        targets[name] = target(config.model_copy(update=own), name)
    loops: dict[str, Loop] = {"storms": digests.run, "slack clock": partial(watch_clock, api)}
    policies = [it.name for it in around.config.policies]
    side = partial(SlackInteractive, config, api, around.session, around.clock, policies=policies)
    return Parts(targets=targets, loops=loops, interactive=side() if config.is_interactive else None)


def checks(examined: Examined) -> Mapping[str, Examination]:
    config = examined.config
    routed = [it.leads_to[NAME].destination for it in config.route_leads() if NAME in it.leads_to]
    return {
        CHECK: partial(
            examine,
            config.alert.slack,
            examined.session,
            clock=examined.clock,
            public_host=config.public_host,
            post_test=examined.may_post,
            others=[*config.places(NAME).values(), *_ticket_channels(config), *routed],
            needs_emails=_people_act_elsewhere(config),
        )
    }


def _ticket_channels(config: Config) -> list[str]:
    """Those that tickets are led to."""
    named = (it for part in config.oncall.parts.values() for it in part.ticket_channels)
    found = [it for name in named if (it := channel_of(name, config.alert.enabled)) is not None]
    return [place for system, place in found if system == NAME]


def _people_act_elsewhere(config: Config) -> bool:
    """Whether other systems say what people do, with their e-mail addresses."""
    are_tickets_taken = any(part.ticket_targets for part in config.oncall.parts.values())
    return config.oncall.is_prepared and are_tickets_taken


SLACK = System(
    config=SlackConfig,
    build=build,
    examine=checks,
    preview=preview,
    abilities=Abilities(threads=True, buttons=True, private_answers=True, settles_within_s=LATE_POST_S),
    timeout_s=TIMEOUT_S,
    inbound_path=PATH,
    inbound_is_off=(
        "Slack's requests are not taken here: alert.slack is not enabled, or its signing_secret is not set"
    ),
)
