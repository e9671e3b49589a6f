"""A record's page, where people change it, and the same by control."""

from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from jinja2 import Environment
from pydantic import ValidationError

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import Refused, answer, error
from versus_py.simulators.servicenow.database import Database
from versus_py.simulators.servicenow.display import labels
from versus_py.simulators.servicenow.people import NoRecord, People, RecordOrder, Unknown
from versus_py.simulators.servicenow.writing import is_closed

KEEP = "(as it is)"
"""What a form says for what stays."""

NEW = "-1"
"""The sys_id of the form for a new record, as in the original."""

_REFERENCES = ("caller_id", "assigned_to", "assignment_group", "business_service", "service_offering")
_AT_FIRST = {"state": "New", "impact": "3 - Low", "urgency": "3 - Low"}


class _Select(NamedTuple):
    label: str
    name: str
    values: list[str]
    chosen: str


class RecordPage:
    """Shows the records of the instance called *name*, and has *people* change them."""

    def __init__(self, name: str, database: Database, people: People, pages: Environment) -> None:
        self._name = name
        self._database = database
        self._people = people
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/{table}.do", self._show),
            web.post("/{table}.do", self._take_form),
            web.post("/control/records", self._take_order),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        return self._page(request)

    def _page(self, request: web.Request, trouble: str = "", by: str = "") -> web.Response:
        """A record as people see it: references by name, and the journals with times and users."""
        table = request.match_info["table"]
        sys_id = request.query.get("sys_id", "")
        is_new = (table, sys_id) == ("incident", NEW)
        row = self._database.find(table, sys_id)
        if row is None and not is_new:
            return web.Response(text="Record not found", status=HTTPStatus.NOT_FOUND)
        page = self._pages.get_template("record.html").render(
            name=self._name,
            is_new=is_new,
            is_closed=row is not None and is_closed(row),
            record=labels(self._database, table, row) if row else {},
            journals={journal: self._database.entries(sys_id, journal) for journal in schema.JOURNALS},
            user_name=self._database.user_name,
            trouble=trouble,
            by=by or request.query.get("by", ""),
            user_names=self._people.user_names(),
            selects=self._selects(is_new=is_new),
            close_codes=schema.CHOICES["incident", "close_code"].values(),
            hold_reasons=schema.CHOICES["incident", "hold_reason"].values(),
        )
        return web.Response(text=page, content_type="text/html", status=HTTPStatus.BAD_REQUEST if trouble else 200)

    def _selects(self, *, is_new: bool) -> list[_Select]:
        """Of the columns that a person chooses among what there is for."""
        columns = schema.columns("incident")
        first = [] if is_new else [KEEP]
        found = []
        for name, chosen in _AT_FIRST.items():
            choices = schema.CHOICES.get(("incident", name)) or schema.CHOICES["task", name]
            found.append(_Select(columns[name].label, name, [*first, *choices.values()], chosen if is_new else KEEP))
        for name in _REFERENCES:
            values = [*first, "", *self._people.names(columns[name].refers_to)]
            found.append(_Select(columns[name].label, name, values, "" if is_new else KEEP))
        return found

    async def _take_form(self, request: web.Request) -> web.Response:
        """What somebody filled in; leads to the record, or to the list when it was deleted."""
        sys_id = request.query.get("sys_id", "")
        fields = {name: str(value) for name, value in (await request.post()).items() if value != KEEP}
        by = fields.get("by", "")
        try:
            order = RecordOrder.model_validate({**fields, "record": sys_id, "table": request.match_info["table"]})
            row = self._people.act(order)
        except ValidationError as exc:
            return self._page(request, _said(exc), by)
        except (NoRecord, Unknown) as exc:
            return self._page(request, str(exc), by)
        except Refused as refused:
            return self._page(request, refused.detail or refused.message, by)
        here = request.rel_url.update_query(sys_id=row["sys_id"], by=order.by)
        raise web.HTTPSeeOther("/" if order.do == "delete" else str(here))

    async def _take_order(self, request: web.Request) -> web.Response:
        try:
            order = RecordOrder.model_validate_json(await request.read())
            row = self._people.act(order)
        except ValidationError as exc:
            return answer({"error": _said(exc)}, HTTPStatus.BAD_REQUEST)
        except Unknown as exc:
            return answer({"error": str(exc)}, HTTPStatus.BAD_REQUEST)
        except NoRecord as exc:
            return answer({"error": str(exc)}, HTTPStatus.NOT_FOUND)
        except Refused as refused:
            return error(refused)
        status = HTTPStatus.CREATED if order.do == "create" else HTTPStatus.OK
        return answer(order.model_dump() | {"sys_id": row["sys_id"], "number": row["number"]}, status)


def _said(exc: ValidationError) -> str:
    said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in exc.errors())
    return f"{said}; allowed are {', '.join(RecordOrder.model_fields)}"
