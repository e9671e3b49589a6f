"""The page of health: how this server and its replicas stand, and what the doctor found last.

No request asks a remote system: the doctor's checks run in the background, and the page shows what they found.
"""

from dataclasses import replace
from typing import Any

from aiohttp import web

from versus_py import __version__
from versus_py.clock import Clock
from versus_py.config import Config
from versus_py.engine.checkup import Checkup
from versus_py.engine.health import Health
from versus_py.engine.heartbeats import Heartbeats
from versus_py.engine.presence import Presence
from versus_py.errors import StoreUnavailable
from versus_py.incidents.heartbeats import called as heartbeat_called
from versus_py.incidents.heartbeats import is_silent, labels_of, opened_incident, sent_by
from versus_py.store.journal import Journal
from versus_py.targets import Called
from versus_py.telemetry.logs import Redactor
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.guard import UiGuard
from versus_py.web.pages.ui.health_views import (
    Beat,
    Facts,
    Kept,
    count_of,
    findings,
    masked,
    of_doctor,
    replicas_shown,
)
from versus_py.web.pages.ui.said import forget_said, said, say
from versus_py.web.pages.ui.shell import render, see_other
from versus_py.web.pages.ui.viewer import Role, Viewer

SETTLES_S = 3.0
"""How long the answer to *Check now* waits for what is found: most checkups take a second."""


class HealthPage:
    """The handlers. Without *health*, *presence* or *checkup*, their parts are not there."""

    def __init__(
        self,
        config: Config,
        board: Board,
        *,
        health: Health | None,
        heartbeats: Heartbeats,
        presence: Presence | None,
        checkup: Checkup | None,
        journal: Journal | None,
        clock: Clock,
        called: Called,
    ) -> None:
        self._board = board
        self._health = health
        self._heartbeats = heartbeats
        self._presence = presence
        self._checkup = checkup
        self._journal = journal
        self._clock = clock
        self._called = called
        self._mask = Redactor(config.secrets()).masked

    def routes(self, ui: UiGuard) -> list[web.RouteDef]:
        return [
            web.get("/health", ui(self.get), allow_head=False),
            web.post("/health", ui(self.check, needs=Role.RESPONDER)),
        ]

    async def get(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - the frame shows it
        """Has the checks run in the background when what they found is old."""
        facts = await self._facts()
        checked = None if self._checkup is None else await self._checkup.refresh(alone=not facts.reaches_redis)
        now = masked(findings(facts, self._called), self._mask)
        checks = masked(of_doctor(checked.checks if checked is not None else ()), self._mask)
        values: dict[str, Any] = {
            "title": "Health",
            "page": "health",
            **(await self._board.counts() if facts.reaches_redis else {}),
            "version": __version__,
            "is_well": facts.readiness is not None and facts.readiness.status == "ready",
            "standing": facts.standing,
            "now": now,
            "checks": checks,
            "number": len(now) + len(checks),
            "counts": count_of([*now, *checks]),
            "replicas": replicas_shown(facts),
            "has_checkup": self._checkup is not None,
            "checked": checked,
            "is_checking": self._checkup is not None and self._checkup.is_under_way,
            "flash": said(request),
        }
        return forget_said(request, render(request, "ui/health.html", **values))

    async def check(self, request: web.Request, viewer: Viewer) -> web.Response:  # noqa: ARG002 - any responder
        """Have the checks run, and wait a moment for them."""
        if self._checkup is None:
            raise web.HTTPNotFound(text="This server runs no checks by itself: run versus doctor.")
        self._checkup.ask()
        is_there = await self._checkup.settled_within(SETTLES_S)
        return say(request, see_other(request, "/health"), "Checked" if is_there else "Still checking")

    async def _facts(self) -> Facts:
        journal = self._journal
        facts = Facts(
            now_ms=self._clock.now_ms(),
            readiness=None if self._health is None else await self._health.readiness(),
            standing=None if self._health is None else self._health.standing,
            loss="" if self._health is None else str(self._health.loss or ""),
            replicas=[],
            beats=None,
            journal=Kept() if journal is None else Kept(journal.name, journal.not_written),
        )
        alone = not facts.reaches_redis  # else each question would take its time
        here = [] if self._presence is None else await self._presence.everyone(alone=alone)
        return replace(facts, replicas=here, beats=None if alone else await self._beats())

    async def _beats(self) -> list[Beat] | None:
        try:
            known = await self._heartbeats.known()
        except StoreUnavailable:
            return None
        beats: list[Beat] = []
        for expected, come in known:
            path = f"/api/heartbeats/{expected.name}"
            beats += [
                Beat(
                    heartbeat_called(it.title, expected.of(labels_of(it))),
                    it.waiting_since_ms,
                    sent_by(it),
                    is_silent(it),
                    opened_incident(it) or "",
                    path,
                )
                for it in come
            ] or [Beat(expected.name, path=path)]
        return beats
