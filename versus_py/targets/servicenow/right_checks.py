"""Which tables the user has to read where tickets are kept in sync both ways, and does not."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from versus_py.config import ServiceNowInstance
from versus_py.errors import Permanent, Transient
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.servicenow.offers import absent, priorities, routing_columns, states, unmapped, unnamed
from versus_py.targets.servicenow.route_checks import REFERRED, examine_routes
from versus_py.targets.servicenow.sides import GROUP
from versus_py.targets.servicenow.sys_ids import is_sys_id
from versus_py.targets.servicenow.table_api import TableApi

_ROWS = 5


@dataclass(frozen=True, slots=True)
class _Right:
    """A table, what is done with it, and what becomes of that without it."""

    table: str
    without: str
    may_be_empty: bool = False


async def examine_rights(name: str, config: ServiceNowInstance, api: TableApi) -> AsyncIterator[Check]:
    """Whether our own writes are known, one check for each table that the configuration needs, and the priorities."""
    yield _about_own_user(f"{name} user", config)
    for right in _rights(config):
        yield await _about(f"{name} {right.table}", right, api)
    yield await _about_priorities(f"{name} priorities", config, api)
    async for check in _about_states(f"{name} states", config, api):
        yield check
    async for check in _about_routing_field(f"{name} routing_field", config, api):
        yield check
    async for check in examine_routes(f"{name} routing", config, api):
        yield check


def _about_own_user(name: str, config: ServiceNowInstance) -> Check:
    if config.own_user:
        return Check(name, CheckStatus.OK, f"events of what {config.own_user} writes are our own")
    found = f"auth.type {config.auth.type} does not tell which user writes: events of our own writes count as people's"
    advice = "set oncall.servicenow.events.user to the user_name of the integration user"
    return Check(name, CheckStatus.WARNING, found, advice)


def _rights(config: ServiceNowInstance) -> Iterator[_Right]:
    yield _Right("sys_user", "people are called by their user_name, and nobody is assigned or set as the caller")
    is_by_name = any(not is_sys_id(key) for key in config.routing)
    if config.routing_field == GROUP or GROUP in {*config.fields, *config.update_fields}:
        yield _Right("sys_user_group", "groups are known by their sys_id only, and none is assigned by its name")
    if config.routing_field != GROUP and config.routing_field in REFERRED:
        what = "routing by name does not work" if is_by_name else "people see sys_ids instead of names"
        yield _Right(REFERRED[config.routing_field], what)
    yield _Right("sys_choice", "nobody can tell which priorities there are")
    yield _Right("sys_dictionary", "nobody can tell which columns there are")
    if config.comments_every_minutes > 0:
        yield _Right("sys_journal_field", "comments and work notes go unheard", may_be_empty=True)


async def _about(name: str, right: _Right, api: TableApi) -> Check:
    advice = f"let the user read {right.table}; else {right.without}"
    try:
        rows = await api.search(right.table, "", ("sys_id",), limit=_ROWS)
    except Transient as exc:
        return Check(name, CheckStatus.WARNING, f"cannot be looked at now: {exc}", "try again later")
    except Permanent as exc:
        return Check(name, CheckStatus.WARNING, f"cannot be read: {exc}", advice)
    if not rows and not right.may_be_empty:
        return Check(name, CheckStatus.WARNING, "no row of it is shown to the user", advice)
    return Check(name, CheckStatus.OK, "can be read")


async def _about_priorities(name: str, config: ServiceNowInstance, api: TableApi) -> Check:
    try:
        found = await priorities(api, config.table)
    except (Transient, Permanent):
        found = {}
    if not found:
        return Check(name, CheckStatus.SKIPPED, "nobody can tell which there are", "let the user read sys_choice")
    if not config.priority_map:
        return Check(name, CheckStatus.OK, "priority_map is empty: ServiceNow's own scale counts, 1 is critical")
    if odd := absent(found, config):
        advice = f"the instance has {', '.join(found)}: correct oncall.servicenow.priority_map"
        return Check(name, CheckStatus.WARNING, f"priority_map names {', '.join(odd)}, which does not exist", advice)
    if missing := unmapped(found, config):
        advice = "name them too; `versus servicenow priorities` prints a priority_map with all"
        return Check(name, CheckStatus.WARNING, f"priority_map does not name {', '.join(missing)}", advice)
    return Check(name, CheckStatus.OK, f"priority_map names all {len(found)}")


async def _about_states(name: str, config: ServiceNowInstance, api: TableApi) -> AsyncIterator[Check]:
    """Nothing where nobody can tell which there are: the state that records are moved to has a check that says so."""
    try:
        missing = unnamed(await states(api, config.table), config)
    except (Transient, Permanent):
        return
    if missing:
        found = f"states does not name {', '.join(missing)}: events of tickets in such a state are refused"
        advice = "add their numbers to oncall.servicenow.states, to open or to closed"
        yield Check(name, CheckStatus.WARNING, found, advice)


async def _about_routing_field(name: str, config: ServiceNowInstance, api: TableApi) -> AsyncIterator[Check]:
    """Nothing where nobody can tell which columns there are: sys_dictionary has a check that says so."""
    try:
        known = [it.name for it in await routing_columns(api, config.table)] if config.routing_field else []
    except (Transient, Permanent):
        return
    if known and config.routing_field in known:
        yield Check(name, CheckStatus.OK, f"{config.table} has the column {config.routing_field}")
    elif known:
        found = f"{config.routing_field} is no column of {config.table} that can route: routing has no effect"
        yield Check(name, CheckStatus.WARNING, found, "choose one that `versus servicenow fields` lists")
