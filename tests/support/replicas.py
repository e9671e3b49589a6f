"""Processes of the service that share nothing but Redis, for tests of tickets: without loops and without HTTP."""

from collections.abc import Mapping
from typing import Any

from tests.support.claims import claim_due
from tests.support.clock import FakeClock
from tests.support.factories import make_notification, make_policy
from tests.support.feeds import SERVICENOW, FakeFeed, make_ticket, ticket_config
from versus_py.engine.lifecycle import Accepted, Lifecycle
from versus_py.engine.policies import Policies
from versus_py.engine.tickets import Tickets
from versus_py.incidents.model import Delivery, Event, Incident
from versus_py.store import Completion, Store
from versus_py.systems import called

OURS = {"sys_id": "ours"}


class Replica:
    """One process: it shares nothing with the others but Redis."""

    def __init__(self, store: Store, clock: FakeClock, *, installation: str = "") -> None:
        policies = Policies(ticket_config())
        self.store, self.clock, self.feed = store, clock, FakeFeed()
        self.lifecycle = Lifecycle(
            store, clock, called=called(), policy_of=policies.of_known, installation=installation
        )
        self.tickets = Tickets(
            {SERVICENOW: self.feed},
            store=store,
            lifecycle=self.lifecycle,
            policies=policies,
            clock=clock,
            called=called(),
            installation=installation,
        )

    async def take(self, *args: Any, **fields: Any) -> Accepted:
        return await self.tickets.take(make_ticket(*args, **fields))

    async def taken(self, *args: Any, **fields: Any) -> Incident:
        """The incident of a ticket that is taken."""
        incident = (await self.take(*args, **fields)).incident
        assert incident is not None
        return incident

    async def ours(self, *, target: str = SERVICENOW, locator: str = "default\nours", **policy: Any) -> Incident:
        """An incident of alerts with a record that was made for it; *locator* "" for one that is not known yet."""
        asked = make_policy(oncall=target, wait_ms=0, **policy)
        [accepted] = await self.lifecycle.accept([make_notification()], lambda *_: asked)
        assert accepted.incident is not None
        incident = await self.lifecycle.begin_step(accepted.incident)
        assert incident is not None
        await self.done({target: Delivery(OURS, "INC-ours", locator=locator)})
        return await self.get(incident)

    async def done(self, deliveries: Mapping[str, Delivery] | None = None) -> set[str]:
        """Do all that is due, with these *deliveries*; the targets that it was due for."""
        now_ms = self.clock.now_ms()
        claims, _ = await claim_due(self.store, now_ms=now_ms, lease_ms=60_000, limit=1000)
        for it in claims:
            incident, delivery = await self.store.get(it.incident_id), (deliveries or {}).get(it.target)
            assert incident is not None
            names_locator = delivery is not None and bool(delivery.locator)
            done = Completion("done", incident.version, delivery=delivery, names_locator=names_locator)
            await self.store.complete(it, done, now_ms=now_ms)
        return {it.target for it in claims}

    async def get(self, incident: Incident) -> Incident:
        found = await self.store.get(incident.id)
        assert found is not None
        return found

    async def all(self) -> list[Incident]:
        return [*(await self.store.page()).incidents]

    async def events(self, incident: Incident) -> list[Event]:
        return [it.event for it in await self.store.timeline(incident.id)]
