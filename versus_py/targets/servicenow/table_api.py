"""The Table API of one instance: rows in, rows out, and every odd answer translated into what to do next.

Source: servicenow.com/docs, "Table API" and "REST API HTTP response codes".
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

from versus_py.errors import Permanent, Transient
from versus_py.targets.servicenow.connection import Answer, Connection, Effect
from versus_py.targets.servicenow.login import Login, LoginRefused

Row = Mapping[str, Any]

_ADVICE: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check username, password and auth, and that the instance allows this way to log in",
    HTTPStatus.FORBIDDEN: "the user may not do this: give it a role for the table (itil for incident)",
    HTTPStatus.BAD_REQUEST: "check oncall.servicenow.table",
    HTTPStatus.NOT_FOUND: "check oncall.servicenow.instance_url and table",
}
_BOTH = {"sysparm_display_value": "all"}
_REFUSALS = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN}
_POLICY = "Data Policy Exception"
_NOT_AUTHORIZED = "User Not Authorized"


class NotFound(Permanent):
    """404: the record or the table is not there, or hidden from the user."""


class Forbidden(Permanent):
    """403: the user may not do this."""


class NotAuthorized(Forbidden):
    """403, and not about the record: the user may not use the table, or the API, at all."""


class TableApi:
    """Rows of tables. Every method raises Transient, and Permanent or one of its children above."""

    def __init__(self, connection: Connection, login: Login) -> None:
        self._connection = connection
        self._login = login

    @property
    def url(self) -> str:
        return self._connection.url

    async def search(
        self, table: str, query: str, fields: Sequence[str], *, limit: int, with_display: bool = False
    ) -> list[Row]:
        """The rows that match an encoded query, and perhaps others: compare.

        A condition on a column that does not exist is dropped, so that any rows come back. *limit* counts before
        those are left out that the user may not see. *with_display*: what people see of each value comes too.
        """
        params = {
            "sysparm_query": query,
            "sysparm_fields": ",".join(fields),
            "sysparm_exclude_reference_link": "true",
            "sysparm_limit": str(limit),
            **(_BOTH if with_display else {}),
        }
        rows = await self._result("GET", table, params=params)
        if not isinstance(rows, list):
            raise Transient("ServiceNow answered without the rows that were asked for")
        return [row for row in rows if isinstance(row, Mapping)]

    async def read(
        self, table: str, sys_id: str, fields: Sequence[str], *, as_shown: bool = False, with_display: bool = False
    ) -> Row:
        """One row; with *as_shown* its values as people see them, *with_display* both."""
        params = {"sysparm_fields": ",".join(fields)}
        if as_shown:
            params["sysparm_display_value"] = "true"
        if with_display:
            params |= _BOTH
        return _row(await self._result("GET", table, f"/{sys_id}", params=params))

    async def create(self, table: str, fields: Mapping[str, str], *, with_display: bool = False) -> Row:
        """The new row, or of it only `sys_id` when the user may not read it; empty when even that is not told."""
        answer = await self._send("POST", table, fields=fields, params=_BOTH if with_display else None)
        row = _row(_expect(answer, HTTPStatus.CREATED))
        sys_id = answer.headers.get("Location", "").rpartition("/")[2]
        return {**row, "sys_id": sys_id} if sys_id and not row.get("sys_id") else row

    async def update(self, table: str, sys_id: str, fields: Mapping[str, str], *, with_display: bool = False) -> Row:
        """The row as it is then."""
        params = _BOTH if with_display else None
        return _row(await self._result("PATCH", table, f"/{sys_id}", fields=fields, params=params))

    async def _result(self, method: str, table: str, path: str = "", **options: Any) -> Any:
        return _expect(await self._send(method, table, path, **options), HTTPStatus.OK)

    async def _send(
        self,
        method: str,
        table: str,
        path: str = "",
        *,
        params: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer; once again with a new token when the first was refused."""
        headers = {"Accept": "application/json"}
        body = None
        if fields is not None:
            headers["Content-Type"] = "application/json"
            body = orjson.dumps(fields)
        where = f"/api/now/table/{table}{path}"
        effect = Effect.of(method)
        login = await self._login.headers()
        answer = await self._connection.send(
            method, where, headers={**headers, **login}, params=params, body=body, effect=effect
        )
        if answer.status == HTTPStatus.UNAUTHORIZED and self._login.is_renewed(login):
            login = await self._login.headers()
            answer = await self._connection.send(
                method, where, headers={**headers, **login}, params=params, body=body, effect=effect
            )
        return answer


def value_of(field: Any) -> str:
    """A field's raw value, which with other display modes, and for references, is an object."""
    if isinstance(field, Mapping):
        field = field.get("value")
    return field if isinstance(field, str) else ""


def shown_of(field: Any) -> str:
    """What people see of a field; "" where that was not asked for."""
    shown = field.get("display_value") if isinstance(field, Mapping) else None
    return shown if isinstance(shown, str) else ""


def _expect(answer: Answer, status: HTTPStatus) -> Any:
    """The result. Success is the expected status, a JSON body and a result in it; everything else is an error.

    A hibernating instance answers 200 with a page, and a query that was cut off 200 with an error beside the rows.
    """
    data = answer.data
    if answer.status == status and data is not None and "result" in data and not data.get("error"):
        return data["result"]
    answer.raise_if_the_record_failed()
    answer.raise_if_it_may_heal()
    advice = _ADVICE.get(answer.status)
    if answer.status == HTTPStatus.FORBIDDEN and _POLICY in answer.detail:
        advice = "set these fields, or have the data policy changed (close_code must be one of the instance's own)"
    said = f"ServiceNow answered {answer.status}{answer.detail}" + (f"; {advice}" if advice else "")
    if answer.status == HTTPStatus.NOT_FOUND:
        if data is not None and isinstance(data.get("error"), Mapping):
            raise NotFound(f"ServiceNow answered 404{answer.detail}")
        raise answer.unavailable()  # as what stands before ServiceNow says it has no such path
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise LoginRefused(said)
    if answer.status == HTTPStatus.FORBIDDEN:
        raise NotAuthorized(said) if _NOT_AUTHORIZED in answer.detail else Forbidden(said)
    if answer.status >= HTTPStatus.BAD_REQUEST and (data is not None or answer.status in _REFUSALS):
        raise Permanent(said)
    raise answer.unavailable()  # a page is what something in between, or an instance that sleeps, answers with


def _row(result: Any) -> Row:
    return result if isinstance(result, Mapping) else {}
