"""The doctor, with real Redis servers, the simulators, and others' odd answers."""

import asyncio
import re
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.faults.proxy import run_proxy
from tests.integration.conftest import CHANNEL, TOKEN
from tests.support.answers import canned_answers
from tests.support.factories import POLICY, make_notification
from tests.support.redis_servers import RedisServer, redis_server
from tests.support.servers import free_port
from versus_py.clock import SystemClock
from versus_py.incidents.partitions import DEFAULT, use_partitions
from versus_py.incidents.transitions import trigger
from versus_py.simulators import Fault, SlackSimulator, run_app
from versus_py.simulators.slack import SCOPES
from versus_py.store import Markers, Page, keys
from versus_py.store.embedded import run_embedded
from versus_py.store.partitioning import fix_partitions
from versus_py.systems import model
from versus_py.targets.slack.checks import examine
from versus_py.targets.slack.system import SLACK
from versus_py.targets.system import Examined
from versus_py.tools.doctor import Check, CheckStatus, alertmanager, diagnose, public_host

OK, WARNING, FAILED, SKIPPED = CheckStatus


def named(checks, name):
    """The one check with this name."""
    [found] = [check for check in checks if check.name == name]
    return found


def statuses(checks):
    return {check.name: check.status for check in checks}


async def collect(examination):
    return [check async for check in examination]


# All of it


async def test_nothing_configured_is_nothing_failed(tmp_path):
    config = model().model_validate({"data_dir": tmp_path})

    checks = await diagnose(config)

    assert statuses(checks) == {"Redis": OK, "Slack": SKIPPED, "public_host": WARNING, "Alertmanager": SKIPPED}


