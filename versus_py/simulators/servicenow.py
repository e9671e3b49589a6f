"""A ServiceNow instance: the Table API with Basic authentication, encoded queries and its error bodies.

As in the original, nothing stops two records from having one correlation_id; all values are strings; priority
follows from impact and urgency; resolving takes close_code and close_notes; a closed record is read-only.
"""

import base64
import binascii
import itertools
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, select_autoescape

from versus_py.simulators import encoded_query
from versus_py.simulators.faults import Fault, Faults, control_routes

STATES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
CLOSE_CODES = {"Solution provided", "Workaround provided", "Resolved by caller", "Duplicate", "Known error"}
_PRIORITIES = {"11": "1", "12": "2", "13": "3", "21": "2", "22": "3", "23": "4", "31": "3", "32": "4", "33": "5"}
_LENGTHS = {"short_description": 160, "correlation_id": 100, "correlation_display": 100, "close_notes": 4000}
_JOURNALS = ("work_notes", "comments")
_DEFAULTS = {
    "state": "1",
    "active": "true",
    "impact": "3",
    "urgency": "3",
    "category": "inquiry",
    "contact_type": "phone",
    "short_description": "",
    "description": "",
    "correlation_id": "",
    "correlation_display": "",
    "assigned_to": "",
    "close_code": "",
    "close_notes": "",
    "resolved_at": "",
    "work_notes": "",
    "comments": "",
}
_STATELESS_DEFAULTS = {"short_description": "", "description": "", "correlation_id": ""}

_pages = Environment(loader=PackageLoader("versus_py.simulators", "pages"), autoescape=select_autoescape(default=True))


