"""Labels as people read them: which to show, in which order, and which of them tell one alert from others. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from versus_py.incidents.model import Alert, common

LABELS_A_LINE = 4
COMPARED_MAX = 300
"""How much of a text is compared: what follows may be cut where it is shown."""

LABEL_MAX = 80
"""Characters of one label's value; the name gets half of it."""

LINKS_MAX = 3
"""Pages that are taken from labels."""

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
    r".*[a-z](?:Id|ID|UID|Arn|Time|Date|Version)|(?i:(?:.*[._-])?"
    r"(?:id|uid|uuid|arn|version|time|timestamp|date|epoch|email|username|weight|source))"
)
"""Labels that number things, say when or whom: they are shown after all others."""

_NUMBER_LIKE = re.compile(
    r"\d{4}-\d\d-\d\d[T ].*|\d{10}(?:\d{3})?(?:\.\d+)?|[0-9a-fA-F-]{16,}|0(?:\.0+)?"
    r"|\w+_reference|[^@\s]+@[^@\s]+|(?i:true|false|null|none|n/a)"
)
"""Values that say little to people: times, numbers of rows, hashes, switches, addresses. They are shown last too."""

_CLOCK = re.compile(r"(?i).*(?:time|stamp|date|epoch|created|updated|occurrence|start|end|seen|at)")
_SECONDS = re.compile(r"1\d{9}(?:\d{3})?(?:\.\d+)?")
_MACRO = re.compile(r"\{[$A-Z0-9._]+\}|\$[A-Z0-9_]+\$?")
"""What a sender did not fill in."""

_HINTS = frozenset(
    ["description", "message", "content", "comment", "body", "hint", "suggestion", "documentation", "text", "summary"]
)
"""The last word of the name of what is written for people."""

PROSE_MIN = 24
PROSE_WORDS_MIN = 4
"""A label's value that is longer and has so many words is a text; senders that versus_py does not know keep them so."""

_VAGUE = frozenset(
    [
        *("address", "count", "data", "description", "host", "id", "key", "label", "message", "name", "number"),
        *("self", "status", "summary", "text", "title", "type", "url", "value"),
    ]
)
"""The last part of a nested name that says too little by itself."""

_NO_PAGES = re.compile(
    r"(?i).*(?:unsubscribe|acknowledge|icon|logo|avatar|webhook|endpoint|documentation|href|scm|assignee|user|agent).*"
    r"|(?:.*[._-])?(?:self|api)(?:[._-].*)?"
)
"""Names of URLs that are not for people to open."""

_NAMES = frozenset(["alertname"])


def told_apart(
    shown: Sequence[Alert], among: Sequence[Alert], *, limit: int = LABELS_A_LINE
) -> tuple[dict[str, str], ...]:
    """Of each of the *shown* alerts the labels that tell it from the rest of those it is *among*.

    At most *limit* of them: first those that tell most alerts apart. Empty where there is nothing to tell it from.
    Alerts with the same labels are told apart by the host that they came from, or by their fingerprint.
    """
    if len(among) == 1:
        return ({},) * len(shown)
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


def shown_labels(labels: Mapping[str, str], above: Sequence[str]) -> dict[str, str]:
    """Places first, numbers last, cut, without words that stand *above* already."""
    shown = sorted((key for key, text in labels.items() if _is_shown(key, text)), key=lambda it: _place(it, labels[it]))
    return _unrepeated({key: labels[key] for key in shown if not _is_said(labels[key], above)})


def links_of(alert: Alert) -> dict[str, str]:
    """Its pages, and those that its labels name."""
    known = {alert.url, *alert.links.values()}
    named = {key: text for key, text in alert.labels.items() if is_link(text) and text not in known}
    pages = {key: text for key, text in named.items() if key not in _PLACES and not _NO_PAGES.fullmatch(key)}
    return {**alert.links, **{_page(key): text for key, text in [*pages.items()][:LINKS_MAX]}}


def is_text(name: str, text: str) -> bool:
    """Whether a label is a text: several words, and more of them where its name does not say so."""
    return " " in text.strip() and (is_prose(text) or is_hint(name))


def is_hint(name: str) -> bool:
    """Whether what has that name is written for people."""
    return re.split(r"[._-]", name.casefold())[-1] in _HINTS


def is_prose(text: str) -> bool:
    has_words = len(text) > PROSE_MIN and len(text.split()) >= PROSE_WORDS_MIN
    return has_words and not _NUMBER_LIKE.fullmatch(text)


def is_link(text: str) -> bool:
    return text.startswith(("https://", "http://")) and text.isprintable() and " " not in text


def plain(text: str) -> str:
    return " ".join(text.casefold().split())[:COMPARED_MAX].strip(" .!:;…*_`")


def _full_name(alert: Alert, labels: Mapping[str, str]) -> str:
    added = " ".join(f"{name}={value}" for name, value in labels.items() if value not in alert.name)
    return f"{alert.name} {added}".strip()


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
    is_technical = label in _NAMES or label.startswith("__") or bool(_MACRO.fullmatch(text))
    is_clock = bool(_SECONDS.fullmatch(text) and _CLOCK.fullmatch(label))
    return bool(text) and not is_technical and not is_clock and not is_text(label, text) and not is_link(text)


def _page(label: str) -> str:
    """`violation_chart_url` is `Violation chart`."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"\.(?:\d+\.)*", " ", label))
    kept = [it for it in re.split(r"[\s_-]+", words) if it.casefold() not in {"url", "link", "uri", "html", "data"}]
    return _cut(" ".join(kept[-2:]).capitalize() or label, LABEL_MAX // 2)


def _place(label: str, text: str = "") -> int:
    """For sorting: places, then what people know things by, then numbers."""
    place = _place_by_name(label)
    return place if place != len(_PLACES) else place + bool(_NUMBER_LIKE.fullmatch(text))


@lru_cache(maxsize=1024)
def _place_by_name(label: str) -> int:
    name = label.casefold().replace("-", "_")
    found = next((it for it in (name, name.rpartition(".")[2]) if it in _PLACES), None)
    return len(_PLACES) + bool(_NUMBERS.fullmatch(label)) if found is None else _PLACES.index(found)


def _is_said(text: str, above: Sequence[str]) -> bool:
    return " " in text and any(plain(text) in plain(it) for it in above)


def _unrepeated(labels: Mapping[str, str]) -> dict[str, str]:
    """Each value once, by the first of its names."""
    first = {text: key for key, text in reversed([*labels.items()])}
    once = _renamed({key: text for key, text in labels.items() if first[text] == key})
    return {_cut(key, LABEL_MAX // 2): _cut(text, LABEL_MAX) for key, text in once.items()}


def _renamed(pairs: Mapping[str, str]) -> dict[str, str]:
    """By the end of each nested name, where that tells them apart: `data.essentials.signalType` is `signalType`."""
    short = {name: end_of(name) for name in pairs}
    taken = Counter(short.values())
    return {short[name] if taken[short[name]] == 1 else name: text for name, text in pairs.items()}


def end_of(name: str) -> str:
    """The last part of a nested name, or the last two."""
    parts = [part for part in name.split(".") if part and not part.isdecimal()]
    return ".".join(parts[-2:] if parts and parts[-1].casefold() in _VAGUE else parts[-1:]) or name


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
