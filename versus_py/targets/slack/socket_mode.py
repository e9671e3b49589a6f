"""Socket Mode: presses and replies come in by a websocket that we open, so that Slack needs no way to reach us.

slack-sdk's client keeps one connection; opening, renewing and giving it up is done here. Its own way to connect tries
for ever, whatever Slack says, and says nothing of it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from versus_py.config import SlackConfig
from versus_py.errors import BadPayload, StoreUnavailable, Transient
from versus_py.targets.interactive import Take
from versus_py.targets.slack.api import Refused, SlackApi
from versus_py.targets.slack.events import read_replies
from versus_py.targets.slack.press import read_presses

log = structlog.get_logger()

OPEN = "apps.connections.open"

# slack-sdk logs payloads, URLs that let somebody in, and tracebacks.
_silent = logging.getLogger("versus_py.slack_sdk")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.setLevel(logging.CRITICAL + 1)

_NOT_VALID = (
    "alert.slack.app_token is not valid: generate an app-level token, xapp-…, with the scope connections:write "
    "(Basic Information, App-Level Tokens)"
)
_ADVICE = {
    "not_authed": _NOT_VALID,
    "invalid_auth": _NOT_VALID,
    "token_revoked": _NOT_VALID,
    "token_expired": _NOT_VALID,
    "not_allowed_token_type": (
        "alert.slack.app_token has to be the app-level token, xapp-…, not the bot's or somebody's own"
    ),
    "missing_scope": "alert.slack.app_token needs the scope connections:write",
    "account_inactive": "the app of alert.slack.app_token was removed from the workspace: install it again",
    "user_removed_from_team": "the app of alert.slack.app_token was removed from the workspace: install it again",
    "team_disabled": "the workspace of alert.slack.app_token is disabled",
}


def app_token_advice(exc: Refused) -> str:
    """What to do about a refused alert.slack.app_token."""
    return _ADVICE.get(
        exc.code, "check alert.slack.app_token, and that Socket Mode is switched on in the app's settings"
    )


async def open_connection(config: SlackConfig, session: aiohttp.ClientSession) -> str:
    """A URL that lets one websocket in, soon. Raises Refused, RateLimited and Transient."""
    reply = await SlackApi(config, session, token=config.app_token).post(OPEN)
    url = reply.get("url")
    if not isinstance(url, str) or not url.startswith(("wss://", "ws://")):
        raise Transient("Slack answered without the URL of a websocket")
    return url


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long things take, and may take, in seconds."""

    connect_s: float = 10.0
    look_s: float = 0.5  # between looks at whether the connection is up
    ping_s: float = 5.0
    stable_s: float = 30.0  # a connection that held for so long is made anew at once
    retry_s: float = 1.0  # after a failure; doubled each time, up to retry_max_s, and all of it left to chance
    retry_max_s: float = 60.0
    refused_s: float = 60.0  # after Slack refused the token
    reminder_s: float = 600.0  # between warnings about the same trouble
    drain_s: float = 1.5  # for presses that are being taken when the connection is given up
    close_s: float = 0.7


