"""What is wrong with the settings of tickets that come in, and what works but is hardly meant."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from versus_py.config.parts import SECRET_MIN, ChannelPart, Secret
from versus_py.config.policies import policy_name_problem, system_and_place, target_problems
from versus_py.config.tickets import CHANNEL, RAISE, STEPS, TicketEvents, TicketRoute, channel_of
from versus_py.incidents.severity import known_as, known_names

if TYPE_CHECKING:
    from versus_py.config.model import Config
    from versus_py.config.servicenow import ServiceNowInstance


def token_problems(instances: Iterable[tuple[str, "ServiceNowInstance"]], config: "Config") -> Iterator[str]:
    """Of the tokens of all *instances*, each after its path: a token tells who sends, so that it is one's alone."""
    owners = {token: "intake.tokens" for sender in config.intake.tokens for _, token in sender.accepted()}
    for path, instance in instances:
        events = instance.events
        if events.previous_tokens and not events.token.get_secret_value():
            yield f"{path}.events.previous_tokens: is set without token, the one that counts from now on"
        for owner, key, token in _tokens(f"{path}.events", events):
            text = token.get_secret_value()
            if len(text) < SECRET_MIN:
                yield f"{key}: has {len(text)} characters, which can be guessed; it needs {SECRET_MIN} or more"
            elif owners.setdefault(text, owner) != owner:
                yield f"{key}: is another sender's too, so that it does not tell who sends: see {owners[text]}"


def ticket_problems(instance: "ServiceNowInstance", config: "Config") -> Iterator[tuple[str, str]]:
    """What does not go together in *instance*, with what it shares with the main one: the key, and what to say."""
    events = instance.events
    if events.is_on and instance.lifecycle == "plain":
        yield "lifecycle", "is plain, but events needs incident: without a state, a ticket has nothing to follow"
    yield from _routing_problems(instance)
    yield from _state_problems(instance)
    names = [it.name for it in events.sources]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"events.sources.{index}.name", f"is {name!r}, as that of another source is"
    yield from _severity_problems(instance, config)
    if STEPS in events.escalate and len(events.escalate) > 1:
        yield "events.escalate", f"is {', '.join(events.escalate)}; allowed is {STEPS} alone, or any of the others"
    for index, target in enumerate(events.escalate):
        if target in events.escalate[:index]:
            yield f"events.escalate.{index}", f"is {target!r}, as another one is"


def naming_problems(path: str, instance: "ServiceNowInstance", config: "Config", origin: str) -> Iterator[str]:
    """What names a policy, a channel or somebody that there is not. *origin* is the target of the instance."""
    for index, target in enumerate(instance.events.escalate):
        yield from _escalate_problems(f"{path}.events.escalate.{index}", target, config)
    for index, source in enumerate(instance.events.sources):
        if source.policy:
            yield from policy_name_problem(f"{path}.events.sources.{index}.policy", source.policy, config.policies)
    for key, route in instance.routing.items():
        yield from _route_problems(f"{path}.routing.{key}", route, config, origin)


def ticket_warnings(path: str, instance: "ServiceNowInstance", own: Collection[str]) -> Iterator[str]:
    """What has no effect, or not the one that it seems to have; *own* are the keys that are written at *path*."""
    if not instance.is_two_way:
        without_effect = [key for key in ("priority_map", "routing_field") if key in own]
        for key in without_effect:
            yield f"{path}.{key} has no effect without events.token or bidirectional: true"
        if not without_effect and "events" in own:
            yield f"{path}.events.token is empty: no tickets are taken; is its environment variable set?"
    if "routing_field" in own and instance.routing_field and not instance.routing:
        yield f"{path}.routing_field has no effect without routing"
    for key, route in instance.routing.items() if "routing" in own else ():
        if route == TicketRoute():
            yield f"{path}.routing.{key} changes nothing: it has no policy, channel, notify, wait or mention"
    is_said = "events" in own and "escalate" in instance.events.model_fields_set
    if is_said and RAISE in instance.events.escalate and instance.bidirectional is False:
        yield f"{path}.events.escalate: {RAISE} has no effect with bidirectional: false, as tickets are not written to"
    if instance.events.is_on and not instance.own_user:
        yield (
            f"{path}.events.user is not set, and auth.type {instance.auth.type} does not tell it: what this server "
            "writes may be taken for what people do there"
        )


