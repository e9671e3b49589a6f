"""Business rules of the simulated ServiceNow post records as those of an instance do, at their best and their worst."""

import json
from typing import Any

import pytest
from aiohttp import web

from tests.integration.conftest import PASSWORD
from tests.support.waiting import until
from versus_py.simulators import run_app
from versus_py.simulators.servicenow import BusinessRule, Passage, RecordOrder, Reply
from versus_py.simulators.servicenow.business_rules import GONE, JOURNAL_MAX, LOST

URL = "http://versus.invalid/api/servicenow/events"
AUTH = {"Authorization": "Basic dmVyc3VzLmludGVncmF0aW9uOnNlcnZpY2Vub3ctc2VjcmV0"}
BY_HAND = Passage(by_hand=True)


class Receiver:
    """Takes what is posted, and answers with *status*."""

    def __init__(self) -> None:
        self.status = 201
        self.received: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.received]

    @property
    def mod_counts(self) -> list[str]:
        return [body["sys_mod_count"] for body in self.bodies]

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((request.method, dict(request.headers), await request.json()))
        return web.Response(text="taken", status=self.status)

    async def post(self, _: str, body: bytes, headers: Any, __: float) -> Reply:
        """In place of the network."""
        self.received.append(("POST", dict(headers), json.loads(body)))
        return Reply(self.status, "taken")


@pytest.fixture
def receiver():
    return Receiver()


@pytest.fixture
def rules(servicenow, receiver):
    """By hand, without a network, with one rule."""
    servicenow.rules.post = receiver.post
    servicenow.rules.passage = BY_HAND
    servicenow.rules.add(BusinessRule(name="versus", url=URL))
    return servicenow.rules


@pytest.fixture
async def receiver_url(receiver):
    app = web.Application()
    app.router.add_route("*", "/events", receiver.take)
    async with run_app(app) as url:
        yield f"{url}/events"


@pytest.fixture
def table(servicenow_url):
    return f"{servicenow_url}/api/now/table/incident"


def create(servicenow, **fields: Any) -> str:
    return str(servicenow.act(RecordOrder(do="create", **{"short_description": "x"} | fields)))


async def test_writes_by_the_client_and_by_people_are_posted_as_servicenow_does(
    session, table, servicenow, receiver, receiver_url
):
    servicenow.properties["versus.token"] = "secret-1"
    servicenow.rules.add(BusinessRule(name="versus", url=receiver_url, token_property="versus.token"))

    async with session.post(table, json={"short_description": "Disk"}, headers=AUTH) as response:
        sys_id = (await response.json())["result"]["sys_id"]
    await until(lambda: len(receiver.received) == 1)
    async with session.patch(f"{table}/{sys_id}", json={"state": "2"}, headers=AUTH) as response:
        assert response.status == 200
    await until(lambda: len(receiver.received) == 2)
    servicenow.act(RecordOrder(record=sys_id, do="note", work_notes="On it", by="ben"))
    servicenow.comment(sys_id, "Me too", by="ana")

    await until(lambda: len(servicenow.rules.journal) == 4)
    method, headers, _ = receiver.received[0]
    assert (method, headers["User-Agent"], headers["Content-Type"]) == ("POST", "ServiceNow/1.0", "application/json")
    assert headers["Authorization"] == "Bearer secret-1"
    assert [it["sys_updated_by"] for it in receiver.bodies[:2]] == ["versus.integration", "versus.integration"]
    assert [it["versus"]["operation"] for it in receiver.bodies] == ["insert", "update", "update", "update"]
    assert receiver.bodies[-1]["sys_updated_by"] == "ana"


