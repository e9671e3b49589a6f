"""ServiceNow: whether the login is good, and the table takes what the configuration writes into it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import aiohttp

from versus_py.clock import Clock
from versus_py.config import ServiceNowInstance
from versus_py.errors import ConfigError, Permanent, Transient
from versus_py.incidents.model import Alert, AlertStatus, Incident, Notification
from versus_py.incidents.policies import Policy
from versus_py.incidents.transitions import trigger
from versus_py.targets.check import Check, CheckStatus
from versus_py.targets.servicenow.fields import RESOLVE_DEFAULTS, References, Rendered
from versus_py.targets.servicenow.instance import Instance
from versus_py.targets.servicenow.record import NEEDED_BY_LIFECYCLE, identity
from versus_py.targets.servicenow.right_checks import examine_rights
from versus_py.targets.servicenow.table_api import Row, TableApi, value_of

STATE_CANCELED = "8"
CHOICES_MAX = 500

_OF_AN_INCIDENT = ("state", "work_notes", "close_code", "close_notes")


async def examine(
    config: ServiceNowInstance,
    name: str,
    *,
    clock: Clock,
    session: aiohttp.ClientSession,
    service: str,
    create_test_record: bool,
    of_steps: Sequence[Mapping[str, str]] = (),
) -> AsyncIterator[Check]:
    """Everything about one instance, called *name*, and the fields *of_steps* of policies that are written there.

    With *create_test_record*, a record is created and canceled.
    """
    try:
        instance = Instance(config, service=service, clock=clock, session=session)
        wanted = _columns(config, of_steps)
        rows = await instance.api.search(config.table, "ORDERBYDESCsys_created_on", wanted, limit=1)
    except ConfigError as exc:
        yield Check(name, CheckStatus.FAILED, str(exc), "check the file")
        return
    except (Transient, Permanent) as exc:
        yield Check(name, CheckStatus.FAILED, str(exc), "correct this first: without it no record is created")
        return
    yield Check(name, CheckStatus.OK, f"{config.instance_url}: logged in by {config.auth.type}, {config.table} is read")
    for check in instance.clock.checks(f"{name} clock"):
        yield check
    yield _about_fields(f"{name} fields", config)
    columns = await _look_at_columns(config, instance.api, rows, of_steps)
    yield _about_columns(f"{name} columns", config, columns)
    if config.lifecycle == "incident" and not columns.lacks:
        for element, wanted in _choices(config):
            yield await _about_choices(f"{name} {element}", config, instance.api, element, wanted)
        yield await _about_journal(f"{name} work notes", instance.api)
    yield await _about_references(f"{name} references", config, instance.api, clock, of_steps)
    if config.is_two_way:
        async for check in examine_rights(name, config, instance.api):
            yield check
    if create_test_record:
        yield await _about_a_record(f"{name} test record", config, instance, clock)


def _columns(config: ServiceNowInstance, of_steps: Sequence[Mapping[str, str]]) -> list[str]:
    """Every column that is read or written."""
    of_life = _OF_AN_INCIDENT if config.lifecycle == "incident" else ()
    own = (*config.fields, *config.update_fields, *config.resolve_fields, *(it for step in of_steps for it in step))
    needed = identity(config.key_field)
    always = needed if config.lifecycle == "incident" else [name for name in needed if name not in {"number", "state"}]
    return list(dict.fromkeys((*always, "short_description", *of_life, *own)))


def _about_fields(name: str, config: ServiceNowInstance) -> Check:
    """Whether people can tell from a record what has happened."""
    if config.fields:
        return Check(name, CheckStatus.OK, f"records are created with {', '.join(config.fields)}")
    found = 'none are configured: records say only "Incident <id>", without a description, a link or a priority'
    advice = "set oncall.servicenow.fields and severities, such as those of config/config.yaml"
    return Check(name, CheckStatus.WARNING, found, advice)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which of the columns that are used are not there, or cannot be written."""

    is_known: bool
    wanted: Sequence[str] = ()
    missing: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()  # of those that are missing, what a lifecycle needs


