"""Forms, as browsers send them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from aiohttp import web

from versus_py.web.intake.bodies import read_whole

BODY_TIMEOUT_S = 10.0
FIELDS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, some of them with several values."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def one(self, name: str) -> str:
        """The first value; "" when there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> Sequence[str]:
        return self.fields.get(name, ())


async def read_form(request: web.Request, *, fields_max: int = FIELDS_MAX) -> Form:
    """Raises the answer to a body that is too large, too slow, or no form."""
    body = await read_whole(request, within_s=BODY_TIMEOUT_S)
    try:
        return Form(parse_qs(body.decode(), max_num_fields=fields_max))
    except ValueError:
        raise web.HTTPBadRequest(text="the body is not a form") from None
