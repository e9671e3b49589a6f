"""What the body of a request holds, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from versus_py.engine.lifecycle import Accepted, Refused
from versus_py.errors import BadPayload
from versus_py.incidents.heartbeats import Beat
from versus_py.sources.webhook import read_webhook
from versus_py.web.intake.reading import Payload, TooMany, read_body


@dataclass(frozen=True, slots=True)
class Contents:
    """The payloads of a body."""

    payloads: Sequence[Payload]
    are_many: bool = False  # it is a list of them
    warnings: Sequence[str] = ()
    key: str = ""  # the sender's token, where the body has it


ReadContents = Callable[[bytes], Contents]
"""How the bodies at one address are read. Raises the answer when they cannot be."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: one result for each incident that it is about, in their order."""

    contents: Contents
    results: Sequence[Accepted | Refused | None]  # None: it is no news of an alert
    warnings: Sequence[str]
    left_out: str = ""  # why an acknowledgment was; "" when none was
    beats: Sequence[Beat] = ()  # of heartbeats, which are no incidents

    @property
    def not_written(self) -> list[Refused]:
        return [it for it in self.results if isinstance(it, Refused)]


def raise_unless_done(taken: Taken) -> None:
    """For an address that takes one payload: 403 when it may not acknowledge, 503 when it was not written down."""
    if taken.left_out:
        raise web.HTTPForbidden(text=taken.left_out)
    if taken.not_written:
        raise web.HTTPServiceUnavailable(text=taken.not_written[0].error)


def read_any(body: bytes) -> Contents:
    """One payload or many. Raises 400 and 413."""
    try:
        are_many, payloads, warnings = read_body(body)
    except TooMany as exc:
        raise too_large(len(body), str(exc)) from None
    except BadPayload as exc:
        raise web.HTTPBadRequest(text=str(exc)) from None
    return Contents(payloads, are_many, warnings)


def read_posted(body: bytes) -> Contents:
    """The same, of which most come from Alertmanager itself."""
    webhook = read_webhook(body)
    return read_any(body) if webhook is None else Contents([webhook])


def read_one(body: bytes) -> Payload:
    """The one object that a body has to be. Raises 400."""
    found = read_any(body)
    if found.are_many or len(found.payloads) != 1:
        raise web.HTTPBadRequest(text="the body is a JSON array; send one JSON object")
    return found.payloads[0]


def too_large(size: int, text: str) -> web.HTTPRequestEntityTooLarge:
    return web.HTTPRequestEntityTooLarge(max_size=size, actual_size=size, text=text)
