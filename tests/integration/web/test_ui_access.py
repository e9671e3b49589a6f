"""Who may open the web UI, and act in it: signing in, the cookie, forms of other sites, proxies, roles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import Morsel, SimpleCookie
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientResponse, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from tests.support.clock import FakeClock
from versus_py.errors import StoreUnavailable
from versus_py.systems import model
from versus_py.web.answers import errors_as_json
from versus_py.web.guard import GeneratedSecret, Guard
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.sessions import LINK_MS, Sessions
from versus_py.web.pages.ui.shell import SHELL, Shell, render
from versus_py.web.pages.ui.signing_in import SigningIn
from versus_py.web.pages.ui.viewer import Role, Viewer

SECRET = "the-secret-of-the-gateway"
KEY = "signing-key"
HTML = {"Accept": "text/html"}
OURS = {"Sec-Fetch-Site": "same-origin"}
HTTP = {"gateway_secret": SECRET, "public_host": "http://versus.corp"}


class Ui:
    """A server with a page to look at and one to act on, and a browser that keeps no cookie by itself."""

    def __init__(self, http: TestClient[Any, Any], shell: Shell, clock: FakeClock) -> None:
        self.http = http
        self.shell = shell
        self.clock = clock
        self.actors: list[Any] = []
        self.signing_key: str | None = KEY

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.http.get(path, headers=HTML | headers, allow_redirects=False)

    async def post(self, path: str, headers: dict[str, str] = OURS, **fields: str) -> ClientResponse:
        return await self.http.post(path, data=fields or None, headers=HTML | headers, allow_redirects=False)

    async def signed_in(self, name: str = "Ana Diaz", secret: str = SECRET) -> str:
        """The header Cookie of somebody who has signed in."""
        return _cookies(await self.post("/login", name=name, secret=secret))


class Turns:
    """What the store keeps of links, for as long as a test takes."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    async def takes_turn(self, name: str, *, for_ms: int) -> bool:
        assert for_ms >= LINK_MS
        is_first = name not in self.taken
        self.taken.add(name)
        return is_first


def _set(response: ClientResponse) -> dict[str, Morsel[str]]:
    jar: SimpleCookie = SimpleCookie()
    for line in response.headers.getall("Set-Cookie", []):
        jar.load(line)
    return dict(jar)


def _cookies(response: ClientResponse) -> str:
    return "; ".join(f"{name}={it.value}" for name, it in _set(response).items())


@asynccontextmanager
async def serving(settings: dict[str, Any], generated: GeneratedSecret | None = None) -> AsyncIterator[Ui]:
    config = model().model_validate(settings)
    clock = FakeClock()
    found: list[Ui] = []
    app = web.Application(middlewares=[errors_as_json])
    shell = app[SHELL] = Shell(config, clock, app.router)
    secrets = Guard.of(config, SimpleNamespace(gateway_secret=None))  # type: ignore[arg-type]  # not asked
    if generated is not None:
        secrets = Guard(generated=generated)
    sessions = Sessions(lambda: found[0].signing_key, clock, lasts_ms=round(config.ui.session_hours * 3_600_000))
    guard = UiGuard(shell, secrets, sessions)

    async def look(request: web.Request, viewer: Viewer) -> web.Response:
        return render(request, "ui/refused.html", title="The page", message=f"For {viewer.name}")

    async def act(_: web.Request, viewer: Viewer) -> web.Response:
        found[0].actors.append(viewer.actor)
        return web.Response(text="done")

    async def fail(_: web.Request, __: Viewer) -> web.Response:
        raise StoreUnavailable("away")

    app.add_routes(
        [
            web.get("/", guard(look)),
            web.get("/incidents/{id}", guard(look)),
            web.get("/failing", guard(fail)),
            web.post("/act", guard(act, needs=Role.RESPONDER)),
            *SigningIn(shell, secrets, sessions, guard, Turns()).routes(),
        ]
    )
    async with TestClient(TestServer(app), cookie_jar=DummyCookieJar()) as http:
        found.append(Ui(http, shell, clock))
        yield found[0]


