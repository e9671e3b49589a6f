"""The stack of docker-compose.yml, from an alert of Prometheus to a record, and every link that people get."""

import html
import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.cookiejar import CookieJar
from urllib.parse import quote, urlencode, urlsplit

import pytest

from tests.acceptance.conftest import Simulator, answers, request
from tests.support.composed import ROOT, Stack, composed
from tests.support.waiting import wait_until
from versus_py.systems import load_config

NOT_RUN = {"grafana", "sign-in"}  # Debian has no Grafana; the other one ends by itself
VERSUS, SLACK, SERVICENOW, INFRA, PROMETHEUS, ALERTMANAGER = 3000, 8081, 8082, 8083, 9090, 9093
EXAMPLE = ROOT / ".env.example"
EXAMPLES = ("ExampleWarning", "ExampleCritical", "ExampleUrgent", "ExampleInfrastructure")


@pytest.fixture
def stack(tmp_path) -> Iterator[Stack]:
    (tmp_path / "empty.env").touch()
    with ExitStack() as running:
        found = Stack(composed(tmp_path / "empty.env", "demo"), tmp_path, running)
        in_a_hurry(found)
        for name in sorted(found.services.keys() - NOT_RUN):
            found.start(name)
        wait_until(lambda: answers(f"{found.url(VERSUS)}/healthz"), what="the server to answer")
        yield found


def in_a_hurry(stack: Stack) -> None:
    """Every example fires at once, and those of ServiceNow's receivers escalate at once."""
    stack.change("prometheus", "/etc/prometheus/example.rules.yml", "vector(0)", "vector(1)")
    for name, often in (("scrape_interval", "15s"), ("evaluation_interval", "5s")):
        stack.change("prometheus", "/etc/prometheus/prometheus.yml", f"{name}: {often}", f"{name}: 1s")
    receivers = "/etc/alertmanager/alertmanager.yml"
    stack.change("alertmanager", receivers, "group_wait: 10s", "group_wait: 1s")
    infra = "servicenow_other_instance=infra"
    stack.change("alertmanager", receivers, infra, f"{infra}&oncall_wait_minutes=0")


def test_an_alert_becomes_a_record_and_every_link_works_in_a_browser_of_this_machine(stack):
    slack, servicenow, infra = (Simulator(stack.url(port)) for port in (SLACK, SERVICENOW, INFRA))
    wait_until(lambda: len(servicenow.records) == len(infra.records) == 1, what="the records")
    for name in ("ExampleUrgent", "ExampleInfrastructure"):
        wait_until(partial(slack.shows, name, "Escalated"), what=f"{name} to be shown as escalated")
    for name in EXAMPLES:
        wait_until(partial(slack.messages, name), what=f"the message about {name}")
    browser = signed_in(stack.run("sign-in").strip())

    links = {link for name in EXAMPLES for it in slack.messages(name) for link in links_in(it)}

    assert {status_of(browser, link) for link in links} == {200}
    shown = {urlsplit(link).netloc for link in links}
    assert shown == {urlsplit(stack.url(it)).netloc for it in (VERSUS, SERVICENOW, INFRA, PROMETHEUS, ALERTMANAGER)}
    wait_until(lambda: watches(stack.url(PROMETHEUS)), what="Prometheus to scrape the server")


def test_with_an_env_file_of_ones_own_nothing_is_left_of_the_demo(tmp_path):
    """Also where it is the example with what has to be filled in, and everything else as it is there."""
    file = tmp_path / "own.env"
    file.write_text(
        re.sub(r"^SERVICENOW_PASSWORD=$", "SERVICENOW_PASSWORD=own", EXAMPLE.read_text(), flags=re.MULTILINE)
    )

    environ = composed(file)["versus"]["environment"]
    servicenow = load_config(ROOT / "config" / "config.yaml", environ).oncall.servicenow

    assert not [it for it in environ.values() if re.search(r"simulat|localhost|demo", it)]
    assert servicenow.browser_url == servicenow.instance_url == environ["SERVICENOW_INSTANCE_URL"]
    assert servicenow.other_instance_urls == {}


def watches(prometheus: str) -> bool:
    """Whether Prometheus reads the metrics, and has found nothing wrong with the product by the rules about it."""

    def value(query: str) -> list[str]:
        found = request(f"{prometheus}/api/v1/query?query={quote(query)}")["data"]["result"]
        return [it["value"][1] for it in found]

    groups = request(f"{prometheus}/api/v1/rules")["data"]["groups"]
    assert {it["name"] for it in groups} == {"versus", "versus-examples"}
    assert value('ALERTS{alertname=~"Versus.+", alertstate="firing"}') == []
    return value('up{job="versus"}') == ["1"]


def signed_in(link: str) -> urllib.request.OpenerDirector:
    """A browser in which somebody has opened the *link* that signs in, and pressed its button."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = browser.open(link, timeout=10).read().decode()
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)) | {"name": "Ana Diaz"}
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(link))
    form = urllib.request.Request(f"{origin}/login", urlencode(fields).encode(), {"Origin": origin})
    assert "Sign in" not in browser.open(form, timeout=10).read().decode()
    return browser


def links_in(message: dict[str, object]) -> set[str]:
    """Those to this machine: a runbook of the examples is nowhere."""
    found = re.findall(r"https?://[^\s<>|\"\\]+", json.dumps(message))
    return {html.unescape(it) for it in found if not (urlsplit(it).hostname or "").endswith("example.com")}


def status_of(browser: urllib.request.OpenerDirector, link: str) -> int | str:
    try:
        with browser.open(link.partition("#")[0], timeout=10) as response:
            return int(response.status)
    except OSError as exc:
        return f"{link}: {exc}"
