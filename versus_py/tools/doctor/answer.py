"""Asking an HTTP server for JSON, whatever may be at the other end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from versus_py.errors import VersusError


class NoAnswer(VersusError):
    """Nothing came back. The message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and the body; *data* is None when it is not JSON."""

    status: int
    data: Any

    @property
    def said(self) -> str:
        """For a sentence."""
        return f"answered {self.status}" + ("" if self.data is not None else " with something that is not JSON")


async def ask(session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """GET *url*, following no redirects. Raises NoAnswer."""
    try:
        async with session.get(url, allow_redirects=False, headers=headers) as response:
            body = await response.read()
    except TimeoutError:
        raise NoAnswer(f"{url} did not answer in time") from None
    except (aiohttp.ClientError, OSError) as exc:
        raise NoAnswer(f"{url} cannot be reached: {exc or type(exc).__name__}") from exc
    try:
        return Answer(response.status, orjson.loads(body))
    except orjson.JSONDecodeError:
        return Answer(response.status, None)