@pytest.fixture
def settings() -> dict[str, Any]:
    return HTTP


@pytest.fixture
async def ui(settings: dict[str, Any]) -> AsyncIterator[Ui]:
    async with serving(settings) as found:
        yield found


async def text_of(response: ClientResponse, status: int = 200) -> str:
    text = await response.text()
    assert response.status == status, text
    return text


# ---- signing in


async def test_who_has_not_signed_in_is_asked_to_and_comes_back_to_the_page(ui):
    asked = await ui.get("/incidents/x?tab=1")
    assert (asked.status, asked.headers["Location"]) == (303, "/login?next=%2Fincidents%2Fx%3Ftab%3D1")
    assert 'value="/incidents/x?tab=1"' in await text_of(await ui.get(asked.headers["Location"]))

    answer = await ui.post("/login", name="Ana Diaz", secret=SECRET, next="/incidents/x?tab=1")

    assert (answer.status, answer.headers["Location"]) == (303, "/incidents/x?tab=1")
    assert "For Ana Diaz" in await text_of(await ui.get("/", Cookie=_cookies(answer)))


async def test_a_wrong_secret_is_refused_keeps_what_was_typed_and_is_shown_nowhere(ui, logs):
    answer = await ui.post("/login", name="Ana <b>", secret="wrong-secret", next="/incidents/x")
    page = await text_of(answer, 403)

    assert _set(answer) == {}
    assert "That secret is not right." in page
    assert 'value="Ana &lt;b&gt;"' in page
    assert "wrong-secret" not in page
    assert "wrong-secret" not in str(logs)
    assert [it["event"] for it in logs] == ["ui.sign_in_refused"]


@pytest.mark.parametrize("name", ["", "   ", "\u200b\n"])
async def test_without_a_name_nobody_signs_in(ui, name):
    answer = await ui.post("/login", name=name, secret=SECRET)

    assert answer.status == 400
    assert _set(answer) == {}


async def test_who_acts_has_the_name_that_was_told(ui):
    cookie = await ui.signed_in("Ana\n Diaz")

    assert (await ui.post("/act", OURS | {"Cookie": cookie})).status == 200
    assert [str(it) for it in ui.actors] == ["Ana Diaz"]


async def test_the_name_is_kept_and_asked_only_once(ui):
    answer = await ui.post("/login", name="Zoë Ünal; x=1", secret=SECRET)
    kept = {name: it for name, it in _set(answer).items() if name == ui.shell.cookie("name")}

    [(name, it)] = kept.items()
    assert 'value="Zoë Ünal; x=1"' in await text_of(await ui.get("/login", Cookie=f"{name}={it.value}"))
    assert int(it["max-age"]) > 300 * 24 * 3600


async def test_signing_out_removes_the_cookie(ui):
    answer = await ui.post("/logout", OURS | {"Cookie": await ui.signed_in()})
    [(name, it)] = _set(answer).items()

    assert (name, it.value, it["max-age"], it["path"]) == ("versus-session", "", "0", "/")
    assert answer.headers["Location"] == "/login"


async def test_who_is_signed_in_goes_on_from_the_form_at_once(ui):
    answer = await ui.get("/login?next=/incidents/x", Cookie=await ui.signed_in())

    assert (answer.status, answer.headers["Location"]) == (303, "/incidents/x")


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/a\\..\\evil",
        "/%0d%0aX: y\r\nX: y",
        " //evil.example",
        "/é",
        "",
    ],
)
async def test_signing_in_leads_to_pages_of_this_server_only(ui, elsewhere):
    signed_in = await ui.post("/login", name="Ana", secret=SECRET, next=elsewhere)
    anyway = await ui.http.get(
        "/login", params={"next": elsewhere}, headers=HTML | {"Cookie": _cookies(signed_in)}, allow_redirects=False
    )

    assert signed_in.headers["Location"] == "/"
    assert anyway.headers["Location"] == "/"


