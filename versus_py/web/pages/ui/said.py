"""What was done, said once on the next page: kept in a cookie from the answer to a form until that page is shown."""

from urllib.parse import quote, unquote

from aiohttp import web

from versus_py.web.pages.ui.shell import SHELL

COOKIE = "said"
SAID_MAX = 300
KEPT_S = 60


def say(request: web.Request, response: web.Response, text: str) -> web.Response:
    """Have the next page say it."""
    kept = quote(text[:SAID_MAX], errors="replace")
    request.app[SHELL].set_cookie(response, COOKIE, kept, max_age_s=KEPT_S)
    return response


def said(request: web.Request) -> str:
    """What the page is to say; "" for nothing."""
    return unquote(request.cookies.get(request.app[SHELL].cookie(COOKIE), ""))[:SAID_MAX]


def forget_said(request: web.Request, response: web.Response) -> web.Response:
    """It was said."""
    if request.app[SHELL].cookie(COOKIE) in request.cookies:
        request.app[SHELL].set_cookie(response, COOKIE, "", max_age_s=0)
    return response
