"""All pages of the web UI, built of what they share."""

from collections.abc import Callable

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.checkup import Checkup
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import Heartbeats
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.presence import Presence
from versus_py.store import Store
from versus_py.store.journal import Journal
from versus_py.targets import Called
from versus_py.telemetry.metrics import Metrics
from versus_py.web.deeds import Deeds
from versus_py.web.guard import Guard
from versus_py.web.pages import files
from versus_py.web.pages.rendering import compile_pages
from versus_py.web.pages.ui.acting import Acting
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.downloads import Downloads
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.health_page import HealthPage
from versus_py.web.pages.ui.live import Live
from versus_py.web.pages.ui.looking_back import LookingBack
from versus_py.web.pages.ui.policy_page import PolicyPage
from versus_py.web.pages.ui.reading import Reading
from versus_py.web.pages.ui.sessions import Sessions
from versus_py.web.pages.ui.shell import SHELL, Shell
from versus_py.web.pages.ui.signing_in import SigningIn
from versus_py.web.pages.ui.streams import Streams
from versus_py.web.pages.ui.views import Views

LIVE = web.AppKey("live", Live)
"""Its loop is run by who serves the application."""


class Site:
    """*key* signs sessions; *called* tells what people call a target; the rest is as `create_app` has it."""

    def __init__(
        self,
        router: web.UrlDispatcher,
        config: Config,
        *,
        store: Store,
        lifecycle: Lifecycle,
        deeds: Deeds,
        guarded: Guard,
        key: Callable[[], str | None],
        heartbeats: Heartbeats,
        health: Health | None,
        presence: Presence | None,
        checkup: Checkup | None,
        journal: Journal | None,
        metrics: Metrics,
        clock: Clock,
        called: Called,
    ) -> None:
        sessions = Sessions(key, clock, lasts_ms=round(config.ui.session_hours * 3_600_000))
        self.shell = Shell(config, clock, router)
        self.guard = UiGuard(self.shell, guarded, sessions)
        self.streams = Streams(metrics, most=config.max_connections // 2)
        board = Board(store, clock, called)
        looking_back = LookingBack(config, board, store=store, clock=clock, called=called)
        reading = Reading(
            config,
            board,
            looking_back,
            store=store,
            lifecycle=lifecycle,
            heartbeats=heartbeats,
            health=health,
            clock=clock,
            called=called,
        )
        self.live = Live(Views(self.shell, board, store, reading), board, store, self.streams, clock)
        self._signing_in = SigningIn(self.shell, guarded, sessions, self.guard, store)
        self._pages = (
            reading,
            Acting(config, reading, board, lifecycle=lifecycle, deeds=deeds, clock=clock, called=called),
            PolicyPage(config, board, clock, called),
            HealthPage(
                config,
                board,
                health=health,
                heartbeats=heartbeats,
                presence=presence,
                checkup=checkup,
                journal=journal,
                clock=clock,
                called=called,
            ),
            looking_back,
            Downloads(store, clock),
            self.live,
        )

    def join(self, app: web.Application) -> None:
        """Be the web UI of *app*: its pages are compiled before it answers, and open tabs end with it."""
        app[SHELL], app[LIVE] = self.shell, self.live
        app.on_startup.append(compile_pages)
        app.on_shutdown.append(self.streams.close)

    def routes(self) -> list[web.RouteDef]:
        pages = (route for page in self._pages for route in page.routes(self.guard))
        return [web.get(files.PATH, files.static), *self._signing_in.routes(), *pages]