async def test_a_program_that_takes_no_html_is_told_and_not_led_anywhere(ui):
    for accept in ("text/event-stream", "application/json", "*/*"):
        answer = await ui.get("/", Accept=accept)
        assert (answer.status, answer.content_type) == (401, "application/json")


# ---- links that sign in once


async def link(ui: Ui, secret: str = SECRET) -> str:
    """The path and query of a new one."""
    response = await ui.http.post("/api/login-links", headers={"X-Gateway-Secret": secret})
    assert response.status == 201
    url = URL((await response.json())["url"])
    assert str(url).startswith(f"{ui.shell.config.link_base}/login?link=")
    return url.query["link"]


async def test_a_link_signs_in_once_without_the_secret(ui):
    token = await link(ui)

    for _ in range(2):  # a scanner opens it too
        page = await text_of(await ui.get(f"/login?link={token}"))
        assert token in page
        assert "Gateway secret" not in page
    first = await ui.post("/login", link=token, name="Ana Diaz", next="/incidents/x")
    second = await ui.post("/login", link=token, name="Eve")

    assert first.headers["Location"] == "/incidents/x"
    assert "For Ana Diaz" in await text_of(await ui.get("/", Cookie=_cookies(first)))
    assert "has been used or has expired" in await text_of(second, 403)
    assert _set(second) == {}


async def test_a_link_is_not_used_up_by_a_form_without_a_name(ui):
    token = await link(ui)

    assert token in await text_of(await ui.post("/login", link=token, name=" "), 400)
    assert (await ui.post("/login", link=token, name="Ana")).status == 303


async def test_a_link_ends(ui):
    token = await link(ui)

    ui.clock.advance(hours=1)

    assert "has been used or has expired" in await text_of(await ui.get(f"/login?link={token}"))
    assert (await ui.post("/login", link=token, name="Ana")).status == 403


async def test_a_link_that_is_none_of_ours_signs_nobody_in(ui):
    token = await link(ui)
    cookie = await ui.signed_in()
    session = cookie.split(";")[0].partition("=")[2]

    for forged in (flipped(token, 3), flipped(token, len(token) - 1), token.partition(".")[0], ".", "x", session):
        assert "has been used or has expired" in await text_of(await ui.get(f"/login?link={forged}"))
        assert (await ui.post("/login", link=forged, name="Eve")).status == 403, forged
    assert (await ui.get("/", Cookie=f"versus-session={token}")).status == 303
    async with serving(HTTP | {"gateway_secret": "another-secret-0123"}) as other:
        assert (await other.post("/login", link=token, name="Eve")).status == 403


async def test_a_link_is_made_for_those_who_have_the_secret(ui):
    for headers in ({}, {"X-Gateway-Secret": "wrong"}, {"Cookie": await ui.signed_in()} | OURS):
        assert (await ui.http.post("/api/login-links", headers=headers)).status == 401
    async with serving({}) as other:
        assert (await other.http.post("/api/login-links")).status == 409


async def test_redis_keeps_that_a_link_was_used(engine):
    token = URL((await (await engine.http.post("/api/login-links")).json())["url"]).query["link"]
    form = {"link": token, "name": "Ana"}

    answers = [
        await engine.http.post("/login", data=form, headers=HTML | OURS, allow_redirects=False) for _ in range(2)
    ]

    assert [it.status for it in answers] == [303, 403]
    assert _set(answers[0])["versus-session"].value


# ---- the cookie