async def _look_at_columns(
    config: ServiceNowInstance, api: TableApi, rows: Sequence[Row], of_steps: Sequence[Mapping[str, str]]
) -> _Columns:
    """By the dictionary, and by what a record has, as far as the user may read them."""
    wanted = _columns(config, of_steps)
    query = f"nameIN{config.table},task^elementIN{','.join(wanted)}^active=true"
    try:
        entries = await api.search("sys_dictionary", query, ("name", "element", "read_only"), limit=CHOICES_MAX)
    except (Transient, Permanent):
        entries = []
    # Whether a table of one's own is a kind of task, and has its columns, the dictionary alone does not tell.
    parents = set() if config.table.startswith(("u_", "x_")) else {"task"}
    of_table = [row for row in entries if value_of(row.get("name")) in {config.table, *parents}]
    known = {column for row in rows for column in row} or {value_of(row.get("element")) for row in of_table}
    if not known:
        return _Columns(is_known=False)
    written = {config.key_field, *config.fields, *config.update_fields, *config.resolve_fields}.union(*of_steps)
    fixed = {value_of(row.get("element")) for row in of_table if value_of(row.get("read_only")) == "true"}
    missing = tuple(column for column in wanted if column not in known)
    is_plain = config.lifecycle == "plain"
    return _Columns(
        is_known=True,
        wanted=wanted,
        missing=missing,
        read_only=tuple(sorted(fixed & written)),
        lacks=() if is_plain else tuple(name for name in NEEDED_BY_LIFECYCLE if name in missing),
    )


def _about_columns(name: str, config: ServiceNowInstance, columns: _Columns) -> Check:
    if not columns.is_known:
        advice = "let the user read sys_dictionary, or try --create-test-record"
        return Check(name, CheckStatus.WARNING, "nobody can tell which columns there are", advice)
    if config.key_field in (*columns.missing, *columns.read_only):
        found = f"{config.table} has no {config.key_field} that can be written: records are not found again"
        advice = "set oncall.servicenow.key_field to a column that the user may write"
        return Check(name, CheckStatus.FAILED, found, advice)
    missing = [it for it in columns.missing if not (columns.lacks and it in _OF_AN_INCIDENT)]
    if missing:
        advice = "ServiceNow ignores what is written there: correct the columns"
        return Check(name, CheckStatus.FAILED, f"{config.table} has no {', '.join(missing)}", advice)
    if columns.lacks:
        found = f"{config.table} has no {' and no '.join(columns.lacks)}: it is treated as lifecycle plain"
        advice = "set lifecycle: plain, and in resolve_fields what is to be written at the end"
        return Check(name, CheckStatus.WARNING, found, advice)
    if columns.read_only:
        advice = "leave them out: what is written there is ignored"
        return Check(name, CheckStatus.WARNING, f"read-only: {', '.join(columns.read_only)}", advice)
    return Check(name, CheckStatus.OK, f"all {len(columns.wanted)} that are used exist")


def _choices(config: ServiceNowInstance) -> Iterator[tuple[str, list[str]]]:
    """Columns with choices, and the values that the configuration writes there as they are."""
    states = config.states
    yield "state", [states.new, states.acknowledged, *states.open, states.resolved]
    close_code = config.resolve_fields.get("close_code", RESOLVE_DEFAULTS["close_code"])
    if config.on_resolve == "resolve" and _is_constant(close_code):
        yield "close_code", [close_code]


async def _about_choices(
    name: str, config: ServiceNowInstance, api: TableApi, element: str, wanted: Sequence[str]
) -> Check:
    query = f"nameIN{config.table},task^element={element}^inactive=false"
    try:
        rows = await api.search("sys_choice", query, ("element", "value"), limit=CHOICES_MAX)
    except (Transient, Permanent):
        rows = []
    known = list(dict.fromkeys(value_of(row.get("value")) for row in rows if value_of(row.get("element")) == element))
    if not known:
        advice = "let the user read sys_choice (role personalize_choices), or try --create-test-record"
        return Check(name, CheckStatus.WARNING, "nobody can tell which values there are", advice)
    missing = [value for value in wanted if value not in known]
    if missing:
        setting = "resolve_fields.close_code" if element == "close_code" else "states"
        advice = f"set oncall.servicenow.{setting} to what there is: {', '.join(known)}"
        return Check(name, CheckStatus.FAILED, f"not a choice: {', '.join(missing)}", advice)
    return Check(name, CheckStatus.OK, f"known: {', '.join(wanted)}")


