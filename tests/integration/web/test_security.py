"""What holds for every route and payload: nothing changes on a GET, nothing is fetched, nothing runs in a page."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest
from aiohttp import web

from versus_py.simulators import run_app
from versus_py.simulators.slack.simulator import SIGNING_SECRET
from versus_py.store.connection import connect
from versus_py.targets.slack.requests import PATH as SLACK_PATH
from versus_py.tools.samples import SAMPLES
from versus_py.web.pages.ui.guard import is_page

HTML = {"Accept": "text/html,application/xhtml+xml"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
ALERT = {"title": f"Disk full {HOSTILE}", "id": "d1", "severity": "high"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture
def slack_settings():
    return {"signing_secret": SIGNING_SECRET, "storm": {"threshold": 1}}


async def dump(engine) -> dict[str | bytes, object]:
    """All that Redis holds."""
    async with connect(engine.redis_server.config) as redis:
        return {key: await redis.dump(key) for key in sorted(await redis.keys())}


@pytest.fixture
async def places(engine) -> dict[str, str]:
    """A path for every route that there is: with a good link, an incident's id, a file's name; and a bad link."""
    for number in range(10):
        await engine.post(ALERT | {"id": f"d{number}"})
    await engine.settle()
    incident = (await engine.post(ALERT))["incidents"][0]["id"]
    texts = [message.text for message in engine.slack.messages]
    [storm] = [found[1] for text in texts if (found := re.search(r"<([^|>]+/api/storms/[^|]+)\|", text))]
    ack = engine.links.url(await engine.store.get(incident))
    taken = await (await engine.http.post("/v2/alerts", json={"message": "x", "alias": "a"})).json()
    requests = {
        f"{base}/v2/alerts/requests/{{id}}": f"{base}/v2/alerts/requests/{taken['requestId']}"
        for base in ("", "/jsm/ops/integration")
    }
    return requests | {
        "/api/incidents/{id}": f"/api/incidents/{incident}",
        "/api/ack/{id}": _path(ack),
        "/api/storms/{place}/{id}": _path(storm.replace("&amp;", "&")),
        "/static/{name}": "/static/ui.css",
    }


def _path(url: str) -> str:
    split = urlsplit(url)
    return f"{split.path}?{split.query}"


def routes(engine) -> list[tuple[str, str]]:
    """Method and path, as written, of every route."""
    found = engine.http.server.app.router.routes()
    return sorted({(it.method, it.resource.canonical) for it in found})


def path_of(route: str, places: dict[str, str]) -> str:
    """A path of *route* with something behind it."""
    incident = places["/api/incidents/{id}"]
    return places.get(route) or route.replace("/api/incidents/{id}", incident).replace("{id}", "a")


async def test_nothing_changes_on_a_get(engine, places):
    await engine.http.get("/readyz")  # which tries whether Redis takes writes, in a key of its own
    before = await dump(engine)
    answered = {}
    for method, route in routes(engine):
        if method in {"GET", "HEAD"}:
            path = path_of(route, places)
            await engine.http.request(method, path.partition("?")[0])  # also without a signature
            answered[method, route] = (await engine.http.request(method, path, headers=HTML)).status

    assert await dump(engine) == before
    assert set(answered.values()) == {200}
    assert ("GET", "/api/ack/{id}") in answered


async def test_every_answer_of_every_route_is_strict_with_browsers(engine, places):
    found = engine.http.server.app.router.routes()
    pages_of_the_ui = {it.resource.canonical for it in found if is_page(it.handler)}
    for method, route in routes(engine):
        for path in (path_of(route, places), "/nothing"):
            response = await engine.http.request(method, path, headers=HTML)
            is_of_ui = path != "/nothing" and route in pages_of_the_ui
            for name, value in {**HEADERS, **({"Referrer-Policy": "same-origin"} if is_of_ui else {})}.items():
                assert response.headers.get(name, "").startswith(value), (method, path, name)
            policy = response.headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy


class _Finder(HTMLParser):
    """Notes what would run, or load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self._is_script = False

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self._is_script = tag == "script"
        for name, value in attrs:
            is_local = tag in {"a", "form"} or not re.match(r"\w+:|//", value or "")
            is_code = (
                name.startswith("on") or name == "style" or (value or "").strip().lower().startswith("javascript:")
            )
            if is_code or (name in {"src", "href", "action"} and not is_local):
                self.found.append(f"{tag} {name}={value}")
        if tag in {"style", "iframe", "object", "embed", "base", "img"}:
            self.found.append(tag)

    def handle_data(self, data):
        if self._is_script and data.strip():
            self.found.append(f"inline: {data}")

    def handle_endtag(self, tag):
        self._is_script = False