@pytest.mark.parametrize(
    ("settings", "name", "path"),
    [
        ({"gateway_secret": SECRET, "public_host": "https://versus.corp"}, "__Host-versus-session", "/"),
        ({"gateway_secret": SECRET, "public_host": "https://corp/versus"}, "__Secure-versus-session", "/versus"),
        ({"gateway_secret": SECRET, "public_host": "http://versus.corp"}, "versus-session", "/"),
        ({"gateway_secret": SECRET, "public_host": "http://corp/versus"}, "versus-session", "/versus"),
        ({"gateway_secret": SECRET}, "versus-session", "/"),
    ],
    ids=["https", "https below a path", "http", "http below a path", "this machine"],
)
async def test_the_cookie_has_the_name_and_attributes_that_browsers_hold_it_to(ui, name, path):
    found = _set(await ui.post("/login", name="Ana", secret=SECRET))[name]

    assert found["path"] == path
    assert bool(found["secure"]) == name.startswith("__")
    assert found["httponly"]
    assert found["samesite"] == "Lax"
    assert found["domain"] == ""  # which __Host- forbids
    assert int(found["max-age"]) == 12 * 3600


def flipped(text: str, at: int) -> str:
    return f"{text[:at]}{'A' if text[at] != 'A' else 'B'}{text[at + 1 :]}"


async def test_a_cookie_that_somebody_changed_is_worth_nothing(ui):
    cookie = await ui.signed_in()
    session = cookie.split(";")[0]
    start, dot = session.index("=") + 1, session.index(".")

    forged = [flipped(session, at) for at in (start, start + 5, dot - 1, dot + 1, len(session) - 1)]
    forged += [
        session[:dot],
        session[: dot + 1],
        f"{session}0",
        session.upper(),
        "versus-session=.",
        "versus-session=x",
    ]
    for it in forged:
        assert (await ui.get("/", Cookie=it)).status == 303, it
    assert (await ui.get("/", Cookie=session)).status == 200


async def test_a_session_ends(ui):
    cookie = await ui.signed_in()

    ui.clock.advance(hours=12, seconds=-1)
    assert (await ui.get("/", Cookie=cookie)).status == 200
    ui.clock.advance(seconds=1)
    assert (await ui.get("/", Cookie=cookie)).status == 303


@pytest.mark.parametrize("settings", [HTTP | {"ui": {"session_hours": 0.5}}])
async def test_how_long_it_lasts_is_a_setting(ui):
    cookie = await ui.signed_in()

    ui.clock.advance(minutes=30)

    assert (await ui.get("/", Cookie=cookie)).status == 303


async def test_a_cookie_of_another_secret_or_key_is_worth_nothing(ui):
    cookie = await ui.signed_in()

    ui.signing_key = "another"
    assert (await ui.get("/", Cookie=cookie)).status == 303
    async with serving(HTTP | {"gateway_secret": "another-secret-0123"}) as other:
        assert (await other.get("/", Cookie=cookie)).status == 303


async def test_a_secret_that_is_still_taken_keeps_its_sessions(ui):
    cookie = await ui.signed_in()

    async with serving(HTTP | {"gateway_secret": "another-secret-0123", "previous_gateway_secrets": [SECRET]}) as other:
        assert (await other.get("/", Cookie=cookie)).status == 200
        assert await other.signed_in(secret=SECRET)


async def test_a_generated_secret_signs_in_and_a_rotated_one_ends_its_sessions():
    kept = ["generated-one"]
    clock = FakeClock()

    async def ask(_: str | None) -> str:
        return kept[0]

    async with serving({"public_host": "http://versus.corp"}, GeneratedSecret(ask, clock.now_ms)) as ui:
        assert "versus gateway-secret" in await text_of(await ui.get("/login"))
        cookie = await ui.signed_in(secret="generated-one")
        assert (await ui.get("/", Cookie=cookie)).status == 200
        kept[0] = "generated-two"
        clock.advance(seconds=31)

        assert (await ui.get("/", Cookie=cookie)).status == 303
        assert (await ui.post("/login", name="Ana", secret="generated-one")).status == 403


async def test_before_the_signing_key_is_known_nobody_is_let_in(ui):
    cookie = await ui.signed_in()
    ui.signing_key = None

    answer = await ui.get("/", Cookie=cookie)

    assert answer.headers["Retry-After"]
    assert "Not available now" in await text_of(answer, 503)


