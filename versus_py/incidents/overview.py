"""An incident as people read it: what its alerts share is said once, and of each alert what differs. Pure."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from versus_py.incidents.labels import links_of, shown_labels, told_apart
from versus_py.incidents.model import Alert, Incident, Status, common
from versus_py.incidents.severity import severity_rank
from versus_py.incidents.texts import said_once, texts_of, values_of

LINES = 6
"""The alerts that fit a phone's screen."""

SAME_START_MS = 60_000
"""Starts that are no further apart are shown as one."""

_HOST_PORT = re.compile(r"([a-z-]*[\d.][\w.-]*):\d{1,5}")
"""A word without a digit or a dot, such as in `shard:3`, need not be a host."""


class Line(Struct, frozen=True):
    """One alert, without what is said of all of them."""

    alert: Alert
    name: str  # "" where all are called the same
    labels: Mapping[str, str]  # what tells it from the others; at most LABELS_A_LINE
    texts: tuple[str, ...]  # what it says beside that, the most important first
    values: str  # what was measured
    since_ms: int | None  # None where all began at the same time, or its source does not say
    url: str
    links: Mapping[str, str]

    @property
    def lead(self) -> str:
        """A few words to tell it from the others."""
        labels = " ".join(f"{name}={value}" for name, value in self.labels.items())
        return f"{self.name} {labels}".strip() or self.alert.name


class Overview(Struct, frozen=True):
    """What is shown of an incident: of what fires; of everything once it is resolved."""

    title: str
    name: str  # what all are called; "" where they have different names
    resource: str  # what all are about; "" where that differs, or is not known
    count: str  # how many alerts there are, and how many of them fire
    labels: Mapping[str, str]  # what all agree on, places first; values are cut, their number is not
    texts: tuple[str, ...]  # what all say, without what the title says
    values: str
    since_ms: int | None  # when the first one began
    url: str  # the page that all have come from
    links: Mapping[str, str]
    lines: tuple[Line, ...]  # the gravest first; one for a single alert, with nothing to add
    left_out: int  # alerts that have no line


def subject(incident: Incident) -> str:
    """The title, and what all alerts are about where it does not say so: "Pod crash loop on node-1"."""
    resource = _resource(shown_alerts(incident))
    return incident.title if _is_said(resource, incident.title) else f"{incident.title} on {resource}"


def _is_said(resource: str, title: str) -> bool:
    """Whether the *title* names it, or its host as a whole word where it is one with a port."""
    resource, title = resource.casefold(), title.casefold()
    found = _HOST_PORT.fullmatch(resource)
    is_named = found is not None and re.search(rf"(?<![\w-]){re.escape(found[1])}(?![\w-])", title) is not None
    return resource in title or is_named


def _resource(alerts: Sequence[Alert]) -> str:
    return common([{"": it.resource} for it in alerts]).get("", "")


def overview(incident: Incident, *, lines: int = LINES) -> Overview:
    """The incident with at most so many *lines*."""
    alerts = shown_alerts(incident)
    said = [_Said.by(it) for it in alerts]
    shared = _Shared.of(said, incident.title)
    first = sorted(said, key=lambda it: severity_rank(it.alert.severity))[:lines]
    labels = common([it.labels for it in alerts])
    return Overview(
        title=incident.title,
        name=shared.name,
        resource=_resource(alerts),
        count=alert_count(incident),
        labels=shown_labels(labels, shared.above),
        texts=shared.above[1:],
        values=shared.values,
        since_ms=min((it.starts_at_ms for it in alerts if it.starts_at_ms is not None), default=None),
        url=shared.url,
        links=shared.links,
        lines=tuple(
            shared.line(it, apart)
            for it, apart in zip(first, told_apart([it.alert for it in first], alerts), strict=True)
        ),
        left_out=len(alerts) - len(first) + incident.truncated_alerts,
    )


class _Said(Struct, frozen=True):
    """What one alert says, all of it."""

    alert: Alert
    texts: Mapping[str, str]
    values: str
    links: Mapping[str, str]

    @classmethod
    def by(cls, alert: Alert) -> "_Said":
        return cls(alert, texts_of(alert), values_of(alert), links_of(alert))


class _Shared(Struct, frozen=True):
    """What is the same for all alerts, and so is not said again at each."""

    name: str
    above: tuple[str, ...]  # the title, and the texts as they are shown
    texts: Mapping[str, str]
    values: str
    url: str
    links: Mapping[str, str]
    is_one_start: bool

    @classmethod
    def of(cls, said: Sequence[_Said], title: str) -> "_Shared":
        texts = common([it.texts for it in said])
        same = common([{"name": _name(it.alert), "values": it.values, "url": it.alert.url} for it in said])
        starts = [it.alert.starts_at_ms for it in said if it.alert.starts_at_ms is not None]
        return cls(
            name=same.get("name", ""),
            above=(title, *said_once(texts.items(), [title])),
            texts=texts,
            values=same.get("values", ""),
            url=same.get("url", ""),
            links=common([it.links for it in said]),
            is_one_start=not starts or max(starts) - min(starts) <= SAME_START_MS,
        )

    def line(self, said: _Said, labels: Mapping[str, str]) -> Line:
        alert = said.alert
        own = [(key, text) for key, text in said.texts.items() if key not in self.texts]
        return Line(
            alert=alert,
            name="" if self.name else _name(alert),
            labels=labels,
            texts=said_once(own, self.above),
            values="" if self.values else said.values,
            since_ms=None if self.is_one_start else alert.starts_at_ms,
            url="" if self.url else alert.url,
            links={page: it for page, it in said.links.items() if page not in self.links},
        )


def shown_alerts(incident: Incident) -> tuple[Alert, ...]:
    """What fires; once the incident is resolved, all that was in it."""
    return incident.alerts if incident.status is Status.RESOLVED else incident.firing or incident.alerts


def alert_count(incident: Incident) -> str:
    """How many alerts it has and, while it is open, how many of them fire."""
    firing, known = len(incident.firing), len(incident.alerts)
    text = f"{known} alert{'' if known == 1 else 's'}"
    if incident.status is not Status.RESOLVED and 0 < firing < known:
        text = f"{firing} of {text} firing"
    if incident.truncated_alerts:
        text += f" and {incident.truncated_alerts} more that the sender cut off"
    return text


def _name(alert: Alert) -> str:
    return alert.labels.get("alertname") or alert.title
