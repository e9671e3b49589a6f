"""Two made-up systems, as a package that somebody installs would have them: a board that cannot edit, and a pager.

`plug_in` has them found by their entry points. Their servers are `BoardServer` and `PagerServer`.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import SecretStr

from versus_py.config import Config
from versus_py.config.parts import ChannelPart, HttpUrl, ProviderPart, RouteTo, Secret
from versus_py.errors import Permanent, Transient, Unreachable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, Status
from versus_py.targets.check import Check, CheckStatus, Examination
from versus_py.targets.system import Abilities, Examined, Parts, Surroundings, System
from versus_py.targets.target import Target


class BoardRouteTo(RouteTo):
    """Where a route leads on the board."""

    name: str = ""
    """The board."""

    @property
    def destination(self) -> str:
        return self.name


class BoardConfig(ChannelPart):
    """Notice boards: what hangs there stays as it is."""

    NAME = "board"
    TITLE = "Board"
    OVERRIDE = "board_name"
    ROUTE = BoardRouteTo

    url: HttpUrl | None = None
    """Where the boards are."""
    pin: Secret = SecretStr("")
    """What opens their case."""
    name: str = "hall"
    """The board for everything that names no other."""

    @property
    def default_destination(self) -> str:
        return self.name

    def problems(self, config: Config) -> Any:
        if self.url is None:
            yield "alert.board.url: is required when alert.board.enable is true"


class PagerConfig(ProviderPart):
    """Pagers, by team."""

    NAME = "pager"
    TITLE = "Pager"
    OVERRIDE = "pager_team"

    url: HttpUrl | None = None
    """Where pages are sent from."""
    team: str = "day"
    """The team for everything that names no other."""
    teams: tuple[str, ...] = ("day", "night")
    """Every team that there is."""

    def problem_with(self, destination: str) -> str:
        return "" if destination in self.teams else ", ".join(self.teams)

    def problems(self, config: Config) -> Any:
        if self.url is None:
            yield "oncall.pager.url: is required when oncall.provider is pager"


class BoardTarget:
    """A notice for each standing that somebody should know of; what was lost on the way is looked for first."""

    def __init__(
        self, config: BoardConfig, session: aiohttp.ClientSession, name: str = BoardConfig.NAME, board: str = ""
    ) -> None:
        self._config = config
        self._session = session
        self._name = name
        self._board = board or config.name

    def system(self, incident: Incident) -> str:
        return BoardConfig.NAME

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        before = incident.delivery(self._name)
        board = before.reference.get("board") or incident.policy.destinations.get(self._name) or self._board
        standing = f"{incident.status} {incident.ending or ''}".rstrip()
        if before.reference.get("standing") == standing:
            return before
        key = f"{incident.id} {standing}"
        if attempt == 1 or key not in [it["key"] for it in await self._notices(board)]:
            await self._hang(board, {"key": key, "text": f"{incident.title}: {standing}"})
        return replace(before, reference={"board": board, "standing": standing}, label=f"notice on {board}")

    async def _notices(self, board: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = await call(self._session, "GET", f"{self._config.url}/boards/{board}")
        return found

    async def _hang(self, board: str, notice: Mapping[str, str]) -> None:
        pin = {"pin": self._config.pin.get_secret_value()}
        await call(self._session, "POST", f"{self._config.url}/boards/{board}", {**notice, **pin})


class PagerTarget:
    """A page for each incident, under a key that makes sending twice sending once."""

    def __init__(self, config: PagerConfig, session: aiohttp.ClientSession, name: str, team: str = "") -> None:
        self._config = config
        self._session = session
        self._name = name
        self._team = team

    def system(self, incident: Incident) -> str:
        return PagerConfig.NAME

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        before = incident.delivery(self._name)
        if not before.reference and not incident.wants(self._name) and attempt == 1:
            return before
        team = self._team or incident.policy.destinations.get(self._name) or self._config.team
        state = {Status.TRIGGERED: "sent", Status.ACKNOWLEDGED: "seen", Status.RESOLVED: "over"}[incident.status]
        must_exist = bool(before.reference) or not incident.wants(self._name)
        page = {"team": team, "text": incident.title, "state": state, "must_exist": must_exist}
        answer = await call(self._session, "PUT", f"{self._config.url}/pages/{incident.id}", page)
        if answer is None:
            return before
        return replace(
            before, reference={"key": incident.id, "team": team}, label=answer["number"], url="https://pager"
        )


async def call(session: aiohttp.ClientSession, method: str, url: str, data: Any = None) -> Any:
    try:
        async with session.request(method, url, json=data) as response:
            if response.status >= 500:
                raise Unreachable(f"{url} answered {response.status}")
            if response.status == 404:
                return None
            if response.status >= 400:
                raise Permanent(f"{url} answered {response.status}")
            return await response.json()
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        raise Transient(f"{url} cannot be reached: {type(exc).__name__}") from exc


def build_board(around: Surroundings) -> Parts:
    config = around.config.alert.board
    targets: dict[str, Target] = {BoardConfig.NAME: BoardTarget(config, around.session)}
    for name, board in around.config.places(BoardConfig.NAME).items():
        targets[name] = BoardTarget(config, around.session, name, board)
    return Parts(targets=targets)


def build_pager(around: Surroundings) -> Parts:
    config = around.config.oncall.pager
    targets: dict[str, Target] = {PagerConfig.NAME: PagerTarget(config, around.session, PagerConfig.NAME)}
    for name, team in around.config.places(PagerConfig.NAME).items():
        targets[name] = PagerTarget(config, around.session, name, team)
    return Parts(targets=targets)


def examine_board(examined: Examined) -> Mapping[str, Examination]:
    return {"Board": lambda: _looked_at("Board", examined, examined.config.alert.board.url)}


def examine_pager(examined: Examined) -> Mapping[str, Examination]:
    return {"Pager": lambda: _looked_at("Pager", examined, examined.config.oncall.pager.url)}


async def _looked_at(name: str, examined: Examined, url: str | None) -> AsyncIterator[Check]:
    if url is None:
        yield Check(name, CheckStatus.SKIPPED, "not configured")
        return
    await call(examined.session, "GET", f"{url}/health")
    yield Check(name, CheckStatus.OK, "answers")


BOARD = System(config=BoardConfig, build=build_board, examine=examine_board, abilities=Abilities(edits=False))
PAGER = System(config=PagerConfig, build=build_pager, examine=examine_pager, abilities=Abilities(idempotency_key=True))


class Server:
    """What both have: requests that are to fail, in their order: a status, or `lost` for an answer that never comes."""

    def __init__(self) -> None:
        self.faults: list[int | str] = []

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._failing])
        app.router.add_get("/health", self._healthy)
        return app

    @web.middleware
    async def _failing(self, request: web.Request, handler: Any) -> web.StreamResponse:
        fault = self.faults.pop(0) if self.faults and request.method != "GET" else None
        if isinstance(fault, int):
            return web.json_response({}, status=fault)
        answer: web.StreamResponse = await handler(request)
        if fault == "lost" and request.transport is not None:
            request.transport.abort()
        return answer

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.json_response({})


class BoardServer(Server):
    """Boards, each with its notices: key and text, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.boards: dict[str, list[dict[str, str]]] = {}

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_get("/boards/{name}", self._get)
        app.router.add_post("/boards/{name}", self._post)
        return app

    def texts(self, board: str) -> list[str]:
        return [it["text"] for it in self.boards.get(board, [])]

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self.boards.get(request.match_info["name"], []))

    async def _post(self, request: web.Request) -> web.Response:
        self.boards.setdefault(request.match_info["name"], []).append(await request.json())
        return web.json_response({}, status=201)


class PagerServer(Server):
    """Pages by their key."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, dict[str, Any]] = {}

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_put("/pages/{key}", self._put)
        return app

    async def _put(self, request: web.Request) -> web.Response:
        key, page = request.match_info["key"], await request.json()
        if page.pop("must_exist") and key not in self.pages:
            return web.json_response({}, status=404)
        known = self.pages.setdefault(key, {"number": f"PAGE{len(self.pages) + 1}"})
        known |= page
        return web.json_response(known)


def plug_in(folder: Path) -> None:
    """What an installer writes, into *folder*: with it on the path, the entry points are found."""
    info = folder / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[versus_py.systems]\nboard = {__name__}:BOARD\npager = {__name__}:PAGER\n")
