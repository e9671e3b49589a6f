"""What a target is: a place where an incident is kept in sync."""

from collections.abc import Callable, Mapping
from typing import Protocol

from versus_py.errors import VersusError
from versus_py.incidents.model import Delivery, Incident

Called = Callable[[str], str]
"""What people call a target."""


def titles(systems: Mapping[str, str]) -> Called:
    """By the titles of *systems*: that of `servicenow:infra` is ServiceNow infra."""

    def called(target: str) -> str:
        system, _, place = target.partition(":")
        return f"{systems.get(system, system)} {place}".rstrip()

    return called


class NotYet(VersusError):
    """A sync that has to wait for its turn, until *at_ms*. *delivery* is what was achieved before, None for nothing."""

    def __init__(self, at_ms: int, reason: str, delivery: Delivery | None = None) -> None:
        super().__init__(reason)
        self.at_ms = at_ms
        self.delivery = delivery


class Target(Protocol):
    """One remote API."""

    def system(self, incident: Incident) -> str:
        """What a sync of *incident* calls: when that is down for one incident, it is so for all that call it.

        For whose turn it is, the answer for an incident as the last sync left it may be used.
        A target that has but one, without places in it that take turns, may say so by a `sole_system` of that name:
        then no incident is read to find out whose turn it is.
        """

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """Make the target show what *incident* is now, and return how to find it there again.

        Called once more whenever the incident changed, and after a crash or an error with *attempt* above 1, unless
        the error said that it was `without_effect`: then an earlier attempt may have had an effect that nobody
        recorded, so look before acting, and before deciding that nothing needs doing. Only the delivery's reference,
        label, url, locator, note, end note, comments and the time of the next look are the target's.

        The reference must say something once the target shows the incident: by it the target finds its side again,
        and by it the engine knows that a provider has the incident. A provider that returns an empty one although the
        incident `wants` it counts as failed.

        The locator is what requests of the target's system name its side by; no other incident's side has the same.

        Raises Transient to be tried again, Unreachable when it is down for everybody, CredentialsRefused when it does
        not accept who we are, Permanent to give up, and NotYet to be called later.
        """
