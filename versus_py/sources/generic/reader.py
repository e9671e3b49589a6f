"""What any object says, by the usual names of its fields, and where it says so."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from versus_py.errors import NotAnAlert
from versus_py.incidents.copies import replace
from versus_py.incidents.severity import from_syslog, highest_severity, is_graver, is_severity
from versus_py.sources import fields
from versus_py.sources.generic import tables
from versus_py.sources.generic.identity import NONE, Identity, identity
from versus_py.sources.generic.search import LEVELS_MAX, Field, Fields, Place, Table
from versus_py.sources.generic.words import is_acknowledgment, is_finished, is_over, says_only_firing, says_over

UNTITLED = "Alert without a title"

_HEADLINES, _NAMES, _MESSAGES, _NOUNS, _TEXTS = map(
    Table, (tables.HEADLINES, tables.NAMES, tables.MESSAGES, tables.NOUNS, tables.TEXTS)
)
_TITLES = (
    *((_HEADLINES, LEVELS_MAX), (_NAMES, 0), (_MESSAGES, 0), (_NAMES, LEVELS_MAX), (_MESSAGES, LEVELS_MAX)),
    *((_NOUNS, LEVELS_MAX), (_TEXTS, LEVELS_MAX)),
)
"""What may be the title, the better first, and how deep it may be."""

_CONCLUSIONS, _KINDS = Table(tables.CONCLUSIONS), Table(tables.KINDS)
_NAMED_STATUS = Table(tables.STATUS)
_STATUS = Table((*tables.STATUS, *tables.STATUS_CODES))
_FLAGS, _ENDED = Table(tables.FLAGS), Table(tables.ENDED)
_OVER_BY_FLAG = {name: tables.FLAGS[known] for known in tables.FLAGS for name in Table([known]).ranks}
_STATUS_CODES, _SEVERITY_CODES = (
    {name: codes for known, codes in table.items() for name in Table([known]).ranks}
    for table in (tables.STATUS_CODES, tables.SEVERITY_CODES)
)
_NAMED_SEVERITIES, _GRAVE_STATES = Table(tables.SEVERITIES), Table(tables.GRAVE_STATES)
_SEVERITIES = Table((*tables.SEVERITIES, *tables.SEVERITY_CODES))
_RESOURCES, _LINKS, _STARTS = Table(tables.RESOURCES), Table(tables.LINKS), Table(tables.STARTS)
_PAGES = {page: Table(names) for page, names in tables.PAGES.items()}
_SAID = Table((*tables.HEADLINES, *tables.MESSAGES, *tables.TEXTS, "alertname", "alert_name", "name"))
_READ = Table(("status", "state", "alert_status", *tables.IDENTITIES, *tables.NUMBERS, *tables.LINKS, *tables.STARTS))

_ENVELOPE = Table(tables.ENVELOPE)

_SENTENCES = Table((*tables.MESSAGES, *tables.TEXTS))
_LEVELS = Table(tables.LEVELS)
_LEADING_WORD = re.compile(r"[A-Z]{4,12}\b")

_NEARBY = (Place.BODY, Place.ELSEWHERE)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NO_SEVERITY = {"ok", "none", "alert", "page", "new", "normal", "clear", "cleared", "success"}
"""Words for how it stands that are severities elsewhere."""

_LOOKED_FOR = ", ".join((*tables.HEADLINES[:3], *tables.NAMES[:8], *tables.MESSAGES[:3], *tables.TEXTS[:1]))
_LOOKED_FOR_IDENTITY = ", ".join((*tables.IDENTITIES[:6], *tables.NUMBERS[:4]))
_NOT_IDENTIFIED = f"nothing identifies it; looked for {_LOOKED_FOR_IDENTITY}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How it stands, and which field says so."""

    is_over: bool
    field: Field | None = None  # None: nothing says so
    is_known: bool = False  # a word that is known says so
    is_acknowledged: bool = False  # somebody has just acknowledged it elsewhere


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found, and where; None where it was not."""

    fields: Fields
    title: Field | None
    title_text: str
    standing: Standing
    severity: Field | None
    severity_text: str
    severity_sent: str  # the name in full, where severity_text is only its end; else ""
    identity: Identity
    resource: Field | None
    link: Field | None
    start: Field | None
    pages: Mapping[str, str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    warnings: tuple[str, ...]


def read(payload: Mapping[str, Any]) -> Reading:
    """Raises NotAnAlert when all it says is that somebody has acknowledged it elsewhere."""
    found = Fields(payload)
    title = _title(found)
    said = fields.title(title.text) if title else _pairs(found)
    severity = _severity(found, title)
    severity_text = _severity_text(found, severity) if severity else ""
    standing = _standing(found, title)
    name = said if title and _is_name(title) else ""
    known = identity(found, title, name, standing.field if standing.is_known else None)
    is_line = severity is not None and _is_line(found, title, severity)
    standing, warnings = _settled(standing, severity, severity_text, known, is_line=is_line)
    link = _first((*found.named(_LINKS, near=title, places=_NEARBY), *filter(_is_link, found.all)), _is_url)
    start = _first(found.named(_STARTS, near=title), lambda it: start_ms(it) is not None)
    used = [title, standing.field, link, start, *known.fields]
    annotations = _annotations(found, said)
    shown = {_folded(it) for it in (said, *annotations.values())}
    return Reading(
        fields=found,
        title=title,
        title_text=said or UNTITLED,
        standing=standing,
        severity=severity,
        severity_text=highest_severity([severity_text]),
        severity_sent=severity.text if severity and severity.text.endswith(f"_{severity_text}") else "",
        identity=known,
        resource=_resource(found),
        link=link,
        start=start,
        pages=_pages(found),
        labels=_labels(found, {id(it) for it in used if it and (it is standing.field or it in _READ)}, shown)
        | _state(standing),
        annotations=annotations,
        warnings=(*_untitled(title, standing), *warnings),
    )


def start_ms(field: Field) -> int | None:
    """When it began, as ms since the epoch."""
    return fields.time_ms(field.value) or fields.epoch_ms(field.value)


def _first(found: Iterable[Field], is_wanted: Callable[[Field], bool] | None = None) -> Field | None:
    return next(filter(is_wanted, found), None)


def _title(found: Fields) -> Field | None:
    for place in _NEARBY:
        for table, deepest in _TITLES:
            named = (it for it in found.named(table, places=(place,)) if it.level <= deepest and not _is_state(it))
            if title := _first(sorted(named, key=lambda it: it.level), _is_readable):
                return title
    labels = (it for table, _ in _TITLES for it in found.labelled(table))
    nearby = (it for it in found.all if it.place in _NEARBY and it.level <= LEVELS_MAX)
    called_so = (it for it in nearby if it.names[0].endswith(tables.TITLE_ENDINGS))
    return _first((*labels, *called_so), _is_readable)


def _is_state(field: Field) -> bool:
    """Whether all it says is how something stands: `failure` is no title, unless it was written as one."""
    is_one_word = len(field.text.split()) == 1
    return is_one_word and field not in _HEADLINES and is_over(field.value) is not None and field.text.isalpha()


def _untitled(title: Field | None, standing: Standing) -> list[str]:
    return [] if title or standing.is_over else [f"no title found; looked for {_LOOKED_FOR} and the like"]


def _is_name(title: Field) -> bool:
    """Whether it is a title or a name, not a sentence."""
    return title.is_label or any(title in table for table in (_HEADLINES, _NAMES, _NOUNS))


def _is_readable(field: Field) -> bool:
    has_text = not isinstance(field.value, bool) and any(map(str.isalnum, field.text))
    return has_text and not field.is_json and not field.is_secret


def _is_link(field: Field) -> bool:
    name = field.names[0]
    is_named = name.endswith(("url", "link")) or name.startswith("linkto")
    return is_named and field.place in _NEARBY and not name.startswith(tables.NO_LINKS) and _is_url(field)


def _is_url(field: Field) -> bool:
    return bool(fields.web_url(field.value))


def _pairs(found: Fields) -> str:
    """All there is, as far as it fits a title."""
    shown = (f"{it.path}={it.text}" for it in found.all if not it.is_secret and not it.is_json)
    return fields.title(", ".join(shown))


def _resource(found: Fields) -> Field | None:
    """By its name; else what a metric is measured of."""
    named = (*found.labelled(_RESOURCES), *found.named(_RESOURCES, places=_NEARBY))
    measured = (it for it in found.all if any(name.startswith("dimensions.") for name in it.names))
    return _first((*named, *measured), lambda it: not it.is_json)


def _standing(found: Fields, title: Field | None) -> Standing:
    for table, is_wanted in ((_CONCLUSIONS, _is_word), (_STATUS, _is_status), (_KINDS, _is_word)):
        for field in _beside_first(filter(is_wanted, found.named(table, near=title)), title):
            if table is not _STATUS and is_acknowledgment(field.value):
                return Standing(False, field, is_known=True, is_acknowledged=True)
            over = _by_code(field) if _by_code(field) is not None else is_over(field.value)
            if over and is_finished(field.value) and (failed := _failed(found, title)):
                return Standing(False, failed, is_known=True)
            if over is not None:
                return Standing(over, field, is_known=True)
    return (
        _by_flag(found, title)
        or _by_end(found, title)
        or _by_title(title)
        or Standing(False, _first(found.named(_NAMED_STATUS, near=title)))
    )


def _failed(found: Fields, title: Field | None) -> Field | None:
    """What says that something failed, although another field says that it ran to its end."""
    states = found.named(_NAMED_STATUS, near=title, places=_NEARBY)
    return _first((*found.named(_CONCLUSIONS, near=title), *states), lambda it: is_over(it.value) is False)


def _beside_first(named: Iterable[Field], title: Field | None) -> list[Field]:
    """Those in the title's own object first: around it may stand how a request went."""
    return sorted(named, key=lambda it: title is not None and it.container != title.container)


