"""GET /api/openapi.json: the description of every route, from openapi.yaml."""

import asyncio
from functools import cache
from importlib import resources
from typing import Any

import orjson
import yaml
from aiohttp import web

from versus_py import __version__

PATH = "/api/openapi.json"


async def get(_: web.Request) -> web.Response:
    body = await asyncio.to_thread(_as_json)  # the first time, reading YAML takes a while
    return web.Response(body=body, content_type="application/json")


@cache
def _as_json() -> bytes:
    return orjson.dumps(document())


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document, with the package's version."""
    text = resources.files(__package__).joinpath("openapi.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found | {"info": found["info"] | {"version": __version__}}
