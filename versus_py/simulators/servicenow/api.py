"""The instance over HTTP: the Table API, /oauth_token.do, and pages to look at."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import Environment, PackageLoader, select_autoescape
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from versus_py.simulators import encoded_query
from versus_py.simulators.face import face_routes
from versus_py.simulators.faults import Fault, Faults, control_routes
from versus_py.simulators.server import tell_date
from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import BODY_MAX, Refused, acl_exception, answer, error, json_body
from versus_py.simulators.servicenow.business_rules import BusinessRules
from versus_py.simulators.servicenow.database import Database, Row
from versus_py.simulators.servicenow.display import View, shown
from versus_py.simulators.servicenow.login import ACCESS_DENIED, CLIENT_ID, CLIENT_SECRET, Login, not_authenticated
from versus_py.simulators.servicenow.people import People, RecordOrder
from versus_py.simulators.servicenow.properties import Properties
from versus_py.simulators.servicenow.record_page import RecordPage
from versus_py.simulators.servicenow.rules_page import RulesPage
from versus_py.simulators.servicenow.switches import Switches
from versus_py.simulators.servicenow.writing import Writer

_Handler = Callable[[web.Request], Awaitable[web.Response]]

_pages = Environment(loader=PackageLoader("versus_py.simulators", "pages"), autoescape=select_autoescape(default=True))


class _Comment(BaseModel):
    """What a person writes in a record's comments; *record* is its sys_id or its number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: str
    text: str = Field(min_length=1)
    by: str = "ana"