class SocketMode:
    """Keeps a connection open; several replicas may have one each, and Slack sends each press to one of them."""

    def __init__(
        self,
        config: SlackConfig,
        take: Take,
        session: aiohttp.ClientSession,
        *,
        pauses: Pauses | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._take_interactions = take
        self._session = session
        self._pauses = pauses or Pauses()
        self._now_s = now_s
        self._trouble = _Trouble(self._pauses.reminder_s, now_s)
        self._failures = 0
        self._links: set[_Link] = set()  # all that are not closed: for a moment two, while one takes another's place

    async def run(self, stop: asyncio.Event) -> None:
        """Connect, and again whenever that is needed, until *stop*."""
        async with asyncio.TaskGroup() as loops:
            keeping = loops.create_task(self._keep_connected())
            await stop.wait()
            keeping.cancel()

    async def _keep_connected(self) -> None:
        link: _Link | None = None
        try:
            while True:
                pause_s = self._pauses.look_s
                if link is not None and not await link.is_up():
                    pause_s = await self._give_up(link)
                    link = None
                elif link is None or link.is_to_be_renewed:
                    link, pause_s = await self._renewed(link)
                await asyncio.sleep(pause_s)
        finally:
            await asyncio.gather(*(it.close() for it in self._links))

    async def _give_up(self, link: "_Link") -> float:
        """In how many seconds to connect again: at once, unless connections do not last."""
        self._trouble.tell("down", "the connection broke off")
        await self._close(link)
        return self._pause_after(link)

    async def _renewed(self, old: "_Link | None") -> tuple["_Link | None", float]:
        """Another connection, and how long to leave it alone; *old* as long as there is no other.

        The old one is closed when the new one is up, so that no press meets neither.
        """
        try:
            link = await self._connected()
        except Refused as exc:
            self._trouble.tell_refused(exc)
            return old, self._pauses.refused_s
        except Transient as exc:
            self._failures += 1
            self._trouble.tell("down", str(exc))
            return old, max(self._backoff_s(), exc.retry_after_s or 0)
        except Exception:
            log.exception("slack.socket_crashed")  # alerts have to go out all the same
            self._failures += 1
            return old, self._backoff_s()
        self._trouble.end()
        if old is None:
            return link, self._pauses.look_s
        await self._close(old)
        return link, max(self._pauses.look_s, self._pause_after(old))

    def _pause_after(self, link: "_Link") -> float:
        """None after a connection that lasted; longer and longer when one after the other does not."""
        if self._now_s() - link.since_s >= self._pauses.stable_s:
            self._failures = 0
            return 0
        self._failures += 1
        return self._backoff_s()

    async def _connected(self) -> "_Link":
        url = await open_connection(self._config, self._session)
        link = _Link(self._config, self._take_interactions, self._pauses, since_s=self._now_s())
        self._links.add(link)
        try:
            await link.connect(url)
        except Exception:
            await self._close(link)
            raise
        return link

    async def _close(self, link: "_Link") -> None:
        await link.close()
        self._links.discard(link)

    def _backoff_s(self) -> float:
        most_s = min(self._pauses.retry_max_s, self._pauses.retry_s * 2 ** min(self._failures - 1, 16))
        return random.uniform(0, most_s)  # noqa: S311 - spreads retries, keeps no secret


class _Trouble:
    """Says what is wrong once, then now and then, and that it is over."""

    def __init__(self, reminder_s: float, now_s: Callable[[], float]) -> None:
        self._reminder_s = reminder_s
        self._now_s = now_s
        self._kind = ""
        self._told_s = 0.0

    def tell(self, kind: str, error: str) -> None:
        if self._is_to_be_told(kind):
            log.warning("slack.socket_down", error=error)

    def tell_refused(self, exc: Refused) -> None:
        is_known = self._kind == exc.code
        if self._is_to_be_told(exc.code):
            said = {"error": f"Slack says {exc.code}", "advice": app_token_advice(exc)}
            if is_known:
                log.warning("slack.socket_still_refused", **said)
            else:
                log.error("slack.socket_refused", **said)

    def end(self) -> None:
        log.info("slack.socket_connected")
        self._kind = ""

    def _is_to_be_told(self, kind: str) -> bool:
        now_s = self._now_s()
        if kind == self._kind and now_s < self._told_s + self._reminder_s:
            return False
        self._kind, self._told_s = kind, now_s
        return True


class _Client(SocketModeClient):
    """slack-sdk's client, which only says that Slack wants another connection, and does not make it by itself."""

    is_to_be_renewed = False

    async def connect_to_new_endpoint(self, force: bool = False) -> None:  # noqa: ARG002 - slack-sdk's
        """Called for a frame of the type disconnect, whatever its reason."""
        self.is_to_be_renewed = True


class _Link:
    """One connection, from its opening until it is given up."""

    def __init__(self, config: SlackConfig, take: Take, pauses: Pauses, *, since_s: float) -> None:
        self._take_interactions = take
        self._takes_replies = config.take_replies
        self._pauses = pauses
        self._taking: set[asyncio.Task[None]] = set()  # slack-sdk starts a task for each frame, and keeps none
        self.since_s = since_s
        self._client = _Client(
            app_token=config.app_token.get_secret_value(),
            logger=_silent,
            web_client=AsyncWebClient(base_url=f"{config.api_url}/", logger=_silent),
            auto_reconnect_enabled=False,
            ping_interval=pauses.ping_s,
        )
        self._client.socket_mode_request_listeners.append(self._take)

    @property
    def is_to_be_renewed(self) -> bool:
        """Whether Slack has said that it will close this connection."""
        return self._client.is_to_be_renewed

    async def is_up(self) -> bool:
        return await self._client.is_connected()

    async def connect(self, url: str) -> None:
        """Raises Transient when it does not succeed in time."""
        self._client.wss_uri = url
        try:
            async with asyncio.timeout(self._pauses.connect_s):
                await self._client.connect()  # type: ignore[no-untyped-call]  # slack-sdk
        except TimeoutError:
            text = (
                f"the websocket could not be opened within {self._pauses.connect_s:g} s; is there a proxy in the way?"
            )
            raise Transient(text) from None

    async def close(self) -> None:
        """Let what is being taken be answered, then leave nothing behind."""
        if self._taking:
            await asyncio.wait(self._taking, timeout=self._pauses.drain_s)
        client = self._client
        # What its own close does not get to when the other side does not close, and what it does not wait for.
        sdk_tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(self._pauses.close_s):
                await client.close()  # type: ignore[no-untyped-call]  # slack-sdk
        left = [*filter(None, sdk_tasks), *self._taking]
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=self._pauses.close_s)
        await client.aiohttp_client_session.close()

    async def _take(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Acknowledge an envelope when what it asks for has happened; else the person is told that it failed."""
        task = asyncio.current_task()
        if task is not None:
            self._taking.add(task)
            task.add_done_callback(self._taking.discard)
        try:
            if request.type == "interactive":
                await self._take_interactions(read_presses(request.payload))
            elif request.type == "events_api" and self._takes_replies:
                await self._take_interactions(read_replies(request.payload))
        except BadPayload as exc:
            log.warning("slack.envelope_refused", error=str(exc))
        except StoreUnavailable as exc:
            log.warning("slack.envelope_not_taken", error=str(exc))
        except Exception:
            log.exception("slack.envelope_crashed")
        else:
            await self._acknowledge(client, request.envelope_id)

    async def _acknowledge(self, client: AsyncBaseSocketModeClient, envelope_id: str) -> None:
        try:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=envelope_id))
        except (aiohttp.ClientError, OSError) as exc:
            # What was pressed has happened all the same; pressed again, it changes nothing.
            log.warning("slack.envelope_not_acknowledged", error=type(exc).__name__)
