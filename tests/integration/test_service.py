"""The composition root: what people press in Slack reaches the incidents of a service that runs, both ways."""

import asyncio
import re
import shutil
import sys
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.faults.proxy import run_proxy
from tests.integration.conftest import CHANNEL, TOKEN
from tests.support import toys
from tests.support.factories import make_incident
from tests.support.redis_servers import RedisServer, redis_server
from tests.support.servers import free_port
from tests.support.waiting import DEADLINE_S, until
from versus_py import service
from versus_py.config import SlackConfig
from versus_py.engine import timekeeping, watchdog
from versus_py.errors import ConfigError, VersusError
from versus_py.incidents.copies import replace
from versus_py.incidents.partitions import DEFAULT, use_partitions
from versus_py.service import serve
from versus_py.simulators import SlackSimulator, run_app
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.simulators.slack.validation import Content
from versus_py.store import SharedTime, embedded, keys
from versus_py.store.connection import connect
from versus_py.store.partitioning import OtherPartitions
from versus_py.systems import BUILT_IN, model, registered
from versus_py.targets.slack.allowed import Allowed
from versus_py.targets.slack.interactive import SlackInteractive
from versus_py.targets.system import Parts

APP_TOKEN = "xapp-1-A0DEMO-app-secret"


@pytest.fixture
async def as_many_partitions(redis):
    """For what comes after the test, an empty Redis."""
    yield
    use_partitions(DEFAULT)
    await redis.flushall()


@pytest.fixture
def slack():
    return SlackSimulator(token=TOKEN, app_token=APP_TOKEN)


@pytest.fixture
def config(slack_url, tmp_path):
    """Builds one with more below alert.slack, and elsewhere."""

    def build(more, **settings):
        slack = {"enable": True, "token": TOKEN, "channel_id": CHANNEL, "api_url": f"{slack_url}/api", **more}
        everything = {"host": "127.0.0.1", "port": free_port(), "data_dir": tmp_path, "alert": {"slack": slack}}
        return model().model_validate(everything | settings)

    return build


@asynccontextmanager
async def running(config, **how):
    """A service, until the block is left; it then has to end soon."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(config, stop, **how, systems=registered()))
    try:
        yield f"http://127.0.0.1:{config.port}"
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def post(session, url):
    """The id of a new incident, of a service that may still have to start."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                async with session.post(f"{url}/api/incidents", json={"title": "Disk full", "id": "d1"}) as response:
                    if response.status == 201:
                        return (await response.json())["incidents"][0]["id"]
            except OSError:
                pass
            await asyncio.sleep(0.05)


async def status(session, url, incident_id):
    async with session.get(f"{url}/api/incidents/{incident_id}") as response:
        return (await response.json())["status"]


def shown(slack, incident_id):
    button = {"type": "button", "action_id": "acknowledge", "value": incident_id}
    button |= {"text": {"type": "plain_text", "text": "ACK"}}
    return slack.add_message(CHANNEL, Content("…", [], [{"type": "actions", "block_id": "b", "elements": [button]}]))


async def test_presses_come_in_by_http(slack, config, session):
    async with running(config({"signing_secret": SIGNING_SECRET})) as url:
        incident_id = await post(session, url)
        slack.interactions_url = f"{url}/api/slack/interactions"

        delivery = await slack.press(shown(slack, incident_id), "acknowledge")

        assert delivery.status == 200
        assert await status(session, url, incident_id) == "acknowledged"


async def test_presses_come_in_by_socket_mode(slack, config, session):
    async with running(config({"app_token": APP_TOKEN})) as url:
        incident_id = await post(session, url)
        await until(lambda: slack.connections == 1)

        delivery = await slack.press(shown(slack, incident_id), "acknowledge")

        assert (delivery.via, delivery.status) == ("socket", 200)
        assert await status(session, url, incident_id) == "acknowledged"
    await until(lambda: slack.connections == 0)


async def test_a_worker_holds_a_connection_too(slack, config, session, redis_socket):
    settings = config({"app_token": APP_TOKEN}, redis={"url": f"unix://{redis_socket}"})
    async with running(settings, with_api=False):
        await until(lambda: slack.connections == 1)


async def test_a_replica_with_another_number_of_partitions_ends(config, session, redis_socket, as_many_partitions):
    url = f"unix://{redis_socket}"
    async with running(config({}, redis={"url": url, "partitions": 6})) as first:
        await post(session, first)

    with pytest.RaisesGroup(pytest.RaisesExc(OtherPartitions, match="is 5, .* spread over 6"), flatten_subgroups=True):
        await serve(config({}, redis={"url": url, "partitions": 5}), asyncio.Event(), systems=registered())