async def test_the_raw_shape_is_that_of_a_glide_record(servicenow, rules, receiver):
    rules.add(BusinessRule(name="versus", url=URL, shape="raw"))
    servicenow.properties["glide.servlet.uri"] = "https://dev12345.service-now.com/"
    create(servicenow, assigned_to="ana", work_notes="not to be seen")

    await rules.run_due()

    [body] = receiver.bodies
    [row] = servicenow.incidents
    assert body.keys() == row.keys() | {"sys_meta", "server_url"}
    assert (body["sys_meta"], body["server_url"]) == (None, "https://dev12345.service-now.com/")
    assert (body["active"], body["state"], body["incident_state"]) == ("1", "1", "1")
    assert body["assigned_to"] == row["assigned_to"]
    assert len(body["assigned_to"]) == 32
    assert (body["description"], body["close_code"], body["work_notes"]) == (None, None, None)
    assert (body["sys_mod_count"], body["sys_class_name"], body["sys_updated_by"]) == ("0", "incident", "ana")
    assert all(value is None or isinstance(value, str) for value in body.values())


async def test_a_closed_record_is_not_active_in_the_raw_shape(servicenow, rules, receiver):
    rules.add(BusinessRule(name="versus", url=URL, shape="raw", on=("update",)))
    servicenow.act(RecordOrder(record=create(servicenow), do="close"))

    await rules.run_due()

    assert [(it["state"], it["active"]) for it in receiver.bodies] == [("7", "0")]


async def test_the_scripts_shape_adds_names_and_people(servicenow, rules, receiver):
    create(servicenow, by="ben", assigned_to="ana", assignment_group="Network", business_service="Mail", state="2")

    await rules.run_due()

    [body] = receiver.bodies
    assert (body["assigned_to"], body["active"]) == (servicenow.incidents[0]["assigned_to"], "1")
    assert body["versus"] == {
        "version": 1,
        "instance": "dev12345",
        "operation": "insert",
        "display": {
            "state": "In Progress",
            "priority": "5 - Planning",
            "assigned_to": "Ana Diaz",
            "assignment_group": "Network",
            "caller_id": "",
            "cmdb_ci": "",
            "business_service": "Mail",
            "service_offering": "",
        },
        "assigned_to": {"email": "ana@example.com", "user_name": "ana", "name": "Ana Diaz"},
        "updated_by": {"email": "ben@example.com", "user_name": "ben", "name": "Ben Okafor"},
    }


async def test_nobody_is_null_in_the_scripts_shape(servicenow, rules, receiver):
    sys_id = create(servicenow)
    servicenow.comment(sys_id, "by a job", by="system")

    await rules.run_due()

    assert (receiver.bodies[-1]["versus"]["assigned_to"], receiver.bodies[-1]["versus"]["updated_by"]) == (None, None)


async def test_an_unset_uri_is_where_the_instance_is_reached(session, servicenow, servicenow_url, rules, receiver):
    rules.add(BusinessRule(name="versus", url=URL, shape="raw"))
    async with session.get(servicenow_url):
        create(servicenow)

    await rules.run_due()

    assert receiver.bodies[0]["server_url"] == f"{servicenow_url}/"


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ({"token": "one"}, "Bearer one"),
        ({"token_property": "versus.token"}, "Bearer by-property"),
        ({"token_property": "versus.tokn"}, "Bearer null"),
        ({}, None),
    ],
)
async def test_the_token_comes_from_the_rule_or_from_a_property(servicenow, rules, receiver, rule, sent):
    servicenow.properties["versus.token"] = "by-property"
    rules.add(BusinessRule(name="versus", url=URL, **rule))
    create(servicenow)

    await rules.run_due()

    assert receiver.received[0][1].get("Authorization") == sent


async def test_a_rule_is_for_its_table_and_its_operations(session, servicenow, servicenow_url, rules, receiver):
    rules.clear()
    rules.add(BusinessRule(name="inserts", url=URL, on=("insert",)))
    rules.add(BusinessRule(name="updates", url=URL, on=("update",)))
    rules.add(BusinessRule(name="custom", url=URL, table="u_versus_alert"))
    sys_id = create(servicenow)
    servicenow.act(RecordOrder(record=sys_id, do="start"))
    create(servicenow, table="u_versus_alert")

    lines = await rules.run_due()

    assert [(it.rule, it.operation) for it in lines] == [
        ("inserts", "insert"),
        ("updates", "update"),
        ("custom", "insert"),
    ]


