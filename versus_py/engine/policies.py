"""The policies of a configuration: which one an incident has, by its labels and by what its request asked for."""

from collections.abc import Mapping
from dataclasses import replace

from versus_py.config import Config
from versus_py.config.model import RouteLeads
from versus_py.incidents.model import Alert, Incident, Notification, common
from versus_py.incidents.policies import Asked, Policy, made
from versus_py.incidents.severity import UNKNOWN_SEVERITY

_NOTHING = Asked()


class Policies:
    """Makes policies of incidents as the configuration has it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = config.route_leads()

    def of(self, notification: Notification, asked: Asked) -> Policy:
        """The policy of the incident that *notification* creates."""
        return self.for_labels(_labels(notification.alerts, notification.severity, asked), asked)

    def of_known(self, incident: Incident) -> Policy:
        """The policy of a round that begins; what an earlier version wrote keeps its own."""
        asked = incident.policy.asked
        if asked is None:
            return incident.policy
        return self.for_labels(_labels(incident.alerts, incident.severity, asked), asked)

    def for_labels(self, labels: Mapping[str, str], asked: Asked = _NOTHING) -> Policy:
        """The policy of an incident whose alerts have these *labels* in common."""
        route = next((it for it in self._routes if it.matches(labels)), None)
        return _routed(self._made(asked, route), asked, route)

    def _made(self, asked: Asked, route: RouteLeads | None) -> Policy:
        """That of the keys below oncall."""
        oncall, fallback = self._config.oncall, self._config.oncall.fallback
        escalates = oncall.by_default if asked.escalates is None else asked.escalates
        minutes = oncall.wait_minutes if route is None or route.wait_minutes is None else route.wait_minutes
        # Not to where it escalates anyway: what is down there would be down for both.
        is_the_same = fallback.target == f"{oncall.provider}:{asked.destinations.get(oncall.provider, '')}"
        return made(
            channels=tuple(self._config.alert.enabled),
            oncall=oncall.provider if escalates else None,
            wait_ms=in_ms(minutes) if asked.wait_ms is None else asked.wait_ms,
            fallback=None if is_the_same else fallback.target,
            fallback_after_ms=in_ms(fallback.after_minutes),
            ack_timeout_ms=in_ms(oncall.ack_timeout_minutes),
            asked=asked,
        )


def _routed(policy: Policy, asked: Asked, route: RouteLeads | None) -> Policy:
    """To the destinations of the request, else of the route, which says also who is mentioned."""
    if route is None:
        return replace(policy, destinations=asked.destinations)
    named = {name: to.destination for name, to in route.leads_to.items() if to.destination}
    mentions = {name: to.mentions for name, to in route.leads_to.items() if to.mentions}
    return replace(policy, destinations={**named, **asked.destinations}, mentions=mentions)


def _labels(alerts: tuple[Alert, ...], severity: str, asked: Asked) -> dict[str, str]:
    """What matchers see: labels as they were sent, and the severity where no label has it or somebody says it.

    Of what all that fires has in common: what is over says nothing about where the rest belongs.
    """
    firing = [alert.labels for alert in alerts if alert.is_firing]
    labels = common(firing or [alert.labels for alert in alerts])
    is_named = "severity" in labels or severity == UNKNOWN_SEVERITY
    if asked.severity:
        labels["severity"] = asked.severity
    elif not is_named:
        labels["severity"] = severity
    return labels


def in_ms(minutes: float) -> int:
    """*minutes* in ms."""
    return round(minutes * 60_000)
