"""Getting into an instance: tokens fetched once and renewed in time, keys, certificates and proxies."""

import asyncio
import ssl

import aiohttp
import pytest
import trustme
from aiohttp import web

from tests.integration.conftest import PASSWORD
from versus_py.config import ServiceNowInstance
from versus_py.errors import ConfigError, Permanent, Transient
from versus_py.simulators import Fault, run_app
from versus_py.targets.servicenow.connection import Connection
from versus_py.targets.servicenow.fields import References, Rendered
from versus_py.targets.servicenow.login import make_login
from versus_py.targets.servicenow.table_api import TableApi

PASSWORD_GRANT = {"type": "oauth_password", "client_id": "versus-client", "client_secret": "client-secret"}
CLIENT_GRANT = PASSWORD_GRANT | {"type": "oauth_client_credentials"}
TOKEN_CALL = "POST /oauth_token.do"


@pytest.fixture
def api(servicenow_url, clock, session):
    """Makes an API with a login."""

    def make(auth, **settings) -> TableApi:
        instance = ServiceNowInstance.model_validate(
            {"instance_url": servicenow_url, "username": "versus.integration", "password": PASSWORD, "auth": auth}
            | settings
        )
        connection = Connection(instance, session)
        return TableApi(connection, make_login(instance, connection, clock))

    return make


async def ask(api: TableApi) -> int:
    return len(await api.search("incident", "active=true", ("sys_id",), limit=1))


def tokens(servicenow):
    return servicenow.calls.count(TOKEN_CALL)


@pytest.mark.parametrize(
    "auth",
    [{"type": "basic"}, PASSWORD_GRANT, CLIENT_GRANT, {"type": "api_key", "api_key": "key-of-the-api"}],
    ids=lambda auth: auth["type"],
)
async def test_every_way_to_log_in_works(api, servicenow, auth):
    servicenow.allows_basic = auth["type"] == "basic"

    assert await ask(api(auth)) == 0


@pytest.mark.parametrize("auth", [PASSWORD_GRANT, CLIENT_GRANT], ids=lambda auth: auth["type"])
async def test_many_that_wait_for_a_token_cost_one_request(api, servicenow, auth):
    table = api(auth)

    await asyncio.gather(*(ask(table) for _ in range(20)))
    await ask(table)

    assert tokens(servicenow) == 1


@pytest.mark.parametrize("auth", [PASSWORD_GRANT, CLIENT_GRANT], ids=lambda auth: auth["type"])
async def test_a_token_is_renewed_before_it_ends(api, servicenow, clock, auth):
    table = api(auth)
    await ask(table)
    clock.advance(seconds=1700)
    await ask(table)
    assert tokens(servicenow) == 1

    clock.advance(seconds=60)
    await ask(table)
    clock.advance(seconds=100)
    await ask(table)

    assert 2 <= tokens(servicenow) <= 3
    assert "401" not in str(servicenow.calls)


async def test_near_its_end_the_same_token_is_given_again_without_a_storm_of_requests(api, servicenow, clock):
    table = api(CLIENT_GRANT)
    await ask(table)
    clock.advance(seconds=1740)

    for _ in range(59):
        await asyncio.gather(*(ask(table) for _ in range(3)))
        clock.advance(seconds=1)

    assert tokens(servicenow) <= 8


@pytest.mark.parametrize("auth", [PASSWORD_GRANT, CLIENT_GRANT], ids=lambda auth: auth["type"])
async def test_a_revoked_token_is_replaced_once(api, servicenow, auth):
    table = api(auth)
    await ask(table)
    servicenow.revoke_tokens()

    await asyncio.gather(*(ask(table) for _ in range(5)))

    assert tokens(servicenow) == 2


async def test_a_refresh_token_that_has_ended_is_replaced_by_a_new_login(api, servicenow, clock):
    table = api(PASSWORD_GRANT)
    await ask(table)
    clock.advance(hours=24 * 101)

    await ask(table)

    assert tokens(servicenow) == 3


async def test_what_is_refused_with_a_new_token_too_is_refused(api, servicenow):
    servicenow.faults.order(Fault(kind="401", path="/api", times=None))

    with pytest.raises(Permanent, match="ServiceNow answered 401"):
        await ask(api(CLIENT_GRANT))

    assert tokens(servicenow) == 2


@pytest.mark.parametrize("secret", ["wrong", "w&client_id=x"])
async def test_a_refused_login_says_what_to_check_and_no_secret(api, servicenow, secret):
    with pytest.raises(Permanent, match=r"server_error: access_denied.*auth.client_secret") as caught:
        await ask(api(PASSWORD_GRANT | {"client_secret": secret}))

    assert secret not in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_a_grant_that_is_switched_off_is_named(api, servicenow):
    servicenow.grants.discard("client_credentials")

    with pytest.raises(Permanent, match="that client_credentials is an allowed grant"):
        await ask(api(CLIENT_GRANT))


async def test_many_that_wait_for_a_login_that_fails_cost_one_request(api, servicenow):
    servicenow.faults.order(Fault(kind="503", path="/oauth_token.do", times=1))
    table = api(CLIENT_GRANT)

    results = await asyncio.gather(*(ask(table) for _ in range(10)), return_exceptions=True)

    assert all(isinstance(result, Transient) for result in results)
    assert await ask(table) == 0


