"""The OpenAPI document against what is answered: every field that comes is described, and every one described comes."""

import copy
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from jsonschema import Draft202012Validator

from versus_py.web.api.openapi import document
from versus_py.web.pages.ui.guard import is_page

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}

KEPT_MAX = 20
"""Answers of one kind that are looked at; a storm has thousands."""


@cache
def strict_document() -> dict[str, Any]:
    """The document, with no field allowed beside those that it names."""
    found = copy.deepcopy(document())
    _close(found["components"])
    _close(found["paths"])
    return found


def follow(node: dict[str, Any]) -> dict[str, Any]:
    """What a reference names, or the node itself."""
    while "$ref" in node:
        found: Any = strict_document()
        for name in node["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        node = found
    return node


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """What about *value* is not as *schema*, a part of the document, says."""
    found = _validator(orjson.dumps(schema)).iter_errors(value)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]


@cache
def _validator(schema: bytes) -> Draft202012Validator:
    return Draft202012Validator({"components": strict_document()["components"], "allOf": [orjson.loads(schema)]})


def answer_faults(method: str, path: str, status: int, content_type: str, body: bytes) -> list[str]:
    """What about an answer of the route with that *path*, as the document spells it, is not as described."""
    operation = document()["paths"].get(path, {}).get(method.lower())
    if operation is None:
        return [f"{method} {path} is not described"]
    described = strict_document()["paths"][path][method.lower()]["responses"].get(str(status))
    where = f"{method} {path} {status}"
    if described is None:
        return [f"{where} is not described"]
    content = follow(described).get("content")
    if content is None:
        return [f"{where}: has a body"] if body else []
    if content_type not in content:
        return [f"{where}: {content_type} is not described"]
    if content_type != "application/json":
        return []
    return [f"{where}: {fault}" for fault in faults(content[content_type]["schema"], orjson.loads(body))]


_Kind = tuple[str, str, int, str]


@dataclass
class Answers:
    """The answers of an application, kept while it works and looked at afterwards."""

    _kept: dict[_Kind, set[bytes]] = field(default_factory=dict)

    async def keep(self, request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        if resource is None or request.method == "HEAD" or not isinstance(response, web.Response):
            return  # of a path that there is not, which is no operation's answer
        if is_page(request.match_info.handler):
            return  # for people, which the document does not describe
        if response.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return  # which nobody is promised; it is an error in the log, and that fails a test
        body = response.body if isinstance(response.body, bytes) else b""
        kind = (request.method, resource.canonical, response.status, response.content_type)
        kept = self._kept.setdefault(kind, set())
        if len(kept) < KEPT_MAX:
            kept.add(body)

    @property
    def seen(self) -> set[tuple[str, str, int]]:
        """Method, path and status of what was answered."""
        return {(method, path, status) for method, path, status, _ in self._kept}

    def not_as_described(self) -> list[str]:
        """What is wrong, each once."""
        found = (fault for kind, kept in self._kept.items() for body in kept for fault in answer_faults(*kind, body))
        return list(dict.fromkeys(found))


def _close(node: Any) -> None:
    """Allow no further fields in any object that lists its fields, but where it says so itself."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
        for child in node.values():
            _close(child)
    elif isinstance(node, list):
        for child in node:
            _close(child)
