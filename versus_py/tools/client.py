"""A client of a running server, for the command line and the demo."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from versus_py.errors import VersusError

TIMEOUT_S = 15.0
_INTAKE = "/api/incidents"
_HINTS = {  # how to give what an answer of 401 asks for
    "send": "--intake-token, or VERSUS_INTAKE_TOKEN in the environment",
    "act": "--gateway-secret, VERSUS_GATEWAY_SECRET, or the server's configuration in VERSUS_CONFIG",
}


class RequestRefused(VersusError):
    """The server answered with an error, or not at all. The message is its own, or says what to look at."""


class Client:
    """The server's HTTP API. Every method raises RequestRefused."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, secret_problem: str = "") -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._secret_problem = secret_problem

    async def send(self, body: bytes, query: Mapping[str, str]) -> Any:
        """Post a payload; the answer names its incidents."""
        return await self._request("POST", _INTAKE, params=query, data=body)

    async def incidents(self, query: Mapping[str, str]) -> Any:
        return await self._request("GET", "/api/incidents", params=query)

    async def incident(self, incident_id: str) -> Any:
        return await self._request("GET", f"/api/incidents/{quote(incident_id, safe='')}")

    async def payload(self, incident_id: str) -> Any:
        """The last body that the incident came with."""
        return await self._request("GET", f"/api/incidents/{quote(incident_id, safe='')}/payload")

    async def act(self, incident_id: str, action: str, by: str, **more: str) -> tuple[Any, bool]:
        """Acknowledge, resolve and the like, in the name of *by*: the incident, and whether that changed it."""
        path = f"/api/incidents/{quote(incident_id, safe='')}/{action}"
        status, data = await self._exchange("POST", path, json={"by": by, **more})  # a text is too long for an address
        return data, status == HTTPStatus.CREATED

    async def retry_all(self, by: str) -> Any:
        """Try again everything that was given up."""
        return await self._request("POST", "/api/retry", params={"by": by})

    async def login_link(self) -> Any:
        """A link that signs in to the web UI once."""
        return await self._request("POST", "/api/login-links")

    async def _request(self, method: str, path: str, **options: Any) -> Any:
        _, data = await self._exchange(method, path, **options)
        return data

    async def _exchange(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        try:
            async with self._session.request(method, f"{self._url}{path}", **options) as response:
                data = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise RequestRefused(f"no answer from {self._url}: {exc or 'timeout'}; is `versus serve` running?") from exc
        except ValueError as exc:
            raise RequestRefused(f"{self._url} answered with something that is not JSON; is it versus?") from exc
        if response.status >= 400:  # noqa: PLR2004 - HTTP's
            said = data.get("error") if isinstance(data, dict) else None
            hint = f" ({self._needed(method, path)})" if response.status == 401 else ""  # noqa: PLR2004 - HTTP's
            raise RequestRefused(f"{response.status}: {said or response.reason}{hint}")
        return response.status, data

    def _needed(self, method: str, path: str) -> str:
        """How to give what the server asks for."""
        if (method, path) == ("POST", _INTAKE):
            return _HINTS["send"]
        return f"{_HINTS['act']}; {self._secret_problem}" if self._secret_problem else _HINTS["act"]


@asynccontextmanager
async def open_client(
    url: str, gateway_secret: str = "", *, intake_token: str = "", secret_problem: str = ""
) -> AsyncIterator[Client]:
    """A client. *secret_problem* is why there is no gateway secret, for when the server asks for one."""
    headers = {"X-Gateway-Secret": gateway_secret} if gateway_secret else {}
    if intake_token:
        headers["Authorization"] = f"Bearer {intake_token}"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield Client(session, url, secret_problem=secret_problem)