async def test_what_a_policy_refuses_is_not_posted(session, table, servicenow, rules):
    sys_id = create(servicenow)
    await rules.run_due()

    async with session.patch(f"{table}/{sys_id}", json={"state": "6"}, headers=AUTH) as response:
        assert response.status == 403

    assert (rules.pending, len(rules.journal)) == (0, 1)


@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_whatever_is_answered_nothing_is_tried_again(servicenow, rules, receiver, status):
    receiver.status = status
    sys_id = create(servicenow)

    [line] = await rules.run_due()

    assert (line.status, line.answer, line.error, line.sys_id, line.mod_count) == (status, "taken", "", sys_id, 0)
    assert (len(receiver.received), rules.pending, list(rules.journal)) == (1, 0, [line])


async def test_a_receiver_that_is_away_is_a_line_of_the_journal_and_no_more(servicenow, servicenow_url):
    servicenow.rules.add(BusinessRule(name="versus", url="http://127.0.0.1:9/events"))

    create(servicenow)
    await until(lambda: bool(servicenow.rules.journal))

    [line] = servicenow.rules.journal
    assert (line.status, line.error.startswith("cannot be reached")) == (None, True)


async def test_a_post_that_is_late_has_the_record_as_it_is_then(servicenow, rules, receiver):
    sys_id = create(servicenow)
    servicenow.act(RecordOrder(record=sys_id, do="start"))
    servicenow.act(RecordOrder(record=sys_id, do="resolve"))

    lines = await rules.run_due()

    assert [it.mod_count for it in lines] == [2, 2, 2]
    assert {it["state"] for it in receiver.bodies} == {"6"}


async def test_without_coalescing_each_post_has_the_record_as_it_was(servicenow, rules, receiver):
    rules.passage = BY_HAND.model_copy(update={"coalesced": 0.0})
    sys_id = create(servicenow)
    servicenow.act(RecordOrder(record=sys_id, do="start"))
    servicenow.act(RecordOrder(record=sys_id, do="delete"))

    await rules.run_due()

    assert [(it["sys_mod_count"], it["state"]) for it in receiver.bodies] == [("0", "1"), ("1", "2")]


async def test_a_record_that_was_deleted_is_not_posted(servicenow, rules, receiver):
    servicenow.act(RecordOrder(record=create(servicenow), do="delete"))

    [line] = await rules.run_due()

    assert (line.error, line.body, receiver.received) == (GONE, {}, [])


async def test_a_delay_is_waited_for_by_the_clock_and_can_be_skipped(servicenow, rules, receiver, clock):
    rules.passage = BY_HAND.model_copy(update={"delay_s": (60, 120)})
    create(servicenow)

    clock.advance(seconds=59)
    assert await rules.run_due() == []
    clock.advance(seconds=62)
    assert len(await rules.run_due()) == 1
    create(servicenow)
    assert (rules.pending, len(await rules.run_due(now=True)), rules.pending) == (1, 1, 0)


async def test_a_delay_that_a_test_moves_over_is_noticed_without_a_call(servicenow, servicenow_url, rules, clock):
    rules.passage = Passage(delay_s=(60, 60))
    create(servicenow)

    clock.advance(seconds=61)

    await until(lambda: len(rules.journal) == 1)


async def play(servicenow, rules, receiver, **passage: Any) -> list[tuple[str, str]]:
    """What a hundred writes post: which record, and which of its updates, in the order of the posts."""
    rules.passage = Passage(by_hand=True, coalesced=0, **passage)
    for _ in range(20):
        sys_id = create(servicenow)
        for text in "1234":
            servicenow.act(RecordOrder(record=sys_id, do="note", work_notes=text))
    await rules.run_due(now=True)
    names = {row["sys_id"]: str(at) for at, row in enumerate(servicenow.incidents)}
    return [(names[it["sys_id"]], it["sys_mod_count"]) for it in receiver.bodies]


IN_ORDER = [(str(record), str(count)) for record in range(20) for count in range(5)]


