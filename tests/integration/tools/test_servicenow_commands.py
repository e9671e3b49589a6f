"""`versus servicenow priorities` and `fields`, asked of a simulated instance."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from tests.integration.conftest import PASSWORD
from versus_py.cli import app
from versus_py.simulators import Fault


@pytest.fixture
def run(servicenow_url, servicenow_infra_url, tmp_path):
    """The command with this configuration below oncall.servicenow, in a thread of its own."""

    async def command(*arguments: str, **settings: Any) -> Result:
        values = {
            "instance_url": servicenow_url,
            "username": "versus.integration",
            "password": PASSWORD,
            "other_instance_urls": {"infra": servicenow_infra_url},
            **settings,
        }
        file = Path(tmp_path) / "config.yaml"
        file.write_text(yaml.safe_dump({"oncall": {"servicenow": values}}))
        asked = ["servicenow", *arguments, "--config", str(file)]
        return await asyncio.to_thread(CliRunner().invoke, app, asked)

    return command


async def test_priorities_are_printed_as_a_mapping_that_the_configuration_takes(run):
    result = await run("priorities")

    assert result.exit_code == 0
    found = yaml.safe_load(result.stdout)
    assert found == {"priority_map": {"1": "critical", "2": "error", "3": "warning", "4": "notice", "5": "info"}}
    assert "# 1 - Critical" in result.stdout
    assert (await run("priorities", **found)).stdout == result.stdout


async def test_what_is_configured_stays_in_the_mapping(run):
    priority_map = {"2": "critical", "3": {"severity": "notice", "wait": "10m", "oncall": False}, "9": "info"}

    result = await run("priorities", priority_map=priority_map)

    found = yaml.safe_load(result.stdout)["priority_map"]
    assert found["2"] == "critical"
    assert found["3"] == {"severity": "notice", "wait": "10m", "oncall": False}
    assert "9" not in found
    assert "priority_map names 9, which the instance does not have" in " ".join(result.stderr.split())


async def test_labels_end_no_comment_and_command_no_terminal(run, servicenow):
    for row in servicenow.tables["sys_choice"]:
        if row["element"] == "priority":
            row["label"] = "x\n  evil: 1\x1b[2J"

    result = await run("priorities")

    assert "evil" not in yaml.safe_load(result.stdout)
    assert "\x1b" not in result.stdout


async def test_inactive_priorities_and_rows_of_other_elements_are_left_out(run, servicenow, monkeypatch):
    for row in servicenow.tables["sys_choice"]:
        if (row["element"], row["value"]) == ("priority", "5"):
            row["inactive"] = "true"

    result = await run("priorities")

    assert [*yaml.safe_load(result.stdout)["priority_map"]] == ["1", "2", "3", "4"]


async def test_fields_lists_what_can_route_with_type_and_label(run):
    result = await run("fields")

    assert result.exit_code == 0
    rows = dict(line.split("\t", 1) for line in result.stdout.splitlines())
    assert rows["assignment_group"].startswith("reference of sys_user_group\t")
    assert {"business_service", "service_offering", "category"} <= rows.keys()
    assert not {"sys_id", "number", "work_notes", "opened_at", "description"} & rows.keys()


async def test_a_routing_field_that_is_none_of_them_is_warned_about(run):
    result = await run("fields", routing_field="u_shop")

    assert "routing_field is u_shop, which is none of these" in " ".join(result.stderr.split())


async def test_another_instance_is_asked_by_its_name(run, servicenow, servicenow_infra):
    result = await run("priorities", "--instance", "infra")

    assert result.exit_code == 0
    assert servicenow.calls == []
    assert servicenow_infra.calls != []


async def test_an_instance_that_is_not_configured_is_refused_with_those_that_are(run):
    result = await run("fields", "--instance", "nowhere")

    assert result.exit_code == 2
    assert "infra" in result.stderr


@pytest.mark.parametrize("command", ["priorities", "fields"])
@pytest.mark.parametrize("trouble", ["closed", "hidden", "password", "down"])
async def test_what_cannot_be_read_is_said_without_a_secret(run, servicenow, command, trouble):
    table = {"priorities": "sys_choice", "fields": "sys_dictionary"}[command]
    settings = {"password": "wrong-secret"} if trouble == "password" else {}
    if trouble == "closed":
        servicenow.closed_tables = {table}
    if trouble == "hidden":
        servicenow.hides = lambda _: True
    if trouble == "down":
        servicenow.faults.order(Fault(kind="down", times=None))

    result = await run(command, **settings)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "wrong-secret" not in result.stderr
    assert PASSWORD not in result.stderr
