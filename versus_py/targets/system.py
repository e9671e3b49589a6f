"""What an entry of the registry says of one remote system: how its targets are built, what it can do, its checks."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import aiohttp

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.config.parts import SystemPart
from versus_py.incidents.model import Incident, IncidentId
from versus_py.store import Page, Storms, Turns
from versus_py.targets.check import Examination
from versus_py.targets.feed import Feed
from versus_py.targets.interactive import Interactive, Loop
from versus_py.targets.target import Called, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the system's API can do. The engine asks for settles_within_s, the conformance kit for idempotency_key."""

    edits: bool = True
    """What was sent can be changed afterwards. Else the target says news in further messages."""
    threads: bool = False
    buttons: bool = False
    private_answers: bool = False
    idempotency_key: bool = False
    """Sending twice with one key is sending once. Else the target has to look before it sends again."""
    settles_within_s: float = 0.0
    """How long a write that was not answered may still take effect after it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What targets are built with. The session is the system's own; whoever builds closes it."""

    config: Config
    clock: Clock
    session: aiohttp.ClientSession
    turns: Turns
    storms: Storms
    called: Called
    ack_url: Callable[[Incident], str | None]
    """The link to acknowledge, good for a day after the wait at least; None where links do not act."""
    storm_url: Callable[[str, str], str]
    """The link to the list of a storm's incidents, by its place and its id, good for a week at least."""
    wake: Callable[[IncidentId, str], Awaitable[None]]
    """Has a target sync an incident although it did not change."""
    idle_factor: float = 1.0
    """How much less often than usual loops look for what they were not told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a system consists of while the service runs."""

    targets: Mapping[str, Target]
    """By name: the system's own, and those of the configuration's `places`."""
    loops: Mapping[str, Loop] = field(default_factory=dict)
    interactive: Interactive | None = None
    feed: Feed | None = None
    """Its records, where they come in by themselves and are kept in sync."""


Wanted = Callable[[Incident], bool]

StoredIncidents = Callable[[Wanted], Awaitable[Page]]
"""The stored incidents that are wanted, newest first; a cursor says that there are more. Raises StoreUnavailable."""


async def _none_stored(_: Wanted) -> Page:
    return Page((), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What `versus doctor` looks at, and how far it may go."""

    config: Config
    clock: Clock
    session: aiohttp.ClientSession
    may_post: bool = False
    """A test message may be posted, which people see."""
    may_create: bool = False
    """A test record may be created."""
    incidents: StoredIncidents = _none_stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What one place of a system would be sent about an incident."""

    place: str
    """What to call it: ServiceNow infra."""
    destination: str | None = None
    """The place as the system's query override names it; None for the one that is used without it."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The texts by name, such as a record's by column, in the order in which people read them."""
    problems: tuple[str, ...] = ()
    """Why a template of the configuration fails with this incident."""


def _no_previews(_: Config, __: Incident) -> Iterable[Preview]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One remote system. Nothing else of the project knows it by its name."""

    config: type[SystemPart]
    build: Callable[[Surroundings], Parts]
    """Called once, when the configuration uses the system."""
    examine: Callable[[Examined], Mapping[str, Examination]]
    """The checks by what they are about."""
    preview: Callable[[Config, Incident], Iterable[Preview]] = _no_previews
    """What it would be sent about an incident as it is, at each of its places; asks nobody."""
    abilities: Abilities = Abilities()
    timeout_s: float = 30.0
    """How long one request of its session may take."""
    connections: int = 20
    """Connections of its session to each host beside those of max_concurrent deliveries: for what people press, and
    for names that are looked up."""
    inbound_path: str = ""
    """Where it sends requests; "" when it sends none."""
    events_path: str = ""
    """Where its records come in, the name of another instance behind it; "" where none do."""
    inbound_is_off: str = ""
    """What is answered there while the configuration does not take them."""

    @property
    def name(self) -> str:
        return self.config.NAME

    @property
    def title(self) -> str:
        return self.config.TITLE