async def test_a_random_delay_keeps_the_order(servicenow, rules, receiver):
    assert await play(servicenow, rules, receiver, delay_s=(0, 30)) == IN_ORDER


@pytest.mark.parametrize("delay_s", [(0, 0), (0, 30)])
async def test_what_is_reordered_overtakes(servicenow, rules, receiver, delay_s):
    found = await play(servicenow, rules, receiver, delay_s=delay_s, reordered=0.5)

    assert found != IN_ORDER
    assert sorted(found) == sorted(IN_ORDER)


async def test_a_share_is_lost_and_the_journal_says_so(servicenow, rules, receiver):
    found = await play(servicenow, rules, receiver, lost=0.2)

    lost = [it for it in rules.journal if it.error == LOST]
    assert 10 <= len(lost) <= 30
    assert len(found) + len(lost) == 100
    assert found == [it for it in IN_ORDER if it in set(found)]


async def test_a_share_is_doubled(servicenow, rules, receiver):
    found = await play(servicenow, rules, receiver, doubled=0.2)

    assert 110 <= len(found) <= 130
    assert set(found) == set(IN_ORDER)


async def test_the_same_seed_has_the_same_effects(servicenow, servicenow_infra, rules, receiver):
    chances: dict[str, Any] = {"delay_s": (0, 9), "reordered": 0.5, "lost": 0.2, "doubled": 0.2}
    first = await play(servicenow, rules, receiver, seed=4, **chances)
    servicenow.reset()
    receiver.received.clear()
    again = await play(servicenow, rules, receiver, seed=4, **chances)
    servicenow.reset()
    receiver.received.clear()
    other = await play(servicenow, rules, receiver, seed=5, **chances)

    assert first == again
    assert first != other


async def test_a_passage_that_is_switched_drops_nothing_that_waits(servicenow, rules, receiver):
    create(servicenow)

    rules.passage = BY_HAND.model_copy(update={"lost": 1.0})
    create(servicenow)
    await rules.run_due()

    assert [it.error for it in rules.journal] == ["", LOST]


async def test_a_reset_keeps_rules_and_properties_and_drops_what_waits(servicenow, rules):
    servicenow.properties["versus.token"] = "t"
    create(servicenow)
    await rules.run_due()
    create(servicenow)

    servicenow.reset()

    assert (rules.pending, list(rules.journal), [it.name for it in rules.rules]) == (0, [], ["versus"])
    assert servicenow.properties["versus.token"] == "t"


async def test_the_journal_is_bounded(rules):
    assert rules.journal.maxlen == JOURNAL_MAX


async def test_several_workers_post_at_once(session, servicenow, servicenow_url, receiver):
    servicenow.rules.passage = Passage(workers=3)
    servicenow.rules.add(BusinessRule(name="versus", url=URL))
    waits = []

    async def post(*_: Any) -> Reply:
        waits.append(1)
        await until(lambda: len(waits) == 3)
        return Reply(201)

    servicenow.rules.post = post
    for _ in range(3):
        create(servicenow)

    await until(lambda: servicenow.rules.pending == 0)
    assert len(servicenow.rules.journal) == 3