def test_secrets_and_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    sessions = Sessions(lambda: KEY, FakeClock(), lasts_ms=1000)
    cookie = sessions.cookie(Viewer("Ana", "", Role.VIEWER), SECRET)

    assert sessions.is_signed(cookie, SECRET)
    assert not sessions.is_signed(flipped(cookie, len(cookie) - 1), SECRET)
    assert len(compared) == 2


async def test_every_secret_is_compared_whichever_is_right():
    asked = []
    guard = Guard(["one", "two", "three"])

    def is_first(secret: str) -> bool:
        asked.append(secret)
        return secret == "one"

    assert await guard.satisfies(is_first)
    assert asked == ["one", "two", "three"]
    assert not await Guard().matches("")


# ---- forms of other sites


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://versus.corp"},
    {"Origin": "http://evil.example"},
    {"Origin": "https://versus.corp"},
    {"Origin": "http://versus.corp:8080"},
    {"Origin": "http://versus.corp.evil.example"},
    {"Origin": "http://evil.example/http://versus.corp"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Referer": "http://versus.corp/"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/act", "/logout", "/theme", "/you", "/login"])
async def test_a_form_of_another_site_does_nothing(ui, path, headers):
    cookie = await ui.signed_in()

    answer = await ui.post(path, headers | {"Cookie": cookie}, name="Eve", secret=SECRET, theme="dark")

    assert "No page of this server sent this form" in await text_of(answer, 403)
    assert _set(answer) == {}
    assert ui.actors == []


@pytest.mark.parametrize(
    "headers",
    [OURS, {"Origin": "http://versus.corp"}, {"Origin": "http://versus.corp:80"}, {"Origin": "http://VERSUS.corp"}],
)
async def test_a_form_of_ours_is_taken(ui, headers):
    assert (await ui.post("/act", headers | {"Cookie": await ui.signed_in()})).status == 200


@pytest.mark.parametrize("settings", [{"gateway_secret": SECRET}])
async def test_without_a_public_host_the_host_that_was_asked_counts(ui):
    cookie = await ui.signed_in()
    host = ui.http.server.make_url("/").authority

    assert (await ui.post("/act", {"Origin": f"http://{host}", "Cookie": cookie})).status == 200
    assert (await ui.post("/act", {"Origin": "http://localhost:1", "Cookie": cookie})).status == 403


async def test_browsers_keep_the_origin_in_forms_and_tell_no_other_site_the_address(ui):
    """With no-referrer, a form has `Origin: null`, also one of ours."""
    assert (await ui.get("/login")).headers["Referrer-Policy"] == "same-origin"


# ---- this machine, without a secret


OPEN: dict[str, Any] = {}


@pytest.mark.parametrize("settings", [OPEN])
async def test_without_a_secret_this_machine_comes_in_and_the_page_says_so(ui):
    page = await text_of(await ui.get("/"))

    assert "everybody on this machine comes in without signing in" in page
    assert "Tell your name" in page
    assert (await ui.get("/login")).headers["Location"] == "/"
    assert (await ui.post("/login", name="Ana", secret="")).status == 404


@pytest.mark.parametrize("settings", [OPEN])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "versus.corp:3000"},
        {"Host": "localhost.evil.example"},
        {"X-Forwarded-For": "10.0.0.1"},
        {"Forwarded": "for=10.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "10.0.0.1"},
    ],
)
async def test_without_a_secret_nobody_else_comes_in(ui, headers):
    assert "set gateway_secret" in await text_of(await ui.get("/", **headers), 403)
    assert (await ui.post("/act", OURS | headers)).status == 403
    assert ui.actors == []


@pytest.mark.parametrize("settings", [OPEN])
async def test_without_a_secret_other_sites_in_the_browser_may_lead_here_and_not_act(ui):
    assert (await ui.get("/incidents/x", **{"Sec-Fetch-Site": "cross-site"})).status == 200
    assert (await ui.post("/act", {"Sec-Fetch-Site": "cross-site"})).status == 403
    assert (await ui.post("/act", {"Origin": "http://evil.example"})).status == 403


