"""Bodies that no usual parser takes, and what is still read of them."""

import json

import pytest

from versus_py.errors import BadPayload
from versus_py.web.intake.reading import NESTING_MAX, read_body

GOOD = '{"title": "good"}'
DEEP = "[" * 100_000 + "]" * 100_000
LEFT_OUT = f"what is nested more than {NESTING_MAX} levels deep was left out"


@pytest.mark.parametrize("opening", ['{"a":', "[", '{"a":[{"\\"]":'])
def test_what_is_nested_too_deeply_is_left_out_and_the_rest_is_read(opening):
    closing = "".join({"[": "]", "{": "}"}.get(it, "") for it in reversed(opening.replace('"\\"]"', "")))
    deep = opening * 20_000 + "1" + closing * 20_000

    are_many, payloads, warnings = read_body(f'[{GOOD}, {{"title": "deep", "x": {deep}, "id": "7"}}, {GOOD}]'.encode())

    assert are_many
    assert [it["title"] for it in payloads] == ["good", "deep", "good"]
    assert payloads[1]["id"] == "7"
    assert warnings == [LEFT_OUT]


def test_what_is_nested_as_deeply_as_allowed_is_read_beside_what_is_not():
    levels = NESTING_MAX - 2  # beside the array, and the object in it
    allowed = "[" * levels + "1" + "]" * levels

    _, payloads, warnings = read_body(f'[{{"x": {allowed}}}, {{"x": {DEEP}}}]'.encode())

    assert json.dumps(payloads[0]["x"]) == allowed
    assert warnings == [LEFT_OUT]


@pytest.mark.parametrize("text", ["[" * 100_000, f"[{GOOD}, {'[' * 100_000}]", '{"a":' * 100_000 + '"'])
def test_what_is_nested_too_deeply_and_never_ends_is_refused(text):
    with pytest.raises(BadPayload, match="the body is not JSON"):
        read_body(text.encode())


def test_a_number_with_more_digits_than_python_converts_costs_nothing():
    digits = "-" + "9" * 5000

    _, payloads, warnings = read_body(f'[{GOOD}, {{"title": "long", "value": {digits}}}]'.encode())

    assert payloads == [{"title": "good"}, {"title": "long", "value": digits}]
    assert warnings == []
