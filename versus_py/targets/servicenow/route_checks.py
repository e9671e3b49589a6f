"""Whether the keys of `routing` exist in the instance, where routing_field is a reference: to groups or services."""

from collections.abc import AsyncIterator, Mapping
from difflib import get_close_matches

from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent, Transient
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.servicenow.offers import ROWS_MAX
from versus_py.targets.servicenow.sides import GROUP
from versus_py.targets.servicenow.table_api import TableApi, value_of

REFERRED = {GROUP: "sys_user_group", "business_service": "cmdb_ci_service", "service_offering": "service_offering"}
"""Column -> the table whose rows it names."""

_NAMED_MAX = 10


async def examine_routes(name: str, config: ServiceNowInstance, api: TableApi) -> AsyncIterator[Check]:
    """Nothing where routing does not go by such a column."""
    table = REFERRED.get(config.routing_field)
    if table is None or not config.routing:
        return
    try:
        known = await _names(api, table)
    except Transient as exc:
        yield Check(name, CheckStatus.WARNING, f"cannot be looked at now: {exc}", "try again later")
        return
    except Permanent:
        known = {}
    if not known:
        found = f"nobody can tell whether its keys are in {table}"
        yield Check(name, CheckStatus.SKIPPED, found, f"let the user read {table}")
        return
    unknown = {key: hint for key in config.routing if (hint := _hint(key, known)) is not None}
    if not unknown:
        yield Check(name, CheckStatus.OK, f"{table} has all {len(config.routing)} of its keys")
    elif len(known) < ROWS_MAX:
        shown = [f"{key!r}{hint}" for key, hint in [*unknown.items()][:_NAMED_MAX]]
        rest = f" and {len(unknown) - _NAMED_MAX} more" if len(unknown) > _NAMED_MAX else ""
        found = f"{table} has no {', '.join(shown)}{rest}"
        yield Check(name, CheckStatus.WARNING, found, f"correct the keys of {config.routing_field} in routing")
    else:
        found = f"{table} has more rows than the {ROWS_MAX} that are looked at; not among these: {', '.join(unknown)}"
        yield Check(name, CheckStatus.SKIPPED, found, "look these up in ServiceNow")


async def _names(api: TableApi, table: str) -> Mapping[str, str]:
    """The name of every row by its sys_id."""
    rows = await api.search(table, "ORDERBYname", ("sys_id", "name"), limit=ROWS_MAX)
    return {value_of(row.get("sys_id")): value_of(row.get("name")) for row in rows if row.get("sys_id")}


def _hint(key: str, known: Mapping[str, str]) -> str | None:
    """What to say of a *key* that none of the rows has, by its sys_id or by its name in any case; None for the others.

    With the closest name, if there is one.
    """
    by_name = {name.strip().casefold(): name for name in known.values()}
    if key in known or key.casefold() in by_name:
        return None
    close = get_close_matches(key.casefold(), by_name, n=1)
    return f" (did you mean {by_name[close[0]]!r}?)" if close else ""
