"""Who acted: people by name and e-mail, asked for once and then known for a while."""

from versus_py.incidents.model import Actor
from versus_py.store.people import KnownPeople
from versus_py.targets.interactive import Interactive


class Directory:
    """The people of one system."""

    def __init__(self, system: str, known: KnownPeople, side: Interactive) -> None:
        self._system = system
        self._known = known
        self._side = side

    async def find(self, so_far: Actor) -> Actor:
        """Who that is; *so_far* itself where the system does not tell.

        Raises Transient, Permanent and StoreUnavailable.
        """
        known = await self._known.get(self._system, so_far.ids[self._system])
        if known is not None:
            return known
        person, keep_ms = await self._side.describe(so_far)
        await self._known.keep(self._system, person, for_ms=keep_ms)
        return person
