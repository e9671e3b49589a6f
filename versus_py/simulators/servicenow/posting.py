"""How an instance posts something over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a post; *status* is None where nothing was answered, with the reason in *error*."""

    status: int | None
    text: str = ""
    error: str = ""


Post = Callable[[str, bytes, Mapping[str, str], float], Awaitable[Reply]]
"""With the URL, the body, the headers, and how many seconds an answer is waited for."""


async def post(url: str, body: bytes, headers: Mapping[str, str], within_s: float) -> Reply:
    """Raises nothing: what fails is logged by the original, and that is all."""
    try:
        async with (
            asyncio.timeout(within_s),
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as response,
        ):
            return Reply(response.status, await response.text(errors="replace"))
    except TimeoutError:
        return Reply(None, error=f"no answer in {within_s:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        return Reply(None, error=f"cannot be reached: {exc or type(exc).__name__}")
