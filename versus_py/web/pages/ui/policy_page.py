"""The page of policies, with its dry run: it sends nothing, and changes nothing."""

import asyncio

from aiohttp import web

from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.targets import Called
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.choices import SEVERITIES
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.policy_views import LABELS_MAX, Asking, DryRun, PolicyShown, dry_run, policies_shown, zones
from versus_py.web.pages.ui.shell import render
from versus_py.web.pages.ui.viewer import Viewer

QUARTER_MS = 15 * 60_000
"""Days begin at a quarter of an hour in every time zone."""


class PolicyPage:
    """The handler. *called* tells what people call a target."""

    def __init__(self, config: Config, board: Board, clock: Clock, called: Called) -> None:
        self._config = config
        self._board = board
        self._clock = clock
        self._called = called
        self._known: tuple[int, list[PolicyShown]] | None = None

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [web.get("/policies", ui(self.get), allow_head=False)]

    async def get(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - the frame shows it
        """With `?labels=`, `?severity=`, `?at=` and `?zone=`, the dry run; the page says what is wrong with them."""
        now_ms = self._clock.now_ms()
        asking = _asked(request, zones(self._config)[0])
        found: DryRun | None = None
        problem = ""
        if not asking.is_empty:
            try:
                found = dry_run(self._config, self._called, asking, now_ms)
            except ValueError as exc:
                problem = str(exc)
        return render(
            request,
            "ui/policies.html",
            status=400 if problem else 200,
            title="Policies",
            page="policies",
            **await self._board.counts(),
            policies=await self._policies(now_ms),
            asking=asking,
            labels_max=LABELS_MAX,
            severities=SEVERITIES,
            zones=zones(self._config),
            found=found,
            problem=f"{problem[:1].upper()}{problem[1:]}",
        )

    async def _policies(self, now_ms: int) -> list[PolicyShown]:
        """As the configuration has them; the coming week is that of the latest quarter of an hour."""
        quarter = now_ms // QUARTER_MS
        if self._known is None or self._known[0] != quarter:
            found: list[PolicyShown] = []
            for it in policies_shown(self._config, self._called, now_ms):
                found.append(it)
                await asyncio.sleep(0)  # others are served in between
            self._known = quarter, found
        return self._known[1]


def _asked(request: web.Request, zone: str) -> Asking:
    asked = request.query
    return Asking(asked.get("labels", ""), asked.get("severity", ""), asked.get("at", ""), asked.get("zone") or zone)