@pytest.mark.parametrize("kind", ["html200", "html503", "302", "truncated", "429", "500", "down", "lost_reply"])
async def test_a_login_that_gets_no_token_is_tried_again_later(api, servicenow, kind):
    servicenow.faults.order(Fault(kind=kind, path="/oauth_token.do"))
    table = api(CLIENT_GRANT)

    with pytest.raises(Transient):
        await ask(table)

    assert await ask(table) == 0


async def test_basic_authentication_that_is_not_allowed_is_refused_once(api, servicenow):
    servicenow.allows_basic = False

    with pytest.raises(Permanent, match="allows this way to log in"):
        await ask(api({"type": "basic"}))

    assert len(servicenow.calls) == 1


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def files(authority, tmp_path):
    """The authority's certificate, and a client's with its key, as files."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("versus@example.com")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    return tmp_path


@pytest.fixture
async def tls_url(servicenow, authority):
    """The instance behind TLS; it wants a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(servicenow.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_authority_and_a_client_certificate_of_ones_own_are_used(api, tls_url, files):
    table = api(
        {"type": "basic"},
        instance_url=tls_url,
        ca_file=files / "ca.pem",
        client_certificate=files / "client.pem",
        client_key=files / "client.key",
    )

    assert await ask(table) == 0


async def test_without_the_authority_nothing_is_sent(api, tls_url, servicenow):
    with pytest.raises(Transient, match="cannot be reached"):
        await ask(api({"type": "basic"}, instance_url=tls_url))

    assert servicenow.calls == []


async def test_without_the_client_certificate_nothing_is_answered(api, tls_url, files, servicenow):
    with pytest.raises(Transient):
        await ask(api({"type": "basic"}, instance_url=tls_url, ca_file=files / "ca.pem"))

    assert servicenow.calls == []


@pytest.mark.parametrize("key", ["ca_file", "client_certificate"])
async def test_a_file_that_is_no_certificate_is_told_at_the_start(api, tmp_path, key):
    (tmp_path / "x.pem").write_text("no certificate")

    with pytest.raises(ConfigError, match=f"oncall.servicenow.{key}"):
        api({"type": "basic"}, **{key: tmp_path / "x.pem"})


@pytest.fixture
async def proxy():
    """An HTTP proxy that wants a password; yields its address and what it was asked for."""
    asked = []

    async def forward(request: web.Request) -> web.Response:
        if request.headers.get("Proxy-Authorization") != aiohttp.encode_basic_auth("u", "proxy-secret"):
            return web.Response(status=407)
        asked.append(str(request.url))
        headers = {name: value for name, value in request.headers.items() if not name.startswith("Proxy")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, request.url, headers=headers, data=await request.read()) as response,
        ):
            return web.Response(body=await response.read(), status=response.status, content_type=response.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    async with run_app(app) as url:
        yield url.removeprefix("http://"), asked


async def test_a_proxy_is_used_and_logged_in_to(api, proxy, servicenow_url):
    address, asked = proxy

    assert await ask(api({"type": "basic"}, proxy=f"http://u:proxy-secret@{address}")) == 0

    assert asked[0].startswith(servicenow_url)


async def test_a_proxy_that_refuses_says_so_without_its_password(api, proxy):
    with pytest.raises((Transient, Permanent)) as caught:
        await ask(api({"type": "basic"}, proxy=f"http://u:other-secret@{proxy[0]}"))

    assert "407" in str(caught.value)
    assert "other-secret" not in str(caught.value)


async def test_a_request_has_its_time(api, servicenow):
    servicenow.faults.order(Fault(kind="slow", seconds=30))
    table = api({"type": "basic"})
    table._connection._timeout_s = 0.05

    with pytest.raises(Transient, match=r"did not answer within 0.05 s"):
        await ask(table)


@pytest.mark.parametrize("life", ["inf", "nan", "soon", None, -5])
async def test_a_token_whose_life_is_odd_is_used_all_the_same(api, servicenow, life):
    reply = servicenow._login._reply
    servicenow._login._reply = lambda *tokens: reply(*tokens) | {"expires_in": life}

    assert await ask(api(CLIENT_GRANT)) == 0


async def test_look_ups_that_fail_are_not_repeated_by_all_who_wait(api, servicenow, clock):
    servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_user", times=1))
    references = References(api({"type": "basic"}), {"caller_id": "sys_user.email"}, clock)

    results = await asyncio.gather(
        *(references.resolve(Rendered({"caller_id": "ana@example.com"})) for _ in range(10)), return_exceptions=True
    )

    assert all(isinstance(result, Transient) for result in results)
    clock.advance(seconds=31)
    assert (await references.resolve(Rendered({"caller_id": "ana@example.com"}))).warnings == ()


@pytest.mark.parametrize(("status", "error"), [(405, Transient), (408, Transient), (403, Permanent), (400, Permanent)])
async def test_a_page_instead_of_json_is_a_refusal_only_where_it_says_so(api, session, clock, status, error):
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html", status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    async with run_app(app) as url:
        with pytest.raises(error):
            await ask(api({"type": "basic"}, instance_url=url))
