"""What is told to Prometheus, load balancers and supervisors."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from versus_py.engine.group import Group
from versus_py.engine.health import Health
from versus_py.telemetry.metrics import CONTENT_TYPE, Metrics
from versus_py.web.answers import add_security_headers, errors_as_json, json_answer
from versus_py.web.connections import look_after_connections
from versus_py.web.guard import Guard

_REASONS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    422: "unprocessable",
    429: "too_many",
    500: "crashed",
    503: "unavailable",
}
_ERRORS_FROM = 400


class Monitoring:
    """The handlers; without *health*, nobody can say whether the process can do its work.

    With *group*, all of its processes have to.
    """

    def __init__(
        self, metrics: Metrics, health: Health | None, group: Group | None = None, *, is_shadow: bool = False
    ) -> None:
        self._metrics = metrics
        self._health = group or health
        self._is_shadow = is_shadow

    def routes(self, guarded: Guard) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", guarded(self.metrics), allow_head=False),
        ]

    async def healthz(self, _: web.Request) -> web.Response:
        """Whether the process answers."""
        return json_answer({"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """200 while all processes can accept incidents and work on them, else 503."""
        if self._health is None:
            return json_answer({"status": "unready"}, 503)
        found = await self._health.readiness()
        said = {
            "status": found.status,
            "redis": found.redis,
            "worker": found.worker,
            "targets": dict(found.targets),
            "overdue": found.overdue,
            **({"shadow": True} if self._is_shadow else {}),
        }
        return json_answer(said, 200 if found.is_ready else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def create_monitoring_app(metrics: Metrics, health: Health, guarded: Guard) -> web.Application:
    """The application of a worker, which has nothing else to answer."""
    app = web.Application(middlewares=[errors_as_json])
    look_after_connections(app)
    app.on_response_prepare.append(add_security_headers)
    app.on_startup.append(guarded.prepare)
    app.add_routes(Monitoring(metrics, health).routes(guarded))
    return app


def counting_refusals(metrics: Metrics) -> Middleware:
    """The middleware that counts answers which are errors; the outermost one."""
    for reason in (*_REASONS.values(), "other"):
        metrics.requests_refused.labels(reason)

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if response.status >= _ERRORS_FROM:
            metrics.requests_refused.labels(_REASONS.get(response.status, "other")).inc()
        return response

    return count
