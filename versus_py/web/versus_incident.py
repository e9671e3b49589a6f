"""Requests as Versus Incident takes them: in any case, with a slash at the end; and those that only it answers."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_ONLY_THERE: Mapping[str, str] = {
    "/api/admin/": "this is an address of Versus Incident; here incidents are at /api/incidents: see docs/api.md",
    "/api/agent/": "this is an address of Versus Incident's AI agent, which is not here",
}
"""The beginning of a path -> what is answered."""


def as_versus_incident(posts: Mapping[str, Handler]) -> Middleware:
    """Has a POST that no route takes answered by the one of *posts* that is meant. These are by path, in lower case."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is None:
            return await handler(request)
        path = request.rel_url.raw_path.lower()  # %2F is no slash: a proxy that closes addresses may not see one there
        meant = posts.get(path.rstrip("/")) if request.method == "POST" else None
        if meant is not None:
            return await meant(request)
        for beginning, said in _ONLY_THERE.items():
            if path.startswith(beginning):
                raise web.HTTPNotFound(text=said)
        return await handler(request)

    return answer
