"""An incident as plain text, for the description of a record: what people need first comes first, as it may be cut."""

from collections.abc import Iterator, Mapping

from versus_py.incidents.model import Incident
from versus_py.incidents.overview import Line, Overview, overview
from versus_py.sources import alertmanager
from versus_py.targets.servicenow.record import utc

LINES = 20
"""The alerts that are described."""


def describe(incident: Incident, *, previous_record: str = "") -> str:
    """How bad it is and since when, its texts and values, the pages to look at, and then each alert.

    *previous_record* is the number of the one that this record follows, if there is one.
    """
    shown = overview(incident, lines=LINES)
    parts = (
        _head(incident, shown, previous_record),
        "\n".join(shown.texts),
        _measured(shown.values),
        "\n".join(_pages(incident, shown)),
        _labels({name: text for name, text in shown.labels.items() if text != incident.severity}),
        _alerts(shown),
    )
    return "\n\n".join(part for part in parts if part)


def _head(incident: Incident, shown: Overview, previous_record: str) -> str:
    since = f", since {utc(shown.since_ms)} UTC" if shown.since_ms is not None else ""
    follows = f", after {previous_record}" if previous_record else ""
    said = f"Severity {incident.severity}, {shown.count}{since}, from {incident.source}."
    return f"{said}\nIncident {incident.id}{follows}."


def _pages(incident: Incident, shown: Overview) -> Iterator[str]:
    """The links that all alerts have, what they come from, and where to silence them."""
    pages = dict(shown.links) | {"Source": shown.url, "Silence": alertmanager.silence_url(incident)}
    pages |= {incident.source.capitalize(): incident.url} if incident.url != shown.url else {}
    return (f"{name}: {url}" for name, url in pages.items() if url)


def _alerts(shown: Overview) -> str:
    """A paragraph for each alert; for a single one there is nothing to add."""
    if len(shown.lines) + shown.left_out == 1:
        return ""
    lines = ["Alerts:", *(_alert(line) for line in shown.lines)]
    if shown.left_out:
        lines.append(f"… and {shown.left_out} more")
    return "\n".join(lines)


def _alert(line: Line) -> str:
    since = f", since {utc(line.since_ms)} UTC" if line.since_ms is not None else ""
    ended = "" if line.alert.is_firing else ", resolved"
    pages = (f"{name}: {url}" for name, url in {**line.links, "Source": line.url}.items() if url)
    return "\n  ".join((f"- {line.lead}{since}{ended}", *filter(None, (*line.texts, _measured(line.values), *pages))))


def _measured(values: str) -> str:
    return f"Values: {values}" if values else ""


def _labels(labels: Mapping[str, str]) -> str:
    return "Labels: " + ", ".join(f"{name}={text}" for name, text in labels.items()) if labels else ""