async def _about_journal(name: str, api: TableApi) -> Check:
    try:
        await api.search("sys_journal_field", "element=work_notes", ("element_id",), limit=1)
    except (Transient, Permanent) as exc:
        advice = "let the user read sys_journal_field; else comments go unheard, and a note may come twice"
        return Check(name, CheckStatus.WARNING, f"cannot be read again: {exc}", advice)
    return Check(name, CheckStatus.OK, "can be read again")


async def _about_references(
    name: str, config: ServiceNowInstance, api: TableApi, clock: Clock, of_steps: Sequence[Mapping[str, str]]
) -> Check:
    """Whether names that stand in the configuration as they are name exactly one row."""
    named = {**config.fields, **config.update_fields, **config.resolve_fields}
    written = [{column: text for column, text in it.items() if _is_constant(text)} for it in (named, *of_steps)]
    rows = [*written, *config.severities.values()]
    constant = sorted({(column, text) for row in rows for column, text in row.items() if column in config.references})
    if not constant:
        return Check(name, CheckStatus.SKIPPED, "nothing to look up: users, groups and CIs all come from alerts")
    references = References(api, config.references, clock)
    try:
        found = [await references.resolve(Rendered({column: text})) for column, text in constant if text]
    except Transient as exc:
        return Check(name, CheckStatus.FAILED, str(exc), "try again later")
    if warnings := [warning for it in found for warning in it.warnings]:
        return Check(name, CheckStatus.FAILED, "; ".join(warnings), "correct the names, or write a sys_id")
    return Check(name, CheckStatus.OK, f"found: {', '.join(text for _, text in constant if text)}")


async def _about_a_record(name: str, config: ServiceNowInstance, instance: Instance, clock: Clock) -> Check:
    """Create a record as an escalation would, and cancel it."""
    try:
        written = await instance.create(_test_incident(clock.now_ms()), previous_record="", is_first=True)
    except (Transient, Permanent) as exc:
        return Check(name, CheckStatus.FAILED, f"was not created: {exc}", "correct this: escalations fail the same way")
    record = written.record
    shown, where = f"{record.number} was created", instance.page(record)
    if instance.is_plain:
        return Check(name, CheckStatus.WARNING, "; ".join((shown, *written.warnings)), f"delete it by hand: {where}")
    note = "Created and canceled by `versus doctor`."
    end = {"state": STATE_CANCELED, "close_code": RESOLVE_DEFAULTS["close_code"], "close_notes": note}
    try:
        state = value_of((await instance.api.update(config.table, record.sys_id, end)).get("state"))
        problem = "" if state == STATE_CANCELED else f": its state is {state}"
    except (Transient, Permanent) as exc:
        state, problem = "", f": {exc}"
    if state != STATE_CANCELED:
        return Check(name, CheckStatus.WARNING, f"{shown}, but not canceled{problem}", f"cancel it by hand: {where}")
    if written.warnings:
        found = f"{shown} and canceled, but: {'; '.join(written.warnings)}"
        return Check(name, CheckStatus.FAILED, found, "correct the fields")
    return Check(name, CheckStatus.OK, f"{shown} with all its fields, and canceled")


def _test_incident(now_ms: int) -> Incident:
    title = "Test of versus doctor: nothing has happened"
    alert = Alert(
        fingerprint="versus-doctor",
        status=AlertStatus.FIRING,
        labels={"alertname": "VersusDoctor", "severity": "info"},
        annotations={"summary": title},
        starts_at_ms=now_ms,
    )
    notification = Notification(source="doctor", title=title, severity="info", alerts=(alert,))
    return trigger(notification, Policy(), dedup_key=f"doctor {uuid4()}", now_ms=now_ms).incident


def _is_constant(template: str) -> bool:
    return "{{" not in template and "{%" not in template
