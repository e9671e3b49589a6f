"""The sign of life: a GET to a service that raises the alarm when it stays away, as nobody here could any more."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import structlog

from versus_py.config import HeartbeatConfig
from versus_py.telemetry.metrics import Metrics

log = structlog.get_logger()

TIMEOUT_S = 10.0
_OK_BELOW = 300


class Heartbeat:
    """Sent while *trouble*, asked each time, says nothing; withheld, and told to the log, while it does."""

    def __init__(
        self,
        config: HeartbeatConfig,
        session: aiohttp.ClientSession,
        metrics: Metrics,
        trouble: Callable[[], Awaitable[str]],
    ) -> None:
        self._config = config
        self._session = session
        self._metrics = metrics
        self._trouble = trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Every `every_seconds`, until *stop* is set. At first after one of them: nothing has been proved before."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(self._config.every_seconds):
                    await stop.wait()
            except TimeoutError:
                await self.beat()

    async def beat(self) -> bool:
        """Whether it was sent and taken."""
        if trouble := await self._trouble():
            log.warning("heartbeat.withheld", reason=trouble)
            self._metrics.heartbeats.labels("withheld").inc()
            return False
        error = await self._send()
        if error:
            log.warning("heartbeat.failed", error=error)
        self._metrics.heartbeats.labels("failed" if error else "sent").inc()
        return not error

    async def _send(self) -> str:
        """What went wrong; "" when it was taken. The address is a secret, and in no error."""
        if self._config.url is None:
            return "no heartbeat.url"
        try:
            async with self._session.get(
                self._config.url.get_secret_value(),
                allow_redirects=False,  # they could lead to another host
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                return "" if response.status < _OK_BELOW else f"answered {response.status}"
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # ValueError: a host that cannot be a name in DNS
            return type(exc).__name__
