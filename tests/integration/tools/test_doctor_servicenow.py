"""The doctor at a ServiceNow instance: what it finds wrong before an escalation does."""

from typing import Any

import pytest

from tests.integration.conftest import PASSWORD
from versus_py.config import ServiceNowInstance
from versus_py.simulators import Fault
from versus_py.systems import model
from versus_py.targets.check import CheckStatus
from versus_py.targets.servicenow import checks as servicenow
from versus_py.targets.servicenow import route_checks
from versus_py.targets.servicenow.system import SERVICENOW
from versus_py.targets.system import Examined

OK, WARNING, FAILED, SKIPPED = CheckStatus


@pytest.fixture
def examine(servicenow_url, clock, session):
    """The checks of an instance with these settings, by name."""

    async def run(*, create_test_record: bool = False, **settings):
        config = ServiceNowInstance.model_validate(
            {"instance_url": servicenow_url, "username": "versus.integration", "password": PASSWORD} | settings
        )
        checks = servicenow.examine(
            config, "SN", clock=clock, session=session, service="versus", create_test_record=create_test_record
        )
        return {check.name.removeprefix("SN").strip() or "login": check async for check in checks}

    return run


def statuses(checks):
    return {name: check.status for name, check in checks.items()}


async def test_an_instance_in_order_is_in_order_and_nothing_is_created(examine, servicenow):
    fields = {"short_description": "{{ incident.title }}", "caller_id": "ana@example.com", "impact": 1}

    checks = await examine(fields=fields)

    assert statuses(checks) == dict.fromkeys(
        ["login", "fields", "columns", "state", "close_code", "work notes", "references"], OK
    )
    assert "basic" in checks["login"].found
    assert servicenow.incidents == []
    assert {call.split()[0] for call in servicenow.calls} == {"GET"}


