"""What tells the incident of a payload from others."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from versus_py.incidents.identity import steady_title
from versus_py.sources.generic import tables
from versus_py.sources.generic.search import Field, Fields, Table

_IDENTITIES, _NUMBERS = Table(tables.IDENTITIES), Table(tables.NUMBERS)
_CHECKS, _ABOUT = Table(tables.CHECKS), Table((*tables.ABOUT, *tables.CHECKS))
_HOSTS, _SERVICES = Table(tables.HOSTS), Table(tables.SERVICES)
_MONITORING = Table(tables.MONITORING)
_PROCESSES, _OF_LINES = Table(tables.PROCESSES), Table(tables.NUMBERS_OF_LINES)
_TOOLS_OWN = re.compile(
    r"(?!resol|clos|recover|clear|end|ack|assign|cancel).*(id|uid|name|type|kind|version|source|key|number)"
    r"|org|account|project|team"
)
"""Names of fields that a tool sends always, whatever they hold. Others may be missing in a repeat or an end.

What begins as a word for an end is only in that: `resolution_type`, `closed_by_id`.
"""

_UNIQUE = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{20,}|(?=.*\d)\S{24,}", re.IGNORECASE)
"""Numbers that no other tool has: UUIDs, digests, paths in a cloud."""

ABOUT_MAX = 12
"""Most values that count of what it is about."""


@dataclass(frozen=True, slots=True)
class Identity:
    """How its incident is known."""

    text: str  # as the sender has it; "" where it has none
    key: str  # as part of a dedup key, with what else it takes to be of one tool and about one thing
    fields: tuple[Field, ...]  # that it is made of

    @property
    def is_explicit(self) -> bool:
        """Whether only alerts have such a field; a request, an order or an entity has the others as well."""
        return self.text == self.fields[0].text and self.fields[0] not in _OF_LINES if self.fields else False


NONE = Identity("", "", ())


def identity(found: Fields, title: Field | None, name: str, state: Field | None) -> Identity:
    """The identity of what is called *name*, by *title*; NONE when nothing identifies it.

    *name* is "" where there is only a sentence. *state* is the field that says in words that are known how it
    stands: a tool that has one tells of one thing more than once, and of each event of its own otherwise.
    """
    if strong := found.named(_IDENTITIES, near=title):
        return Identity(strong[0].text, strong[0].text, (strong[0],))
    about = _about(found)
    if numbers := [it for it in found.named(_NUMBERS, near=title) if not _is_process(it)]:
        return _numbered(found, numbers[0], about, name)
    if any(it in _CHECKS for it in about):
        return _made_up("named", about)
    has_host, has_service = (any(it in table for it in about) for table in (_HOSTS, _SERVICES))
    if state and has_host and (has_service or state in _MONITORING):
        return _made_up("named", about)
    if state and steady_title(name):
        return _made_up("titled", about, steady_title(name))
    return NONE


def _is_process(field: Field) -> bool:
    return field in _PROCESSES and field.text.isdecimal()


def _about(found: Fields) -> list[Field]:
    """In the order of their names, so that they make the same key however the tool orders them."""
    listed = (it for it in (*found.named(_ABOUT), *found.labelled(_ABOUT)) if not isinstance(it.value, bool))
    return sorted(_unlike(listed)[:ABOUT_MAX], key=lambda it: it.names)


def _numbered(found: Fields, number: Field, about: list[Field], name: str) -> Identity:
    """A number counts together with what it is about, and with the names of the fields, which are a tool's own.

    A number in the payload itself that is about nothing counts with the title as well. What is unique counts alone.
    """
    if _UNIQUE.fullmatch(number.text):
        return Identity(number.text, number.text, (number,))
    parts = [it.text for it in about]
    if not parts and not number.level and number.text.isdecimal():
        parts = [steady_title(name)]
    tool = sha256("\n".join(_tool(found, number)).encode(errors="replace")).hexdigest()[:12]
    return Identity(number.text, "\n".join((number.text, *parts, f"tool {tool}")), (number, *about))


def _tool(found: Fields, number: Field) -> list[str]:
    return [number.names[-1], *sorted(filter(_TOOLS_OWN.fullmatch, found.top))]


def _made_up(how: str, of: list[Field], title: str = "") -> Identity:
    parts = [title, *(f"{it.names[0]}={it.text}" for it in of)]
    digest = sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:32]
    return Identity(f"{how}-{digest[:16]}", f"{how} {digest}", tuple(of))


def _unlike(found: Iterable[Field]) -> list[Field]:
    """Without those that say the same as one before."""
    return list({it.text: it for it in reversed([*found])}.values())[::-1]
