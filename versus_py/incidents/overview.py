"""An incident as people read it: what its alerts share is said once, and of each alert what differs. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from versus_py.incidents.model import Alert, Incident, Status, common
from versus_py.incidents.severity import severity_rank

LINES = 6
"""The alerts that fit a phone's screen."""

LABELS_A_LINE = 4
LABEL_MAX = 80
"""Characters of one label's value; the name gets half of it."""

TEXTS_MAX = 8
OTHER_TEXTS_MAX = 4
OTHER_LINKS_MAX = 3
COMPARED_MAX = 300
"""How much of a text is compared: what follows may be cut where it is shown."""

SAME_START_MS = 60_000
"""Starts that are no further apart are shown as one."""

_COMPARED_LABELS = 30
_COMPARED_ALERTS = 50

_PLACES = (
    "rulename",
    "cluster",
    "environment",
    "env",
    "region",
    "datacenter",
    "zone",
    "namespace",
    "service",
    "service_name",
    "job",
    "deployment",
    "statefulset",
    "daemonset",
    "instance",
    "instanceid",
    "instance_id",
    "host",
    "hostname",
    "host_name",
    "node",
    "pod",
    "pod_name",
    "container",
    "database",
    "queue",
    "device",
    "mountpoint",
)
"""Labels that say where it is, from the largest place to the smallest; they are shown before others."""

_NUMBERS = re.compile(
    r".*[a-z](?:Id|ID|UID|Arn|Time|Date|Version)|(?:.*[._-])?(?:id|uid|uuid|arn|version|time|timestamp|date)"
)
"""Labels that number things, or say when: they are shown after all others."""

_NUMBER_LIKE = re.compile(
    r"\d{4}-\d\d-\d\d[T ].*|\d{10}(?:\d{3})?(?:\.\d+)?|[0-9a-fA-F-]{16,}|(?i:true|false|null|none|n/a)"
)
"""Values that say little to people: times, numbers of rows, hashes, switches. They are shown last too."""

PROSE_MIN = 24
PROSE_WORDS_MIN = 4
"""A label's value that is longer and has so many words is a text; senders that versus_py does not know keep them so."""

_VAGUE = frozenset(
    [
        "address",
        "count",
        "data",
        "description",
        "host",
        "id",
        "key",
        "label",
        "message",
        "name",
        "number",
        "self",
        "status",
        "summary",
        "text",
        "title",
        "type",
        "url",
        "value",
    ]
)
"""The last part of a nested name that says too little by itself."""

_NO_PAGES = re.compile(r"(?i).*(?:unsubscribe|acknowledge|icon|logo|avatar|webhook|endpoint|self|api).*")
"""Names of URLs that are not for people to open."""

_NAMES = frozenset(["alertname"])
_TEXTS = ("summary", "title", "subject", "description", "message", "text", "error", "details", "reason", "culprit")
_VALUES = ("values", "valuestring", "__value_string__", "value", "current_value")
_VALUE_OF = re.compile(r"\[([^\[\]]*)\]")
_VARIABLE = re.compile(r"\b(?:var|metric)='([^']*)'")
_NUMBER = re.compile(r"\bvalue=(\S+)")
_LONG_NUMBER = re.compile(r"-?\b\d+\.\d{4,}\b")


