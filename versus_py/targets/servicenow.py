"""ServiceNow: one record for each incident that nobody acknowledged, through the Table API.

The Table API does not know duplicates (two POSTs with one correlation_id make two records), so a record is
looked for before it is created, and again after every attempt whose outcome is unknown.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
import structlog

from versus_py.clock import Clock
from versus_py.config import ServiceNowConfig
from versus_py.errors import Permanent, Transient
from versus_py.incident import Delivery, Incident, Status
from versus_py.targets.pace import Pace

log = structlog.get_logger()

NAME = "servicenow"

TIMEOUT_S = 15.0
"""For one request; a sync makes three at the most."""

UNANSWERED_SETTLES_S = 60.0
"""A request that got no answer may still be at work; ServiceNow cancels it after 60 s (default quota rules)."""

RETRY_AFTER_MAX_S = 3600.0
BODY_MAX = 1024 * 1024
DETAIL_MAX = 300

# Values of `state` on the incident table: docs, "Incident Management process state model".
STATE_NEW = "1"
STATE_IN_PROGRESS = "2"
STATE_ON_HOLD = "3"
STATE_RESOLVED = "6"
_OPEN_STATES = {STATE_NEW, STATE_IN_PROGRESS, STATE_ON_HOLD}

CLOSE_CODE = "Solution provided"
_FIELDS = "sys_id,number,state,correlation_id,sys_created_on"
_SAFE_IN_QUERY = re.compile(r"[A-Za-z0-9_.:-]{1,100}")

_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check username and password, and that the instance still allows Basic authentication",
    HTTPStatus.FORBIDDEN: "the user may not do this: give it a role for the table (itil for incident)",
    HTTPStatus.BAD_REQUEST: "check oncall.servicenow.table",
    HTTPStatus.NOT_FOUND: "check oncall.servicenow.instance_url and table",
}


class _NotFound(Permanent):
    """404: the record or the table is not there, or hidden from the user."""


class _Forbidden(Permanent):
    """403: the user may not do this."""


@dataclass(frozen=True, slots=True)
class _Record:
    sys_id: str
    number: str
    state: str  # "" on tables that have none

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> "_Record | None":
        """None when there is no sys_id, so that it is no record."""
        sys_id = _value(row.get("sys_id"))
        return cls(sys_id, _value(row.get("number")) or sys_id, _value(row.get("state"))) if sys_id else None

    @property
    def is_closed(self) -> bool:
        """Whether it is over for good: closed, canceled, or a state of the instance's own beyond those."""
        return self.state not in {"", STATE_RESOLVED, *_OPEN_STATES}


