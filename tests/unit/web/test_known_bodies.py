"""What tells requests apart whose bodies are the same."""

import pytest
from aiohttp.test_utils import make_mocked_request

from versus_py.web.intake.repeats import Repeats

PATH = "/api/incidents"


def key(query: str = "", sender: str = "ops", body: bytes = b"{}") -> bytes:
    return Repeats().key(make_mocked_request("POST", f"{PATH}{query}"), sender, body)


def test_the_same_request_is_the_same():
    assert key("?a=1") == key("?a=1")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (key(), key("?a=1")),
        (key("?a=1"), key("?a=2")),
        (key("?a=%26"), key("?a=%2526")),  # of which the first names &, and the second %26
        (key("?a=%26b=2"), key("?a=1&b=2")),
        (key(sender="ops"), key(sender="apps")),
        (key(body=b"{}"), key(body=b"[]")),
    ],
)
def test_another_query_sender_or_body_is_another_request(one, other):
    assert one != other
