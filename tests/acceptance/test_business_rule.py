"""The script of the business rule in a real JavaScript engine, with stand-ins for what ServiceNow gives it."""

import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import find_program
from tests.support.tickets import BETH, GROUP, MAIN, RAW, SYS_ID, TOKEN, feed_of, ticket_config
from versus_py.incidents.sides import Standing, Ticket
from versus_py.targets.servicenow.business_rule import business_rule

ROUTED = {"routing_field": "assignment_group", "routing": {"Leads": "leads"}}

STAND_INS = """
// Java's strings are objects to a script.
function java(value) { return value === null || value === undefined ? value : new String(value); }

function element(value, shown, fields) {
    var it = {toString: function () { return value === null ? '' : value; }};
    it.getDisplayValue = function () { return java(shown); };
    for (var name in fields) { it[name] = element(fields[name], fields[name], {}); }
    return it;
}

function glideRecord(record) {
    var it = {
        getValue: function (name) { return record.values[name] === undefined ? null : java(record.values[name]); },
        isValidField: function (name) { return record.values[name] !== undefined; },
        operation: function () {
            if (record.fails) { throw new Error('no operation'); }
            return java(record.operation);
        }
    };
    for (var name in record.values) {
        it[name] = element(record.values[name], record.display[name] || record.values[name], record.walked[name] || {});
    }
    return it;
}

function played(script, record) {
    var sent = [], errors = [], pauses = [], statuses = (record.statuses || []).slice();
    var gs = {
        getProperty: function (name) { return java(record.properties[name]); },
        error: function (text) { errors.push(String(text)); },
        sleep: function (ms) { pauses.push(ms); }
    };
    function GlideRecord(table) {
        this.get = function (column, value) {
            if (record.fails) { throw new Error('no table'); }
            this.user = table === 'sys_user' && column === 'user_name' ? record.users[value] : undefined;
            return this.user !== undefined;
        };
        this.getValue = function (name) { return java(this.user[name]); };
    }
    function RESTMessageV2() {
        var request = {headers: {}};
        this.setEndpoint = function (it) { request.endpoint = String(it); };
        this.setHttpMethod = function (it) { request.method = String(it); };
        this.setRequestHeader = function (name, it) { request.headers[name] = String(it); };
        this.setHttpTimeout = function (it) { request.timeout = it; };
        this.setRequestBody = function (it) { request.body = String(it); };
        this.execute = function () {
            sent.push(request);
            if (record.raises) { throw new Error(record.raises); }
            var status = statuses.length ? statuses.shift() : record.status;
            return {
                getStatusCode: function () { return status; },
                getBody: function () { return java(record.answer); },
                getErrorMessage: function () { return null; }
            };
        };
    }
    var run = new Function('current', 'previous', 'gs', 'sn_ws', 'GlideRecord', script);
    run(glideRecord(record), null, gs, {RESTMessageV2: RESTMessageV2}, GlideRecord);
    return {sent: sent, errors: errors, pauses: pauses};
}
"""

VALUES = {name: it for name, it in RAW.items() if name not in {"sys_meta", "server_url"}} | {
    "assigned_to": BETH,
    "close_notes": None,
    "description": 'It\'s "full"\n\\ ${password} </script> \u2028 Größe 100 %',
}
USERS = {"beth.anglin": {"email": "beth@example.com", "name": "Beth Anglin"}}


def record(**changes: Any) -> dict[str, Any]:
    return {
        "values": VALUES,
        "display": {"assignment_group": "Leads", "assigned_to": "Beth Anglin", "priority": "2 - High"},
        "walked": {"assigned_to": {"email": "beth@example.com", "user_name": "beth.anglin", "name": "Beth Anglin"}},
        "users": USERS,
        "properties": {"versus.token": TOKEN},
        "operation": "update",
        "status": 201,
        "answer": "{}",
        **changes,
    }