class ServiceNowTarget:
    """The incident's record. *session* must send no cookies of its own and verify TLS."""

    def __init__(self, config: ServiceNowConfig, *, clock: Clock, session: aiohttp.ClientSession) -> None:
        self._config = config
        self._session = session
        self._pace = Pace(clock, interval_ms=0)
        credentials = f"{config.username}:{config.password.get_secret_value()}".encode()
        self._authorization = f"Basic {base64.b64encode(credentials).decode()}"

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """Create the record if the incident escalates and has none; bring one that exists up to date.

        An incident that was acknowledged or resolved, and whose record was never attempted, costs no request.
        """
        if not _SAFE_IN_QUERY.fullmatch(incident.id):
            raise Permanent(f"incident id {incident.id!r} cannot be looked up in ServiceNow")
        before = incident.delivery(NAME)
        instance, note = self._instance(incident, before)
        wants_record = incident.status is Status.TRIGGERED and incident.is_escalating
        may_have_acted = attempt > 1 or before.attempts > 0
        if not (before.reference or wants_record or may_have_acted):
            return before
        self._pace.take(instance, incident.id)
        try:
            record = await self._find(instance, incident, before)
        except _Forbidden:
            if may_have_acted or before.reference or not wants_record:
                raise
            # A role that may create and not read is enough, as long as there is nothing to be found.
            log.warning("servicenow.search_forbidden", incident=incident.id, table=self._config.table)
            record = None
        if wants_record and record is not None and self._is_of_an_earlier_wait(record, incident, before):
            record = await self._search(instance, incident, but=record.sys_id)
        if wants_record and record is None:
            record = await self._create(instance, incident)
        if record is None:
            return before
        await self._bring_up_to_date(instance, record, incident)
        return Delivery(
            reference={
                "sys_id": record.sys_id,
                "instance": instance,
                "wait": str(incident.waiting_since_ms if wants_record else before.reference.get("wait", "")),
            },
            label=record.number,
            url=f"{instance}/{self._config.table}.do?sys_id={record.sys_id}",
            note=note,
        )

    def _instance(self, incident: Incident, before: Delivery) -> tuple[str, str]:
        """The instance that the record is in or belongs in, and a note when it is not the one that was named."""
        default = self._config.instance_url or ""
        if known := before.reference.get("instance"):
            return known, before.note
        name = incident.policy.destinations.get(NAME)
        if name is None:
            return default, ""
        other = self._config.other_instance_urls.get(name)
        url = other.instance_url if other else None
        return (
            (url, "") if url else (default, f"instance {name!r} is not configured any more: the default one was used")
        )

    def _is_of_an_earlier_wait(self, record: _Record, incident: Incident, before: Delivery) -> bool:
        """Whether the record was closed for good before the incident was reopened."""
        return record.is_closed and before.reference.get("wait", "") not in {"", str(incident.waiting_since_ms)}

    async def _find(self, instance: str, incident: Incident, before: Delivery) -> _Record | None:
        sys_id = before.reference.get("sys_id")
        if sys_id:
            try:
                row = await self._request("GET", instance, f"/{sys_id}", params={"sysparm_fields": _FIELDS})
            except _NotFound:
                log.warning("servicenow.record_gone", incident=incident.id, record=before.label)
            else:
                return _Record.parse(row) if isinstance(row, Mapping) else None
        return await self._search(instance, incident)

    async def _search(self, instance: str, incident: Incident, *, but: str = "") -> _Record | None:
        """The oldest record with the incident's correlation_id, an open one first, and never the one named *but*.

        The answer is compared here: where the table has no such column, ServiceNow drops the condition
        and answers with any records.
        """
        rows = await self._request(
            "GET",
            instance,
            params={
                "sysparm_query": f"correlation_id={incident.id}^ORDERBYsys_created_on",
                "sysparm_fields": _FIELDS,
                "sysparm_exclude_reference_link": "true",
                "sysparm_limit": "20",
            },
        )
        listed = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        matching = [row for row in listed if _value(row.get("correlation_id")) == incident.id]
        if listed and not matching:
            log.warning("servicenow.query_ignored", table=self._config.table, hint="has it a column correlation_id?")
        records = [_Record.parse(row) for row in matching]
        found = [record for record in records if record is not None and record.sys_id != but]
        if len(found) > 1:
            log.warning("servicenow.duplicates", incident=incident.id, records=[record.number for record in found])
        return next((record for record in found if not record.is_closed), found[0] if found else None)

    async def _create(self, instance: str, incident: Incident) -> _Record:
        fields = {"short_description": f"Incident {incident.id}", "correlation_id": incident.id}
        row = await self._request("POST", instance, fields=fields)
        record = _Record.parse(row) if isinstance(row, Mapping) else None
        if record is None:
            raise Permanent("ServiceNow created a record but did not say which: let the user read the table")
        log.info("servicenow.created", incident=incident.id, record=record.number)
        return record

    async def _bring_up_to_date(self, instance: str, record: _Record, incident: Incident) -> None:
        """Move the record to where the incident is. What people did to it, or closed, is left alone."""
        fields = _changes(record, incident)
        if fields:
            await self._request("PATCH", instance, f"/{record.sys_id}", fields=fields)
            log.info("servicenow.updated", incident=incident.id, record=record.number, state=fields["state"])

    async def _request(
        self,
        method: str,
        instance: str,
        path: str = "",
        *,
        params: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Any:
        """The `result` of a request. Raises Transient, Permanent or _NotFound."""
        headers = {"Accept": "application/json", "Authorization": self._authorization}
        if fields is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                f"{instance}/api/now/table/{self._config.table}{path}",
                params=params,
                data=None if fields is None else orjson.dumps(fields),
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                body = await _read(response)
                return self._result(method, instance, response, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            reason = (
                f"did not answer within {TIMEOUT_S:g} s"
                if isinstance(exc, TimeoutError)
                else f"cannot be reached: {exc}"
            )
            settles_s = None if isinstance(exc, aiohttp.ClientConnectorError) else _settles_s(method)
            raise Transient(f"ServiceNow {reason}", retry_after_s=settles_s) from exc

    def _result(self, method: str, instance: str, response: aiohttp.ClientResponse, body: bytes) -> Any:
        """Success is the expected status, a JSON body and a result in it; everything else is an error.

        A hibernating instance answers 200 with a page, and a query that was cut off 200 with an error beside the rows.
        """
        status = response.status
        data = _json_object(body) if response.content_type.endswith("json") else None
        error = None if data is None else data.get("error")
        expected = HTTPStatus.CREATED if method == "POST" else HTTPStatus.OK
        if status == expected and data is not None and "result" in data and not error:
            return _with_location(data["result"], response) if method == "POST" else data["result"]
        detail = _detail(error)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait_s = _retry_after_s(response)
            self._pace.block(instance, wait_s or 1)
            raise Transient(f"ServiceNow's rate limit is reached{detail}", retry_after_s=wait_s)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait_s = max(_retry_after_s(response) or 0, _settles_s(method) or 0)
            raise Transient(f"ServiceNow answered {status}{detail}", retry_after_s=wait_s)
        if status == HTTPStatus.NOT_FOUND and data is not None:
            raise _NotFound(f"ServiceNow answered 404{detail}")
        if status == HTTPStatus.FORBIDDEN:
            raise _Forbidden(f"ServiceNow answered 403{detail}; {_ADVICE[status]}")
        if status >= HTTPStatus.BAD_REQUEST and (data is not None or status != HTTPStatus.NOT_FOUND):
            advice = _ADVICE.get(status)
            raise Permanent(f"ServiceNow answered {status}{detail}" + (f"; {advice}" if advice else ""))
        what = f"{status} with {'an error' + detail if error else response.content_type or 'no content'}"
        raise Transient(f"ServiceNow answered {what}: the instance is unavailable, perhaps hibernating")


def _changes(record: _Record, incident: Incident) -> dict[str, str]:
    """What to write so that the record is where the incident is; empty when it is, or is further on."""
    if incident.status is Status.RESOLVED and record.state in _OPEN_STATES:
        note = f"Resolved by {incident.resolved_by}."
        story = f"Acknowledged by {incident.acknowledged_by}. {note}" if incident.acknowledged_by else note
        return {"state": STATE_RESOLVED, "close_code": CLOSE_CODE, "close_notes": story, "work_notes": note}
    if incident.status is Status.ACKNOWLEDGED and record.state == STATE_NEW:
        return {"state": STATE_IN_PROGRESS, "work_notes": f"Acknowledged by {incident.acknowledged_by}."}
    if incident.status is Status.TRIGGERED and incident.is_escalating and record.state == STATE_RESOLVED:
        return {"state": STATE_IN_PROGRESS, "work_notes": "It fires again, and nobody has acknowledged it."}
    return {}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, cut off where nothing useful can follow."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX:
            break
    return bytes(body)


def _with_location(result: Any, response: aiohttp.ClientResponse) -> Any:
    """The new record, its sys_id taken from the Location header when the user may not read the record itself."""
    sys_id = response.headers.get("Location", "").rpartition("/")[2]
    if isinstance(result, Mapping) and not result.get("sys_id") and sys_id:
        return {**result, "sys_id": sys_id}
    return result


def _settles_s(method: str) -> float | None:
    """How long an unanswered write may still take effect; reads have none."""
    return None if method == "GET" else UNANSWERED_SETTLES_S


def _json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def _detail(error: Any) -> str:
    """ServiceNow's own words, shortened."""
    if not isinstance(error, Mapping):
        return ""
    words = ": ".join(str(error[key]) for key in ("message", "detail") if error.get(key))
    return f" ({words[:DETAIL_MAX]})" if words else ""


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """The header in seconds; it is optional, and can be most of an hour."""
    try:
        return min(RETRY_AFTER_MAX_S, max(0.0, float(response.headers["Retry-After"])))
    except (KeyError, ValueError):
        return None


def _value(field: Any) -> str:
    """A field's raw value, which with other display modes is an object."""
    if isinstance(field, Mapping):
        field = field.get("value")
    return field if isinstance(field, str) else ""
