"""Tickets that come in, and what is heard of them later: the incident of each is found, or begins."""

from collections.abc import Mapping

from versus_py.clock import Clock
from versus_py.engine.lifecycle import Accepted, Lifecycle
from versus_py.engine.policies import Policies
from versus_py.errors import BadPayload
from versus_py.incidents import tickets
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Incident, IncidentId, Outcome, system_of
from versus_py.incidents.policies import Asked
from versus_py.incidents.sides import Report, Ticket
from versus_py.incidents.tickets import LIFECYCLE, Does
from versus_py.incidents.transitions import Change
from versus_py.store import Store
from versus_py.targets import Called
from versus_py.targets.feed import Feed


class NotTaken(BadPayload):
    """A ticket that begins no incident and belongs to none."""


class Tickets:
    """Incidents and the tickets that they are kept in sync with. *feeds* by the names of their systems.

    Every method raises StoreUnavailable.
    """

    def __init__(
        self,
        feeds: Mapping[str, Feed],
        *,
        store: Store,
        lifecycle: Lifecycle,
        policies: Policies,
        clock: Clock,
        called: Called,
        installation: str = "",
    ) -> None:
        self.feeds = feeds
        self._store = store
        self._lifecycle = lifecycle
        self._policies = policies
        self._clock = clock
        self._called = called
        self._installation = installation

    async def take(self, ticket: Ticket) -> Accepted:
        """Write down what a ticket says; when this returns, it survives a crash.

        The same again, and what comes late, changes nothing. Raises NotTaken.
        """
        found = await self._incident_of(ticket)
        if found is None:
            _raise_if_refused(ticket)
            change = self._begun(ticket)
            found = await self._lifecycle.begin(change)
            if found is None:
                return Accepted(Outcome.CREATED, change.incident)
            # Another event of it was faster, or it has an id of before the installation had its present name.
        incident, outcome = await self.hear(found, ticket.report, ticket.locator)
        return Accepted(outcome, incident)

    async def hear(self, incident_id: IncidentId, report: Report, locator: str = "") -> tuple[Incident | None, Outcome]:
        """What somebody has done to an incident's ticket; the incident as it is now, and what it did to it.

        *locator* is the ticket's where it came in by itself: the incident may know its target by another name.
        """
        outcome = Outcome.IGNORED
        feed = self._feed(report.target)

        def decide(incident: Incident, now_ms: int) -> Change | None:
            nonlocal outcome
            target = _target_of(incident, report.target, locator)
            change = tickets.hear(
                incident,
                replace(report, target=target),
                now_ms,
                on_hold=feed.on_hold(target, incident),
                policy_of=self._lifecycle.policy_of,
                called=self._called(report.target),
            )
            outcome = change.outcome if change is not None else Outcome.IGNORED
            is_by_others = (bool(locator) or report.is_repair) and not report.is_own
            return _with_look(change, target, now_ms) if change is not None and is_by_others else change

        incident, _ = await self._lifecycle.act(incident_id, decide)
        return incident, outcome

    def _feed(self, target: str) -> Feed:
        return self.feeds[system_of(target)]

    async def _incident_of(self, ticket: Ticket) -> IncidentId | None:
        """The incident that a ticket is the record of: one of ours, or the one that began with it.

        Raises NotTaken for what names an incident and is not its record: it is never one of its own.
        """
        if ticket.incident_id:
            return await self._incident_named_by(ticket)
        system = system_of(ticket.report.target)
        found = await self._store.incident_at(system, ticket.locator)
        if found is not None:
            return found
        own = tickets.ticket_id(ticket.dedup_key, self._installation)
        return own if await self._store.get(own) is not None else None

    async def _incident_named_by(self, ticket: Ticket) -> IncidentId:
        incident_id = IncidentId(ticket.incident_id)
        incident = await self._store.get(incident_id)
        if incident is None:
            raise NotTaken(f"{ticket.number} names incident {incident_id}, which is not known here")
        shown = incident.delivery(_target_of(incident, ticket.report.target, ticket.locator))
        if shown.locator not in {"", ticket.locator}:
            raise NotTaken(f"{ticket.number} names incident {incident_id}, whose record is {shown.label}")
        return incident_id

    def _begun(self, ticket: Ticket) -> Change:
        now_ms, report = self._clock.now_ms(), ticket.report
        notification = tickets.notification_of(ticket, system_of(report.target))
        asked = replace(report.asked or Asked(), origin=report.target)
        policy = self._policies.of(notification, now_ms, asked)
        return tickets.begin(ticket, notification, policy, now_ms, self._installation)


def _with_look(change: Change, target: str, now_ms: int) -> Change:
    """Somebody has done something to the ticket: perhaps they wrote a comment, which no event has."""
    return replace(change, timers={target: now_ms, **change.timers})


def _target_of(incident: Incident, target: str, locator: str) -> str:
    """The incident's own name for the target of a ticket: one that a request chose goes by its system's name."""
    system = system_of(target)
    mine = [it for it in incident.providers if system_of(it) == system]
    found = next((it for it in mine if locator and incident.delivery(it).locator == locator), None)
    return found or next((it for it in (target, *mine) if it in incident.told), target)


def _raise_if_refused(ticket: Ticket) -> None:
    """Only what is new begins an incident: of anything else, somebody has taken care before it was known here."""
    standing = ticket.report.side.standing
    if ticket.report.is_own:
        raise NotTaken(f"{ticket.number} was written by the integration's own user, and begins no incident")
    if LIFECYCLE[standing][None] is Does.IS_REFUSED:
        raise NotTaken(
            f"{ticket.number} is {standing}, and no incident is known that it belongs to: only new ones begin one"
        )