def run(tmp_path, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """What each of *records* has the script send and log: in Chromium, or where only Node.js is installed, in that."""
    values = json.dumps({"script": business_rule(ticket_config(**ROUTED)), "records": records}).replace("</", "<\\/")
    code = (
        f"{STAND_INS}\nvar given = {values};\n"
        "var found = given.records.map(function (it) { return played(given.script, it); });\n"
        "var shown = btoa(unescape(encodeURIComponent(JSON.stringify(found))));\n"
    )
    node = shutil.which("node")
    text = _in_node(node, code) if node and not shutil.which("chromium") else _in_chromium(tmp_path, code)
    return json.loads(b64decode(text))  # type: ignore[no-any-return]


def _in_node(node: str, code: str) -> str:
    command = [node, "-"]
    code = f"{code}process.stdout.write(shown);"
    return subprocess.run(command, input=code, capture_output=True, text=True, timeout=60, check=True).stdout


def _in_chromium(folder: Path, code: str) -> str:
    page = folder / "page.html"
    page.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><pre id=out></pre><script>{code}"
        "document.getElementById('out').textContent = shown;</script>",
        encoding="utf-8",
    )
    command = [find_program("chromium", "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return shown.partition('<pre id="out">')[2].partition("</pre>")[0]


def read(played: dict[str, Any]) -> Ticket:
    [request] = played["sent"]
    return feed_of(ticket_config(**ROUTED)).read(MAIN, request["body"].encode())


def test_what_it_sends_is_read_as_it_is_in_servicenow(tmp_path):
    empty = {**VALUES, "assigned_to": None, "assignment_group": None, "sys_updated_by": "gone"}
    full, bare, failing = run(
        tmp_path,
        record(),
        record(values=empty, walked={}, display={}, users={}, operation="insert"),
        record(fails=True),
    )

    [request] = full["sent"]
    assert (request["endpoint"], request["method"]) == ("https://versus.example/api/servicenow/events", "POST")
    assert request["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert request["headers"]["Content-Type"] == "application/json"
    assert request["timeout"] == 10_000
    assert "${" not in request["body"]
    ticket = read(full)
    assert (ticket.number, ticket.reference["sys_id"]) == ("INC0012345", SYS_ID)
    assert ticket.description == VALUES["description"]
    assert ticket.report.side.standing is Standing.IN_PROGRESS
    assert (ticket.report.by, ticket.report.email) == ("Beth Anglin", "beth@example.com")
    assert (ticket.report.assignee, ticket.report.group, ticket.report.side.group) == ("Beth Anglin", "Leads", GROUP)
    assert ticket.report.routed == "to policy leads"
    assert json.loads(request["body"])["versus"]["operation"] == "update"
    assert full["errors"] == []

    ticket = read(bare)
    assert (ticket.report.by, ticket.report.email, ticket.report.user) == ("gone", "", "gone")
    assert (ticket.report.assignee, ticket.report.group, ticket.report.side.assignee) == ("", "", "")
    assert bare["errors"] == []

    assert read(failing).report.assignee == "Beth Anglin"
    assert failing["errors"] == []


def test_what_goes_wrong_is_logged_with_the_number_and_without_the_token(tmp_path):
    refused, unreachable, raising, without = run(
        tmp_path,
        record(status=400, answer='{"error": "INC0012345 is in progress"}'),
        record(status=0, answer=None),
        record(raises=f"Bad header: Bearer {TOKEN} {'x' * 5000}"),
        record(properties={}),
    )

    assert refused["errors"] == [
        'versus_py: INC0012345 was not taken: status 400 {"error": "INC0012345 is in progress"}'
    ]
    assert unreachable["errors"] == ["versus_py: INC0012345 was not taken: status 0 "]
    [error] = raising["errors"]
    assert "Bearer [token]" in error
    assert len(error) < 600
    assert without["sent"] == []
    assert without["errors"] == ["versus_py: the system property versus.token is empty: nothing is sent"]
    assert all(TOKEN not in error for it in (refused, unreachable, raising) for error in it["errors"])


def test_what_may_pass_is_sent_again_after_a_pause_and_what_is_refused_is_not(tmp_path):
    restarted, refused, gone = run(
        tmp_path, record(statuses=[502, 0]), record(status=400, answer="no"), record(status=503, answer="full")
    )

    assert (len(restarted["sent"]), restarted["pauses"], restarted["errors"]) == (3, [2000, 2000], [])
    assert len({it["body"] for it in restarted["sent"]}) == 1
    assert (len(refused["sent"]), len(refused["errors"])) == (1, 1)
    assert (len(gone["sent"]), len(gone["errors"])) == (3, 1)


@pytest.mark.parametrize("missing", ["close_notes", "assigned_to", "assignment_group"])
def test_a_table_without_a_column_is_sent_without_it(tmp_path, missing):
    values = {name: it for name, it in VALUES.items() if name != missing}

    [played] = run(tmp_path, record(values=values))

    assert missing not in json.loads(played["sent"][0]["body"])
    assert played["errors"] == []
    assert read(played).number == "INC0012345"
