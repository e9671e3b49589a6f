"""What an incident's message says about its alerts, where no template says it otherwise."""

from collections.abc import Iterator, Mapping

from versus_py.incidents.model import Incident
from versus_py.incidents.overview import Line, Overview, overview
from versus_py.sources import alertmanager, generic
from versus_py.targets.slack.mrkdwn import Mrkdwn, clock_time, escape, link, shorten, since
from versus_py.targets.values import common_links

# What fits a phone's screen together with what stands around the body.
TEXT_MAX = 500
TEXTS_SHOWN = 5
LINE_TEXT_MAX = 140
VALUES_MAX = 200
LABELS_SHOWN = 12
LABELS_BESIDE_TEXTS = 8
LABEL_MAX = 48
"""Longer words, such as ids, are cut in the middle: their ends tell them apart."""

NAME_MAX = 200

SAME_DAY_MS = 12 * 3600_000
"""An alert that began so soon after the first one is shown with the time alone."""

_SEPARATOR = " · "


def default_body(incident: Incident, *, more_url: str = "") -> Mrkdwn:
    """What fires, since when, what it says and where it is; *more_url* leads to the alerts that do not fit."""
    shown = overview(incident)
    lines = [_head(incident, shown), *map(_text, shown.texts[:TEXTS_SHOWN]), _values(shown.values)]
    lines += _alert_lines(shown)
    lines += [_left_out(shown, alertmanager.alerts_url(incident) or incident.url or more_url), _labels(incident, shown)]
    lines += [_further_links(incident, shown)]
    return Mrkdwn("\n".join(line for line in lines if line))


def _alert_lines(shown: Overview) -> list[str]:
    """A line for each; of a single alert, all is said above."""
    if len(shown.lines) == 1 and not shown.left_out:
        return [_unlisted(shown.lines[0])]
    return [_line(it, shown.since_ms or 0) for it in shown.lines]


def _head(incident: Incident, shown: Overview) -> str:
    """What it is about, since when, and where it comes from; its name where the headline does not say it."""
    parts: list[str] = []
    name = "" if shown.name.casefold() in incident.title.casefold() else shown.name
    if name or shown.resource:
        parts.append(" on ".join(_bold(it) for it in (name, shown.resource) if it))
    moment = shown.since_ms if shown.since_ms is not None else incident.created_at_ms
    parts.append(f"{'since' if shown.since_ms is not None else 'received'} {since(moment)}")
    if url := shown.url or (incident.url if incident.source == generic.NAME else ""):
        parts.append(link(url, "Open alert"))
    return _SEPARATOR.join(parts)


def _bold(name: str) -> str:
    """On one line: Slack shows asterisks as such where a line ends between them."""
    return f"*{escape(' '.join(name.split())[:NAME_MAX])}*"


def _text(text: str) -> str:
    return escape(shorten(text.strip(), TEXT_MAX))


def _values(values: str) -> str:
    return f"*Values* {_code(values[:VALUES_MAX])}" if values else ""


def _line(line: Line, first_ms: int) -> str:
    """An alert among others: what tells it from them, what it says, what was measured, and since when."""
    parts = [_linked(line.url, line.lead) if line.url else _lead(line)]
    parts += [_flat(text) for text in line.texts[:1]]
    if line.values:
        parts.append(_code(line.values[:VALUES_MAX]))
    if line.since_ms is not None:
        is_soon = line.since_ms - first_ms < SAME_DAY_MS
        parts.append(f"since {clock_time(line.since_ms) if is_soon else since(line.since_ms)}")
    parts += [it for it in (_unlisted(line),) if it]
    parts += [link(url, page) for page, url in line.links.items()]
    return f"• {_SEPARATOR.join(parts)}"


def _lead(line: Line) -> str:
    names = [_bold(line.name)] if line.name else []
    return " ".join([*names, *_codes(line.labels)]) or escape(line.lead[:NAME_MAX])


def _flat(text: str) -> str:
    """On one line."""
    return escape(shorten(" ".join(text.split()), LINE_TEXT_MAX))


def _unlisted(line: Line) -> str:
    since_ms = line.alert.unlisted_since_ms
    if not line.alert.is_firing or since_ms is None:
        return ""
    return f"_not listed since {since(since_ms)}: its sender does not say that it is over_"


def _left_out(shown: Overview, url: str) -> str:
    return link(url, f"… {shown.left_out} more") if shown.left_out else ""


def _labels(incident: Incident, shown: Overview) -> str:
    """What all agree on, without what the headline says."""
    said = {incident.severity, incident.title, shown.resource}
    labels = {name: text for name, text in shown.labels.items() if text not in said}
    codes = [*_codes(labels)]
    most = LABELS_BESIDE_TEXTS if shown.texts else LABELS_SHOWN
    more = f" … {len(codes) - most} more" if len(codes) > most else ""
    return " ".join(codes[:most]) + more


def _further_links(incident: Incident, shown: Overview) -> str:
    """Those that are not below the body anyway."""
    below = {incident.url, *common_links(incident).values()}
    return _SEPARATOR.join(link(url, page) for page, url in shown.links.items() if url not in below)


def _codes(labels: Mapping[str, str]) -> Iterator[str]:
    return (_code(f"{name}={_middle_cut(text)}") for name, text in labels.items())


def _middle_cut(text: str) -> str:
    half = LABEL_MAX // 2
    return text if len(text) <= LABEL_MAX or " " in text else f"{text[: half - 1]}…{text[-half:]}"


def _code(text: str) -> str:
    flat = " ".join(text.split()).replace("`", "'")
    return f"`{escape(flat)}`" if flat else ""


def _linked(url: str, text: str) -> str:
    return link(url, text[:NAME_MAX]) if url else escape(text[:NAME_MAX])
