"""In what incidents and their records at other systems do not agree: looked at, and nothing is changed."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from versus_py import __version__
from versus_py.clock import SystemClock
from versus_py.config import Config
from versus_py.engine.reconciliation import is_compared
from versus_py.incidents.model import Incident, IncidentId, Status
from versus_py.incidents.sides import Report, in_words
from versus_py.incidents.tickets import differences
from versus_py.store import Store, Storms, Turns
from versus_py.store.connection import reach_redis
from versus_py.targets import titles
from versus_py.targets.feed import Feed
from versus_py.targets.system import Surroundings, System
from versus_py.tools.doctor.incidents import is_empty

PAGE = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between an incident and its record, in words, and who changed the record last."""

    incident_id: IncidentId
    record: str
    differs: str
    changed_by: str


async def record_differences(config: Config, systems: Sequence[System]) -> list[Difference]:
    """Of all incidents that are open, or were resolved a short time ago.

    Raises StoreUnavailable, and Transient or Permanent of a system that does not answer.
    """
    if is_empty(config):
        return []
    found: list[Difference] = []
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(reach_redis(config.redis, config.data_dir))
        store = Store(redis, retention_ms=0, reopen_ms=0)  # which only matter to what writes
        used = {part.NAME for part in config.systems_in_use()}
        for system in systems:
            if system.name not in used or not system.events_path:
                continue
            session = await stack.enter_async_context(_session(system))
            around = Surroundings(
                config=config,
                clock=SystemClock(),
                session=session,
                turns=Turns(redis),
                storms=Storms(redis, retention_ms=0),
                called=titles({it.name: it.title for it in systems}),
                ack_url=lambda _: None,
                storm_url=lambda *_: "",
                wake=_nobody,
            )
            parts = system.build(around)
            if parts.feed is not None:
                found += await _differences(store, parts.feed, [*parts.targets])
    return found


async def _differences(store: Store, feed: Feed, targets: Sequence[str]) -> list[Difference]:
    found: list[Difference] = []
    now_ms = SystemClock().now_ms()
    for target in targets:
        cursor = None
        while True:
            page = await store.page(wanted=lambda it: is_compared(it, target, now_ms), limit=PAGE, cursor=cursor)  # noqa: B023
            reports = await feed.look(target, page.incidents) if page.incidents else {}
            for incident in page.incidents:
                if incident.id in reports:  # else its instance is not kept in sync both ways
                    found += _difference(feed, incident, target, reports[incident.id])
            cursor = page.cursor
            if cursor is None:
                break
    return found


def _difference(feed: Feed, incident: Incident, target: str, report: Report | None) -> list[Difference]:
    record, is_over = incident.delivery(target).label, incident.status is Status.RESOLVED
    if report is None:
        gone = Difference(incident.id, record, "the record is gone, or hidden from the user", "")
        return [] if is_over else [gone]
    unheard = in_words(report.news_since(incident.sides.get(target)))
    said = [] if is_over and not feed.writes_ends(target, incident) else [*differences(incident, report.side)]
    if unheard:
        said.append(f"changed there, not applied here yet: {unheard}")
    return [Difference(incident.id, record, "; ".join(said), report.by or report.user)] if said else []


async def _nobody(_: IncidentId, __: str) -> None:
    """Nothing is woken: this only looks."""


def _session(system: System) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=system.timeout_s),
        headers={"User-Agent": f"versus_py/{__version__}"},
    )
