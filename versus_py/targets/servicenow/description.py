"""An incident as plain text, for the description of a record: what people need first comes first, as it may be cut."""

from collections.abc import Iterator, Mapping

from versus_py.incidents.model import Event, Incident
from versus_py.incidents.overview import Line, Overview, overview
from versus_py.incidents.rounds import step_of
from versus_py.incidents.updates import counted
from versus_py.sources import alertmanager
from versus_py.targets.servicenow.record import utc

LINES = 20
"""The alerts that are described."""

SHORT_S = 120
"""A wait that is shorter is told in seconds."""


def describe(incident: Incident, shown: Overview | None = None, *, previous_record: str = "") -> str:
    """Why the record exists, how bad it is and since when, texts, values, the pages to look at, and each alert.

    *shown* is its overview with LINES lines, where that is at hand. *previous_record* is the number of the one that
    this record follows, if there is one.
    """
    shown = shown or overview(incident, lines=LINES)
    parts = (
        "\n".join(text for text in (_why(incident), _step(incident)) if text),
        _head(incident, shown, previous_record),
        "\n".join(shown.texts),
        _measured(shown.values),
        "\n".join(_pages(incident, shown)),
        _labels({name: text for name, text in shown.labels.items() if text != incident.severity}),
        _alerts(shown),
    )
    return "\n\n".join(part for part in parts if part)


def _why(incident: Incident) -> str:
    """Why it escalated; "" before it has."""
    call, since_ms, waits_ms = incident.latest_call, incident.waiting_since_ms, incident.policy.oncall_after_ms or 0
    if call is None:
        return ""
    if incident.escalated_by is not None:
        return f"Escalated by {incident.escalated_by.name}."
    if call.at_ms < since_ms + waits_ms and _has_failed_channel(incident):
        return "No channel could show the incident, so that nobody could acknowledge it."
    if waits_ms == 0:
        return "Escalated without a wait."
    return f"Nobody acknowledged within {_duration((call.at_ms - since_ms) // 1000)}."


def _step(incident: Incident) -> str:
    """Which step of which policy it has come to, and who is next; "" without a policy of a name."""
    if not incident.policy.name:
        return ""
    following = f", next: {', '.join(incident.next_targets)} at {utc(incident.escalates_at_ms)} UTC"
    return f"Policy {incident.policy.name}: {step_of(incident)}{following if incident.is_waiting else ''}."


def _has_failed_channel(incident: Incident) -> bool:
    """Whether one was given up, or refused our credentials, in the present wait."""
    failures = (entry for entry in incident.news if entry.event in {Event.GIVEN_UP, Event.REFUSED})
    return any(entry.at_ms >= incident.waiting_since_ms for entry in failures)


def _duration(seconds: int) -> str:
    is_short = seconds < SHORT_S
    return counted(seconds, "second") if is_short else counted(seconds // 60, "minute")


def _head(incident: Incident, shown: Overview, previous_record: str) -> str:
    since = f", since {utc(shown.since_ms)} UTC" if shown.since_ms is not None else ""
    follows = f", after {previous_record}" if previous_record else ""
    said = f"Severity {incident.severity}, {shown.count}{since}, from {incident.source}."
    return f"{said}\nIncident {incident.id}{follows}."


def _pages(incident: Incident, shown: Overview) -> Iterator[str]:
    """The links that all alerts have, what they come from, where to silence them, and where people were told."""
    pages = dict(shown.links) | {"Source": shown.url, "Silence": alertmanager.silence_url(incident)}
    pages |= {incident.source.capitalize(): incident.url} if incident.url != shown.url else {}
    pages |= {name.capitalize(): incident.delivery(name).url for name in incident.policy.channels}
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
