"""The policies of a configuration: which one an incident has, by its labels and by what its request asked for."""

from collections.abc import Mapping

from versus_py.config import Config
from versus_py.config.model import RouteLeads
from versus_py.config.policies import PolicyConfig, system_and_place
from versus_py.config.tickets import CHANNEL, RAISE, STEPS
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, Incident, Notification, common
from versus_py.incidents.policies import (
    Asked,
    OnFailure,
    Policy,
    Step,
    When,
    made,
    with_oncall_after,
    with_targets,
    without_providers,
    without_target,
)
from versus_py.incidents.severity import UNKNOWN_SEVERITY

_NOTHING = Asked()


class Policies:
    """Makes policies of incidents as the configuration has it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._routes = config.route_leads()
        # Where nothing depends on labels, and nothing is asked for, there is one.
        self._by_default = None if self._routes or config.policies else self.for_labels({}, 0)

    def of(self, notification: Notification, now_ms: int, asked: Asked = _NOTHING) -> Policy:
        """The policy of the incident that *notification* creates."""
        if self._by_default is not None and asked == _NOTHING:
            return self._by_default
        return self.for_labels(labels_of(notification.alerts, notification.severity, asked), now_ms, asked)

    def of_known(self, incident: Incident, now_ms: int) -> Policy:
        """The policy of a round that begins; what an earlier version wrote keeps its own."""
        asked = incident.policy.asked
        if asked is None:
            return incident.policy
        asked = replace(asked, origin=incident.origin)  # an older version that had it routed does not know it
        return self.for_labels(labels_of(incident.alerts, incident.severity, asked), now_ms, asked)

    def for_labels(self, labels: Mapping[str, str], now_ms: int, asked: Asked = _NOTHING) -> Policy:
        """The policy of what has these *labels* in common: the first that matches, else the made one.

        One that was asked for by its name, and is still there, needs no match.
        """
        route = next((it for it in self._routes if it.matches(labels)), None)
        named = next((it for it in self._config.policies if it.name == asked.policy), None)
        found = named or next((it for it in self._config.policies if it.matches(labels)), None)
        policy = self._made(asked, route) if found is None else self._configured(found, asked, now_ms)
        policy = _routed(policy, route, asked)
        if asked.origin:
            policy = self._of_ticket(policy, asked.origin)
        policy = self._notifying(policy, asked)
        return self._without_doubles(_mentioning(policy, asked))

    def _of_ticket(self, policy: Policy, origin: str) -> Policy:
        """*policy* for an incident that came from a ticket of *origin*: that one is raised, and there is no second one.

        A made one goes on after its wait as the ticket's system says.
        """
        system, place = system_and_place(origin)
        after = self._config.oncall.parts[system].ticket_escalation(place)
        policy = _with_records_at(origin, system, policy)
        if not policy.name and policy.wait_ms is not None and STEPS not in after:
            names = {CHANNEL: policy.channels, RAISE: (origin,)}
            targets = tuple(dict.fromkeys(target for it in after for target in names.get(it, (it,))))
            steps = (policy.steps[0], Step(targets, policy.wait_ms)) if targets else policy.steps[:1]
            providers = tuple(it for it in dict.fromkeys((origin, *policy.providers)) if it in targets)
            return replace(policy, steps=steps, providers=providers)
        return policy if RAISE in after else without_target(policy, origin)

    def _notifying(self, policy: Policy, asked: Asked) -> Policy:
        """*policy* with the further targets that are asked for, as far as they are configured still."""
        known = (*self._config.policy_targets(), *self._config.alert.enabled)
        named = [it for it in asked.notify if it in known and it != asked.origin]
        providers = tuple(it for it in named if system_and_place(it)[0] in self._config.oncall.parts)
        channels = tuple(it for it in named if it not in providers)
        if not named:
            return policy
        wait_ms = in_ms(self._config.oncall.wait_minutes) if asked.wait_ms is None else asked.wait_ms
        return with_targets(policy, channels, providers if self._escalates(asked) else (), wait_ms)

    def _without_doubles(self, policy: Policy) -> Policy:
        """One target for one place: what a request, a route or a person sends to the place of another step is that one.

        So it is told again there, and has no second message or record. A fallback is not meant: it tells of a failure.
        """
        places = {
            target: system
            for system, destination in policy.destinations.items()
            if system in policy.targets
            for target, place in self._config.places(system).items()
            if place == destination
        }
        if not places:
            return policy

        def once(targets: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(places.get(target, target) for target in targets))

        steps = tuple(it if it.when is When.FAILED else replace(it, targets=once(it.targets)) for it in policy.steps)
        return replace(policy, steps=steps, providers=once(policy.providers))

    def _configured(self, found: PolicyConfig, asked: Asked, now_ms: int) -> Policy:
        opens_at_ms = None if found.hours is None else found.hours.opens_at(now_ms)
        policy = Policy(
            steps=tuple(
                Step(it.notify, it.after_ms, on_failure=OnFailure(it.on_failure), mention=it.mention, fields=it.fields)
                for it in found.steps
            ),
            name=found.name,
            providers=tuple(it for it in found.targets if system_and_place(it)[0] in self._config.oncall.parts),
            repeat=found.repeat,
            ack_timeout_ms=found.ack_timeout_ms,
            opens_at_ms=opens_at_ms if opens_at_ms != now_ms else None,
            asked=asked,
        )
        if not self._escalates(asked):
            return without_providers(policy)
        return policy if asked.wait_ms is None else with_oncall_after(policy, asked.wait_ms)

    def _escalates(self, asked: Asked) -> bool:
        """Whether on-call providers are called."""
        return self._config.oncall.by_default if asked.escalates is None else asked.escalates

    def _made(self, asked: Asked, route: RouteLeads | None) -> Policy:
        """That of the keys below oncall."""
        oncall, fallback = self._config.oncall, self._config.oncall.fallback
        minutes = oncall.wait_minutes if route is None or route.wait_minutes is None else route.wait_minutes
        # Not to where it escalates anyway: what is down there would be down for both.
        is_the_same = fallback.target == f"{oncall.provider}:{asked.destinations.get(oncall.provider, '')}"
        return made(
            channels=tuple(self._config.alert.enabled),
            oncall=oncall.provider if self._escalates(asked) else None,
            wait_ms=in_ms(minutes) if asked.wait_ms is None else asked.wait_ms,
            fallback=None if is_the_same else fallback.target,
            fallback_after_ms=in_ms(fallback.after_minutes),
            fallback_mention=getattr(fallback, "mention", ""),
            ack_timeout_ms=in_ms(oncall.ack_timeout_minutes),
            asked=asked,
        )


def _routed(policy: Policy, route: RouteLeads | None, asked: Asked) -> Policy:
    """To the destinations of the request, else of the route; it says also who is mentioned, unless the request does."""
    leads_to = {} if route is None else route.leads_to
    named = {name: to.destination for name, to in leads_to.items() if to.destination}
    mentions = {name: to.mentions for name, to in leads_to.items() if to.mentions}
    return replace(policy, destinations={**named, **asked.destinations}, mentions=mentions)


def _mentioning(policy: Policy, asked: Asked) -> Policy:
    """What the request says of mentions holds for all channels."""
    if not asked.mention:
        return policy
    channels = (it for it in policy.targets if it not in policy.providers)
    return replace(policy, mentions=dict.fromkeys(channels, asked.mention))


def _with_records_at(origin: str, system: str, policy: Policy) -> Policy:
    """*origin* in place of every provider of its system; what steps in when that fails is not needed."""

    def there(targets: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(origin if system_and_place(it)[0] == system else it for it in targets))

    steps = tuple(replace(it, targets=there(it.targets)) for it in policy.steps if it.when is not When.FAILED)
    destinations = {target: it for target, it in policy.destinations.items() if target != system}
    return replace(policy, steps=steps, providers=there(policy.providers), destinations=destinations)


def labels_of(alerts: tuple[Alert, ...], severity: str, asked: Asked) -> dict[str, str]:
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
