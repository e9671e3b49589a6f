"""What only the person sees who pressed something that changed nothing. Pure."""

from versus_py.config import SlackConfig
from versus_py.incidents.model import Actor, Incident, Status
from versus_py.targets import display_name
from versus_py.targets.slack.actions import Action
from versus_py.targets.slack.mrkdwn import Mrkdwn, date, escape, link, shorten

TITLE_MAX = 200
NAMED_MAX = 10
"""The most users and groups that are named as those who may act."""

CANNOT_TELL = (
    "Whether you may do that cannot be told at the moment: the members of the groups that may are still being asked "
    "for. Nothing was changed; try again in a minute."
)

_NAMES = {
    Action.ACKNOWLEDGE: "Acknowledging",
    Action.UNACKNOWLEDGE: "Un-acknowledging",
    Action.RESOLVE: "Resolving",
    Action.ESCALATE: "Escalating",
    Action.SNOOZE: "Snoozing",
}


def only_some_may(config: SlackConfig) -> str:
    """To somebody who may not."""
    named = [f"<@{user}>" for user in config.allowed_users] + [f"<!subteam^{group}>" for group in config.allowed_groups]
    shown = ", ".join(named[:NAMED_MAX])
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    return f"Nothing was changed: you are not among those who may do that. They are {shown}{more}."


def switched_off(action: Action) -> str:
    """To somebody who used a button that is not offered any more."""
    return f"Nothing was changed: {_NAMES[action].lower()} from Slack is switched off here."


def how_it_stands(action: Action, incident: Incident | None, asker: str) -> str:
    """Why *action* changed nothing, to the person whose Slack id is *asker*; None is an incident nobody knows."""
    if incident is None:
        return "Nothing was changed: this incident is not known any more. It is over, and its time to be kept too."
    title = shorten(escape(" ".join(incident.title.split())), TITLE_MAX)
    return f"*{title}*: {_standing(action, incident, asker)}"


def _standing(action: Action, incident: Incident, asker: str) -> str:
    if incident.status is Status.RESOLVED:
        return _done("resolved", incident.resolved_by, incident.resolved_at_ms, asker) + _record(incident)
    if action is Action.ESCALATE:
        return _no_escalation(incident)
    if incident.status is Status.ACKNOWLEDGED:
        return _done("acknowledged", incident.acknowledged_by, incident.acknowledged_at_ms, asker) + _record(incident)
    if action is Action.UNACKNOWLEDGE:
        return "it is not acknowledged."
    return _no_escalation(incident) if action is Action.SNOOZE else "nothing was changed."


def _done(what: str, by: Actor | None, at_ms: int | None, asker: str) -> str:
    who = "somebody" if by is None else "you" if by.ids.get("slack") == asker else f"*{escape(by.name)}*"
    when = f" {date(at_ms)}" if at_ms is not None else ""
    return f"{who} {what} it{when}."


def _no_escalation(incident: Incident) -> str:
    """Why it cannot be escalated, nor kept from it."""
    if incident.policy.oncall is None:
        return "it does not escalate."
    if not incident.is_escalating:
        return "nothing was changed."
    name = display_name(incident.escalated_to)
    label = _record_link(incident)
    return f"it has been escalated to {name} as {label}." if label else f"it is being escalated to {name} already."


def _record(incident: Incident) -> str:
    label = _record_link(incident)
    return f" It was escalated as {label}." if label else ""


def _record_link(incident: Incident) -> Mrkdwn | None:
    record = incident.record
    return link(record.url, record.label) if record.label else None
