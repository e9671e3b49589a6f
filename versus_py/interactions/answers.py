"""What only the person sees who pressed something that changed nothing. Pure."""

from collections.abc import Callable

from versus_py.engine.lifecycle import AFTER_A_LOSS
from versus_py.incidents.actions import Action
from versus_py.incidents.model import Actor, Incident, Status
from versus_py.targets.interactive import Markup

TITLE_MAX = 90
"""In most markups, a character that means something takes four or five."""

CANNOT_TELL = (
    "Whether you may do that cannot be told at the moment: the members of the groups that may are still being asked "
    "for. Nothing was changed; try again in a minute."
)

UNKNOWN_STORM = (
    "Nothing was changed: this alert storm is not known any more. `versus incidents list` shows what is open."
)

_NAMES = {
    Action.ACKNOWLEDGE: "Acknowledging",
    Action.UNACKNOWLEDGE: "Un-acknowledging",
    Action.RESOLVE: "Resolving",
    Action.ESCALATE: "Escalating",
    Action.SNOOZE: "Snoozing",
    Action.SEVERITY: "Setting severities",
    Action.ROUTE: "Routing",
}


def only_some_may(who: str) -> str:
    """To somebody who may not; *who* names those who may."""
    return f"Nothing was changed: you are not among those who may do that. They are {who}."


def unknown_choice(why: str) -> str:
    """To somebody who chose what does not exist any more."""
    return f"Nothing was changed: {why}."


def switched_off(action: Action, title: str) -> str:
    """To somebody who used a button that is not offered any more, in the channel called *title*."""
    return f"Nothing was changed: {_NAMES[action].lower()} from {title} is switched off here."


class Standing:
    """Why an action changed nothing, in the *markup* of a channel; *called* tells what people call a target."""

    def __init__(self, markup: Markup, called: Callable[[str], str]) -> None:
        self._markup = markup
        self._called = called

    def unknown(self, lost_at_ms: int | None) -> str:
        """About an incident that nobody knows; *lost_at_ms* is when Redis lost its data."""
        if lost_at_ms is None:
            return "Nothing was changed: this incident is not known any more. It is over, and its time to be kept too."
        lost = f"Redis lost its data {self._markup.date(lost_at_ms)}. {AFTER_A_LOSS}"
        return f"Nothing was changed: this incident is not known any more. {lost}"

    def how_it_stands(self, action: Action, incident: Incident, asker: Actor) -> str:
        """To the person who asked."""
        title = " ".join(incident.title.split())
        shown = title if len(title) <= TITLE_MAX else f"{title[: TITLE_MAX - 1]}…"
        return f"{self._markup.bold(shown)}: {self._standing(action, incident, asker)}"

    def _standing(self, action: Action, incident: Incident, asker: Actor) -> str:
        if incident.status is Status.RESOLVED:
            return self._done("resolved", incident.resolved_by, incident.resolved_at_ms, asker) + self._record(incident)
        match action:
            case Action.ESCALATE:
                return self._no_escalation(incident)
            case Action.SEVERITY:
                return f"its severity is {incident.severity} already."
            case Action.ROUTE:
                return "it goes there already, or no step of its policy notifies this channel: choose a policy."
        if incident.status is Status.ACKNOWLEDGED:
            by, at_ms = incident.acknowledged_by, incident.acknowledged_at_ms
            return self._done("acknowledged", by, at_ms, asker) + self._until(incident) + self._record(incident)
        if action is Action.UNACKNOWLEDGE:
            return "it is not acknowledged."
        return self._no_escalation(incident) if action is Action.SNOOZE else "nothing was changed."

    def _done(self, what: str, by: Actor | None, at_ms: int | None, asker: Actor) -> str:
        who = "somebody" if by is None else "you" if by.is_same(asker) else self._markup.bold(by.name)
        when = f" {self._markup.date(at_ms)}" if at_ms is not None else ""
        return f"{who} {what} it{when}."

    def _until(self, incident: Incident) -> str:
        ends_at_ms = incident.ack_ends_at_ms
        return "" if ends_at_ms is None else f" That lasts until {self._markup.date(ends_at_ms)}."

    def _no_escalation(self, incident: Incident) -> str:
        """Why it cannot be escalated, nor kept from it."""
        if incident.policy.count <= 1:
            return "it does not escalate."
        if not incident.is_escalating:
            return "nothing was changed."
        name = self._called(incident.escalated_to or next(iter(incident.escalations)))
        label = self._record_link(incident)
        return f"it has been escalated to {name} as {label}." if label else f"it is being escalated to {name} already."

    def _record(self, incident: Incident) -> str:
        label = self._record_link(incident)
        return f" It was escalated as {label}." if label else ""

    def _record_link(self, incident: Incident) -> str:
        record = incident.record
        return self._markup.link(record.url, record.label) if record.label else ""