@pytest.mark.parametrize(
    ("settings", "name", "status", "found", "advice"),
    [
        ({"password": "wrong"}, "login", FAILED, "401", "no record is created"),
        ({"table": "no_such"}, "login", FAILED, "Invalid table no_such", "no record is created"),
        ({}, "fields", WARNING, "without a description, a link or a priority", "config/config.yaml"),
        ({"fields": {"shrot_description": "x"}}, "columns", FAILED, "has no shrot_description", "correct the columns"),
        ({"fields": {"priority": "1"}}, "columns", WARNING, "read-only: priority", "leave them out"),
        ({"resolve_fields": {"close_code": "Done"}}, "close_code", FAILED, "not a choice: Done", "Solution provided"),
        ({"states": {"acknowledged": "20"}}, "state", FAILED, "not a choice: 20", "oncall.servicenow.states"),
        ({"fields": {"caller_id": "ben@example.com"}}, "references", FAILED, "2 rows of sys_user", "correct the names"),
        ({"fields": {"assignment_group": "{{ labels.x }}"}}, "references", SKIPPED, "nothing to look up", ""),
        (
            {"severities": {"critical": {"assignment_group": "Nobody"}, "default": {"assignment_group": "Network"}}},
            "references",
            FAILED,
            "assignment_group 'Nobody': no row of sys_user_group",
            "correct the names",
        ),
        ({"auth": {"type": "api_key", "api_key": "wrong-key"}}, "login", FAILED, "401", "no record is created"),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(examine, settings, name, status, found, advice):
    check = (await examine(**settings))[name]

    assert check.status is status
    assert found in check.found
    assert advice in check.advice
    assert "wrong-key" not in check.found


@pytest.mark.parametrize("kind", ["down", "html200", "503", "429", "truncated"])
async def test_an_instance_that_does_not_answer_is_one_failed_check(examine, servicenow, kind):
    servicenow.faults.order(Fault(kind=kind, times=None))

    assert statuses(await examine()) == {"login": FAILED}


@pytest.mark.parametrize(
    ("table", "name"),
    [("sys_choice", "close_code"), ("sys_choice", "state"), ("sys_journal_field", "work notes")],
)
async def test_what_the_user_may_not_look_up_is_a_warning(examine, servicenow, table, name):
    servicenow.closed_tables.add(table)

    check = (await examine())[name]

    assert check.status is WARNING
    assert "let the user read" in check.advice


async def test_without_the_dictionary_the_columns_of_a_record_tell(examine, servicenow):
    servicenow.closed_tables.add("sys_dictionary")
    nothing = (await examine())["columns"]
    await examine(create_test_record=True)

    record = (await examine(fields={"u_missing": "x"}))["columns"]

    assert (nothing.status, record.status) == (WARNING, FAILED)
    assert "u_missing" in record.found


async def test_a_test_record_is_created_with_the_fields_and_canceled(examine, servicenow):
    check = (await examine(create_test_record=True, fields={"description": "{{ incident.title }}"}))["test record"]

    [record] = servicenow.incidents
    assert check.status is OK
    assert record["number"] in check.found
    assert record["state"] == "8"
    assert "nothing has happened" in record["description"]


@pytest.mark.parametrize(
    ("switch", "status", "found"),
    [
        ({"read_only_user": True}, FAILED, "was not created"),
        ({"requires_caller": True}, FAILED, "caller_id"),
        ({"abort_rule": "No weekends"}, FAILED, "aborted by Business Rule"),
    ],
)
async def test_a_test_record_that_is_refused_says_why(examine, servicenow, switch, status, found):
    vars(servicenow).update(switch)

    check = (await examine(create_test_record=True))["test record"]

    assert check.status is status
    assert found in check.found


async def test_a_test_record_that_cannot_be_canceled_is_named(examine, servicenow):
    servicenow.faults.order(Fault(kind="503", method="PATCH"))

    check = (await examine(create_test_record=True))["test record"]

    assert check.status is WARNING
    assert "cancel it by hand: http" in check.advice


async def test_fields_that_were_left_out_fail_the_test_record(examine):
    checks = await examine(create_test_record=True, fields={"caller_id": "{{ 'nobody' }}@example.com"})

    assert checks["test record"].status is FAILED
    assert "no row of sys_user" in checks["test record"].found


async def test_a_plain_table_has_no_choices_and_its_test_record_is_left_to_delete(examine):
    checks = await examine(create_test_record=True, table="u_versus_alert", lifecycle="plain")

    expected = {"login": OK, "fields": WARNING, "columns": WARNING, "references": SKIPPED, "test record": WARNING}
    assert statuses(checks) == expected
    assert "delete it by hand" in checks["test record"].advice
    assert statuses(await examine(table="u_versus_alert", lifecycle="plain"))["columns"] is OK
    checks = await examine(table="u_versus_alert")
    columns = checks["columns"]
    said = "u_versus_alert has no state and no close_code: it is treated as lifecycle plain"
    assert (columns.status, columns.found) == (WARNING, said)
    assert "set lifecycle: plain" in columns.advice
    assert not {"state", "close_code", "work notes"} & checks.keys()


async def test_a_certificate_that_is_none_is_told(examine, tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")

    checks = await examine(ca_file=tmp_path / "ca.pem")

    assert statuses(checks) == {"login": FAILED}


@pytest.mark.parametrize(
    ("absent", "settings", "status", "found"),
    [
        ({"correlation_id"}, {}, FAILED, "incident has no correlation_id that can be written"),
        ({"correlation_id"}, {"key_field": "short_description"}, OK, "that are used exist"),
        (set(), {"key_field": "priority"}, FAILED, "incident has no priority that can be written"),
        ({"close_code"}, {}, WARNING, "incident has no close_code: it is treated as lifecycle plain"),
        ({"close_code"}, {"fields": {"u_x": "x"}}, FAILED, "incident has no u_x"),
    ],
)
async def test_columns_that_a_table_does_not_have_are_told(examine, servicenow, absent, settings, status, found):
    servicenow.absent_columns = absent

    columns = (await examine(**settings))["columns"]

    assert columns.status is status
    assert found in columns.found


async def test_a_test_record_of_a_table_without_a_lifecycle_says_how_it_is_treated(examine, servicenow):
    servicenow.absent_columns = {"close_code"}

    check = (await examine(create_test_record=True))["test record"]

    assert check.status is WARNING
    assert "treated as lifecycle plain" in check.found
    assert "delete it by hand" in check.advice


@pytest.fixture
def examine_steps(servicenow_url, clock, session):
    """The checks of a default instance and of `infra`, for a policy that has a step with these fields at a target."""

    async def run(target, **fields):
        instance = {"instance_url": servicenow_url, "username": "versus.integration", "password": PASSWORD}
        step = {"notify": [target], "fields": fields}
        config = model().model_validate(
            {
                "oncall": {
                    "enable": True,
                    "servicenow": instance | {"other_instance_urls": {"infra": {"instance_url": servicenow_url}}},
                },
                "policies": [{"name": "leads", "steps": [step]}],
            }
        )
        sections = SERVICENOW.examine(Examined(config=config, clock=clock, session=session))
        of_instances = [sections[name] for name in ("ServiceNow", "ServiceNow infra")]
        return {check.name: check for examination in of_instances async for check in examination()}

    return run


@pytest.mark.parametrize(
    ("target", "bad", "good"),
    [
        ("servicenow", "ServiceNow", "ServiceNow infra"),
        ("servicenow:infra", "ServiceNow infra", "ServiceNow"),
    ],
)
async def test_fields_of_steps_are_looked_at_where_they_are_written(examine_steps, target, bad, good):
    checks = await examine_steps(target, urgncy="1", assignment_group="Nobody")

    assert checks[f"{bad} columns"].found == "incident has no urgncy"
    assert "'Nobody': no row of sys_user_group" in checks[f"{bad} references"].found
    assert checks[f"{good} columns"].status is OK
    assert checks[f"{good} references"].status is SKIPPED


async def test_fields_of_steps_that_are_in_order_are_in_order(examine_steps):
    checks = await examine_steps("servicenow", urgency="1", assignment_group="Network", cmdb_ci="{{ labels.ci }}")

    assert checks["ServiceNow columns"].status is OK
    assert checks["ServiceNow references"].found == "found: Network"


async def test_a_step_that_writes_what_is_read_only_is_a_warning(examine_steps):
    checks = await examine_steps("servicenow", priority="1")

    assert (checks["ServiceNow columns"].status, checks["ServiceNow columns"].found) == (WARNING, "read-only: priority")


TWO_WAY = {"events": {"token": "a-token-of-the-business-rule-0123456789"}}
RIGHTS = ["sys_user", "sys_choice", "sys_dictionary", "sys_journal_field"]


async def test_where_tickets_come_in_the_rights_that_they_need_are_looked_at(examine, servicenow):
    servicenow.add_service("Shop")

    checks = await examine(routing_field="business_service", routing={"Shop": "leads"}, **TWO_WAY)

    assert {name: checks[name].status for name in (*RIGHTS, "cmdb_ci_service", "priorities")} == dict.fromkeys(
        (*RIGHTS, "cmdb_ci_service", "priorities"), OK
    )
    assert {call.split()[0] for call in servicenow.calls} == {"GET"}


async def test_without_tickets_no_further_right_is_asked_for(examine):
    checks = await examine()

    assert not {*RIGHTS, "sys_user_group", "priorities"} & checks.keys()


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        ("sys_user", {}),
        ("sys_choice", {}),
        ("sys_dictionary", {}),
        ("sys_journal_field", {}),
        ("sys_user_group", {"routing_field": "assignment_group"}),
        ("cmdb_ci_service", {"routing_field": "business_service", "routing": {"Shop": "leads"}}),
        ("service_offering", {"routing_field": "service_offering"}),
    ],
)
async def test_each_right_that_is_missing_is_named(examine, servicenow, table, settings):
    servicenow.closed_tables = {table}

    check = (await examine(**settings, **TWO_WAY))[table]

    assert check.status is WARNING
    assert "cannot be read" in check.found
    assert f"let the user read {table}" in check.advice


async def test_rows_that_are_all_hidden_are_a_missing_right(examine, servicenow):
    servicenow.hides = lambda row: "user_name" in row

    check = (await examine(**TWO_WAY))["sys_user"]

    assert (check.status, check.found) == (WARNING, "no row of it is shown to the user")


@pytest.mark.parametrize(
    ("mapped", "status", "found"),
    [
        (
            {"1": "critical"},
            WARNING,
            "priority_map does not name 2 (2 - High), 3 (3 - Moderate), 4 (4 - Low), 5 (5 - P",
        ),
        ({"1": "critical", "9": "info"}, WARNING, "priority_map names 9, which does not exist"),
        ({str(number): "info" for number in range(1, 6)}, OK, "priority_map names all 5"),
    ],
)
async def test_priorities_without_a_mapping_are_named(examine, mapped, status, found):
    check = (await examine(priority_map=mapped, **TWO_WAY))["priorities"]

    assert check.status is status
    assert found in check.found


async def test_states_that_the_configuration_does_not_name_are_named(examine):
    check = (await examine(states={"closed": ["7"]}, **TWO_WAY))["states"]

    assert check.status is WARNING
    assert check.found == "states does not name 8 (Canceled): events of tickets in such a state are refused"
    assert "states" not in await examine(**TWO_WAY)


@pytest.mark.parametrize(("column", "status"), [("assignment_group", OK), ("assigment_group", WARNING)])
async def test_a_routing_field_that_is_no_column_is_found(examine, column, status):
    check = (await examine(routing_field=column, **TWO_WAY))["routing_field"]

    assert check.status is status
    assert column in check.found


def by(column: str, *keys: str) -> dict[str, Any]:
    return {"routing_field": column, "routing": dict.fromkeys(keys, "leads"), **TWO_WAY}


@pytest.mark.parametrize(
    ("column", "keys", "found"),
    [
        ("assignment_group", ["network", "Database"], "sys_user_group has all 2 of its keys"),
        ("business_service", ["Mail"], "cmdb_ci_service has all 1 of its keys"),
        ("service_offering", ["payments in europe"], "service_offering has all 1 of its keys"),
    ],
)
async def test_keys_of_routing_that_exist_are_in_order_in_any_case(examine, column, keys, found):
    check = (await examine(**by(column, *keys)))["routing"]

    assert (check.status, check.found) == (OK, found)


async def test_a_key_of_routing_may_be_a_sys_id(examine, servicenow):
    [first, *_] = servicenow.tables["sys_user_group"]

    check = (await examine(**by("assignment_group", first["sys_id"], "0" * 32)))["routing"]

    assert (check.status, check.found) == (WARNING, f"sys_user_group has no {'0' * 32!r}")


@pytest.mark.parametrize(
    ("column", "key", "found"),
    [
        ("assignment_group", "Netwrok", "sys_user_group has no 'Netwrok' (did you mean 'Network'?)"),
        ("assignment_group", "Facilities", "sys_user_group has no 'Facilities'"),
        ("business_service", "Mails", "cmdb_ci_service has no 'Mails' (did you mean 'Mail'?)"),
    ],
)
async def test_a_misspelt_key_of_routing_is_named_with_the_closest_name(examine, column, key, found):
    check = (await examine(**by(column, key)))["routing"]

    assert (check.status, check.found) == (WARNING, found)
    assert column in check.advice


async def test_of_many_misspelt_keys_some_are_named(examine):
    check = (await examine(**by("assignment_group", *(f"x{number}" for number in range(12)))))["routing"]

    assert check.found.endswith("'x9' and 2 more")


async def test_without_the_right_to_read_groups_that_is_said_and_no_error(examine, servicenow):
    servicenow.closed_tables = {"sys_user_group"}
    refused = (await examine(**by("assignment_group", "Network")))["routing"]
    servicenow.closed_tables = set()
    servicenow.hides = lambda row: row.get("name") in {"Network", "Database"}
    hidden = (await examine(**by("assignment_group", "Network")))["routing"]

    assert (refused.status, refused.advice) == (SKIPPED, "let the user read sys_user_group")
    assert (hidden.status, hidden.advice) == (refused.status, refused.advice)


async def test_more_groups_than_are_looked_at_are_no_finding(examine, monkeypatch):
    monkeypatch.setattr(route_checks, "ROWS_MAX", 1)

    check = (await examine(**by("assignment_group", "Network")))["routing"]

    assert (check.status, check.advice) == (SKIPPED, "look these up in ServiceNow")


@pytest.mark.parametrize("settings", [by("category", "software"), {"routing_field": "assignment_group", **TWO_WAY}])
async def test_keys_that_name_no_row_of_a_table_are_not_looked_up(examine, settings):
    assert "routing" not in await examine(**settings)


async def test_priorities_that_cannot_be_read_are_not_guessed(examine, servicenow):
    servicenow.closed_tables = {"sys_choice"}

    assert (await examine(priority_map={"9": "info"}, **TWO_WAY))["priorities"].status is SKIPPED


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, OK),
        ({"auth": {"type": "api_key", "api_key": "key-of-the-api"}}, WARNING),
        (
            {
                "auth": {"type": "api_key", "api_key": "key-of-the-api"},
                "events": {**TWO_WAY["events"], "user": "versus.integration"},
            },
            OK,
        ),
    ],
)
async def test_an_own_user_that_nothing_tells_is_asked_for(examine, settings, status):
    check = (await examine(**{**TWO_WAY, **settings}))["user"]

    assert check.status is status
    assert ("events.user" in check.advice) == (status is WARNING)
