"""A record's page, where people change it, and the same by control."""

from http import HTTPStatus

from aiohttp import web
from jinja2 import Environment
from pydantic import ValidationError

from versus_py.simulators.servicenow import schema
from versus_py.simulators.servicenow.answers import Refused, answer, error
from versus_py.simulators.servicenow.database import Database
from versus_py.simulators.servicenow.display import labels
from versus_py.simulators.servicenow.people import NoRecord, People, RecordOrder, Unknown

KEEP = "(as it is)"
"""What a form says for an assignment that stays."""


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
        row = self._database.find(table, request.query.get("sys_id", ""))
        if row is None:
            return web.Response(text="Record not found", status=HTTPStatus.NOT_FOUND)
        page = self._pages.get_template("record.html").render(
            name=self._name,
            record=labels(self._database, table, row),
            journals={journal: self._database.entries(row["sys_id"], journal) for journal in schema.JOURNALS},
            user_name=self._database.user_name,
            trouble=trouble,
            keep=KEEP,
            by=by or request.query.get("by", ""),
            user_names=self._people.user_names(),
            users=self._people.names("sys_user"),
            groups=self._people.names("sys_user_group"),
            close_codes=schema.CHOICES["incident", "close_code"].values(),
            hold_reasons=schema.CHOICES["incident", "hold_reason"].values(),
        )
        return web.Response(text=page, content_type="text/html", status=HTTPStatus.BAD_REQUEST if trouble else 200)

    async def _take_form(self, request: web.Request) -> web.Response:
        """What somebody filled in; leads back to the record, or to the list when it was deleted."""
        sys_id = request.query.get("sys_id", "")
        fields = {name: str(value) for name, value in (await request.post()).items() if value != KEEP}
        by = fields.get("by", "")
        try:
            order = RecordOrder.model_validate({**fields, "record": sys_id})
            self._people.act(order)
        except ValidationError as exc:
            return self._page(request, _said(exc), by)
        except (NoRecord, Unknown) as exc:
            return self._page(request, str(exc), by)
        except Refused as refused:
            return self._page(request, refused.detail or refused.message, by)
        is_gone = order.do == "delete"
        raise web.HTTPSeeOther("/" if is_gone else str(request.rel_url.update_query(by=order.by)))

    async def _take_order(self, request: web.Request) -> web.Response:
        try:
            order = RecordOrder.model_validate_json(await request.read())
            self._people.act(order)
        except ValidationError as exc:
            return answer({"error": _said(exc)}, HTTPStatus.BAD_REQUEST)
        except Unknown as exc:
            return answer({"error": str(exc)}, HTTPStatus.BAD_REQUEST)
        except NoRecord as exc:
            return answer({"error": str(exc)}, HTTPStatus.NOT_FOUND)
        except Refused as refused:
            return error(refused)
        return answer(order.model_dump())


def _said(exc: ValidationError) -> str:
    said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}" for it in exc.errors())
    return f"{said}; allowed are {', '.join(RecordOrder.model_fields)}"
