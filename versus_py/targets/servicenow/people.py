"""Users of an instance: the integration's own, and what people call the others and write to them at."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from versus_py.clock import Clock
from versus_py.errors import Permanent, Transient
from versus_py.targets.servicenow.key import shortened
from versus_py.targets.servicenow.table_api import Row, TableApi, value_of

log = structlog.get_logger()

_TABLE = "sys_user"
_COLUMNS = ("sys_id", "user_name", "name", "email")
_ASKED_MAX = 50
_CACHED_MAX = 1000
_KNOWN_FOR_MS = 3600_000
_FAILED_FOR_MS = 60_000
_NAME_MAX = 100
_MEANS_SOMETHING = frozenset("^,\r\n")
"""Characters that would end a value within a list of an encoded query."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user; of one that cannot be looked up, only *user_name* is known."""

    user_name: str
    name: str = ""
    email: str = ""
    sys_id: str = ""

    @property
    def called(self) -> str:
        return self.name or self.user_name


class OwnUser:
    """The integration's user: the one of the configuration, else the one that the instance says has written for us."""

    def __init__(self, configured: str) -> None:
        self._user_name = configured.casefold()

    @property
    def is_known(self) -> bool:
        return bool(self._user_name)

    def is_it(self, user_name: str) -> bool:
        return self.is_known and user_name.casefold() == self._user_name

    def learn(self, written: Row) -> None:
        """*written* is a row as the instance answered our own write of it."""
        self._user_name = self._user_name or value_of(written.get("sys_updated_by")).casefold()


class People:
    """Each is looked up once, and then remembered for an hour. No method raises what a request raises."""

    def __init__(self, api: TableApi, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], tuple[int, Person]] = OrderedDict()  # by a column and its value
        self._failed_until_ms = 0

    async def named(self, user_names: Iterable[str]) -> Mapping[str, Person]:
        """Every one of them, by the user_name."""
        wanted = dict.fromkeys(user_names)
        found = await self._found("user_name", wanted)
        return {it: found.get(it, Person(it)) for it in wanted}

    async def with_id(self, sys_id: str) -> Person:
        """The user that a reference is to; one of whom nothing is known where there is none, or nobody may tell."""
        return (await self._found("sys_id", [sys_id])).get(sys_id, Person(""))

    async def _found(self, column: str, wanted: Iterable[str]) -> Mapping[str, Person]:
        """Those that are known, or can be asked for now."""
        now_ms, values = self._clock.now_ms(), [*wanted]
        known = {it: self._known[column, it] for it in values if (column, it) in self._known}
        found = {it: person for it, (until_ms, person) in known.items() if until_ms > now_ms}
        unknown = [it for it in values if it not in found and _can_be_asked_for(it)][:_ASKED_MAX]
        if unknown and now_ms >= self._failed_until_ms:
            found |= await self._asked(column, unknown)
        return found

    async def _asked(self, column: str, values: list[str]) -> Mapping[str, Person]:
        """Those that there are. The answer is compared here: ServiceNow drops a condition that it does not know."""
        query = f"{column}IN{','.join(values)}"
        now_ms = self._clock.now_ms()
        try:
            rows = await self._api.search(_TABLE, query, _COLUMNS, limit=2 * _ASKED_MAX)
        except (Transient, Permanent, TimeoutError) as exc:
            is_refused = isinstance(exc, Permanent)
            self._failed_until_ms = now_ms + (_KNOWN_FOR_MS if is_refused else _FAILED_FOR_MS)
            log.warning("servicenow.users_unreadable", instance=self._api.url, error=str(exc) or "no answer in time")
            return {}
        people = {value_of(row.get(column)).casefold(): _person(row) for row in rows}
        nobody = {it: Person(it if column == "user_name" else "") for it in values}
        found = {it: people.get(it.casefold(), nobody[it]) for it in values}
        for value, person in found.items():
            self._known[column, value] = (now_ms + _KNOWN_FOR_MS, person)
            self._known.move_to_end((column, value))
        while len(self._known) > _CACHED_MAX:
            self._known.popitem(last=False)
        return found


def _can_be_asked_for(user_name: str) -> bool:
    is_script = user_name.startswith("javascript:")
    return bool(user_name) and user_name.isprintable() and not is_script and not (_MEANS_SOMETHING & {*user_name})


def _person(row: Row) -> Person:
    texts = {column: shortened(value_of(row.get(column)).strip(), _NAME_MAX) for column in _COLUMNS}
    return Person(texts["user_name"], texts["name"], texts["email"], texts["sys_id"])