async def test_everything_that_is_there_is_looked_at(engine, redis_socket, slack_url):
    host = str(engine.http.make_url("")).rstrip("/")
    async with run_app(alertmanager_app()) as url:
        config = model().model_validate(
            {
                "public_host": host,
                "redis": {"url": f"unix://{redis_socket}"},
                "alert": {
                    "slack": {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{slack_url}/api"}
                },
                "alertmanager": {"url": url},
            }
        )

        checks = await diagnose(config)

    assert statuses(checks) == {
        "Redis": OK,
        "Redis durability": WARNING,  # a test's server appends to no file
        "Templates": OK,
        "Slack": OK,
        "Slack scopes": OK,
        "Slack channel": OK,
        "public_host": OK,
        "Alertmanager": OK,
        "Alertmanager receivers": OK,
    }
    assert named(checks, "public_host").found == f"{host} is versus, seen from here"
    assert named(checks, "Redis durability").advice == "set appendonly yes"


async def test_nothing_is_written_or_posted_unasked(engine, redis, redis_socket):
    config = engine.config.model_copy(
        update={"redis": engine.config.redis.model_validate({"url": f"unix://{redis_socket}"})}
    )

    await diagnose(config)

    assert engine.slack.messages == []
    assert await redis.keys() == []


async def test_everything_that_hangs_fails_by_its_deadline_and_says_no_secret(tmp_path):
    async with hanging_server() as url:
        config = model().model_validate(
            {
                "data_dir": tmp_path,
                "public_host": url,
                "alert": {"slack": {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": url}},
                "alertmanager": {"url": url, "auth": {"bearer_token": "t0ken"}},
            }
        )

        checks = await diagnose(config, deadline_s=0.2)

    hanging = ("Slack", "public_host", "Alertmanager")
    assert statuses(checks) == {"Redis": OK, "Templates": OK} | dict.fromkeys(hanging, FAILED)
    assert all("did not answer in time" in named(checks, name).found for name in hanging)
    assert all(named(checks, name).advice for name in hanging)


async def test_a_secret_that_comes_back_in_an_answer_is_masked(tmp_path):
    simulator = SlackSimulator(scopes=["chat:write", TOKEN])
    async with run_app(simulator.app()) as url:
        config = model().model_validate(
            {"data_dir": tmp_path, "alert": {"slack": slack_settings(url) | {"channel_id": "C1"}}}
        )

        checks = await diagnose(config)

    assert named(checks, "Slack scopes").found == "chat:write, **********"
    assert TOKEN not in str(checks)


# Redis


def redis_config(**settings):
    return model().model_validate({"redis": settings})


async def test_a_redis_that_is_not_there_fails_and_names_the_settings():
    port = free_port()

    checks = await diagnose(redis_config(host="localhost", port=port, password="pr1vate"))

    found = named(checks, "Redis")
    assert found.status is FAILED
    assert str(port) in found.found
    assert "redis.host" in found.advice
    assert "pr1vate" not in str(checks)


async def test_a_redis_that_refuses_the_password_fails(redis, redis_socket):
    checks = await diagnose(redis_config(url=f"unix://nobody:pr1vate@{redis_socket}"))

    assert named(checks, "Redis").status is FAILED
    assert "pr1vate" not in str(checks)


async def test_a_redis_that_evicts_is_a_warning_with_what_to_set(redis, redis_socket):
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        checks = await diagnose(redis_config(url=f"unix://{redis_socket}"))
    finally:
        await redis.config_set("maxmemory-policy", "noeviction")

    [policy, _] = [check for check in checks if check.name == "Redis durability"]
    assert policy.status is WARNING
    assert policy.found.startswith("maxmemory-policy is allkeys-lru")
    assert policy.advice == "set it to noeviction"


@pytest.mark.parametrize(("ahead_s", "said"), [(3600, "ahead of"), (-3600, "behind")])
async def test_a_redis_whose_clock_is_off_is_a_warning(tmp_path, ahead_s, said):
    with RedisServer(redis_server(), tmp_path) as server:
        async with run_proxy(("127.0.0.1", server.port)) as proxy:
            proxy.ahead_s = ahead_s

            checks = await diagnose(redis_config(url=f"redis://127.0.0.1:{proxy.port}"))

    found = named(checks, "Redis clock")
    assert found.status is WARNING
    assert re.fullmatch(rf"it is 3(600|599) s {said} this machine's clock", found.found)


async def test_a_redis_whose_clock_has_jumped_is_a_warning(redis, redis_socket):
    await redis.hset("versus:clock", mapping={"lead_ms": 3_600_000, "lead_since_ms": time.time_ns() // 1_000_000})

    checks = await diagnose(redis_config(url=f"unix://{redis_socket}"))

    found = named(checks, "Redis clock")
    assert found.status is WARNING
    assert found.found == "it is 3600 s ahead of the time that replicas go by, since it has jumped"


async def test_a_slack_whose_clock_is_not_that_of_redis_is_a_warning():
    slack = SlackSimulator(token=TOKEN, now_s=lambda: time.time() - 3600)
    checks = await examine_slack(slack)

    found = named(checks, "Slack clock")
    assert found.status is WARNING
    assert re.fullmatch(r"Slack's clock is 3(600|599) s behind Redis'", found.found)


async def test_a_redis_that_keeps_everything_is_in_order(redis, redis_socket):
    await redis.config_set("appendonly", "yes")
    try:
        checks = await diagnose(redis_config(url=f"unix://{redis_socket}"))
    finally:
        await redis.config_set("appendonly", "no")

    assert named(checks, "Redis durability") == Check("Redis durability", OK, "noeviction, append-only file")


async def test_a_redis_that_tells_nothing_of_itself_is_a_warning(redis, redis_socket):
    await redis.acl_setuser(
        "quiet", enabled=True, passwords=["+pass"], keys=["*"], commands=["+@all", "-config", "-info"]
    )
    try:
        checks = await diagnose(redis_config(url=f"unix://quiet:pass@{redis_socket}"))
    finally:
        await redis.acl_deluser("quiet")

    assert statuses(checks) | {"Redis": WARNING, "Redis durability": WARNING} == statuses(checks)


@pytest.mark.parametrize("commands", [["+@all"], ["+@all", "-config"]], ids=["tells its settings", "does not"])
async def test_a_redis_that_would_refuse_every_alert_fails(redis, redis_socket, commands):
    used = (await redis.info("memory"))["used_memory"]
    await redis.acl_setuser("asked", enabled=True, passwords=["+pass"], keys=["*"], commands=commands)
    await redis.config_set("maxmemory", used // 2)
    try:
        config = redis_config(url=f"unix://asked:pass@{redis_socket}", durability="replicated", replicas=3)
        checks = await diagnose(config)
    finally:
        await redis.config_set("maxmemory", 0)
        await redis.acl_deluser("asked")

    full, replicas = [it for it in checks if it.name == "Redis durability" and it.status is FAILED]
    assert full.found.startswith("it is full")
    assert full.advice == "raise maxmemory"
    assert "0 of 3 replicas are attached" in replicas.found


async def test_a_replica_fails(redis, redis_socket):
    await redis.replicaof("127.0.0.1", str(free_port()))
    try:
        checks = await diagnose(redis_config(url=f"unix://{redis_socket}"))
    finally:
        await redis.replicaof("NO", "ONE")

    assert named(checks, "Redis").found == "this is a replica, which takes no writes"
    assert named(checks, "Redis").status is FAILED


async def test_an_embedded_server_that_runs_is_left_alone(tmp_path):
    config = model().model_validate({"data_dir": tmp_path})
    async with run_embedded(tmp_path) as server:
        found = named(await diagnose(config), "Redis")

        assert server.process.returncode is None
    assert found.status is OK
    assert "in use by process" in found.found


async def test_a_data_dir_that_cannot_be_written_fails(tmp_path):
    (tmp_path / "file").write_text("")

    found = named(await diagnose(model().model_validate({"data_dir": tmp_path / "file"})), "Redis")

    assert found.status is FAILED
    assert "Not a directory" in found.found


# Slack


def slack_settings(url):
    return {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{url}/api"}


async def examine_slack(
    simulator, *, public_host=None, post_test=False, fallback_channel="", policies=(), oncall=None, **settings
):
    """The checks of a simulated Slack."""
    async with run_app(simulator.app()) as url, aiohttp.ClientSession() as session:
        oncall = oncall or {"fallback": {"slack_channel_id": fallback_channel}}
        config = model().model_validate(
            {
                "public_host": public_host,
                "alert": {"slack": slack_settings(url) | settings},
                "oncall": oncall,
                "policies": policies,
            }
        )
        examined = Examined(config=config, clock=SystemClock(), session=session, may_post=post_test)
        [examination] = SLACK.examine(examined).values()
        return await collect(examination())


async def test_a_slack_in_order_names_the_bot_and_the_channel():
    scopes = ["chat:write", "chat:write.public", "channels:read"]

    checks = await examine_slack(SlackSimulator(token=TOKEN, scopes=scopes))

    assert [(check.status, check.found) for check in checks] == [
        (OK, "versus in Demo"),
        (OK, "channels:read, chat:write, chat:write.public"),
        (OK, f"{CHANNEL}, #alerts"),
    ]


async def test_a_test_message_says_that_it_is_one():
    simulator = SlackSimulator(token=TOKEN)

    checks = await examine_slack(simulator, post_test=True)

    assert checks[-1] == Check("Slack test message", OK, f"posted to {CHANNEL}")
    [message] = simulator.messages
    assert "This is a test message" in message.text


async def test_a_token_that_slack_does_not_know_fails_and_is_not_shown():
    checks = await examine_slack(SlackSimulator(token=TOKEN), token="xoxb-another", post_test=True)

    assert checks == [Check("Slack", FAILED, "Slack says invalid_auth", "alert.slack.token is not valid")]


async def test_without_the_scope_to_write_it_fails():
    checks = await examine_slack(SlackSimulator(scopes=["channels:read"]), post_test=True)

    assert statuses(checks) == {
        "Slack": OK,
        "Slack scopes": FAILED,
        "Slack channel": OK,
        "Slack test message": FAILED,
    }
    assert "install it again" in named(checks, "Slack scopes").advice
    assert "chat:write" in named(checks, "Slack test message").advice


TICKETS: dict[str, Any] = {
    "enable": True,
    "servicenow": {
        "instance_url": "https://dev1.service-now.com",
        "events": {"token": "a-token-of-the-rule-0123456789"},
    },
}


@pytest.mark.parametrize(
    ("oncall", "scopes", "warns"),
    [
        pytest.param(TICKETS, ["chat:write"], True, id="people act in ServiceNow"),
        pytest.param(TICKETS, ["chat:write", "users:read.email"], False, id="and their addresses are known"),
        pytest.param({}, ["chat:write"], False, id="nobody acts elsewhere"),
    ],
)
async def test_who_acts_elsewhere_is_known_by_a_scope(oncall, scopes, warns):
    checks = await examine_slack(SlackSimulator(token=TOKEN, scopes=scopes), oncall=oncall)

    found = [check for check in checks if check.name == "Slack people"]
    assert [(it.status, "users:read.email" in it.found, "install it again" in it.advice) for it in found] == (
        [(WARNING, True, True)] if warns else []
    )


async def test_channels_that_tickets_are_led_to_are_looked_at():
    routing = {"Database": {"channel": "slack:dba"}, "Network": {"channel": "C0NETWORK1", "notify": ["slack:leads"]}}
    servicenow = {**TICKETS["servicenow"], "routing_field": "assignment_group", "routing": routing}
    channels = {"dba": "C0DBA00001", "leads": "C0LEADS001"}

    checks = await examine_slack(
        SlackSimulator(token=TOKEN), oncall={**TICKETS, "servicenow": servicenow}, channels=channels
    )

    assert {check.name for check in checks if check.name.startswith("Slack channel ")} == {
        "Slack channel C0DBA00001",
        "Slack channel C0NETWORK1",
        "Slack channel C0LEADS001",
    }


async def test_scopes_that_would_help_are_named_and_no_failure():
    checks = await examine_slack(SlackSimulator(scopes=["chat:write"]))

    assert named(checks, "Slack scopes").status is OK
    for scope in ("chat:write.public", "channels:read"):
        assert scope in named(checks, "Slack scopes").advice


@pytest.mark.parametrize("way", [{"signing_secret": "0" * 32}, {"app_token": "xapp-1"}])
async def test_without_the_history_scopes_replies_are_said_not_to_come(way):
    checks = await examine_slack(SlackSimulator(scopes=["chat:write", "groups:history"]), **way)

    found = named(checks, "Slack replies")
    assert found.status is WARNING
    assert found.found == "channels:history: missing, so that replies in threads of public channels are no comments"
    assert "alert.slack.take_replies: false" in found.advice


async def test_with_the_history_scopes_the_subscription_is_asked_for():
    found = named(await examine_slack(SlackSimulator(), signing_secret="0" * 32), "Slack replies")

    assert found.status is SKIPPED
    assert "message.channels and message.groups" in found.advice


@pytest.mark.parametrize("settings", [{}, {"signing_secret": "0" * 32, "take_replies": False}])
async def test_where_no_replies_are_taken_nothing_is_said_of_them(settings):
    checks = await examine_slack(SlackSimulator(scopes=["chat:write"]), **settings)

    assert "Slack replies" not in statuses(checks)


async def test_without_the_scope_to_look_the_channel_cannot_be_told():
    found = named(await examine_slack(SlackSimulator(scopes=["chat:write"])), "Slack channel")

    assert found.status is WARNING
    assert found.found == f"{CHANNEL}: cannot be told without channels:read"
    assert "--post" in found.advice


@pytest.mark.parametrize(
    ("prepare", "scopes", "status", "found"),
    [
        (lambda it: it.archived.add(CHANNEL), SCOPES, FAILED, "is archived"),
        (lambda it: it.not_joined.add(CHANNEL), SCOPES, OK, "not joined, but public"),
        (lambda it: it.not_joined.add(CHANNEL), ("chat:write", "channels:read"), FAILED, "the bot is not in it"),
    ],
    ids=["archived", "public", "not joined"],
)
async def test_the_channel_has_to_take_messages(prepare, scopes, status, found):
    simulator = SlackSimulator(scopes=scopes)
    prepare(simulator)

    check = named(await examine_slack(simulator), "Slack channel")

    assert check.status is status
    assert check.found.endswith(found)
    assert bool(check.advice) is (status is FAILED)


async def test_a_channel_that_slack_does_not_know_fails():
    checks = await examine_slack(SlackSimulator(channels=["C0ELSE"]), post_test=True)

    for name in ("Slack channel", "Slack test message"):
        assert named(checks, name).status is FAILED
        assert named(checks, name).found == f"{CHANNEL}: Slack says channel_not_found"
        assert "invite the bot" in named(checks, name).advice


def routes_to(*channels):
    return [{"matchers": ["a=b"], "channel_id": channel} for channel in channels]


async def test_each_channel_of_a_route_is_looked_at_once():
    simulator = SlackSimulator(channels=[CHANNEL, "C0DB"])

    checks = await examine_slack(simulator, routes=routes_to("C0DB", CHANNEL, "", "C0WEB", "C0DB"))

    assert {check.name: check.status for check in checks[2:]} == {
        "Slack channel": OK,
        "Slack channel C0DB": OK,
        "Slack channel C0WEB": FAILED,
    }
    assert named(checks, "Slack channel C0WEB").found == "C0WEB: Slack says channel_not_found"
    assert simulator.calls.count("conversations.info") == 3


async def test_the_channel_of_the_fallback_is_looked_at():
    checks = await examine_slack(SlackSimulator(channels=[CHANNEL]), fallback_channel="C0FALLBACK")

    assert named(checks, "Slack channel C0FALLBACK").status is FAILED


async def test_the_channels_of_policies_are_looked_at():
    policies = [{"name": "all", "steps": [{"notify": ["slack", "slack:leads"]}, {"notify": ["slack:C0OPS"]}]}]
    simulator = SlackSimulator(channels=[CHANNEL, "C0LEADS"])

    checks = await examine_slack(simulator, policies=policies, channels={"leads": "C0LEADS"})

    assert {check.name: check.status for check in checks[2:]} == {
        "Slack channel": OK,
        "Slack channel C0LEADS": OK,
        "Slack channel C0OPS": FAILED,
    }


async def test_of_very_many_channels_of_routes_the_first_are_looked_at():
    simulator = SlackSimulator()

    checks = await examine_slack(simulator, routes=routes_to(*(f"C0N{number}" for number in range(22))))

    assert simulator.calls.count("conversations.info") == 1 + 20
    assert checks[-1] == Check("Slack channels", SKIPPED, "2 more channels were not looked at")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("500", "Slack answered 500"),
        ("html200", "is alert.slack.api_url right"),
        ("down", "Slack cannot be reached"),
        ("429", "Slack asks to wait"),
    ],
)
async def test_a_slack_that_does_not_answer_like_slack_fails(kind, found):
    simulator = SlackSimulator()
    simulator.faults.order(Fault(kind=kind, times=None))

    [check] = await examine_slack(simulator)

    assert (check.name, check.status) == ("Slack", FAILED)
    assert found in check.found
    assert check.advice


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "body": "ok", "content_type": "text/plain"},
        {"status": 200, "body": '{"ok": tr', "content_type": "application/json"},
        {"status": 200, "body": "[]", "content_type": "application/json"},
        {"status": 200, "body": "", "content_type": "application/json"},
        {"status": 502, "body": "", "content_type": "text/html"},
        {"exception": TimeoutError()},
        {"exception": ConnectionResetError()},
    ],
    ids=str,
)
async def test_an_odd_answer_is_a_failed_check(answer):
    config = model().model_validate({"alert": {"slack": slack_settings("https://slack.example")}})
    with canned_answers() as answers:
        answers.post("https://slack.example/api/auth.test", **answer)
        async with aiohttp.ClientSession() as session:
            [check] = await collect(examine(config.alert.slack, session, public_host=None, post_test=False))

    assert (check.name, check.status) == ("Slack", FAILED)
    assert TOKEN not in str(check)


async def test_a_slack_that_fails_half_way_keeps_what_was_found():
    config = model().model_validate({"alert": {"slack": slack_settings("https://slack.example")}})
    with canned_answers() as answers:
        answers.post("https://slack.example/api/auth.test", payload={"ok": True, "user": "versus", "team": "Acme"})
        async with aiohttp.ClientSession() as session:
            checks = await collect(examine(config.alert.slack, session, public_host=None, post_test=False))

    assert statuses(checks) == {"Slack": OK, "Slack scopes": WARNING, "Slack channel": FAILED}


async def test_an_app_token_that_opens_connections_is_in_order_and_opens_none():
    simulator = SlackSimulator(app_token="xapp-secret")

    checks = await examine_slack(simulator, app_token="xapp-secret")

    assert named(checks, "Slack Socket Mode") == Check("Slack Socket Mode", OK, "the app-level token opens connections")
    assert "Slack buttons" not in statuses(checks)
    assert simulator.connections == 0


async def test_with_both_ways_for_buttons_both_are_told_and_which_of_them_slack_uses():
    simulator = SlackSimulator(app_token="xapp-secret")

    checks = await examine_slack(simulator, app_token="xapp-secret", signing_secret="s3cret")

    assert named(checks, "Slack Socket Mode").status is OK
    assert named(checks, "Slack buttons").status is SKIPPED
    assert "Slack uses Socket Mode and sends no requests" in named(checks, "Slack buttons").found


@pytest.mark.parametrize(
    ("app_token", "said"), [("xapp-other", "is not valid"), ("xoxb-secret", "has to be the app-level token")]
)
async def test_a_wrong_app_token_fails_and_says_what_to_do(app_token, said):
    checks = await examine_slack(SlackSimulator(app_token="xapp-secret"), app_token=app_token)

    found = named(checks, "Slack Socket Mode")
    assert found.status is FAILED
    assert said in found.advice
    assert app_token not in str(checks)


async def test_with_a_signing_secret_alone_only_a_press_can_tell():
    checks = await examine_slack(SlackSimulator(), public_host="https://versus.example", signing_secret="s3cret")

    found = named(checks, "Slack buttons")
    assert found.status is SKIPPED
    assert "press a button" in found.advice
    assert "https://versus.example/api/slack/interactions" in found.advice


@pytest.mark.parametrize(
    ("public_host", "said"),
    [(None, "public_host is not set"), ("http://versus.example", "Slack sends to https:// only")],
    ids=["no address", "no https"],
)
async def test_an_address_that_slack_cannot_send_to_is_a_warning(public_host, said):
    checks = await examine_slack(SlackSimulator(), public_host=public_host, signing_secret="s3cret")

    found = named(checks, "Slack buttons")
    assert found.status is WARNING
    assert said in found.found
    assert "Socket Mode" in found.advice


async def test_the_doctor_knows_where_slacks_requests_are_to_come(tmp_path):
    async with run_app(SlackSimulator().app()) as url:
        settings = slack_settings(url) | {"signing_secret": "s3cret"}
        config = model().model_validate({"data_dir": tmp_path, "public_host": url, "alert": {"slack": settings}})

        checks = await diagnose(config)

    assert f"{url}/api/slack/interactions" in named(checks, "Slack buttons").advice


async def test_without_buttons_nothing_is_said_of_them():
    assert not {"Slack buttons", "Slack Socket Mode"} & set(statuses(await examine_slack(SlackSimulator())))


async def test_groups_that_may_act_need_a_scope():
    scopes = ["chat:write", "channels:read"]

    checks = await examine_slack(SlackSimulator(scopes=scopes), allowed_groups=["S0ONCALL"])

    assert named(checks, "Slack scopes").status is FAILED
    assert "usergroups:read" in named(checks, "Slack scopes").advice


# public_host and Alertmanager


@asynccontextmanager
async def hanging_server():
    """A server that takes connections and says nothing."""
    open_writers = []
    server = await asyncio.start_server(lambda _, writer: open_writers.append(writer), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in open_writers:
        writer.close()


def answering(status=200, **options):
    """An application that answers everything alike."""

    async def answer(_):
        return (
            web.json_response(options["data"], status=status)
            if "data" in options
            else web.Response(status=status, text="<html>", content_type="text/html")
        )

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    return app


async def examine_public_host(url):
    config = model().model_validate({"public_host": url})
    async with aiohttp.ClientSession() as session:
        [check] = await collect(public_host.examine(config, session))
    return check


async def test_without_public_host_it_says_where_links_point():
    check = await examine_public_host(None)

    assert check.status is WARNING
    assert "http://localhost:3000" in check.found


@pytest.mark.parametrize(
    ("app", "status", "found"),
    [
        (answering(data={"status": "ok"}), OK, "is versus"),
        (answering(data={"status": "ok", "version": "1"}), OK, "is versus"),
        (answering(data={"status": "fine"}), FAILED, "answered 200, which is not versus"),
        (answering(data=[]), FAILED, "answered 200, which is not versus"),
        (answering(), FAILED, "answered 200 with something that is not JSON, which is not versus"),
        (answering(502), FAILED, "answered 502"),
        (answering(404), FAILED, "answered 404"),
        (answering(302), WARNING, "answered 302: something in front wants more"),
        (answering(401), WARNING, "answered 401: something in front wants more"),
    ],
)
async def test_public_host_has_to_be_versus(app, status, found):
    async with run_app(app) as url:
        check = await examine_public_host(url)

    assert check.status is status
    assert found in check.found
    assert bool(check.advice) is (status is not OK)


async def test_a_public_host_where_nobody_listens_fails():
    check = await examine_public_host(f"http://127.0.0.1:{free_port()}")

    assert check.status is FAILED
    assert "cannot be reached" in check.found
    assert "versus serve" in check.advice


NO_CLUSTER = {"status": "disabled", "peers": []}


def cluster_of(name, *peers):
    """What the peer with this *name* says of a cluster of these *peers*."""
    return {"status": "ready", "name": name, "peers": [{"name": it, "address": "10.0.0.1:9094"} for it in peers]}


def alertmanager_app(*, authorization=None, receivers=None, cluster=NO_CLUSTER, running=None):
    """The two questions that are put to Alertmanager, answered as it does."""

    def guarded(data):
        async def answer(request):
            if authorization and request.headers.get("Authorization") != authorization:
                return web.Response(status=401, text="Unauthorized")
            return web.json_response(data)

        return answer

    status = {"versionInfo": {"version": "0.28.1"}, "uptime": "2026-05-04T10:20:01.000Z", "cluster": cluster}
    status["config"] = {"original": running}
    names = [{"name": "versus"}, {"name": "nobody"}] if receivers is None else receivers
    app = web.Application()
    app.router.add_get("/api/v2/status", guarded(status))
    app.router.add_get("/api/v2/receivers", guarded(names))
    return app


async def examine_alertmanager(url, *, stored=(), **auth):
    async def stored_incidents(wanted):
        return Page(tuple(filter(wanted, stored)), None)

    config = model().model_validate({"alertmanager": {"url": url, "auth": auth}, "oncall": {"enable": True}})
    async with aiohttp.ClientSession() as session:
        return await collect(alertmanager.examine(config, session, stored_incidents))


def stored_incident(source, url):
    notification = make_notification(source=source, url=url)
    return trigger(notification, POLICY, dedup_key=f"{source} {url}", now_ms=1_790_000_000_000).incident


async def test_a_missing_alertmanager_url_is_a_warning_that_names_the_addresses_which_payloads_brought():
    urls = ("http://am-0:9093", "http://am-1:9093", "http://am-0:9093")
    stored = [*(stored_incident("alertmanager", url) for url in urls), stored_incident("grafana", "https://grafana")]

    [check] = await examine_alertmanager([], stored=stored)

    assert check.status is WARNING
    assert "silenced alerts escalate" in check.found
    assert check.found.endswith("; their payloads name http://am-0:9093, http://am-1:9093")
    assert "ALERTMANAGER_URL" in check.advice


async def test_a_missing_alertmanager_url_is_a_warning_before_the_first_alert():
    [check] = await examine_alertmanager([])

    assert check.status is WARNING
    assert check.found == alertmanager.UNSET


async def test_a_missing_alertmanager_url_is_fine_where_no_alert_is_of_an_alertmanager():
    [check] = await examine_alertmanager([], stored=[stored_incident("grafana", "https://grafana")])

    assert check.status is SKIPPED


@pytest.mark.parametrize(
    ("auth", "authorization"),
    [
        ({}, None),
        ({"username": "am", "password": "pr1vate"}, "Basic YW06cHIxdmF0ZQ=="),
        ({"bearer_token": "t0ken"}, "Bearer t0ken"),
    ],
    ids=["open", "basic", "bearer"],
)
async def test_an_alertmanager_tells_its_version_and_its_receivers(auth, authorization):
    async with run_app(alertmanager_app(authorization=authorization)) as url:
        checks = await examine_alertmanager(url, **auth)

    assert [(check.status, check.found) for check in checks] == [
        (OK, "version 0.28.1, up since 2026-05-04T10:20:01.000Z"),
        (OK, "versus, nobody"),
    ]


@pytest.mark.parametrize("auth", [{}, {"username": "am", "password": "pr1vate"}, {"bearer_token": "t0ken"}], ids=str)
async def test_a_login_that_is_not_accepted_fails_and_is_not_shown(auth):
    async with run_app(alertmanager_app(authorization="Bearer other")) as url:
        [check] = await examine_alertmanager(url, **auth)

    assert check.status is FAILED
    assert check.found == "answered 401: the login is not accepted"
    assert "alertmanager.auth" in check.advice
    assert not {"pr1vate", "t0ken"} & set(str(check).split())


@pytest.mark.parametrize(
    ("app", "found"),
    [
        (answering(), "answered 200 with something that is not JSON, which is not Alertmanager's API"),
        (answering(data={"status": "success"}), "answered 200, which is not Alertmanager's API"),
        (answering(data=[]), "answered 200, which is not Alertmanager's API"),
        (answering(404), "answered 404"),
        (answering(503), "answered 503"),
        (answering(302), "answered 302"),
    ],
)
async def test_what_is_not_alertmanager_fails(app, found):
    async with run_app(app) as url:
        [check] = await examine_alertmanager(url)

    assert check.status is FAILED
    assert check.found.startswith(found)
    assert "alertmanager.url" in check.advice


async def test_an_alertmanager_where_nobody_listens_fails():
    [check] = await examine_alertmanager(f"http://127.0.0.1:{free_port()}")

    assert check.status is FAILED
    assert "cannot be reached" in check.found


@pytest.mark.parametrize(
    ("clusters", "found"),
    [
        ([NO_CLUSTER], None),
        ([NO_CLUSTER, NO_CLUSTER], None),
        ([cluster_of("a", "a")], None),
        ([cluster_of("a", "a", "b"), cluster_of("b", "a", "b")], None),
        ([cluster_of("a", "a", "b")], "with 1 URL, reaches 1 of the cluster's 2 peers"),
        (
            [cluster_of("a", "a", "b", "c"), cluster_of("b", "a", "b", "c")],
            "with 2 URLs, reaches 2 of the cluster's 3 peers",
        ),
        ([cluster_of("a", "a"), cluster_of("a", "a")], "with 2 URLs, reaches 1 of them only"),
        ([{}], "does not say which peers its cluster has"),
    ],
)
async def test_peers_that_are_not_among_the_urls_are_a_warning(clusters, found):
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(run_app(alertmanager_app(cluster=it))) for it in clusters]
        checks = [it for it in await examine_alertmanager(urls) if it.name == "Alertmanager peers"]

    assert [it.status for it in checks] == ([] if found is None else [WARNING])
    for check in checks:
        assert found in check.found
        assert check.advice.startswith("set alertmanager.url to the URL of every peer")
        assert "not believed" in check.advice


RUNNING = """
route: {{receiver: versus, group_by: [{label}]}}
receivers: [{{name: versus, webhook_configs: [{{url: {url}}}]}}]
"""
HERE = "http://versus:3000/api/incidents"


@pytest.mark.parametrize(
    ("running", "status", "said"),
    [
        (RUNNING.format(label="service", url=HERE), OK, "group_by has no label that tells clusters apart"),
        (RUNNING.format(label="cluster", url=HERE), None, ""),
        (RUNNING.format(label="service", url="http://elsewhere/hook"), None, ""),
        (RUNNING.format(label="service", url=f"{HERE}?incident_per=alert"), None, ""),
        (RUNNING.format(label="service", url="<secret>"), SKIPPED, "does not show where its webhooks lead"),
        ("route: [", None, ""),
        (5, None, ""),
    ],
)
async def test_groups_of_two_clusters_are_told_by_what_alertmanager_runs_with(running, status, said):
    async with run_app(alertmanager_app(running=running)) as url:
        checks = [it for it in await examine_alertmanager(url) if it.name == "Alertmanager grouping"]

    assert [it.status for it in checks] == ([] if status is None else [status])
    for check in checks:
        assert said in check.found
        assert check.advice


async def test_what_several_run_with_is_told_once():
    running = RUNNING.format(label="service", url=HERE)
    async with run_app(alertmanager_app(running=running)) as one, run_app(alertmanager_app(running=running)) as other:
        checks = await examine_alertmanager([one, other])

    assert len([it for it in checks if "tells clusters apart" in it.found]) == 1


async def test_each_of_several_alertmanagers_is_looked_at_by_itself():
    nobody = f"http://127.0.0.1:{free_port()}"
    clusters = [cluster_of("a", "a", "b"), cluster_of("b", "a", "b")]
    async with (
        run_app(alertmanager_app(cluster=clusters[0])) as first,
        run_app(alertmanager_app(cluster=clusters[1], receivers={})) as second,
        run_app(answering(503)) as third,
    ):
        checks = await examine_alertmanager([first, nobody, second, third])

    assert statuses(checks) == {
        f"Alertmanager {first}": OK,
        f"Alertmanager {nobody}": FAILED,
        f"Alertmanager {second}": OK,
        f"Alertmanager {third}": FAILED,
        f"Alertmanager {first} receivers": OK,
        f"Alertmanager {second} receivers": FAILED,
    }


async def test_several_alertmanagers_that_hang_take_no_longer_than_one(tmp_path):
    async with hanging_server() as first, hanging_server() as second, hanging_server() as third:
        urls = [first, second, third]
        config = model().model_validate({"data_dir": tmp_path, "alertmanager": {"url": urls}})

        checks = await diagnose(config, deadline_s=0.2)

    found = {it.name: it.found for it in checks if it.name.startswith("Alertmanager")}
    assert found == {f"Alertmanager {url}": f"{url}/api/v2/status did not answer in time" for url in urls}


async def test_odd_receivers_are_a_failure_of_their_own():
    async with run_app(alertmanager_app(receivers={"name": "x"})) as url:
        checks = await examine_alertmanager(url)

    assert statuses(checks) == {"Alertmanager": OK, "Alertmanager receivers": FAILED}


async def test_incidents_that_cannot_be_read_are_named(redis, store, redis_socket, tmp_path):
    config = model().model_validate({"data_dir": tmp_path, "redis": {"url": f"unix://{redis_socket}"}})
    change = trigger(make_notification(), POLICY, dedup_key="group", now_ms=SystemClock().now_ms())
    await store.create([(change, "")], now_ms=SystemClock().now_ms())
    whole = await diagnose(config)
    await redis.hset(keys.incident(change.incident.id), "status", "of a newer version")

    found = named(await diagnose(config), "Incidents")

    assert "Incidents" not in statuses(whole)
    assert (found.status, found.found) == (FAILED, f"1 cannot be read by this version: {change.incident.id}")
    assert "versus retry --all" in found.advice


async def test_data_that_redis_lost_is_named_until_somebody_accepts_it(redis, redis_socket, tmp_path):
    config = model().model_validate({"data_dir": tmp_path, "redis": {"url": f"unix://{redis_socket}"}})
    markers, now_ms = Markers(redis), SystemClock().now_ms()
    await markers.look(now_ms=now_ms)
    await redis.flushall()
    await markers.look(now_ms=now_ms)

    found = named(await diagnose(config), "Redis data")
    await markers.accept()

    assert found.status is FAILED
    assert found.found.endswith("UTC: emptied")
    assert "versus accept-empty" in found.advice
    assert "Redis data" not in statuses(await diagnose(config))


async def test_a_redis_that_is_spread_over_other_partitions_is_said(redis, redis_socket):
    await fix_partitions(redis)
    config = model().model_validate({"redis": {"url": f"unix://{redis_socket}", "partitions": 8}})
    use_partitions(8)
    try:
        found = named(await diagnose(config), "Redis data")
    finally:
        use_partitions(DEFAULT)

    assert found.status is CheckStatus.FAILED
    assert found.found == "redis.partitions is 8, but what this Redis holds is spread over 4"
    assert found.advice.startswith("set redis.partitions to 4")
