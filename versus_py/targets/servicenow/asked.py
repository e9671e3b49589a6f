"""What a ticket's priority and its routing key ask of the escalation. Pure; shared by events and by syncs."""

from collections.abc import Callable, Mapping

from versus_py.config import Config, ServiceNowInstance
from versus_py.config.tickets import channel_of
from versus_py.incidents.policies import Asked
from versus_py.targets.servicenow.sides import priority_of, route_of

Destinations = Callable[[str], Mapping[str, str]]
"""A channel as `routing` names it -> its target and the place there; empty where it is not configured."""


def destinations(config: Config) -> Destinations:
    """By the channels of *config*: slack:leads, or what stands after the colon alone."""
    channels = config.alert.enabled

    def of(channel: str) -> Mapping[str, str]:
        found = channel_of(channel, channels) if channel else None
        return {} if found is None else {found[0]: found[1]}

    return of


def asked_of(
    values: Mapping[str, str],
    instance: ServiceNowInstance,
    display: Mapping[str, str],
    *,
    origin: str,
    destinations_of: Destinations,
    policy: str = "",
    severity: str = "",
) -> tuple[Asked, str]:
    """What is asked, and where the routing key leads in words; "" where it leads nowhere in particular.

    *origin* is the target, for a ticket that came in by itself; else "". *policy* and *severity* are those of the rule
    that sent it, where it has some. The wait of a route comes before that of a priority.
    """
    leads, route = priority_of(values, instance), route_of(values, instance, display)
    waits = [it.wait_ms for it in (route, leads) if it is not None and it.wait_ms is not None]
    places = {} if route is None else destinations_of(route.channel)
    asked = Asked(
        policy=(route.policy if route else "") or policy,
        severity=leads.severity if leads else severity,
        wait_ms=waits[0] if waits else None,
        escalates=None if leads is None else leads.oncall,
        destinations=places,
        notify=() if route is None else route.notify,
        mention="" if route is None else route.mention,
        origin=origin,
    )
    to = [f"to policy {route.policy}"] if route is not None and route.policy else []
    to += [f"to {route.channel}"] if route is not None and places else []
    also = f"also to {', '.join(route.notify)}" if route is not None and route.notify else ""
    return asked, ", ".join(it for it in (" and ".join(to), also) if it)