async def pages(engine, places) -> AsyncIterator[tuple[str, str]]:
    """Every page there is, in every state: the path, and its text."""
    ack = places["/api/ack/{id}"]
    storm = places["/api/storms/{place}/{id}"]
    for method, path in [("GET", ack), ("GET", f"{ack}x"), ("GET", storm), ("POST", ack), ("GET", ack), ("GET", storm)]:
        response = await engine.http.request(method, path, headers=HTML)
        if response.content_type == "text/html":
            yield f"{method} {path}", await response.text()


async def test_no_page_has_anything_inline_or_from_elsewhere_whatever_an_alert_says(engine, places):
    seen = 0
    async for path, text in pages(engine, places):
        finder = _Finder()
        finder.feed(text)
        assert finder.found == [], path
        assert HOSTILE not in text
        seen += 1

    assert seen == 6


async def test_no_page_runs_a_script_or_sends_a_form_by_itself(engine, places):
    """Whoever renders a page runs what is on it: mail scanners, previews, prefetchers."""
    pages_with_a_form = 0
    async for path, text in pages(engine, places):
        finder = _Finder()
        finder.feed(text)
        assert "script" not in finder.tags, path
        assert 'http-equiv="refresh"' not in text.lower(), path
        pages_with_a_form += "form" in finder.tags
    policy = (await engine.http.get(places["/api/ack/{id}"])).headers["Content-Security-Policy"]

    assert "script-src" not in policy
    assert pages_with_a_form == 3  # of the link, and of the storm before and after an acknowledgment


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that notes what is asked of it."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(str(request.url))
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", note)
    async with run_app(app) as url:
        yield url, asked


def baited(value, url: str):
    """The same with *url* wherever there is a text that is a URL."""
    if isinstance(value, dict):
        return {key: baited(item, url) for key, item in value.items()}
    if isinstance(value, list):
        return [baited(item, url) for item in value]
    if isinstance(value, str) and value.startswith('{"'):  # SNS' message
        return orjson.dumps(baited(orjson.loads(value), url)).decode()
    return f"{url}/bait" if isinstance(value, str) and value.startswith("http") else value


TOPIC = "arn:aws:sns:eu-central-1:123456789012:t"


@pytest.mark.parametrize("settings", [{"sources": {"cloudwatch": {"topics": [TOPIC]}}}])
async def test_no_url_that_a_request_names_is_ever_fetched(engine):
    async with listening() as (url, asked):
        names = ("url", "link", "generatorURL", "externalURL", "webhook", "callback", "response_url", "silenceURL")
        extra = dict.fromkeys(names, f"{url}/bait")
        headers = {"Referer": f"{url}/bait", "Origin": url, "X-Forwarded-Host": urlsplit(url).netloc}
        now = datetime.now(UTC)
        for make in SAMPLES.values():
            payload = baited(make(starts_at=now), url) | extra
            for more in (payload, {"title": "nested", "payload": payload, "annotations": extra}):
                response = await engine.http.post("/api/incidents", data=orjson.dumps(more), headers=headers)
                assert response.status in {201, 403}
        for kind in ("Notification", "SubscriptionConfirmation"):
            envelope = dict.fromkeys(("Message", "MessageId", "Timestamp", "Token"), "x") | {
                "Type": kind,
                "TopicArn": TOPIC,
            }
            envelope |= {"SignatureVersion": "1", "Signature": "AAAA", "SigningCertURL": f"{url}/sns.pem"}
            response = await engine.http.post("/api/incidents", data=orjson.dumps(envelope | {"SubscribeURL": url}))
            assert response.status == 403
        await engine.settle()
        await engine.after(minutes=10)

        assert engine.servicenow.incidents
        assert asked == []


async def test_the_url_that_slack_sends_for_answers_is_not_used(engine):
    async with listening() as (url, asked):
        incident = (await engine.post(ALERT))["incidents"][0]["id"]
        await engine.settle()
        shown = engine.slack.messages[0]
        body, headers = engine.slack.prepare_press(shown, "acknowledge")
        assert b"response_url" in body
        signed = orjson.loads(_form(body)) | {"response_url": f"{url}/bait"}
        body = urlencode({"payload": orjson.dumps(signed).decode()}).encode()
        timestamp = headers["X-Slack-Request-Timestamp"]
        headers["X-Slack-Signature"] = engine.slack.sign(body, timestamp)
        assert (await engine.http.post(SLACK_PATH, data=body, headers=headers)).status == 200
        await engine.settle()

        assert (await engine.detail(incident))["status"] == "acknowledged"
        assert asked == []


def _form(body: bytes) -> str:
    return parse_qs(body.decode())["payload"][0]
