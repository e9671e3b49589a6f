"""The routes."""

from importlib import resources

from aiohttp import web

from versus_py.ack_links import PATH as ACK_PATH
from versus_py.ack_links import STORM_PATH, AckLinks
from versus_py.clock import Clock, SystemClock
from versus_py.config import Config
from versus_py.engine.health import Health
from versus_py.engine.lifecycle import Lifecycle
from versus_py.sources.sns import SnsDoor
from versus_py.store import Store, Storms
from versus_py.telemetry.metrics import Metrics
from versus_py.web.answers import add_security_headers, errors_as_json
from versus_py.web.api import openapi
from versus_py.web.api.incidents import Api
from versus_py.web.connections import look_after_connections
from versus_py.web.guard import Guard
from versus_py.web.intake.intake import Intake
from versus_py.web.intake.trust import Trust
from versus_py.web.monitoring import Monitoring, counting_refusals
from versus_py.web.pages.ack import AckPage
from versus_py.web.pages.storms import StormPage
from versus_py.web.slack import PATH as SLACK_PATH
from versus_py.web.slack import SlackDoor, switched_off

_STATIC = {"ack.js": "text/javascript", "page.css": "text/css"}


def create_app(
    config: Config,
    *,
    store: Store,
    lifecycle: Lifecycle,
    storms: Storms,
    links: AckLinks,
    sns: SnsDoor,
    slack: SlackDoor | None = None,
    metrics: Metrics | None = None,
    health: Health | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """The application, ready to be served; without *slack*, presses do not come in by HTTP.

    *clock* is this machine's, unless it is given.
    """
    metrics = metrics or Metrics()
    app = web.Application(
        middlewares=[counting_refusals(metrics), errors_as_json], client_max_size=config.max_body_bytes
    )
    look_after_connections(app)
    app.on_response_prepare.append(add_security_headers)
    intake = Intake(config, lifecycle, Trust(config.sources, sns), clock or SystemClock(), metrics)
    api = Api(store, lifecycle)
    slack_config = config.alert.slack
    ack = AckPage(links, store, lifecycle, is_restricted=slack_config.is_restricted)
    has_ack_links = slack_config.actions.acknowledge and not slack_config.is_restricted
    storm = StormPage(links, store, storms, has_ack_links=has_ack_links)
    guarded = Guard(config.gateway_secret, config.previous_gateway_secrets)
    app.add_routes(
        [
            web.post("/api/incidents", intake.post),
            web.get("/api/incidents", guarded(api.list), allow_head=False),
            web.get("/api/incidents/{id}", guarded(api.show), allow_head=False),
            web.post("/api/incidents/{id}/acknowledge", guarded(api.acknowledge)),
            web.post("/api/incidents/{id}/unacknowledge", guarded(api.unacknowledge)),
            web.post("/api/incidents/{id}/resolve", guarded(api.resolve)),
            web.post("/api/incidents/{id}/escalate", guarded(api.escalate)),
            web.post("/api/incidents/{id}/snooze", guarded(api.snooze)),
            web.post("/api/incidents/{id}/retry", guarded(api.retry)),
            web.post("/api/retry", guarded(api.retry_all)),
            web.get(f"{ACK_PATH}/{{id}}", ack.get, allow_head=False),
            web.post(f"{ACK_PATH}/{{id}}", ack.post),
            web.get(f"{STORM_PATH}/{{channel}}/{{id}}", storm.get, allow_head=False),
            web.post(SLACK_PATH, slack.post if slack is not None else switched_off),
            web.get("/static/{name}", _static),
            web.get(openapi.PATH, openapi.get, allow_head=False),
            *Monitoring(metrics, health).routes(guarded),
        ]
    )
    return app


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    if name not in _STATIC:
        raise web.HTTPNotFound(text=f"no file {name!r}")
    text = resources.files("versus_py.web.pages").joinpath("static", name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=_STATIC[name])
