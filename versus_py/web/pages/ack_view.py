"""What the page behind the link of an incident shows: what its message in a channel shows too, and no more. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from versus_py.incidents.model import Entry, Incident
from versus_py.incidents.overview import Overview, overview
from versus_py.targets import Called
from versus_py.web.api.views import LINES
from versus_py.web.pages.ui.rows import Row, row_of, web_page
from versus_py.web.pages.ui.timeline import timeline_of

PEOPLE_MAX = 5


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, without what they wrote."""

    who: str
    what: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class AckView:
    """An incident as whoever holds its link sees it."""

    row: Row
    status: str  # triggered, acknowledged, snoozed, suppressed, held, resolved
    overview: Overview
    deeds: tuple[Deed, ...]  # the latest, oldest first
    links: tuple[tuple[str, str], ...]


def ack_view(incident: Incident, entries: Sequence[Entry], called: Called) -> AckView:
    """*entries* is its timeline; *called* tells what people call a target."""
    lines = (it for it in timeline_of(incident, entries, limit=None).lines if it.who)
    deeds = [Deed(it.who, "commented" if it.icon == "say" else it.what.rstrip(":"), it.at_ms) for it in lines]
    row = row_of(incident, called)
    return AckView(row, row.status, overview(incident, lines=LINES), tuple(deeds[-PEOPLE_MAX:]), links_of(incident))


def links_of(incident: Incident) -> tuple[tuple[str, str], ...]:
    """Where to look further: runbook, dashboard, the alert's own page, and its channels, which is the way back."""
    shown = overview(incident, lines=1)
    pages = {**shown.links, incident.source.capitalize(): incident.url, "Source": shown.url}
    channels = {it.url for name, it in incident.deliveries.items() if name not in incident.providers}
    back = {f"Back to the channel{f' ({at})' if at > 1 else ''}": url for at, url in enumerate(sorted(channels), 1)}
    return tuple((name, url) for name, url in (pages | back).items() if web_page(url))
