"""What the pages of simulators look like: the style sheet of the web UI, and what simulators add to it."""

from importlib import resources

from aiohttp import web

_PACKAGE = resources.files("versus_py")
_UI, _OWN = _PACKAGE / "web" / "pages" / "static", _PACKAGE / "simulators" / "pages"

_FILES = {
    "ui.css": (_UI, "text/css"),
    "icon.svg": (_UI, "image/svg+xml"),
    "simulator.css": (_OWN, "text/css"),
    "simulator.js": (_OWN, "text/javascript"),
}
"""Of the web UI, files only: simulators import nothing of it."""


def face_routes() -> list[web.RouteDef]:
    """The files that the pages load."""
    return [web.get("/static/{name}", _send)]


async def _send(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _FILES:
        raise web.HTTPNotFound(text=f"no file {name!r}")
    folder, kind = _FILES[name]
    return web.Response(
        body=(folder / name).read_bytes(), content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"}
    )
