"""A running server, sent bad requests by the thousand: it answers, shows no trace, and loses nothing beside them."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from urllib.parse import quote, quote_plus, urlencode
from uuid import uuid4

import aiohttp
import pytest
from slack_sdk.signature import SignatureVerifier
from yarl import URL

from tests.fuzz.conftest import SECRET, SIGNING_SECRET, Server
from tests.support.fuzzing import share
from tests.support.nasty import GOOD, Nasty

AT_ONCE = 8
GOOD_EVERY = 25
SENT_AGAIN_MAX = 10
"""As senders do when a request is put off, because thousands of alerts are just being written down."""

_LEAK = re.compile(r'Traceback|File "|\.py\b|site-packages|aiohttp\.|redis\.(?!durability)|orjson|Error:')
_ACTIONS = ("acknowledge", "unacknowledge", "resolve", "escalate", "snooze")


@pytest.fixture
async def http(server: Server) -> AsyncIterator["Client"]:
    timeout = aiohttp.ClientTimeout(total=60)
    bad = aiohttp.TCPConnector(force_close=True)  # the server ends a connection on which it cannot tell what comes next
    async with (
        aiohttp.ClientSession(server.url, timeout=timeout, connector=bad) as for_bad,
        aiohttp.ClientSession(server.url, timeout=timeout) as for_good,
    ):
        yield Client(for_bad, for_good)


class Client:
    """Sends requests that are wrong, and good alerts between them."""

    def __init__(self, for_bad: aiohttp.ClientSession, for_good: aiohttp.ClientSession) -> None:
        self._bad = for_bad
        self._session = for_good
        self._good: list[str] = []

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Expect an answer that is in order, whatever it is."""
        url = URL(f"{path}?{query}" if query else path, encoded=True)
        sent = f"{method} {str(url)[:500]} {str(headers)[:500]} {(data or b'')[:1500]!r}"
        try:
            async with self._bad.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
                text = await answer.text(errors="replace")
        except aiohttp.ClientError as exc:
            raise AssertionError(f"{exc!r} for {sent}") from exc
        is_put_off = answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "Retry-After" in answer.headers
        assert answer.status < 500 or is_put_off, f"{answer.status} {text[:300]} for {sent}"
        if answer.status >= 400:
            assert not _LEAK.search(_without_echo(text)), f"{text[:500]} for {sent}"
        if answer.content_type == "application/json" and text:
            assert answer.status < 400 or set(json.loads(text)) == {"error"}, sent
        if answer.status == HTTPStatus.CREATED and path == "/api/incidents":
            await self._expect_shown(json.loads(text)["incidents"][:2], sent)

    async def expect_list(self) -> None:
        """Every page of the list can be read."""
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            async with self._session.get("/api/incidents", params=params, headers=_secret()) as answer:
                body = await answer.json()
                assert answer.status == 200, body
            cursor = body["next"]

    async def _expect_shown(self, accepted: list[dict[str, str | None]], sent: str) -> None:
        for known in (it["id"] for it in accepted if it["id"] is not None):
            async with self._session.get(f"/api/incidents/{known}", headers=_secret()) as answer:
                assert answer.status == 200, f"{(await answer.text())[:300]} after {sent}"

    async def send_good(self) -> None:
        """An alert that must be accepted whatever else goes on."""
        key = f"good-{uuid4()}"
        for _ in range(SENT_AGAIN_MAX):
            async with self._session.post("/api/incidents", json=GOOD | {"dedup_key": key}) as answer:
                body = await answer.json()
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        assert answer.status == 201, body
        self._good.append(body["incidents"][0]["id"])

    async def each(self, nasty: Nasty, inputs: range, send) -> None:
        """Bad ones, several at once, and a good one now and then; afterwards every good one is there."""
        numbers = iter(inputs)

        async def work() -> None:
            for number in numbers:
                await send(nasty)
                if number % GOOD_EVERY == 0:
                    await self.send_good()

        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(work())
        await self.expect_good()
        await self.expect_list()

    async def expect_good(self) -> None:
        assert self._good
        for known in self._good:
            async with self._session.get(f"/api/incidents/{known}", headers=_secret()) as answer:
                body = await answer.json()
                assert (answer.status, body["title"], body["status"]) == (200, GOOD["title"], "triggered")


def _without_echo(text: str) -> str:
    """An error may quote what was sent, between quotation marks."""
    return re.sub(r"'[^']*'|\\\"[^\"]*\\\"", "''", text)


