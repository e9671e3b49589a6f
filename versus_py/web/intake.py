"""POST /api/incidents: payloads come in, and are answered once they are written down."""

import asyncio
import json
import zlib
from typing import Any

import aiohttp.http_exceptions
import orjson
import structlog
from aiohttp import web

from versus_py import sources
from versus_py.config import Config
from versus_py.errors import StoreUnavailable
from versus_py.incident import Notification
from versus_py.lifecycle import Accepted, Lifecycle
from versus_py.web.answers import json_answer
from versus_py.web.overrides import Overrides, read_overrides
from versus_py.web.views import escalates_at

log = structlog.get_logger()

BODY_TIMEOUT_S = 30.0
ACCEPT_TIMEOUT_S = 4.0
ELEMENTS_MAX = 1000
"""Most elements of an array in one request: each costs a write."""

LOGGED_BODY_MAX = 16 * 1024


class Intake:
    """Accepts payloads. Nothing but Redis is called while a sender waits."""

    def __init__(self, config: Config, lifecycle: Lifecycle) -> None:
        self._config = config
        self._lifecycle = lifecycle

    async def post(self, request: web.Request) -> web.Response:
        """201 when all of it is written down; 503 when Redis did not take it, and the sender should try again."""
        body = await self._read(request)
        if self._config.alert.debug_body:
            log.info("intake.body", body=body[:LOGGED_BODY_MAX].decode(errors="replace"))
        data = _parse(body)
        overrides = read_overrides(request.query, self._config)
        warnings = list(overrides.warnings)
        payloads = _payloads(data, warnings)
        for warning in warnings:
            log.warning("intake.warning", remote=request.remote, warning=warning)
        answers = []
        for payload in payloads:
            notification = sources.parse(payload, self._config.sources)
            for warning in notification.warnings:
                log.warning("intake.warning", remote=request.remote, source=notification.source, warning=warning)
            warnings += notification.warnings
            accepted = await self._accept(notification, overrides)
            log.info(
                "intake.accepted",
                outcome=accepted.outcome,
                incident=accepted.incident.id if accepted.incident else None,
                source=notification.source,
            )
            answers.append(_answer(accepted))
        if isinstance(data, list):
            status: dict[str, Any] = {"status": "Incidents created", "count": len(answers)}
        else:
            status = {"status": "Incident created"}
        return json_answer(status | {"incidents": answers, "warnings": warnings}, 201)

    async def _accept(self, notification: Notification, overrides: Overrides) -> Accepted:
        """Written down, or StoreUnavailable before senders give up: Monasca's wait 5 s."""
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT_S):
                return await self._lifecycle.accept(notification, overrides.policy, overrides.warnings)
        except TimeoutError:
            raise StoreUnavailable(f"Redis did not answer within {ACCEPT_TIMEOUT_S:g} s") from None

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=f"the body did not arrive within {BODY_TIMEOUT_S:g} s") from None
        except (web.RequestPayloadError, aiohttp.http_exceptions.HttpProcessingError, zlib.error):
            raise web.HTTPBadRequest(text="the body cannot be read; check its Content-Encoding and length") from None
        except web.HTTPRequestEntityTooLarge:
            limit = self._config.max_body_bytes
            raise web.HTTPRequestEntityTooLarge(
                max_size=limit,
                actual_size=limit,
                text=f"the body is larger than {limit} bytes; send fewer alerts at once "
                "(Alertmanager: max_alerts), or raise max_body_bytes",
            ) from None


def _parse(body: bytes) -> Any:
    """The body as JSON, whatever its content type says. Bytes that are no UTF-8 are replaced, not refused."""
    if not body.strip():
        raise web.HTTPBadRequest(text="the body is empty; send a JSON object or an array of JSON objects")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        # Slower, and takes what orjson does not: NaN, large numbers, lone surrogates, other encodings.
        data = json.loads(body.decode(json.detect_encoding(body), errors="replace"))
        return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", errors="replace"))
    except (ValueError, RecursionError) as exc:
        reason = exc if isinstance(exc, ValueError) else "it is nested too deeply"
        raise web.HTTPBadRequest(
            text=f"the body is not JSON ({reason}); send a JSON object or an array of JSON objects"
        ) from None


def _payloads(data: Any, warnings: list[str]) -> list[dict[str, Any]]:
    """The JSON objects to accept; what is none is left out of an array, with a warning."""
    if isinstance(data, dict):
        return [data]
    if not isinstance(data, list):
        raise web.HTTPBadRequest(
            text=f"the body is a JSON {_json_type(data)}; send a JSON object or an array of JSON objects"
        )
    if len(data) > ELEMENTS_MAX:
        raise web.HTTPRequestEntityTooLarge(
            max_size=ELEMENTS_MAX,
            actual_size=len(data),
            text=f"the array has {len(data)} elements; send at most {ELEMENTS_MAX} at once",
        )
    payloads = [element for element in data if isinstance(element, dict)]
    if not payloads:
        raise web.HTTPBadRequest(text="the array holds no JSON object; send at least one")
    for index, element in enumerate(data):
        if not isinstance(element, dict):
            warnings.append(f"element {index} is a JSON {_json_type(element)}, not an object, and was left out")
    return payloads


def _json_type(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "number"


def _answer(accepted: Accepted) -> dict[str, Any]:
    incident = accepted.incident
    if incident is None:
        return {"id": None, "outcome": accepted.outcome, "status": None, "escalates_at": None}
    return {
        "id": incident.id,
        "outcome": accepted.outcome,
        "status": incident.status,
        "escalates_at": escalates_at(incident),
    }