async def test_without_a_way_to_press_there_is_no_connection(slack, config, session):
    async with running(config({})) as url:
        await post(session, url)

        assert "apps.connections.open" not in slack.calls
        async with session.post(f"{url}/api/slack/interactions", data=b"") as response:
            assert response.status == 404


LOOPS = {
    "clock": "versus_py.service._follow_clock",
    "sns": "versus_py.sources.sns.SnsDoor.run",
    "watchdog": "versus_py.engine.watchdog.Watchdog.run",
    "capacity": "versus_py.engine.capacity.Capacity.run",
    "presence": "versus_py.engine.presence.Presence.run",
    "checkup": "versus_py.engine.checkup.Checkup.run",
    "heartbeat": "versus_py.telemetry.heartbeat.Heartbeat.run",
    "embedded redis": "versus_py.store.embedded.EmbeddedServer.watch",
    "worker": "versus_py.engine.worker.Worker.run",
    "web ui": "versus_py.web.pages.ui.live.Live.run",
    "interactions": "versus_py.interactions.desk.Desk.run",
    "socket mode": "versus_py.targets.slack.socket_mode.SocketMode.run",
    "slack clock": "versus_py.targets.slack.system.watch_clock",
    "storms": "versus_py.targets.slack.storm.StormMessages.run",
}


async def crash():
    raise RuntimeError("a bug")


async def end():
    return


async def cancel():
    """As a cancellation within the loop that gets out of where it belongs."""
    raise asyncio.CancelledError


async def finds_nothing():
    return ()


@pytest.fixture
def with_every_loop(config):
    return config(
        {"app_token": APP_TOKEN, "signing_secret": SIGNING_SECRET}, heartbeat={"url": "http://127.0.0.1:1/secret-path"}
    )


@pytest.mark.parametrize("how", [crash, end, cancel])
@pytest.mark.parametrize("name", LOOPS)
async def test_when_a_loop_dies_the_service_ends_and_names_it(with_every_loop, monkeypatch, logs, name, how):
    async def dies(*_, **__):
        await how()

    monkeypatch.setattr(LOOPS[name], dies)

    with pytest.RaisesGroup(pytest.RaisesExc((VersusError, RuntimeError)), flatten_subgroups=True):
        async with asyncio.timeout(DEADLINE_S):
            await serve(with_every_loop, asyncio.Event(), systems=registered(), diagnose=finds_nothing)

    assert logs.expect_error("loop.died")["loop"] == name


async def test_no_loop_is_left_out_of_that(with_every_loop, monkeypatch):
    owned = []
    real = service._owned

    def watched(name, work, stop):
        owned.append(name)
        return real(name, work, stop)

    monkeypatch.setattr(service, "_owned", watched)
    async with running(with_every_loop, diagnose=finds_nothing):
        await until(lambda: len(owned) >= len(LOOPS))

    assert sorted(owned) == sorted(LOOPS)


async def test_a_server_is_ready_once_its_worker_has_turned_and_can_be_scraped(config, session):
    async with running(config({})) as url:
        await post(session, url)
        await until(lambda: is_ready(session, url))

        assert await ask(session, f"{url}/metrics") == 200


async def test_a_server_whose_redis_is_away_starts_and_lives_but_is_not_ready(config, session):
    settings = config({}, redis={"url": f"redis://127.0.0.1:{free_port()}"})

    async with running(settings) as url:
        await until(lambda: is_answered(session, url))

        assert await ask(session, f"{url}/readyz") == 503


async def test_who_starts_it_learns_that_the_port_is_open(config, session):
    is_up = asyncio.Event()

    async with running(config({}), when_up=is_up.set) as url, asyncio.timeout(DEADLINE_S):
        await is_up.wait()
        async with session.get(f"{url}/healthz") as answer:
            assert answer.status == 200


async def test_a_worker_answers_monitoring_on_its_own_port_and_nothing_else(config, session, redis_socket):
    port = free_port()
    settings = config({}, redis={"url": f"unix://{redis_socket}"}, metrics={"port": port})
    async with running(settings, with_api=False):
        url = f"http://127.0.0.1:{port}"
        await until(lambda: is_ready(session, url))

        answers = [await ask(session, f"{url}{path}") for path in ("/healthz", "/metrics", "/api/incidents")]

    assert answers == [200, 200, 404]


async def test_a_heartbeat_is_sent_by_what_runs(config, session):
    heard = []

    async def hear(request):
        heard.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_get("/ping", hear)
    async with (
        run_app(app) as url,
        running(config({}, heartbeat={"url": f"{url}/ping", "every_seconds": 1})),
    ):
        await until(lambda: heard)

    assert set(heard) == {"/ping"}