@pytest.mark.parametrize("settings", [OPEN])
async def test_without_a_secret_the_name_is_told_once_and_kept(ui):
    await ui.post("/act")
    cookie = _cookies(await ui.post("/you", name="Ana Diaz"))
    await ui.post("/act", OURS | {"Cookie": cookie})

    assert [it.name for it in ui.actors] == ["somebody in the web UI", "Ana Diaz"]
    assert "Tell your name" not in await text_of(await ui.get("/", Cookie=cookie))


async def test_a_name_is_not_changed_beside_the_sign_in(ui):
    cookie = await ui.signed_in()

    assert (await ui.post("/you", OURS | {"Cookie": cookie}, name="Ben")).status == 403


# ---- a proxy that says who asks


def proxy(**more: Any) -> dict[str, Any]:
    ui = {"auth": "proxy", "trusted_proxies": ["127.0.0.1", "::1/128"], "headers": {"preset": "authelia"}}
    return {"public_host": "https://versus.corp", "ui": {**ui, **more}}


ANA = {"Remote-User": "ana", "Remote-Name": "Ana Diaz", "Remote-Email": "ana@corp.example", "Remote-Groups": "sre,dev"}


@pytest.mark.parametrize("settings", [proxy()])
async def test_a_trusted_proxy_says_who_acts(ui):
    assert (await ui.post("/act", OURS | ANA)).status == 200
    assert [str(it) for it in ui.actors] == ["Ana Diaz (ana@corp.example)"]


OAUTH2 = {
    "X-Forwarded-User": "8d7f",
    "X-Forwarded-Preferred-Username": "ana",
    "X-Forwarded-Email": "ana@corp.example",
    "X-Forwarded-For": "10.9.8.7",
}


@pytest.mark.parametrize(
    ("settings", "headers", "name"),
    [
        (proxy(headers={"preset": "oauth2-proxy"}), OAUTH2, "ana"),
        (proxy(headers={"preset": "oauth2-proxy", "name": "X-Name"}), OAUTH2 | {"X-Name": "Ana Diaz"}, "Ana Diaz"),
        (proxy(headers={"user": "X-Who"}), {"X-Who": "ana\u200b "}, "ana"),
        (proxy(), {"Remote-User": "ana"}, "ana"),
    ],
    ids=["oauth2-proxy", "a header of one's own", "no preset", "no name"],
)
async def test_presets_and_headers_of_ones_own_say_the_name(ui, headers, name):
    assert f"For {name}" in await text_of(await ui.get("/", **headers))


@pytest.mark.parametrize("settings", [proxy(trusted_proxies=["10.0.0.0/8", "fd00::/8"])])
async def test_from_anywhere_else_the_headers_do_not_count(ui):
    assert "from its proxy only" in await text_of(await ui.get("/", **ANA), 403)
    assert (await ui.get("/", **ANA, **{"X-Forwarded-For": "10.0.0.1"})).status == 403
    assert (await ui.post("/act", OURS | ANA)).status == 403
    assert ui.actors == []


@pytest.mark.parametrize("settings", [proxy() | {"gateway_secret": SECRET}])
async def test_behind_a_proxy_nobody_signs_in_with_the_secret(ui):
    assert "does not say who you are" in await text_of(await ui.get("/"), 403)
    assert (await ui.post("/login", OURS | ANA, name="Ana", secret=SECRET)).status == 404
    assert (await ui.get("/login", **ANA)).headers["Location"] == "/"


@pytest.mark.parametrize("settings", [proxy(roles={"responder": ["sre"]})])
@pytest.mark.parametrize("header", ["Remote-User", "Remote-Groups"])
async def test_a_header_that_came_twice_is_refused(ui, header):
    """The browser's own beside the proxy's."""
    headers = [*(HTML | ANA).items(), (header, "sre")]

    assert "more than once" in await text_of(await ui.http.get("/", headers=headers), 403)


