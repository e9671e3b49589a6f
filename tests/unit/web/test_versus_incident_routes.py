"""The addresses of Versus Incident, as docs/from-versus-incident.md lists them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from tests.support.versus_incident_page import rows
from versus_py.systems import model
from versus_py.web import create_app
from versus_py.web.answers import errors_as_json
from versus_py.web.versus_incident import as_versus_incident

ROUTES = {row[0]: row[1] for row in rows("Every route")}


async def taken(request: web.Request) -> web.Response:
    return web.json_response({"query": request.query_string, "body": await request.text()}, status=201)


@pytest.fixture
async def client():
    posts = {"/api/incidents": taken, "/sns": taken}
    app = web.Application(middlewares=[errors_as_json, as_versus_incident(posts)])
    app.add_routes([web.post(path, handler) for path, handler in posts.items()])
    app.add_routes([web.get("/api/incidents", taken)])
    async with TestClient(TestServer(app)) as found:
        yield found


@pytest.mark.parametrize("path", ["/api/incidents", "/api/incidents/", "/API/Incidents", "/Api/INCIDENTS//", "/SNS/"])
async def test_a_post_counts_in_any_spelling(client, path):
    answer = await client.post(f"{path}?oncall_enable=false", data="{}")

    assert answer.status == 201
    assert await answer.json() == {"query": "oncall_enable=false", "body": "{}"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/incidents/"), ("PUT", "/sns"), ("POST", "/api/incident")])
async def test_other_requests_are_answered_as_before(client, method, path):
    answer = await client.request(method, path)

    assert answer.status == (405 if path == "/sns" else 404)
    assert "Versus Incident" not in (await answer.json())["error"]


@pytest.mark.parametrize("path", ["/api%2Fincidents", "/api%2fincidents/"])
async def test_an_encoded_slash_is_no_way_past_a_proxy(client, path):
    answer = await client.post(URL(path, encoded=True), data="{}")

    assert answer.status == 404


@pytest.mark.parametrize("route", [it for it in ROUTES if ROUTES[it].startswith("404: ")])
async def test_what_only_versus_incident_answers_is_said(client, route):
    method, _, path = route.partition(" ")

    answer = await client.request(method, path.replace("…", "x"))

    assert answer.status == 404
    assert (await answer.json())["error"] == ROUTES[route].split("`")[1]


@pytest.mark.parametrize("route", [it for it in ROUTES if not ROUTES[it].startswith("404: ")])
def test_the_other_routes_are_there(route):
    part = cast("Any", SimpleNamespace())
    app = create_app(model()(), store=part, lifecycle=part, storms=part, links=part, sns=part)
    method, _, path = route.partition(" ")

    found = {(it.method, it.resource.canonical) for it in app.router.routes() if it.resource}

    assert (method, path.lower().rstrip("/")) in found
