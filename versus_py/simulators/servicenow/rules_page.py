"""The page of business rules, system properties and what was posted, and the same by control."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web
from jinja2 import Environment
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from versus_py.simulators.servicenow.answers import answer
from versus_py.simulators.servicenow.business_rules import BusinessRules, Posted
from versus_py.simulators.servicenow.properties import Properties
from versus_py.simulators.servicenow.rule import BusinessRule, Passage

_PATH = "/rules"
_LATEST = 200
"""How many lines of the journal the page shows."""

_Order = TypeVar("_Order", bound=BaseModel)


class _Run(BaseModel):
    """Send what is due, or with *now* all that waits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    now: bool = False


class _NewProperties(RootModel[dict[str, str | None]]):
    """By name; None takes one away."""


class RulesPage:
    """Shows and changes the *rules* and *properties* of the instance called *name*."""

    def __init__(self, name: str, rules: BusinessRules, properties: Properties, pages: Environment) -> None:
        self._name = name
        self._rules = rules
        self._properties = properties
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self._show),
            web.post(_PATH, self._add_by_form),
            web.post(f"{_PATH}/back", self._remove_by_form),
            web.post(f"{_PATH}/properties", self._set_by_form),
            web.get("/control/rules", self._get),
            web.post("/control/rules", _take(BusinessRule, self._add)),
            web.delete("/control/rules", self._clear),
            web.delete("/control/rules/{name}", self._remove),
            web.post("/control/rules/passage", _take(Passage, self._set_passage)),
            web.post("/control/rules/run", _take(_Run, self._run)),
            web.get("/control/rules/journal", self._get_journal),
            web.get("/control/properties", self._get_properties),
            web.post("/control/properties", _take(_NewProperties, self._set_properties)),
        ]

    # By control

    async def _get(self, _: web.Request) -> web.Response:
        rules = [it.model_dump(mode="json") for it in self._rules.rules]
        passage = self._rules.passage.model_dump(mode="json")
        return answer({"rules": rules, "passage": passage, "pending": self._rules.pending})

    async def _add(self, rule: BusinessRule) -> web.Response:
        self._rules.add(rule)
        return answer(rule.model_dump(mode="json"), HTTPStatus.CREATED)

    async def _clear(self, _: web.Request) -> web.Response:
        self._rules.clear()
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            self._rules.remove(name)
        except KeyError:
            known = ", ".join(it.name for it in self._rules.rules) or "none"
            return answer({"error": f"there is no rule {name!r}; there are: {known}"}, HTTPStatus.NOT_FOUND)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _set_passage(self, passage: Passage) -> web.Response:
        self._rules.passage = passage
        return answer(passage.model_dump(mode="json"))

    async def _run(self, order: _Run) -> web.Response:
        lines = await self._rules.run_due(now=order.now)
        return answer({"posted": [_line(it) for it in lines], "pending": self._rules.pending})

    async def _get_journal(self, request: web.Request) -> web.Response:
        """Oldest first; with *bodies*, what was posted too."""
        has_bodies = request.query.get("bodies") == "true"
        return answer({"journal": [_line(it, has_body=has_bodies) for it in self._rules.journal]})

    async def _get_properties(self, _: web.Request) -> web.Response:
        return answer(dict(self._properties.shown()))

    async def _set_properties(self, order: _NewProperties) -> web.Response:
        for name, value in order.root.items():
            self._properties[name] = value
        return answer(dict(self._properties.shown()))

    # By forms

    async def _show(self, _: web.Request) -> web.Response:
        return self._page()

    def _page(self, trouble: str = "") -> web.Response:
        page = self._pages.get_template("rules.html").render(
            name=self._name,
            trouble=trouble,
            rules=self._rules.rules,
            passage=self._rules.passage.model_dump(exclude_defaults=True),
            pending=self._rules.pending,
            properties=self._properties.shown(),
            journal=list(self._rules.journal)[: -_LATEST - 1 : -1],
        )
        status = HTTPStatus.BAD_REQUEST if trouble else HTTPStatus.OK
        return web.Response(text=page, content_type="text/html", status=status)

    async def _add_by_form(self, request: web.Request) -> web.Response:
        """A field that is left empty is left out."""
        form = await request.post()
        fields: dict[str, Any] = {name: str(value) for name, value in form.items() if value and name != "on"}
        fields["on"] = [str(it) for it in form.getall("on", [])]
        try:
            self._rules.add(BusinessRule.model_validate(fields))
        except ValidationError as exc:
            return self._page(_said(exc, BusinessRule))
        raise web.HTTPSeeOther(_PATH)

    async def _remove_by_form(self, request: web.Request) -> web.Response:
        name = str((await request.post()).get("name", ""))
        if name in {it.name for it in self._rules.rules}:
            self._rules.remove(name)
        raise web.HTTPSeeOther(_PATH)

    async def _set_by_form(self, request: web.Request) -> web.Response:
        form = await request.post()
        if name := str(form.get("name", "")).strip():
            self._properties[name] = str(form.get("value", "")) or None
        raise web.HTTPSeeOther(_PATH)


def _take(
    model: type[_Order], act: Callable[[_Order], Awaitable[web.Response]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for an order in JSON; 400 for one that cannot be understood."""

    async def handle(request: web.Request) -> web.Response:
        try:
            order = model.model_validate_json(await request.read() or b"{}")
        except ValidationError as exc:
            return answer({"error": _said(exc, model)}, HTTPStatus.BAD_REQUEST)
        return await act(order)

    return handle


def _said(exc: ValidationError, model: type[BaseModel]) -> str:
    said = "; ".join(f"{'.'.join(map(str, it['loc']))}: {it['msg']}".removeprefix(": ") for it in exc.errors())
    if issubclass(model, RootModel):
        return f"{said}; allowed is {{name: value}}, null takes one away"
    return f"{said}; allowed are {', '.join(model.model_fields)}"


def _line(posted: Posted, *, has_body: bool = False) -> dict[str, Any]:
    line = asdict(posted)
    if not has_body:
        del line["body"]
    return line
