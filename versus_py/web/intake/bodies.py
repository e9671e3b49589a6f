"""Reading the body of a request: all of it, soon, or not at all."""

import asyncio
import zlib

import aiohttp.http_exceptions
from aiohttp import web


async def read_whole(request: web.Request, *, within_s: float) -> bytes:
    """The bytes as they came. Raises the answer: 408 when they take longer, and what `read_arrived` raises."""
    try:
        async with asyncio.timeout(within_s):
            return await read_arrived(request)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not arrive within {within_s:g} s") from None


async def read_arrived(request: web.Request) -> bytes:
    """The bytes of a body that is there. Raises the answer: 400 when they cannot be read, and 413."""
    try:
        return await request.read()
    except ConnectionError:
        raise web.HTTPBadRequest(text="the connection ended before the body did") from None
    except (web.RequestPayloadError, aiohttp.http_exceptions.HttpProcessingError, zlib.error):
        raise web.HTTPBadRequest(text="the body cannot be read; check its Content-Encoding and length") from None
