"""The files that pages load, each under a name that holds its digest: it may be kept for ever."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

from aiohttp import web

PATH = "/static/{name}"

_TYPES = {"ui.css": "text/css", "ui.js": "text/javascript", "icon.svg": "image/svg+xml"}
_DIGEST = re.compile(r"\.[0-9a-f]{12}(?=\.\w+$)")
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _File:
    name: str  # with the digest
    kind: str
    body: bytes
    packed: bytes


def _read(name: str) -> _File:
    body = resources.files("versus_py.web.pages").joinpath("static", name).read_bytes()
    stem, _, suffix = name.rpartition(".")
    return _File(f"{stem}.{sha256(body).hexdigest()[:12]}.{suffix}", _TYPES[name], body, gzip.compress(body, mtime=0))


_FILES: Mapping[str, _File] = {name: _read(name) for name in _TYPES}


def file_name(name: str) -> str:
    """What the file is called below /static/."""
    return _FILES[name].name


async def static(request: web.Request) -> web.Response:
    """A file.

    A page of another version, such as that of a replica not yet replaced, asks by another digest. It gets the file
    that is here, to be used once.
    """
    asked = request.match_info["name"]
    found = _FILES.get(_DIGEST.sub("", asked))
    if found is None:
        raise web.HTTPNotFound(text=f"no file {asked!r}")
    headers = {"Cross-Origin-Resource-Policy": "same-origin", "Vary": "Accept-Encoding"}
    if asked == found.name:
        headers["Cache-Control"] = _FOR_EVER
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=found.body, content_type=found.kind, charset="utf-8", headers=headers)
    headers["Content-Encoding"] = "gzip"
    return web.Response(body=found.packed, content_type=found.kind, charset="utf-8", headers=headers)