async def test_nothing_is_accepted_before_redis_has_told_the_time(config, session, monkeypatch):
    told = asyncio.Event()
    ask_time = SharedTime.server_ms

    async def server_ms(shared):
        await told.wait()
        return await ask_time(shared)

    monkeypatch.setattr(service, "FIRST_TIME_TIMEOUT_S", 0.3)  # by then it is the time that is waited for
    monkeypatch.setattr(SharedTime, "server_ms", server_ms)
    async with running(config({})) as url:
        await until(lambda: is_answered(session, url))
        async with session.post(f"{url}/api/incidents", json={"title": "Disk full"}) as response:
            refused = response.status, response.headers.get("Retry-After")
        told.set()

        assert await post(session, url)
    assert refused == (503, "5")


async def is_answered(session, url):
    return await ask(session, f"{url}/healthz") == 200


async def is_ready(session, url):
    return await ask(session, f"{url}/readyz") == 200


async def ask(session, url):
    """The status of the answer; None when nobody listens."""
    try:
        async with session.get(url) as response:
            return response.status
    except OSError:
        return None


async def test_a_start_with_a_redis_that_answers_warns_of_nothing_about_it(config, session, logs):
    async with running(config({})) as url:
        await post(session, url)

    assert [line for line in logs if "Redis" in str(line.get("error"))] == []


async def test_a_redis_that_is_away_is_told_now_and_then(config, session, logs, shared_redis, monkeypatch):
    shared_redis.go_away()
    async with running(config({}, redis={"url": shared_redis.config.url})):
        await until(lambda: [line for line in logs if line["event"] == "redis.unavailable"])
        asked = counting(monkeypatch, service._Core, "ask_time")
        await until(lambda: len(asked) >= 2)

    assert [line["event"] for line in logs].count("redis.unavailable") == 1


async def test_a_jump_of_the_clock_of_redis_is_told_and_counted(config, session, logs, tmp_path, monkeypatch):
    monkeypatch.setattr(timekeeping, "CLOCK_EVERY_S", 0.05)
    with RedisServer(redis_server(), tmp_path / "redis") as server:
        async with (
            run_proxy(("127.0.0.1", server.port)) as proxy,
            running(config({}, redis={"url": f"redis://127.0.0.1:{proxy.port}"})) as url,
        ):
            await post(session, url)
            proxy.ahead_s = 3600
            await until(lambda: [line for line in logs if line["event"] == "clock.jumped"])

            async with session.get(f"{url}/metrics") as response:
                measured = await response.text()
    assert 'versus_clock_jumps_total{outcome="noticed"} 1.0' in measured
    [ahead_s] = re.findall(r"^versus_clock_redis_ahead_seconds (.+)", measured, re.MULTILINE)
    assert float(ahead_s) == pytest.approx(3600, abs=2)


def counting(monkeypatch, kind, name):
    """The calls of that method from now on."""
    calls, method = [], getattr(kind, name)

    async def counted(*arguments):
        calls.append(arguments)
        return await method(*arguments)

    monkeypatch.setattr(kind, name, counted)
    return calls


async def test_links_are_checked_as_soon_as_the_port_is_open(config, session, monkeypatch):
    async def idle(_core, worker):
        while not await worker.stopped_within(60):
            pass

    monkeypatch.setattr("versus_py.service._work", idle)
    async with running(config({})) as url:
        await post(session, url)

        async with session.get(f"{url}/api/ack/x-0?exp=1&sig=forged") as response:
            assert response.status == 401


# What installed systems may bring along


def board(build):
    """The board, built in another way."""
    return (*BUILT_IN, replace(toys.BOARD, build=build))


def with_board(config, **board):
    found = config({})
    everything = found.model_dump(mode="json", include={"host", "port", "data_dir"})
    return model((*BUILT_IN, toys.BOARD)).model_validate(
        everything | {"alert": {"board": {"enable": True, "url": "http://127.0.0.1:1", **board}}}
    )


async def test_a_system_without_its_target_ends_the_start_and_is_named(config):
    with pytest.raises(ConfigError, match="board: its system has no such target"):
        await serve(with_board(config), asyncio.Event(), systems=board(lambda _: Parts(targets={})))


async def test_a_place_that_its_system_does_not_build_ends_the_start_and_is_named(config):
    found = with_board(config)
    policies = [{"name": "all", "steps": [{"notify": ["board:lobby"]}]}]
    with_policies = type(found).model_validate(found.model_dump(mode="json", by_alias=True) | {"policies": policies})

    def build(around):
        return Parts(targets={"board": toys.build_board(around).targets["board"]})

    with pytest.raises(ConfigError, match="board:lobby: its system has no such target"):
        await serve(with_policies, asyncio.Event(), systems=board(build))


