"""The routes."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from versus_py.ack_links import AckLinks
from versus_py.clock import Clock, SystemClock
from versus_py.config import Config
from versus_py.engine.checkup import Checkup
from versus_py.engine.choices import Choices
from versus_py.engine.group import Group
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import Heartbeats
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.presence import Presence
from versus_py.engine.storms import StormAcknowledgment
from versus_py.sources.sns import SnsDoor
from versus_py.store import Store, Storms
from versus_py.store.journal import Journal
from versus_py.targets import Called
from versus_py.telemetry.metrics import Metrics
from versus_py.web.answers import add_security_headers, errors_as_json
from versus_py.web.api import openapi
from versus_py.web.api.heartbeats import HeartbeatsApi
from versus_py.web.api.incidents import Api
from versus_py.web.connections import look_after_connections
from versus_py.web.deeds import Deeds
from versus_py.web.guard import Guard
from versus_py.web.intake.heartbeats import HeartbeatsIntake
from versus_py.web.intake.intake import Intake
from versus_py.web.intake.opsgenie import Opsgenie
from versus_py.web.intake.pagerduty import PagerDuty
from versus_py.web.intake.trust import Trust
from versus_py.web.monitoring import Monitoring, counting_refusals
from versus_py.web.pages.ack import AckPage
from versus_py.web.pages.storms import StormPage
from versus_py.web.pages.ui.site import Site
from versus_py.web.unparsed import noting
from versus_py.web.versus_incident import as_versus_incident


def create_app(
    config: Config,
    *,
    store: Store,
    lifecycle: Lifecycle,
    storms: Storms,
    links: AckLinks,
    sns: SnsDoor,
    called: Called = str,
    inbound: Mapping[str, Handler] | None = None,
    tickets: Mapping[str, Handler] | None = None,
    metrics: Metrics | None = None,
    health: Health | None = None,
    clock: Clock | None = None,
    journal: Journal | None = None,
    presence: Presence | None = None,
    checkup: Checkup | None = None,
    group: Group | None = None,
) -> web.Application:
    """The application, ready to be served.

    *inbound* are routes for requests of channels, by path; *tickets* are those for tickets that systems send.

    *called* tells what people call a target; *clock* is this machine's, unless it is given. *journal* is where what is
    accepted is written, if anywhere. *presence* tells who else runs, *checkup* what the doctor finds, and *group* how
    the other processes of this server stand.
    """
    metrics = metrics or Metrics()
    clock = clock or SystemClock()
    heartbeats = Heartbeats(config, store, lifecycle, clock)
    intake = Intake(config, lifecycle, Trust(config.sources, sns), clock, metrics, journal, heartbeats=heartbeats)
    posts = dict.fromkeys(("/api/incidents", "/sns"), intake.post)
    app = web.Application(
        middlewares=[counting_refusals(metrics), errors_as_json, as_versus_incident(posts)],
        client_max_size=config.max_body_bytes,
    )
    look_after_connections(app, noting(metrics, clock))
    app.on_response_prepare.append(add_security_headers)
    deeds = Deeds(lifecycle, Choices.of(config, called), called)
    guarded = Guard.of(config, store)
    app.on_startup.append(guarded.prepare)
    site = Site(
        app.router,
        config,
        store=store,
        lifecycle=lifecycle,
        deeds=deeds,
        guarded=guarded,
        key=lambda: links.key,
        heartbeats=heartbeats,
        health=health,
        presence=presence,
        checkup=checkup,
        journal=journal,
        metrics=metrics,
        clock=clock,
        called=called,
    )
    site.join(app)
    app.add_routes(
        [
            *(web.post(path, handler) for path, handler in posts.items()),
            web.post("/api/heartbeats/{name}", HeartbeatsIntake(config, intake).post),
            web.get("/api/heartbeats", guarded(HeartbeatsApi(heartbeats).list), allow_head=False),
            *PagerDuty(intake).routes(),
            *Opsgenie(intake, store, clock).routes(),
            *Api(store, lifecycle, deeds).routes(guarded),
            *_pages_of_links(config, links, store, storms, lifecycle, site, called),
            *site.routes(),
            web.get(openapi.PATH, openapi.get, allow_head=False),
            *(web.post(path, handler) for path, handler in {**(inbound or {}), **(tickets or {})}.items()),
            *Monitoring(metrics, health, group, is_shadow=config.is_shadow).routes(guarded),
        ]
    )
    return app


def _pages_of_links(
    config: Config,
    links: AckLinks,
    store: Store,
    storms: Storms,
    lifecycle: Lifecycle,
    site: Site,
    called: Called,
) -> list[web.RouteDef]:
    """Those that signed links lead to, without signing in."""
    channels = config.alert.enabled
    restricted_by = [it.TITLE for it in channels.values() if it.is_restricted]
    has_ack_links = not restricted_by and all(it.offers_acknowledge for it in channels.values())
    known_name = site.guard.known_name
    ack = AckPage(links, store, lifecycle, called=called, restricted_by=restricted_by, known_name=known_name)
    storm = StormPage(
        links,
        store,
        storms,
        StormAcknowledgment(storms, lifecycle),
        called=called,
        has_ack_links=has_ack_links,
        known_name=known_name,
    )
    return [*ack.routes(), *storm.routes()]
