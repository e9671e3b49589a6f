"""`versus explain`: what is read of a payload, where each thing was found, and how an unknown tool is taught. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from multidict import MultiDict

from versus_py import sources
from versus_py.config import Config
from versus_py.incidents.model import Notification
from versus_py.incidents.severity import UNKNOWN_SEVERITY, is_severity, level_of, spelling
from versus_py.sources import fields, generic
from versus_py.sources.generic.reader import Reading
from versus_py.sources.generic.search import Field, Place
from versus_py.sources.generic.words import is_over
from versus_py.web.intake.beats import found_in
from versus_py.web.intake.overrides import read_overrides
from versus_py.web.intake.reading import Reader

TABLES = "versus_py/sources/generic/tables.py"

_NUMBER_NAMES = ("id", "uid", "uuid", "key", "ref", "no", "number")
_RESOURCE_NAMES = ("host", "node", "server", "machine", "device", "name", "target")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that an alert has."""

    what: str
    value: str  # "" where it was not found
    where: str  # the fields it was found in; "" where none
    advice: str = ""  # what would find it


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is read of one payload."""

    source: str
    lines: tuple[Line, ...]
    warnings: tuple[str, ...]


def explain(payload: Mapping[str, Any], config: Config, source: str | None = None) -> Explanation:
    """How a server of this *config* reads *payload*; *source* is whose it is, None by its shape.

    Raises WrongAddress.
    """
    name = sources.source_of(payload, source).NAME
    asked = read_overrides(MultiDict({} if source is None else {"source": source}), config)
    reading = Reader(config).read([payload], asked)
    counted = [it for it in reading.notifications if it is not None and (it.alerts or it.asks)]
    beats = dict.fromkeys(f"a heartbeat, and no incident: {it.heartbeat}" for it in reading.beats)
    if not counted:
        return Explanation(name, (), (*reading.warnings, *beats))
    parsed = sources.parse(payload, config.sources, source)
    said = found_in(parsed, config.heartbeats, asked.asked, sender="").rest or parsed
    is_read_by_tables = name == generic.NAME and not said.group
    lines = _read_by_tables(said, generic.read(payload)) if is_read_by_tables else _read_by_source(said)
    by_config = _by_config(lines, said, counted[0], config)
    warnings = dict.fromkeys(text for it in counted for text in it.warnings)
    return Explanation(name, tuple(by_config), (*warnings, *beats))


def _by_config(lines: Iterator[Line], said: Notification, counts: Notification, config: Config) -> Iterator[Line]:
    """The *lines* with what the configuration makes of them."""
    for line in lines:
        if line.what == "identity" and counts.is_keyed:
            yield Line("identity", _shown(counts.dedup_key or ""), "dedup_key of the configuration")
        else:
            yield line
        if line.what == "severity":
            yield Line("level", level_of(counts.severity).severity, _source_of_level(said, counts, config))


def _source_of_level(said: Notification, counts: Notification, config: Config) -> str:
    """The setting that says what the severity counts as; "" for none."""
    if counts.severity == said.severity:
        return ""
    is_mapped = any(spelling(name) in config.severity_map for name in (said.severity, said.severity_sent))
    return "severity_map" if is_mapped else f"sources.{said.source}.severity"


def _read_by_source(found: Notification) -> Iterator[Line]:
    """A source knows its fields by its tool's documentation."""
    where = "the fields that the tool documents"
    first = found.alerts[0]
    yield Line("title", found.title, where)
    yield Line("status", _status(found), where)
    yield Line("severity", found.severity, where)
    yield Line("identity", _shown(found.dedup_key or ""), where)
    yield Line("resource", first.resource, where if first.resource else "")
    yield Line("link", first.url or found.url, where if first.url or found.url else "")
    yield Line("alerts", str(len(found.alerts)), where)


def _read_by_tables(found: Notification, read: Reading) -> Iterator[Line]:
    title = read.title
    yield Line("title", found.title, _path(title), "" if title else _advice(read, _is_sentence, "MESSAGES"))
    standing = read.standing
    unsaid = "" if standing.is_known else _advice(read, lambda it: is_over(it.value) is not None, "STATUS")
    yield Line("status", _status(found), _path(standing.field), unsaid)
    severity = "" if found.severity == UNKNOWN_SEVERITY else found.severity_sent or found.severity
    unknown = "" if severity else _advice(read, lambda it: is_severity(it.text), "SEVERITIES")
    yield Line("severity", severity, _path(read.severity), unknown)
    key = read.identity.key
    where = ", ".join(it.path for it in read.identity.fields) or ("the title and the status" if key else "")
    yield Line("identity", _shown(key), where, "" if key else _without_identity(read))
    yield _line(read, "resource", read.resource, _is_resource, "RESOURCES")
    yield _line(read, "link", read.link, lambda it: bool(fields.web_url(it.value)), "LINKS")
    yield Line("start", read.start.text if read.start else "", _path(read.start))
    yield Line("labels", ", ".join(f"{name}={text}" for name, text in found.alerts[0].labels.items()), "")


def _without_identity(read: Reading) -> str:
    advice = _advice(read, _is_number, "NUMBERS")
    return "; ".join(filter(None, ("each POST is an incident of its own: send dedup_key", advice)))


def _line(read: Reading, what: str, found: Field | None, is_likely: Callable[[Field], bool], table: str) -> Line:
    if found is not None:
        return Line(what, found.text, found.path)
    return Line(what, "", "", _advice(read, is_likely, table))


def _advice(read: Reading, is_likely: Callable[[Field], bool], table: str) -> str:
    """The one line that would read the likeliest field."""
    likely = [it for it in read.fields.all if not it.is_label and not it.is_secret and is_likely(it)]
    if not likely:
        return ""
    field = max(likely, key=lambda it: (-it.place, len(it.text.split()) if table == "MESSAGES" else -it.level))
    return f'to read {field.path}, add "{_name(field)}" to {table} in {TABLES}'


def _name(field: Field) -> str:
    """By which a table finds it: its own name, and in an object that is not the alert's with that of the object."""
    if field.place is Place.BODY:
        return field.name
    return ".".join([part for part in field.path.split(".") if not part.isdecimal()][-2:])


def _is_sentence(field: Field) -> bool:
    return isinstance(field.value, str) and not field.is_json and len(field.text.split()) > 1


def _is_number(field: Field) -> bool:
    return field.names[0].endswith(_NUMBER_NAMES) and " " not in field.text


def _is_resource(field: Field) -> bool:
    return any(name in field.names[0] for name in _RESOURCE_NAMES) and isinstance(field.value, str)


def _path(field: Field | None) -> str:
    return field.path if field else ""


def _status(found: Notification) -> str:
    return "firing" if found.is_firing else "resolved"


def _shown(key: str) -> str:
    return " / ".join(part for part in key.split("\n") if part)