@pytest.mark.parametrize("name", ["worker", "watchdog", "interactions"])
async def test_a_loop_takes_no_other_loops_name(config, name):
    unused: Any = None

    async def idle(stop):
        await stop.wait()

    def build(around):
        settings = SlackConfig()
        interactive = SlackInteractive(settings, unused, unused, unused, Allowed(settings, unused))
        return replace(toys.build_board(around), loops={name: idle}, interactive=interactive)

    with pytest.raises(ConfigError, match=f"a loop that is called '{name}'"):
        await serve(with_board(config), asyncio.Event(), systems=board(build))


async def test_a_loop_that_does_not_end_holds_up_no_stop_and_is_named(config, session, logs, monkeypatch):
    monkeypatch.setattr("versus_py.service.STOP_TIMEOUT_S", 1.0)  # the others end within that

    async def endless(_):
        await asyncio.Event().wait()

    def build(around):
        return replace(toys.build_board(around), loops={"notices": endless})

    stop = asyncio.Event()
    found = with_board(config)
    task = asyncio.create_task(serve(found, stop, systems=board(build)))
    await post(session, f"http://127.0.0.1:{found.port}")
    stop.set()
    async with asyncio.timeout(DEADLINE_S):
        await task

    assert logs.expect_error("loop.does_not_end")["loop"] == "notices"


async def test_where_one_channel_lets_only_some_act_no_channel_offers_a_link(config, session, monkeypatch):
    offered = []

    def build(around):
        offered.append(around.ack_url(make_incident()))
        return toys.build_board(around)

    monkeypatch.setattr(toys.BoardConfig, "is_restricted", True)
    with pytest.raises(ConfigError):
        await serve(with_board(config), asyncio.Event(), systems=board(lambda it: replace(build(it), targets={})))

    assert offered == [None]


async def accept_empty(config_file) -> tuple[int, str]:
    command = [sys.executable, "-m", "versus_py", "accept-empty", "-c", str(config_file)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    return process.returncode or 0, (said + complained).decode().strip()


@pytest.fixture
def quick_watchdog(monkeypatch):
    monkeypatch.setattr(watchdog, "LOOK_EVERY_S", 0.05)


async def test_a_redis_that_was_emptied_is_said_until_an_operator_accepts_it(
    config, session, shared_redis, tmp_path, logs, quick_watchdog
):
    redis_url = shared_redis.config.url.get_secret_value()
    file = tmp_path / "config.yaml"
    file.write_text(f"redis: {{url: {redis_url}}}")
    async with running(config({}, redis={"url": redis_url})) as url:
        incident_id = await post(session, url)
        async with connect(shared_redis.config) as redis:
            await until(lambda: redis.exists(keys.in_partition(3, "marker")))
            key = await redis.get(keys.SECRET)
            shared_redis.empty()
            await until(lambda: any(line["event"] == "store.emptied" for line in logs))
            logs.expect_error("store.emptied")
            assert await readiness(session, url) == (503, "emptied")
            assert await post(session, url) != incident_id  # its payload says nothing of when it began
            accepted = await accept_empty(file)
            await until(lambda: says_ok(session, url))

            assert accepted == (0, "accepted: the data of Redis was emptied")
            assert await redis.get(keys.SECRET) == key
            assert (await accept_empty(file))[0] == 1


async def readiness(session, url) -> tuple[int, str]:
    async with session.get(f"{url}/readyz") as response:
        return response.status, (await response.json())["redis"]


async def says_ok(session, url) -> bool:
    return await readiness(session, url) == (200, "ok")


async def test_a_data_dir_that_is_deleted_while_it_runs_loses_nothing(config, session, monkeypatch, tmp_path, logs):
    monkeypatch.setattr(embedded, "LOOK_EVERY_S", 0.2)
    settings = config({}).model_copy(update={"data_dir": tmp_path / "data"})
    task = asyncio.create_task(serve(settings, asyncio.Event(), systems=registered()))
    incident_id = await post(session, f"http://127.0.0.1:{settings.port}")

    shutil.rmtree(settings.data_dir)
    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(task, DEADLINE_S)
    logs.expect_error("redis.files_lost")
    logs.expect_error("loop.died")

    assert "was deleted while versus_py ran" in str(ended.value.exceptions[0])
    async with running(settings) as url:
        await post(session, url)
        assert await status(session, url, incident_id) == "triggered"