class ServiceNowSimulator(Switches):
    """The state of an instance, and its API in front.

    As in the original, nothing stops two records from having one correlation_id; all values are strings; priority
    follows from impact and urgency; a closed record is read-only; journals are written, and read elsewhere.
    Records are in incident and in any custom table (`u_…`), which has no state. *now_s* is unix time. Without
    *api_key*, there is none. *rules* post what is written while the app runs, often before the writer is answered.
    """

    def __init__(
        self,
        *,
        username: str = "versus.integration",
        password: str = "secret",  # noqa: S107 - a simulator's
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        api_key: str | None = None,
        requires_close_fields: bool = True,
        name: str = "ServiceNow",
        instance_name: str = "dev12345",
        now_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(requires_close_fields=requires_close_fields)
        self._username = username
        self._password = password
        self._name = name
        self._now_s = now_s
        self._database = Database(username=username, now_s=now_s, absent_columns=lambda: self.absent_columns)
        self.properties = Properties(instance_name=instance_name)
        self.rules = BusinessRules(self._database, self.properties, now_s=now_s)
        self._writer = Writer(self._database, self, self.rules.note_write)
        self._people = People(self._database, self._writer)
        self._record_page = RecordPage(name, self._database, self._people, _pages)
        self._rules_page = RulesPage(name, self.rules, self.properties, _pages)
        self._login = Login(
            self,
            is_user=self._is_user,
            client_id=client_id,
            client_secret=client_secret,
            api_key=api_key,
            now_s=now_s,
        )
        self.calls: list[str] = []  # method and path of every request to the API, in order
        self.faults = Faults(_refuse)

    @property
    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Every table's rows, oldest first."""
        return self._database.tables

    @property
    def incidents(self) -> list[dict[str, str]]:
        return self.tables["incident"]

    @property
    def notes(self) -> dict[str, list[str]]:
        """The work notes by the record's sys_id, oldest first."""
        return self._database.notes()

    def add_user(self, email: str, name: str = "Some Body") -> str:
        """An active user; the sys_id."""
        return self._database.add_user(email, name)

    def add_group(self, name: str) -> str:
        """An active group; the sys_id."""
        return self._database.add("sys_user_group", name=name, active="true")

    def add_ci(self, name: str) -> str:
        """A configuration item; the sys_id."""
        return self._database.add("cmdb_ci", name=name)

    def add_service(self, name: str) -> str:
        """A business service; the sys_id."""
        return self._database.add("cmdb_ci_service", name=name)

    def add_offering(self, name: str) -> str:
        """A service offering; the sys_id."""
        return self._database.add("service_offering", name=name)

    def act(self, order: RecordOrder) -> str:
        """A person creates, changes or deletes a record; its sys_id.

        Raises NoRecord, Unknown, and Refused where a policy is in the way or the record is closed.
        """
        return self._people.act(order)["sys_id"]

    def comment(self, record: str, text: str, *, by: str = "ana") -> None:
        """A person, by user_name, writes in the comments of a record, by sys_id or number.

        Raises KeyError when there is no such record, or it has no comments, and Refused when it is closed.
        """
        found = self._database.find_record(record)
        if found is None or "comments" not in found[1]:
            raise KeyError(record)
        self._writer.comment_by(by, *found, text)

    def revoke_tokens(self) -> None:
        """End all access tokens before their time; refresh tokens are good for new ones."""
        self._login.revoke_tokens()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_MAX, middlewares=[self._note_address])
        tell_date(app, self._now_s)
        suffered = self.faults.suffered
        table = {"GET": self._list, "HEAD": self._list, "POST": self._create}
        row = {"GET": self._read, "HEAD": self._read, "PATCH": self._change, "PUT": self._change, "DELETE": _no_delete}
        app.router.add_route("*", "/api/now/table/{table}", suffered(self._answered(table)))
        app.router.add_route("*", "/api/now/table/{table}/{sys_id}", suffered(self._answered(row)))
        app.router.add_post("/oauth_token.do", suffered(self._grant))
        app.router.add_get("/", self._page)
        app.add_routes(face_routes())
        app.add_routes(self._record_page.routes())
        app.add_routes(self._rules_page.routes())
        app.cleanup_ctx.append(self._posting)
        app.add_routes(control_routes(self.faults, self.state, self.reset))
        app.router.add_post("/control/comments", self._post_comment)
        return app

    def state(self) -> dict[str, Any]:
        return {"tables": self._database.records(), "notes": self.notes, "calls": self.calls}

    def reset(self) -> None:
        """Back to no records and no logins; what was switched, rules and properties stay so."""
        self._database.fill()
        self._login.forget()
        self.rules.forget()
        self.calls.clear()

    async def _posting(self, _: web.Application) -> AsyncIterator[None]:
        """While the app runs, the business rules do."""
        running = asyncio.create_task(self.rules.run(), name="business rules")
        yield
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    @web.middleware
    async def _note_address(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.properties.reached_at(str(request.url.origin()))
        return await handler(request)

    def _is_user(self, username: str, password: str) -> bool:
        return (username, password) == (self._username, self._password)

    def _answered(self, verbs: Mapping[str, _Handler]) -> _Handler:
        async def handle(request: web.Request) -> web.Response:
            self._note_call(request)
            try:
                self._login.check(request)
                response = await _handler(verbs, request)(request)
            except Refused as refused:
                response = error(refused)
            response.set_cookie("JSESSIONID", "0123456789ABCDEF")
            return response

        return handle

    def _note_call(self, request: web.Request) -> None:
        self.calls.append(f"{request.method} {request.path}")

    async def _grant(self, request: web.Request) -> web.Response:
        self._note_call(request)
        reply = await self._login.grant(request)
        return answer(ACCESS_DENIED, HTTPStatus.UNAUTHORIZED) if reply is None else answer(reply)

    async def _list(self, request: web.Request) -> web.Response:
        table = self._table(request)
        found = self._matching(table, request.query.get("sysparm_query", ""))
        offset, limit = _number(request, "sysparm_offset", 0), _number(request, "sysparm_limit", 10_000)
        page = found[offset : offset + limit]  # before the rows that are hidden are taken out, as in the original
        result = [self._shown(table, row, request) for row in page if not self._is_hidden(table, row)]
        return answer({"result": result}, headers={"X-Total-Count": str(len(found))})

    def _matching(self, table: str, query: str) -> list[Row]:
        columns = self._database.columns(table)
        is_dictionary = table == "sys_dictionary"
        try:
            return encoded_query.select(
                self._database.entries_of_dictionary() if is_dictionary else self._database.rows(table),
                query,
                columns,
                references={name: self._reference(it.refers_to) for name, it in columns.items() if it.refers_to},
                invalid_returns_no_rows=self.invalid_query_returns_no_rows,
            )
        except encoded_query.ScriptInQuery as exc:
            raise Refused(HTTPStatus.BAD_REQUEST, "Refused by the simulator", str(exc)) from exc

    def _reference(self, table: str) -> encoded_query.Reference:
        rows = {row["sys_id"]: row for row in self._database.rows(table)}
        return encoded_query.Reference(rows, schema.columns(table))

    async def _read(self, request: web.Request) -> web.Response:
        table, row = self._row(request)
        return answer({"result": self._shown(table, row, request)})

    async def _create(self, request: web.Request) -> web.Response:
        table = self._table(request)
        row = self._writer.create(table, await json_body(request), takes_names=_takes_names(request))
        location = f"{request.url.origin()}/api/now/table/{table}/{row['sys_id']}"
        return self._written(table, row, request, HTTPStatus.CREATED, {"Location": location})

    async def _change(self, request: web.Request) -> web.Response:
        table, row = self._row(request)
        self._writer.change(table, row, await json_body(request), takes_names=_takes_names(request))
        return self._written(table, row, request, HTTPStatus.OK, {})

    def _written(
        self, table: str, row: Row, request: web.Request, status: HTTPStatus, headers: Mapping[str, str]
    ) -> web.Response:
        """The record as it is now; nothing of it when the user may not read it."""
        if request.headers.get("X-no-response-body") == "true":
            return web.Response(status=status, headers=headers)
        result = {} if self._is_hidden(table, row) else self._shown(table, row, request)
        return answer({"result": result}, status, headers)

    def _shown(self, table: str, row: Row, request: web.Request) -> dict[str, Any]:
        return shown(self._database, table, row, View.of(request))

    def _table(self, request: web.Request) -> str:
        name = request.match_info["table"]
        if not schema.exists(name):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid table {name}")
        if name in self.closed_tables:
            raise Refused(HTTPStatus.FORBIDDEN, "User Not Authorized", "Failed API level ACL Validation")
        return name

    def _row(self, request: web.Request) -> tuple[str, Row]:
        """The table and the row that the path names."""
        table = self._table(request)
        row = self._database.find(table, request.match_info["sys_id"])
        if row is None or self._is_hidden(table, row):
            detail = "Record doesn't exist or ACL restricts the record retrieval"
            raise Refused(HTTPStatus.NOT_FOUND, "No Record found", detail)
        return table, row

    def _is_hidden(self, table: str, row: Row) -> bool:
        if table == "sys_journal_field" and not self.journal_is_readable:
            return True
        if not schema.is_lookup(table) and not self.readable:
            return True
        return self.hides(row)

    async def _post_comment(self, request: web.Request) -> web.Response:
        try:
            wanted = _Comment.model_validate_json(await request.read())
            self.comment(wanted.record, wanted.text, by=wanted.by)
        except ValidationError:
            return answer({"error": "must be {record, text, by}; by is a user_name"}, HTTPStatus.BAD_REQUEST)
        except KeyError:
            return answer({"error": f"no record {wanted.record!r} with comments"}, HTTPStatus.NOT_FOUND)
        except Refused as refused:
            return error(refused)
        return answer(wanted.model_dump(), HTTPStatus.CREATED)

    async def _page(self, _: web.Request) -> web.Response:
        states = schema.CHOICES["incident", "state"]
        tables = self._database.records()
        page = _pages.get_template("servicenow.html").render(name=self._name, tables=tables, states=states)
        return web.Response(text=page, content_type="text/html")


def _handler(verbs: Mapping[str, _Handler], request: web.Request) -> _Handler:
    handler = verbs.get(request.method)
    if handler is None:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"Method {request.method} not allowed")
    accepted = {it.partition(";")[0].strip() for it in request.headers.get("Accept", "*/*").split(",")}
    if not accepted & {"application/json", "application/*", "*/*"}:
        raise Refused(HTTPStatus.NOT_ACCEPTABLE, "Not acceptable", request.headers["Accept"])
    return handler


async def _no_delete(_: web.Request) -> web.Response:
    raise acl_exception("Delete")


def _takes_names(request: web.Request) -> bool:
    return request.query.get("sysparm_input_display_value") == "true"


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal():
        raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid {name} {text}")
    return int(text)


def _refuse(fault: Fault) -> web.Response:
    status = HTTPStatus(int(fault.kind))
    if status is HTTPStatus.UNAUTHORIZED:
        response = error(not_authenticated())
    elif status is HTTPStatus.TOO_MANY_REQUESTS:
        detail = "Rate limit of 1000 requests per hour for Table API exceeded"
        response = error(Refused(status, "Rate limit exceeded", detail))
    else:
        said = "Invalid table incident" if status is HTTPStatus.BAD_REQUEST else "Internal error"
        response = error(Refused(status, said))
    if fault.retry_after is not None:
        response.headers["Retry-After"] = str(fault.retry_after)
    return response