class _Refused(Exception):
    def __init__(self, status: int, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.detail = status, message, detail


class ServiceNowSimulator:
    """The state of an instance, and its API in front.

    Tables are incident, and any custom one (`u_…`), which has no state. *requires_close_fields* is the data policy
    that most instances have.
    """

    def __init__(
        self,
        *,
        username: str = "versus.integration",
        password: str = "secret",  # noqa: S107 - a simulator's
        requires_close_fields: bool = True,
        name: str = "ServiceNow",
    ) -> None:
        self._username = username
        self._password = password
        self._requires_close_fields = requires_close_fields
        self._name = name
        self._numbers = itertools.count(10001)
        self.tables: dict[str, list[dict[str, str]]] = {"incident": []}
        self.notes: dict[str, list[str]] = {}  # sys_id -> its work notes, oldest first
        self.calls: list[str] = []  # method and path of every request to the API, in order
        self.faults = Faults(_refuse)

    @property
    def incidents(self) -> list[dict[str, str]]:
        return self.tables["incident"]

    def app(self) -> web.Application:
        app = web.Application()
        suffered = self.faults.suffered
        app.router.add_get("/api/now/table/{table}", suffered(self._answered(self._list)), allow_head=False)
        app.router.add_post("/api/now/table/{table}", suffered(self._answered(self._create)))
        app.router.add_get("/api/now/table/{table}/{sys_id}", suffered(self._answered(self._read)), allow_head=False)
        app.router.add_patch("/api/now/table/{table}/{sys_id}", suffered(self._answered(self._change)))
        app.router.add_get("/", self._page)
        app.router.add_get("/{table}.do", self._record_page)
        app.add_routes(control_routes(self.faults, self.state, self.reset))
        return app

    def state(self) -> dict[str, Any]:
        return {"tables": self.tables, "notes": self.notes, "calls": self.calls}

    def reset(self) -> None:
        for records in self.tables.values():
            records.clear()
        self.notes.clear()
        self.calls.clear()

    def _answered(self, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            self.calls.append(f"{request.method} {request.path}")
            try:
                self._authenticate(request)
                response: web.Response = await handler(request)
            except _Refused as exc:
                return _error(exc.status, exc.message, exc.detail)
            response.set_cookie("JSESSIONID", "0123456789ABCDEF")
            return response

        return handle

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).decode() if scheme == "Basic" else ""
        except (binascii.Error, UnicodeDecodeError):
            given = ""
        if given != f"{self._username}:{self._password}":
            raise _Refused(401, "User is not authenticated", "Required to provide Auth information")

    def _table(self, request: web.Request) -> list[dict[str, str]]:
        name = request.match_info["table"]
        if name not in self.tables and not name.startswith("u_"):
            raise _Refused(400, f"Invalid table {name}")
        return self.tables.setdefault(name, [])

    async def _list(self, request: web.Request) -> web.Response:
        records = self._table(request)
        columns = _columns(request.match_info["table"])
        found = encoded_query.select(records, request.query.get("sysparm_query", ""), columns)
        offset = int(request.query.get("sysparm_offset", "0"))
        limit = int(request.query.get("sysparm_limit", "10000"))
        rows = [_shown(record, request) for record in found[offset : offset + limit]]
        return _json({"result": rows}, headers={"X-Total-Count": str(len(found))})

    async def _read(self, request: web.Request) -> web.Response:
        return _json({"result": _shown(self._record(request), request)})

    async def _create(self, request: web.Request) -> web.Response:
        table = request.match_info["table"]
        records = self._table(request)
        fields = await _fields(request)
        record = _new_record(table, next(self._numbers), self._username)
        self._write(table, record, fields)
        records.append(record)
        location = f"{request.url.origin()}/api/now/table/{table}/{record['sys_id']}"
        return _json({"result": _shown(record, request)}, status=201, headers={"Location": location})

    async def _change(self, request: web.Request) -> web.Response:
        record = self._record(request)
        fields = await _fields(request)
        if record.get("state") in {"7", "8"}:
            raise _Refused(403, "Operation Failed", "ACL Exception Update Failed due to security constraints")
        self._write(request.match_info["table"], record, fields)
        record["sys_mod_count"] = str(int(record["sys_mod_count"]) + 1)
        return _json({"result": _shown(record, request)})

    def _record(self, request: web.Request) -> dict[str, str]:
        sys_id = request.match_info["sys_id"]
        for record in self._table(request):
            if record["sys_id"] == sys_id:
                return record
        raise _Refused(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")

    def _write(self, table: str, record: dict[str, str], fields: dict[str, str]) -> None:
        """Take over what the table has a column for; the rest is ignored, as is a choice that does not exist."""
        wanted = {
            name: value[: _LENGTHS.get(name, 4000)]
            for name, value in fields.items()
            if name in _columns(table) and not name.startswith("sys_") and name not in {"number", "priority"}
        }
        if wanted.get("close_code", "") not in {"", *CLOSE_CODES}:
            del wanted["close_code"]
        if wanted.get("state") in {"6", "7"} and self._requires_close_fields:
            missing = [name for name in ("close_code", "close_notes") if not (wanted.get(name) or record[name])]
            if missing:
                mandatory = f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}"
                raise _Refused(403, "Operation Failed", mandatory)
        for journal in _JOURNALS:
            if note := wanted.pop(journal, ""):
                self.notes.setdefault(record["sys_id"], []).append(note)
        record |= wanted
        record["sys_updated_on"] = _now()
        if "state" in record:
            record["priority"] = _PRIORITIES.get(record["impact"] + record["urgency"], "5")
            record["active"] = "false" if record["state"] in {"7", "8"} else "true"
            if wanted.get("state") == "6":
                record["resolved_at"] = _now()

    async def _page(self, _: web.Request) -> web.Response:
        page = _pages.get_template("servicenow.html").render(name=self._name, tables=self.tables, states=STATES)
        return web.Response(text=page, content_type="text/html")

    async def _record_page(self, request: web.Request) -> web.Response:
        records = self.tables.get(request.match_info["table"], [])
        record = next((it for it in records if it["sys_id"] == request.query.get("sys_id")), None)
        if record is None:
            return web.Response(text="Record not found", status=404)
        notes = self.notes.get(record["sys_id"], [])
        page = _pages.get_template("record.html").render(name=self._name, record=record, notes=notes, states=STATES)
        return web.Response(text=page, content_type="text/html")


def _columns(table: str) -> set[str]:
    defaults = _DEFAULTS if table == "incident" else _STATELESS_DEFAULTS
    return {*defaults, "sys_id", "number", "priority", "sys_created_on", "sys_updated_on", "sys_mod_count"}


def _new_record(table: str, number: int, user: str) -> dict[str, str]:
    is_incident = table == "incident"
    return {
        "sys_id": uuid.uuid4().hex,
        "number": f"{'INC' if is_incident else 'REC'}{number:07d}",
        "sys_created_on": _now(),
        "sys_updated_on": _now(),
        "sys_mod_count": "0",
        "sys_created_by": user,
        **(_DEFAULTS if is_incident else _STATELESS_DEFAULTS),
    }


async def _fields(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/json":
        raise _Refused(415, "Unsupported media type", request.content_type)
    try:
        data = json.loads(await request.text())
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise _Refused(400, "Exception while reading request", "The payload is not valid JSON")
    return {str(name): str(value) for name, value in data.items()}


def _shown(record: dict[str, str], request: web.Request) -> dict[str, str]:
    """The fields that were asked for; unknown names are ignored."""
    wanted = request.query.get("sysparm_fields")
    return dict(record) if not wanted else {name: record[name] for name in wanted.split(",") if name in record}


def _json(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(data, status=status, headers=headers)


def _error(status: int, message: str, detail: str | None) -> web.Response:
    headers = {"WWW-Authenticate": 'BASIC realm="Service-now"'} if status == 401 else None  # noqa: PLR2004 - HTTP's
    return _json({"error": {"message": message, "detail": detail}, "status": "failure"}, status, headers)


def _refuse(fault: Fault) -> web.Response:
    status = int(fault.kind)
    if status == 429:  # noqa: PLR2004 - HTTP's
        response = _error(status, "Rate limit exceeded", "Rate limit of 1000 requests per hour for Table API exceeded")
    else:
        response = _error(status, "Internal error", None)
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