@pytest.fixture
def ask(session, servicenow_url):
    async def asked(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with session.request(method, f"{servicenow_url}/control/{path}", json=body) as response:
            return response.status, await response.json() if response.content_type == "application/json" else None

    return asked


async def test_another_process_switches_rules_on_and_off(ask, servicenow, receiver, receiver_url):
    rule: dict[str, Any] = {"name": "versus", "url": receiver_url, "shape": "raw", "on": ["insert"]}
    rule["token"] = "secret-1"
    assert (await ask("POST", "rules", rule))[0] == 201
    assert (await ask("POST", "rules/passage", {"by_hand": True, "doubled": 1, "seed": 3}))[0] == 200
    create(servicenow)

    _, before = await ask("GET", "rules")
    _, ran = await ask("POST", "rules/run", {"now": True})
    _, journal = await ask("GET", "rules/journal?bodies=true")

    assert ("secret-1" in str(before), before["pending"], before["passage"]["doubled"]) == (False, 2, 1.0)
    del rule["token"]
    assert before["rules"] == [rule | {"table": "incident", "token_property": ""}]
    assert ([it["status"] for it in ran["posted"]], ran["pending"]) == ([201, 201], 0)
    assert [it["body"]["sys_mod_count"] for it in journal["journal"]] == ["0", "0"]
    assert "body" not in ran["posted"][0]
    assert receiver.received[0][1]["Authorization"] == "Bearer secret-1"
    assert (await ask("DELETE", "rules/versus"))[0] == 204
    assert await ask("DELETE", "rules/versus") == (404, {"error": "there is no rule 'versus'; there are: none"})
    assert (await ask("DELETE", "rules"))[0] == 204


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("rules", {"name": "x", "url": "versus", "token": "s3cret"}, "url: String should match pattern"),
        ("rules", {"name": "x", "url": URL, "on": ["delete"]}, "on.0: Input should be 'insert' or 'update'"),
        ("rules", {"name": "x", "url": URL, "shape": "xml"}, "shape: Input should be 'script' or 'raw'"),
        (
            "rules",
            {"name": "x", "url": URL, "what": 1},
            "allowed are name, url, table, token, token_property, shape, on",
        ),
        ("rules/passage", {"lost": 20}, "lost: Input should be less than or equal to 1"),
        ("rules/passage", {"delay_s": [5, 1]}, "delay_s: [5, 1] is no range; allowed is [least, most]"),
        ("rules/run", {"all": True}, "all: Extra inputs are not permitted; allowed are now"),
        ("properties", ["a"], "should be an object; allowed is {name: value}, null takes one away"),
    ],
)
async def test_orders_about_rules_say_what_is_allowed(ask, servicenow, path, body, said):
    status, answered = await ask("POST", path, body)

    assert (status, said in answered["error"], "s3cret" in answered["error"]) == (400, True, False), answered
    assert servicenow.rules.rules == []


async def test_properties_are_set_by_control_and_secrets_are_not_shown(ask, servicenow, servicenow_url):
    await ask("POST", "properties", {"versus.token": "secret-1", "instance_name": "acme"})

    _, shown = await ask("GET", "properties")

    assert shown == {"glide.servlet.uri": f"{servicenow_url}/", "instance_name": "acme", "versus.token": "••••"}
    assert servicenow.properties["versus.token"] == "secret-1"
    await ask("POST", "properties", {"versus.token": None, "instance_name": None})
    assert (servicenow.properties["versus.token"], servicenow.properties["instance_name"]) == (None, "dev12345")


async def test_the_page_shows_rules_and_the_journal_and_takes_forms(session, servicenow, servicenow_url, receiver_url):
    async def send(path: str, **form: Any) -> tuple[int, str]:
        async with session.post(f"{servicenow_url}{path}", data=form) as response:
            return response.status, await response.text()

    await send("/rules/properties", name="versus.token", value="secret-1")
    fields = {"name": "to <versus>", "url": receiver_url, "table": "incident", "token_property": "versus.token"}
    _, added = await send("/rules", **fields, shape="script", on="update")
    refused, said = await send("/rules", name="x", url="nowhere")
    sys_id = create(servicenow)
    servicenow.act(RecordOrder(record=sys_id, do="start"))
    await until(lambda: bool(servicenow.rules.journal))

    assert ("to &lt;versus&gt;" in added, "secret-1" in added, "versus.token" in added) == (True, False, True)
    assert servicenow.rules.rules[0].on == ("update",)
    assert (refused, "url: String should match pattern" in said) == (400, True)
    async with session.get(f"{servicenow_url}/rules") as response:
        page = await response.text()
    assert f"incident.do?sys_id={sys_id}" in page
    assert "201 <code>taken</code>" in page
    _, removed = await send("/rules/back", name="to <versus>")
    assert "No business rules." in removed


def test_a_rule_does_not_print_its_token():
    rule = BusinessRule(name="x", url=URL, token=PASSWORD)

    assert PASSWORD not in f"{rule!r} {rule.model_dump()} {rule.model_dump_json()}"