ROLES = {"responder": ["sre", "dba"], "viewer": ["staff"]}


@pytest.mark.parametrize(
    ("settings", "groups", "looks", "acts"),
    [
        (proxy(), "", 200, 200),
        (proxy(roles=ROLES), "sre", 200, 200),
        (proxy(roles=ROLES), "staff, dba", 200, 200),
        (proxy(roles=ROLES), "staff", 200, 403),
        (proxy(roles=ROLES), "SRE,sre2", 403, 403),
        (proxy(roles=ROLES), "", 403, 403),
        (proxy(roles={"responder": ["sre"]}), "other", 200, 403),
        (proxy(roles={"viewer": ["staff"]}), "staff", 200, 403),
    ],
)
async def test_the_groups_say_what_somebody_may(ui, groups, looks, acts):
    headers = ANA | {"Remote-Groups": groups}

    assert (await ui.get("/", **headers)).status == looks
    assert (await ui.post("/act", OURS | headers)).status == acts
    assert len(ui.actors) == (acts == 200)


@pytest.mark.parametrize("settings", [proxy(roles=ROLES)])
async def test_a_viewer_is_told_why_nothing_was_done_and_finds_no_way_around(ui):
    headers = ANA | {"Remote-Groups": "staff"}
    cookie = f"{ui.shell.cookie('session')}=x"

    page = await text_of(await ui.post("/act", OURS | headers | {"Cookie": cookie}), 403)

    assert "you can look, not act" in page
    assert ui.actors == []


# ---- what pages have in common


@pytest.mark.parametrize("settings", [HTTP | {"public_host": "https://corp.example/on/call"}])
async def test_every_link_begins_with_the_path_of_public_host(ui):
    asked = await ui.get("/incidents/x")
    answer = await ui.post("/login", name="Ana", secret=SECRET, next="/incidents/x")
    page = await text_of(await ui.get("/", Cookie=_cookies(answer)))
    theme = await ui.post("/theme", OURS | {"Referer": "https://corp.example/on/call/incidents/x?a=1"}, theme="dark")

    assert asked.headers["Location"] == "/on/call/login?next=%2Fincidents%2Fx"
    assert answer.headers["Location"] == "/on/call/incidents/x"
    assert theme.headers["Location"] == "/on/call/incidents/x?a=1"
    for attribute in ('href="/', 'src="/', 'action="/'):
        assert page.count(attribute) == page.count(f"{attribute}on/call/")
    assert page.count('href="/on/call/static/ui.') == 1


async def test_the_theme_is_kept_and_only_known_ones_are(ui):
    page = await text_of(await ui.get("/login"))
    assert 'data-theme="auto"' in page
    answer = await ui.post("/theme", OURS | {"Referer": "http://evil.example//evil.example/"}, theme="dark")
    assert answer.headers["Location"] == "/"

    assert 'data-theme="dark"' in await text_of(await ui.get("/login", Cookie=_cookies(answer)))
    assert 'data-theme="auto"' in await text_of(await ui.get("/login", Cookie='versus-theme="><b>'))
    assert (await ui.post("/theme", theme='"><b>')).status == 400


async def test_the_navigation_names_the_pages_that_there_are(ui):
    page = await text_of(await ui.get("/", Cookie=await ui.signed_in()))

    assert 'href="/you"' in page
    assert 'href="/history"' not in page


async def test_an_error_is_a_page_with_the_way_back(ui):
    page = await text_of(await ui.get("/failing", Cookie=await ui.signed_in()), 503)

    assert "Redis cannot be read or written" in page
    assert "Back to the start" in page


async def test_no_page_is_kept_by_a_cache_or_runs_anything_inline(ui):
    for answer in (await ui.get("/login"), await ui.get("/", Cookie=await ui.signed_in()), await ui.get("/")):
        assert answer.headers["Cache-Control"] == "no-store"
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "connect-src 'self'" in policy
        assert "img-src 'self' data:" in policy
        assert "unsafe" not in str(policy)
