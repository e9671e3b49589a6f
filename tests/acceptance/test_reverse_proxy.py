"""A server behind a reverse proxy on the same machine, whose requests look like those of a local program."""

import json
import os
import subprocess
from functools import partial
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

from tests.acceptance.conftest import kill, request, start_nginx
from tests.support.forking import call_versus
from tests.support.waiting import wait_until

ELSEWHERE = "https://versus.example.com"
ALERT = {"title": "Disk full", "id": "d1", "severity": "critical"}


def status(url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> int:
    """Of the answer to a request."""
    try:
        with urlopen(Request(url, headers=headers or {}, method=method), timeout=10) as response:
            return int(response.status)
    except HTTPError as exc:
        return exc.code


def takes(server: str, secret: str) -> bool:
    return status(f"{server}/api/incidents", headers={"X-Gateway-Secret": secret}) == 200


def versus(world, server: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command beside that server, with its configuration and without a secret."""
    config = world.folder / f"config-{server.rpartition(':')[2]}.yaml"
    at = {"VERSUS_CONFIG": str(config), "VERSUS_URL": server, "COLUMNS": "200"}
    return call_versus(*arguments, env=os.environ | at | environ)


def test_stock_nginx_opens_the_api_to_nobody_and_the_command_line_goes_on(world):
    server, _ = world.serve(public_host=ELSEWHERE)
    proxy = start_nginx(world, server)
    [created] = request(f"{proxy}/api/incidents?oncall_wait_minutes=5", ALERT)["incidents"]
    incident = f"/api/incidents/{created['id']}"

    reading = {status(f"{proxy}{path}") for path in ("/api/incidents", incident, f"{incident}/payload", "/metrics")}
    acting = {
        status(f"{proxy}{incident}/{it}?by=eve&minutes=5", method="POST")
        for it in ("acknowledge", "resolve", "escalate", "snooze", "retry")
    }
    locally = status(f"{server}/api/incidents")
    listed = json.loads(versus(world, server, "incidents", "list", "--json").stdout)["incidents"]
    acknowledged = versus(world, server, "incidents", "ack", created["id"], "--by", "ana")
    secret = versus(world, server, "gateway-secret").stdout.strip()

    assert (reading, acting, locally) == ({401}, {401}, 401)
    assert [it["status"] for it in listed] == ["triggered"]
    assert "acknowledged by ana" in acknowledged.stdout
    assert status(f"{proxy}/api/incidents", headers={"X-Gateway-Secret": secret}) == 200
    assert status(f"{proxy}/metrics", headers={"Authorization": f"Bearer {secret}"}) == 200
    assert "`versus gateway-secret` shows" in world.logged()
    assert secret not in world.logged()


def test_without_a_public_host_stock_nginx_is_told_from_a_local_program(world):
    server, _ = world.serve(public_host=None)
    proxy = start_nginx(world, server)

    assert status(f"{proxy}/api/incidents") == 403
    assert status(f"{server}/api/incidents") == 200


def test_links_to_acknowledge_go_through_nginx_without_a_secret(world):
    server, _ = world.serve(public_host=ELSEWHERE)
    proxy = start_nginx(world, server)
    request(f"{proxy}/api/incidents?oncall_wait_minutes=5", ALERT)
    wait_until(lambda: world.slack.messages("Disk full"), what="the message")
    link = world.slack.messages("Disk full")[0]["button_url"].replace(ELSEWHERE, proxy)

    assert request(link)["status"] == "triggered"
    assert request(link, method="POST")["status"] == "acknowledged"


def test_replicas_that_start_at_once_share_the_secret_and_it_outlives_them(world, redis_settings):
    servers = [world.serve(public_host=ELSEWHERE, **redis_settings) for _ in range(2)]

    [secret] = {versus(world, url, "gateway-secret").stdout.strip() for url, _ in servers}
    answers = [status(f"{url}/api/incidents", headers={"X-Gateway-Secret": secret}) for url, _ in servers]
    for _, process in servers:
        kill(process)
    again, _ = world.serve(public_host=ELSEWHERE, **redis_settings)

    assert answers == [200, 200]
    assert status(f"{again}/api/incidents", headers={"X-Gateway-Secret": secret}) == 200


def test_a_rotated_secret_counts_on_every_replica(world, redis_settings):
    servers = [world.serve(public_host=ELSEWHERE, **redis_settings)[0] for _ in range(2)]
    old = versus(world, servers[0], "gateway-secret").stdout.strip()
    assert [status(f"{url}/api/incidents", headers={"X-Gateway-Secret": old}) for url in servers] == [200, 200]

    new = versus(world, servers[0], "gateway-secret", "--rotate").stdout.strip()

    for url in servers:
        wait_until(partial(takes, url, new), what=f"{url} to take the new secret")
        assert status(f"{url}/api/incidents", headers={"X-Gateway-Secret": old}) == 401
        assert versus(world, url, "incidents", "list").returncode == 0


@pytest.mark.parametrize("command", [("incidents", "list"), ("incidents",), ("retry", "--all")])
def test_a_command_that_finds_no_secret_says_why(world, redis_settings, command):
    server, _ = world.serve(public_host=ELSEWHERE, **redis_settings)
    elsewhere = world.write_config(public_host="https://other.example.com", port=9)

    if command == ("incidents",):
        command = ("incidents", "--failed")
    missing = versus(world, server, *command, VERSUS_CONFIG="/nowhere/config.yaml")
    of_another = versus(world, server, *command, VERSUS_CONFIG=str(elsewhere))

    assert (missing.returncode, of_another.returncode) == (1, 1)
    assert "401: send the gateway secret" in missing.stderr
    assert "cannot read /nowhere/config.yaml" in missing.stderr
    assert f"{elsewhere} is the configuration of another server" in of_another.stderr


def test_a_command_without_access_to_redis_says_so(world, redis_settings):
    server, _ = world.serve(public_host=ELSEWHERE, **redis_settings)
    config = world.write_config(
        public_host=ELSEWHERE, port=int(server.rpartition(":")[2]), redis={"host": "127.0.0.1", "port": 9}
    )

    shown = versus(world, server, "incidents", "list", VERSUS_CONFIG=str(config))

    assert shown.returncode == 1
    assert "401: send the gateway secret" in shown.stderr
    assert "127.0.0.1:9" in shown.stderr


def test_the_secret_of_a_configuration_is_not_sent_to_another_server(world):
    one, _ = world.serve(public_host=ELSEWHERE, gateway_secret="of-the-configuration")
    other, _ = world.serve(public_host=ELSEWHERE, gateway_secret="of-another", data_dir=str(world.folder / "other"))

    assert versus(world, one, "incidents", "list").returncode == 0
    assert "is the configuration of another server" in versus(world, one, "incidents", "list", VERSUS_URL=other).stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"public_host": ELSEWHERE, "gateway_secret": "of-the-configuration"}, "change it there"),
        ({"public_host": None}, "the API takes no secret"),
    ],
)
def test_where_no_secret_is_generated_none_is_rotated(world, changes, said):
    config = world.write_config(**changes)

    shown = call_versus("gateway-secret", "--rotate", "-c", str(config), env=os.environ | {"COLUMNS": "200"})

    assert (shown.returncode, shown.stdout) == (1, "")
    assert said in shown.stderr


@pytest.mark.long
def test_stock_nginx_passes_the_stream_of_a_tab_on_at_once(world):
    server, _ = world.serve(gateway_secret="secret-of-the-gateway")
    proxy = start_nginx(world, server)
    ours = {"Sec-Fetch-Site": "same-origin"}
    form = urlencode({"name": "Ana", "secret": "secret-of-the-gateway"}).encode()
    opener = build_opener(HTTPCookieProcessor(CookieJar()))
    opener.open(Request(f"{proxy}/login", form, ours), timeout=10).close()

    with opener.open(Request(f"{proxy}/stream?after=0-0", headers=ours), timeout=10) as stream:
        heard = [stream.readline().decode() for _ in range(5)]
        request(f"{server}/api/incidents", ALERT)
        while "Disk full" not in (line := stream.readline().decode()):
            assert line, "the stream has ended"

    assert "event: beat\n" in heard
