"""The OpenAPI document: it is valid, names the routes that there are, and its examples are what they should be."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

from tests.support.openapi import METHODS, answer_faults, faults, follow, strict_document
from versus_py import __version__
from versus_py.config import MAX_WAIT_MINUTES
from versus_py.sources import SOURCES
from versus_py.systems import model, registered
from versus_py.web import create_app
from versus_py.web.api.incidents import PAGE_DEFAULT, PAGE_MAX
from versus_py.web.api.openapi import document
from versus_py.web.deeds import NAME_MAX
from versus_py.web.inbound import switched_off
from versus_py.web.intake.overrides import override_names
from versus_py.web.intake.reading import ELEMENTS_MAX
from versus_py.web.pages.ui.guard import is_page
from versus_py.web.tickets import paths as ticket_paths


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in strict_document()["paths"].items():
        yield from ((path, method, operation) for method, operation in item.items() if method in METHODS)


def contents() -> Iterator[Any]:
    """Every media type of every request and response, with a name."""
    for path, method, operation in operations():
        for name, part in {"request": operation.get("requestBody", {}), **operation["responses"]}.items():
            for kind, content in follow(part).get("content", {}).items():
                yield pytest.param(content, id=f"{method} {path} {name} {kind}")


def routes() -> set[tuple[str, str]]:
    part = cast("Any", SimpleNamespace())
    inbound = {it.inbound_path: switched_off("") for it in registered() if it.inbound_path}
    tickets = {path: switched_off("") for it in registered() if it.events_path for path in ticket_paths(it.events_path)}
    app = create_app(
        model()(), store=part, lifecycle=part, storms=part, links=part, sns=part, inbound=inbound, tickets=tickets
    )
    found = (it for it in app.router.routes() if it.resource and not is_page(it.handler))
    return {(it.method.lower(), it.resource.canonical) for it in found if it.resource}


def test_the_document_is_valid_openapi():
    validate(cast("Any", document()))


def test_it_describes_every_route_and_nothing_else():
    described = {(method, path) for path, method, _ in operations()}

    assert described == {(method, path) for method, path in routes() if method != "head"}


def test_it_has_the_version_of_the_package():
    assert document()["info"]["version"] == __version__


def test_every_operation_has_a_name_of_its_own_a_summary_and_says_who_may():
    found = [operation for _, _, operation in operations()]

    assert len({it["operationId"] for it in found}) == len(found)
    assert all(it["summary"] and "security" in it for it in found)


def test_path_parameters_are_those_in_the_path():
    for path, item in strict_document()["paths"].items():
        for _, operation in ((name, it) for name, it in item.items() if name in METHODS):
            listed = [follow(it) for it in (*item.get("parameters", ()), *operation.get("parameters", ()))]
            names = {it["name"] for it in listed if it["in"] == "path"}
            assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path


@pytest.mark.parametrize("content", list(contents()))
def test_examples_are_as_their_schema_says(content):
    for example in content.get("examples", {}).values():
        assert faults(content["schema"], example["value"]) == []


def test_query_parameters_of_the_intake_are_the_overrides():
    post = strict_document()["paths"]["/api/incidents"]["post"]

    assert {follow(it)["name"] for it in post["parameters"]} == set(override_names(model()()))


def test_limits_and_lists_are_those_of_the_code():
    parts, paths = strict_document()["components"], strict_document()["paths"]
    parameters = parts["parameters"]
    [limit] = [it for it in paths["/api/incidents"]["get"]["parameters"] if it["name"] == "limit"]
    array = paths["/api/incidents"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][1]

    assert parameters["source"]["schema"]["enum"] == list(SOURCES)
    assert parameters["oncall_wait_minutes"]["schema"]["maximum"] == MAX_WAIT_MINUTES
    assert parts["schemas"]["Name"]["maxLength"] == NAME_MAX
    assert (limit["schema"]["default"], limit["schema"]["maximum"]) == (PAGE_DEFAULT, PAGE_MAX)
    assert array["maxItems"] == ELEMENTS_MAX


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("GET", "/nowhere", 200, "application/json", b"{}"), "GET /nowhere is not described"),
        (("GET", "/healthz", 418, "application/json", b"{}"), "GET /healthz 418 is not described"),
        (("GET", "/healthz", 200, "text/plain", b"ok"), "GET /healthz 200: text/plain is not described"),
        (("GET", "/healthz", 200, "application/json", b'{"status": "no"}'), "'ok' was expected"),
        (("GET", "/healthz", 200, "application/json", b"{}"), "'status' is a required property"),
        (("GET", "/healthz", 200, "application/json", b'{"status": "ok", "x": 1}'), "'x' was unexpected"),
        (("POST", "/api/slack/interactions", 200, "text/html", b"hello"), "text/html is not described"),
    ],
)
def test_an_answer_that_is_not_as_described_is_found(answer, said):
    assert said in "\n".join(answer_faults(*answer))