def _is_word(field: Field) -> bool:
    """A word, not a sentence: `incident.resolved`, but not `connection closed`."""
    return not any(map(str.isspace, field.text))


def _is_status(field: Field) -> bool:
    return field in _NAMED_STATUS or _by_code(field) is not None


def _by_code(field: Field) -> bool | None:
    codes = _codes(field, _STATUS_CODES)
    return codes.get(field.text) if codes else None


def _codes(field: Field, tables: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What the numbers of *field* mean; the longest of its names counts."""
    return next((codes for name in reversed(field.names) if (codes := tables.get(name))), None)


def _by_flag(found: Fields, title: Field | None) -> Standing | None:
    field = _first(found.named(_FLAGS, near=title), lambda it: it.text.lower() in _BOOLEANS)
    if field is None:
        return None
    means_over = next(_OVER_BY_FLAG[name] for name in field.names if name in _OVER_BY_FLAG)
    return Standing(_BOOLEANS[field.text.lower()] is means_over, field, is_known=True)


def _by_end(found: Fields, title: Field | None) -> Standing | None:
    field = _first(found.named(_ENDED, near=title), lambda it: start_ms(it) is not None)
    return None if field is None else Standing(True, field, is_known=True)


def _by_title(title: Field | None) -> Standing | None:
    return Standing(True, title, is_known=True) if title and says_over(title.text) else None


def _settled(
    standing: Standing, severity: Field | None, severity_text: str, known: Identity, *, is_line: bool
) -> tuple[Standing, list[str]]:
    """How it stands, as far as that can be believed, and warnings. Raises NotAnAlert.

    A severity such as OK says that it is over where that incident is known by something else. What nothing identifies
    ends nothing: a line of a log that has a status is about something else that was closed, whatever it numbers.
    """
    if severity and not standing.is_known and known is not NONE and is_over(severity.text):
        return Standing(True, severity, is_known=True), []
    is_identified = known is not NONE and not (is_line and not known.is_explicit)
    if standing.is_acknowledged and standing.field:
        said = f"{standing.field.path} is {standing.field.text!r}"
        if is_identified:
            raise NotAnAlert(f"{said}: it was acknowledged elsewhere")
        return replace(standing, is_acknowledged=False), [f"it fires although {said}: {_NOT_IDENTIFIED}"]
    is_grave = is_graver(severity_text, "notice")
    if not standing.is_over or is_identified or (known is not NONE and not is_grave):
        return standing, _unknown_word(standing)
    if is_grave:
        says = f"{standing.field.path} is {standing.field.text!r}" if standing.field else "it is over"
        return Standing(False, standing.field), [f"it fires although {says}: {_NOT_IDENTIFIED}"]
    return standing, [f"it ends no incident: {_NOT_IDENTIFIED}"]


def _is_line(found: Fields, title: Field | None, severity: Field) -> bool:
    """Whether it looks like a line of a log: it has a level and a sentence, and nobody named it."""
    return severity in _LEVELS and ((title is not None and title in _SENTENCES) or _is_of_node(found))


def _is_of_node(found: Fields) -> bool:
    return tables.NODE_FIELDS.issubset(found.top)


def _unknown_word(standing: Standing) -> list[str]:
    field = standing.field
    if standing.is_known or field is None or not any(map(str.isalpha, field.text)) or isinstance(field.value, bool):
        return []
    return [f"it fires: {field.path} is {field.text[:50]!r}, which is no known word for firing or over"]


def _severity(found: Fields, title: Field | None) -> Field | None:
    """The first that is known, else the first there is."""
    named = [*found.named(_SEVERITIES, near=title, places=_NEARBY), *found.labelled(_SEVERITIES)]
    named = [it for it in named if it in _NAMED_SEVERITIES or _by_severity_code(it)]
    states = [it for it in found.named(_GRAVE_STATES, near=title) if _is_grave_state(it)]
    known = _first((*named, *states), lambda it: is_severity(_severity_text(found, it)))
    return known or _first(named) or _first(found.named(_SENTENCES, near=title), lambda it: bool(_leading_severity(it)))


def _is_grave_state(field: Field) -> bool:
    return is_severity(field.text) and field.text.lower() not in _NO_SEVERITY


def _severity_text(found: Fields, field: Field) -> str:
    """Its name; a number is one only where the tool's are known."""
    if field in _SENTENCES:
        return _leading_severity(field)
    text = field.text.removesuffix(".0")
    if not text[:1].isdecimal():
        last = text.rpartition("_")[2]  # of ALERT_LEVEL_CRITICAL
        return _by_severity_code(field) or (text if is_severity(text) or not is_severity(last) else last)
    is_syslog = any(tables.SYSLOG_FIELDS.intersection(it.names) for it in found.all)
    by_node = tables.NODE_LEVELS.get(text, "") if _is_of_node(found) else ""
    return by_node or (is_syslog and from_syslog(text)) or _by_severity_code(field) or text


def _leading_severity(field: Field) -> str:
    """What the output of a plugin begins with: `CRITICAL - 93 % used`."""
    word = (_LEADING_WORD.match(field.text) or [""])[0]
    return word if is_severity(word) and word.lower() not in _NO_SEVERITY else ""


def _by_severity_code(field: Field) -> str:
    codes = _codes(field, _SEVERITY_CODES) or {}
    return str(codes.get(field.text, codes.get(field.text.partition(".")[0], "")))


def _pages(found: Fields) -> dict[str, str]:
    named = {
        page: _first([*found.labelled(table), *found.named(table, places=(*_NEARBY, Place.OTHER))], _is_url)
        for page, table in _PAGES.items()
    }
    return {page: fields.web_url(field.value) for page, field in named.items() if field}


def _annotations(found: Fields, title: str) -> dict[str, str]:
    """What is said beside the title, each text once."""
    said: dict[str, str] = {}
    known = {_folded(title)}
    for field in found.all:
        is_said = (
            field.place is Place.BODY and field.level <= LEVELS_MAX and field in _SAID and isinstance(field.value, str)
        )
        if field.is_secret or not (field.is_annotation or is_said) or _folded(field.text) in known:
            continue
        known.add(_folded(field.text))
        said[_free_name(field, said)] = field.text
    return said


def _free_name(field: Field, taken: Mapping[str, str]) -> str:
    name = field.name if field.is_annotation else field.name.lower()
    return field.path if name in taken else name


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _labels(found: Fields, used: set[int], shown: set[str]) -> dict[str, str]:
    """The other fields by their paths, and labels by their own names."""
    labels = {
        it.path: it.text
        for it in found.all
        if not it.is_label and _is_label(it, used) and not (it.level and _folded(it.text) in shown)
    }
    return labels | {it.path: it.text for it in found.all if it.is_label and not it.is_secret}


def _state(standing: Standing) -> dict[str, str]:
    """The word for how it stands, where it says more than that it fires."""
    field = standing.field
    if field is None or standing.is_over or says_only_firing(field.value):
        return {}
    return {field.path: field.text}


def _is_label(field: Field, used: set[int]) -> bool:
    if field.is_annotation or field.is_secret or id(field) in used or field in _ENVELOPE:
        return False
    is_read = field.place is Place.BODY and (field in _READ or (field in _SAID and isinstance(field.value, str)))
    return not is_read