@dataclass(frozen=True, slots=True)
class Line:
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


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown of an incident: of what fires; of everything once it is resolved."""

    title: str
    name: str  # what all are called; "" where they have different names
    count: str  # how many alerts there are, and how many of them fire
    labels: Mapping[str, str]  # what all agree on, places first; values are cut, their number is not
    texts: tuple[str, ...]  # what all say, without what the title says
    values: str
    since_ms: int | None  # when the first one began
    url: str  # the page that all have come from
    links: Mapping[str, str]
    lines: tuple[Line, ...]  # the gravest first; one for a single alert, with nothing to add
    left_out: int  # alerts that have no line


def overview(incident: Incident, *, lines: int = LINES) -> Overview:
    """The incident with at most so many *lines*."""
    alerts = shown_alerts(incident)
    shared = _Shared.of(alerts, incident.title)
    first = sorted(alerts, key=lambda it: severity_rank(it.severity))[:lines]
    labels = common([it.labels for it in alerts])
    return Overview(
        title=incident.title,
        name=shared.name,
        count=alert_count(incident),
        labels=_shown_labels(labels, shared.above),
        texts=shared.above[1:],
        values=shared.values,
        since_ms=min((it.starts_at_ms for it in alerts if it.starts_at_ms is not None), default=None),
        url=shared.url,
        links=shared.links,
        lines=tuple(shared.line(it, apart) for it, apart in zip(first, told_apart(first, alerts), strict=True)),
        left_out=len(alerts) - len(first) + incident.truncated_alerts,
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What is the same for all alerts, and so is not said again at each."""

    name: str
    above: tuple[str, ...]  # the title, and the texts as they are shown
    texts: Mapping[str, str]
    values: str
    url: str
    links: Mapping[str, str]
    is_one_start: bool

    @classmethod
    def of(cls, alerts: Sequence[Alert], title: str) -> "_Shared":
        texts = common([_texts(it) for it in alerts])
        same = common([{"name": _name(it), "values": _values(it), "url": it.url} for it in alerts])
        starts = [it.starts_at_ms for it in alerts if it.starts_at_ms is not None]
        return cls(
            name=same.get("name", ""),
            above=(title, *_said_once(texts.values(), [title])),
            texts=texts,
            values=same.get("values", ""),
            url=same.get("url", ""),
            links=common([_links(it) for it in alerts]),
            is_one_start=not starts or max(starts) - min(starts) <= SAME_START_MS,
        )

    def line(self, alert: Alert, labels: Mapping[str, str]) -> Line:
        own = [text for key, text in _texts(alert).items() if key not in self.texts]
        return Line(
            alert=alert,
            name="" if self.name else _name(alert),
            labels=labels,
            texts=_said_once(own, self.above),
            values="" if self.values else _values(alert),
            since_ms=None if self.is_one_start else alert.starts_at_ms,
            url="" if self.url else alert.url,
            links={page: it for page, it in _links(alert).items() if page not in self.links},
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


def told_apart(
    shown: Sequence[Alert], among: Sequence[Alert], *, limit: int = LABELS_A_LINE
) -> tuple[dict[str, str], ...]:
    """Of each of the *shown* alerts the labels that tell it from the rest of those it is *among*.

    At most *limit* of them: first those that tell most alerts apart. Empty where there is nothing to tell it from.
    Alerts with the same labels are told apart by the host that they came from, or by their fingerprint.
    """
    sample = [*shown, *among[:_COMPARED_ALERTS]]
    chosen = _distinctive(sample, common([it.labels for it in among]), limit)
    found = [_unrepeated({key: it.labels[key] for key in chosen if it.labels.get(key)}) for it in shown]
    twins = [it for it in found if found.count(it) > 1]
    return tuple(
        _told_otherwise(it, shown, labels) if labels in twins else labels
        for it, labels in zip(shown, found, strict=True)
    )


def names_of(alerts: Sequence[Alert], among: Sequence[Alert], *, limit: int) -> str:
    """The first of *alerts* by name, and how many more; with labels where others *among* them have the same name."""
    shown = alerts[:limit]
    known = Counter(it.name for it in among)
    apart = zip(shown, told_apart(shown, among, limit=2), strict=True)
    listed = ", ".join(_full_name(it, labels) if known[it.name] > 1 else it.name for it, labels in apart)
    return listed if len(alerts) <= limit else f"{listed} and {len(alerts) - limit} more"


def _full_name(alert: Alert, labels: Mapping[str, str]) -> str:
    added = " ".join(f"{name}={value}" for name, value in labels.items() if value not in alert.name)
    return f"{alert.name} {added}".strip()


def _name(alert: Alert) -> str:
    return alert.labels.get("alertname") or alert.title


def _distinctive(alerts: Sequence[Alert], shared: Mapping[str, str], limit: int) -> list[str]:
    """The labels that tell most of these alerts apart, places first."""
    names = dict.fromkeys(
        key for it in alerts for key, text in it.labels.items() if shared.get(key) != text and _is_shown(key, text)
    )
    candidates = sorted(names, key=_place)[:_COMPARED_LABELS]
    chosen: list[str] = []
    while candidates and len(chosen) < limit:
        best = max(
            candidates, key=lambda key: len({tuple(it.labels.get(at) for at in (*chosen, key)) for it in alerts})
        )
        candidates.remove(best)
        chosen.append(best)
    return sorted(chosen, key=_place)


def _told_otherwise(alert: Alert, others: Sequence[Alert], labels: dict[str, str]) -> dict[str, str]:
    hosts = {_host(it.url) for it in others}
    told = {"from": _host(alert.url)} if len(hosts) > 1 else {"fingerprint": alert.fingerprint[:12]}
    return labels | {key: text for key, text in told.items() if text}


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _is_shown(label: str, text: str) -> bool:
    """Whether it is a label to people: a place, or nothing that a tool keeps there for itself, no text, no page."""
    if label in _PLACES:
        return bool(text)
    is_technical = label in _NAMES or label.startswith("__")
    return bool(text) and not is_technical and not _is_prose(text) and not _is_link(text)


def _is_prose(text: str) -> bool:
    is_time = _NUMBER_LIKE.fullmatch(text)
    return not is_time and len(text) > PROSE_MIN and len(text.split()) >= PROSE_WORDS_MIN


def _is_link(text: str) -> bool:
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


def _links(alert: Alert) -> dict[str, str]:
    """Its pages, and those that its labels name."""
    known = {alert.url, *alert.links.values()}
    named = {key: text for key, text in alert.labels.items() if _is_link(text) and text not in known}
    pages = {key: text for key, text in named.items() if key not in _PLACES and not _NO_PAGES.fullmatch(key)}
    return {**alert.links, **_renamed(dict([*pages.items()][:OTHER_LINKS_MAX]))}


def _place(label: str, text: str = "") -> int:
    """For sorting: places, then what people know things by, then numbers."""
    name = label.casefold().replace("-", "_")
    if name in _PLACES:
        return _PLACES.index(name)
    return len(_PLACES) + bool(_NUMBERS.fullmatch(label) or _NUMBER_LIKE.fullmatch(text))


def _shown_labels(labels: Mapping[str, str], above: Sequence[str]) -> dict[str, str]:
    """Places first, numbers last, cut, without the words that stand *above*."""
    shown = sorted((key for key, text in labels.items() if _is_shown(key, text)), key=lambda it: _place(it, labels[it]))
    return _unrepeated({key: labels[key] for key in shown if not _is_said(labels[key], above)})


def _is_said(text: str, above: Sequence[str]) -> bool:
    return " " in text and any(_plain(text) in _plain(it) for it in above)


def _unrepeated(labels: Mapping[str, str]) -> dict[str, str]:
    """Each value once, by the first of its names."""
    first = {text: key for key, text in reversed([*labels.items()])}
    once = _renamed({key: text for key, text in labels.items() if first[text] == key})
    return {_cut(key, LABEL_MAX // 2): _cut(text, LABEL_MAX) for key, text in once.items()}


def _renamed(pairs: Mapping[str, str]) -> dict[str, str]:
    """By the end of each nested name, where that tells them apart: `data.essentials.signalType` is `signalType`."""
    short = {name: _end_of(name) for name in pairs}
    taken = Counter(short.values())
    return {short[name] if taken[short[name]] == 1 else name: text for name, text in pairs.items()}


def _end_of(name: str) -> str:
    parts = [part for part in name.split(".") if part and not part.isdecimal()]
    return ".".join(parts[-2:] if parts and parts[-1].casefold() in _VAGUE else parts[-1:]) or name


def _texts(alert: Alert) -> dict[str, str]:
    """What it says to people, by the annotation's name; of unusual ones, with the name before it."""
    said = {key: text for key, text in alert.annotations.items() if text.strip() and not _is_technical(key, text)}
    by_name = {key.casefold(): key for key in said}
    usual = [by_name[key] for key in _TEXTS if key in by_name]
    said |= {key: text for key, text in alert.labels.items() if key not in said and _is_prose(text)}
    others = [key for key in said if key not in usual][:OTHER_TEXTS_MAX]
    return {key: said[key] for key in usual} | {key: f"{key}: {said[key]}" for key in others}


def _is_technical(name: str, text: str) -> bool:
    """Whether it is no text: a link, a value, or what a tool keeps there for itself."""
    return _is_link(text.strip()) or name.startswith("__") or name.casefold() in _VALUES


def _values(alert: Alert) -> str:
    """What was measured, as `A=93.1, B=2`; Grafana's own text form is long and repeats the labels."""
    by_name = {key.casefold(): text for key, text in alert.annotations.items()}
    text = next((by_name[key] for key in _VALUES if by_name.get(key)), "")
    return _LONG_NUMBER.sub(lambda it: f"{float(it[0]):.6g}", ", ".join(_variables(text)) or text)


def _variables(text: str) -> Iterator[str]:
    for part in _VALUE_OF.findall(text):
        name, number = _VARIABLE.search(part), _NUMBER.search(part)
        if number:
            yield f"{name[1]}={number[1]}" if name and name[1] else number[1]


def _said_once(texts: Iterable[str], above: Sequence[str]) -> tuple[str, ...]:
    """Those that say something that is neither *above* nor part of another one."""
    found = [(it, _plain(it)) for it in texts][:TEXTS_MAX]
    said = [_plain(it) for it in above]
    kept = []
    for index, (text, plain) in enumerate(found):
        others = [it for at, (_, it) in enumerate(found) if at != index and (it != plain or at < index)]
        if plain and not any(plain in it for it in (*said, *others)):
            kept.append(text)
    return tuple(kept)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())[:COMPARED_MAX].strip(" .!:;…*_`")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