def _secret() -> dict[str, str]:
    return {"X-Gateway-Secret": SECRET}


def _query(nasty: Nasty) -> str:
    """Encoded rightly, or as it should not be."""
    pairs = nasty.query()
    if nasty.random.random() < 0.8:
        return urlencode(pairs, errors="surrogatepass")[:6000]
    return "&".join(f"{quote(name, safe='%')}=%{nasty.random.randrange(256):02x}%ed%a0%80" for name, _ in pairs)[:6000]


def _headers(nasty: Nasty) -> dict[str, str]:
    names = ("Accept", "Content-Type", "Accept-Encoding", "Sentry-Hook-Signature", "X-Forwarded-For", "Cookie", "Range")
    return {name: nasty.header() for name in names if nasty.random.random() < 0.3}


def _part_of_path(nasty: Nasty) -> str:
    usual = ("0f3c1a2b4d5e6f708192-3", "x", "..", "%00", "%ff", "%2f%2e%2e", "-", "0-99999999999999999999", "%7B0%7D")
    if nasty.random.random() < 0.5:
        return nasty.random.choice(usual)
    return quote(nasty.text()[:60], safe="", errors="surrogatepass") or "x"


async def test_bodies_and_overrides_of_the_intake(http: Client, nasty: Nasty):
    async def send(it: Nasty) -> None:
        headers, body = _headers(it), it.body()
        if it.random.random() < 0.2:
            headers["Content-Encoding"], body = it.compressed(body)
        await http.send("POST", "/api/incidents", query=_query(it), data=body, headers=headers)

    await http.each(nasty, share("the intake", 10), send)


async def test_ids_bodies_and_parameters_of_reading_and_acting(http: Client, nasty: Nasty):
    async def send(it: Nasty) -> None:
        headers = _headers(it) | _secret()
        match it.random.randrange(4):
            case 0:
                await http.send("GET", "/api/incidents", query=_query(it), headers=headers)
            case 1:
                await http.send("GET", f"/api/incidents/{_part_of_path(it)}", query=_query(it), headers=headers)
            case _:
                path = f"/api/incidents/{_part_of_path(it)}/{it.random.choice(_ACTIONS)}"
                body = it.body()[:100_000]
                if it.random.random() < 0.2:
                    headers["Content-Encoding"], body = it.compressed(body)
                await http.send("POST", path, query=_query(it), data=body, headers=headers)

    await http.each(nasty, share("reading and acting", 4), send)


async def test_links_and_pages(http: Client, nasty: Nasty):
    async def send(it: Nasty) -> None:
        method = it.random.choice(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
        path = it.random.choice(["/api/ack/{}", "/api/storms/{}/{}", "/static/{}", "/{}", "/api/{}", "/healthz"])
        await http.send(
            method, path.format(_part_of_path(it), _part_of_path(it)), query=_query(it), headers=_headers(it)
        )

    await http.each(nasty, share("links", 3), send)


async def test_signed_interactions(http: Client, nasty: Nasty):
    verifier = SignatureVerifier(SIGNING_SECRET)

    async def send(it: Nasty) -> None:
        body = b"payload=" + quote_plus(_interaction(it), errors="surrogatepass").encode()
        if it.random.random() < 0.2:
            body = it.mutated(body)
        now = str(int(time.time()))
        try:
            signature = verifier.generate_signature(timestamp=now, body=body) or ""
        except UnicodeDecodeError:
            signature = "v0=0"
        headers = {"X-Slack-Request-Timestamp": now, "X-Slack-Signature": signature}
        await http.send("POST", "/api/slack/interactions", data=body, headers=headers)

    await http.each(nasty, share("interactions", 4), send)


async def test_what_is_not_even_http(server: Server, http: Client, nasty: Nasty):
    async def send(it: Nasty) -> None:
        request = b"POST /api/incidents HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        if it.random.random() < 0.2:
            request = (
                b"POST /api/incidents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            )
        url = URL(server.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            writer.write(it.mutated(request))
            writer.write_eof()
            async with asyncio.timeout(60):
                answer = await reader.read()
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        assert not answer.startswith(b"HTTP/1.1 5"), answer[:300]
        assert not _LEAK.search(answer.decode(errors="replace")), answer[:500]

    await http.each(nasty, share("the port", 4), send)


def _interaction(nasty: Nasty) -> str:
    return json.dumps(nasty.interaction()) if nasty.random.random() < 0.9 else nasty.json_text()
