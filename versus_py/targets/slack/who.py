"""What people are called in Slack, also those who act elsewhere, if Slack knows their e-mail address. Pure."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct, field

from versus_py.config import SlackConfig
from versus_py.incidents.model import Actor, Incident
from versus_py.targets.slack.mrkdwn import escape
from versus_py.targets.target import Called


class SlackUser(Struct, frozen=True):
    """A user of the workspace."""

    id: str
    name: str

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


class Who(Struct, frozen=True):
    """People by their names, without a mention: that would notify people of what they have just done themselves.

    *is_edit* is for what is edited, which notifies nobody: there, who acted elsewhere is a mention.
    """

    users: Mapping[str, SlackUser] = field(default_factory=lambda: MappingProxyType({}))  # by `address`
    is_edit: bool = False

    def __call__(self, actor: Actor | None) -> str:
        """Who did something."""
        if actor is None:
            return "somebody"
        user = self._user(actor)
        if user is not None and self.is_edit:
            return user.mention
        return f"*{escape(actor.name if user is None else user.name)}*"

    def and_where(self, actor: Actor | None, called: Called) -> str:
        """Who did something, and in which system, if that was not Slack."""
        systems = () if actor is None else actor.ids
        elsewhere = next((called(it) for it in systems if it != SlackConfig.NAME), "")
        return f"{self(actor)} in {elsewhere}" if elsewhere else self(actor)

    def mention(self, actor: Actor) -> str:
        """Somebody who is to be notified, if Slack knows them; else their name."""
        user = self._user(actor)
        return self(actor) if user is None else user.mention

    def called(self, name: str, email: str) -> str:
        """The name of who is called *name* elsewhere, escaped."""
        user = self.users.get(address(email))
        return escape(name if user is None else user.name)

    def _user(self, actor: Actor) -> SlackUser | None:
        """None for who acted in Slack: the name is Slack's own."""
        return None if SlackConfig.NAME in actor.ids else self.users.get(address(actor.email))


def address(email: str) -> str:
    """*email* as addresses are compared."""
    return email.strip().casefold()


def addresses_in(incident: Incident) -> list[str]:
    """Those of the people whom messages name and who did not act in Slack, each once; the most important first."""
    snoozed_by = None if incident.snooze is None else incident.snooze.by
    named = (incident.acknowledged_by, incident.resolved_by, snoozed_by, *_in_news(incident))
    emails = [it.email for it in named if it is not None and SlackConfig.NAME not in it.ids]
    emails += [comment.email for _, comment in reversed(incident.comments)]
    return list(dict.fromkeys(address(it) for it in emails if it))


def _in_news(incident: Incident) -> Iterable[Actor | None]:
    """Of the latest first."""
    for entry in reversed(incident.news):
        yield entry.by
        yield entry.whom
