"""aioresponses, for an aiohttp that hands responses a stream writer which aioresponses does not know of yet."""

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import aiohttp
from aioresponses import aioresponses


class _Response(aiohttp.ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@contextmanager
def canned_answers() -> Iterator[aioresponses]:
    """The answers that requests get, in the order in which they are registered; no request leaves the process."""
    with patch("aioresponses.core.ClientResponse", _Response), aioresponses() as answers:
        yield answers
