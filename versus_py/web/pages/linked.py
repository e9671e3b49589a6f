"""What the pages behind signed links have in common: no script, no referrer, and who acts says it, unchecked."""

from typing import Any

from aiohttp import web

from versus_py.incidents.model import Actor
from versus_py.web.answers import closing_if_broken, failure_of
from versus_py.web.pages.forms import Form
from versus_py.web.pages.ui.guard import TITLES, Page
from versus_py.web.pages.ui.shell import LINKED_HEADERS, render
from versus_py.web.pages.ui.viewer import clean_name

BY_LINK = Actor("the ACK link")

FIELDS_MAX = 5

_TITLES = {**TITLES, 401: "This link is not valid"}


def render_linked(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page for who holds a link."""
    return render(request, template, status=status, headers=LINKED_HEADERS, alone=True, linked=True, **values)


def refusing(handler: Page) -> Page:
    """To browsers, an error is a page too."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as exc:
            if not takes_html(request):
                raise
            failure = failure_of(exc, request)
            answer = refusal(request, failure.status, _TITLES.get(failure.status, "Not understood"), failure.message)
            answer.headers.update(failure.headers)
            return closing_if_broken(request, answer)

    return guarded


def refusal(request: web.Request, status: int, title: str, message: str) -> web.Response:
    """Why a link does nothing, and where to go on."""
    said = f"{message[:1].upper()}{message[1:]}"
    return render_linked(request, "ui/refused.html", status=status, title=title, message=said)


def takes_html(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def actor_of(form: Form) -> Actor:
    """Who says to act: nobody checks that, so that the link is named too."""
    name = clean_name(form.one("name"))
    return Actor(f"{name}, by {BY_LINK.name}") if name else BY_LINK