def _routing_problems(instance: "ServiceNowInstance") -> Iterator[tuple[str, str]]:
    if instance.routing and not instance.routing_field:
        yield "routing_field", "is required with routing, such as assignment_group"
    for key, count in Counter(key.casefold() for key in instance.routing).items():
        if count > 1:
            yield f"routing.{key}", "is there more than once; names count in any case"


def _state_problems(instance: "ServiceNowInstance") -> Iterator[tuple[str, str]]:
    """A number that two states have leaves open what a ticket in it does."""
    if not instance.is_two_way:
        return
    states = instance.states
    named = [
        *((it, getattr(states, it)) for it in ("new", "acknowledged", "resolved")),
        *((it, number) for it in ("open", "closed") for number in dict.fromkeys(getattr(states, it))),
    ]
    for number, count in Counter(it for _, it in named).items():
        if count > 1:
            yield "states", f"has {number!r} as {' and as '.join(it for it, of in named if of == number)}; name it once"


def _severity_problems(instance: "ServiceNowInstance", config: "Config") -> Iterator[tuple[str, str]]:
    said = {f"priority_map.{number}.severity": it.severity for number, it in instance.priority_map.items()}
    sources = {f"events.sources.{at}.severity": it.severity for at, it in enumerate(instance.events.sources)}
    said |= {key: severity for key, severity in sources.items() if severity}
    for key, severity in said.items():
        if known_as(severity, config.severity_map) is None:
            yield key, f"is {severity!r}; allowed: {known_names(config.severity_map)}"


def _escalate_problems(path: str, target: str, config: "Config") -> Iterator[str]:
    if target in {STEPS, CHANNEL, RAISE}:
        return
    name, _ = system_and_place(target)
    if isinstance(config.systems.get(name), ChannelPart):
        yield from target_problems(path, target, config)
        return
    channels = ", ".join(f"{it.NAME}:…" for it in config.alert.parts.values())
    yield f"{path}: is {target!r}; allowed: {CHANNEL}, {RAISE}, {STEPS} alone, or a channel such as {channels}"


def _route_problems(path: str, route: TicketRoute, config: "Config", origin: str) -> Iterator[str]:
    channels = config.alert.enabled
    if route.policy:
        yield from policy_name_problem(f"{path}.policy", route.policy, config.policies)
    for at, target in enumerate(route.notify):
        if target in route.notify[:at]:
            yield f"{path}.notify.{at}: is {target!r}, as another one is"
        if target == origin:
            yield f"{path}.notify.{at}: is {target!r}, where the tickets come from: there is never a second one there"
        yield from target_problems(f"{path}.notify.{at}", target, config)
    if route.channel and channel_of(route.channel, channels) is None:
        named = ", ".join(f"{it.NAME}:{place}" for it in channels.values() for place in it.places) or "none so far"
        yield f"{path}.channel: is {route.channel!r}; allowed: a channel by its name ({named}), or its id"
    problems = [it.mention_problem(route.mention) for it in channels.values() if route.mention]
    if problems and all(problems):
        yield f"{path}.mention: is {route.mention!r}; {problems[0]}"


def _tokens(path: str, events: TicketEvents) -> Iterator[tuple[str, str, Secret]]:
    """Who it is of, its key, and the token, of each that is set."""
    if events.token.get_secret_value():
        yield path, f"{path}.token", events.token
    yield from ((path, f"{path}.previous_tokens.{at}", it) for at, it in enumerate(events.previous_tokens))
    for index, source in enumerate(events.sources):
        owner = f"{path}.sources.{index}"
        yield owner, f"{owner}.token", source.token
        yield from ((owner, f"{owner}.previous_tokens.{at}", it) for at, it in enumerate(source.previous_tokens))
