"""The last body, as it is kept."""

import random
import string
import zlib
from base64 import b64encode, b85encode
from typing import Any

import pytest
from hypothesis import given

from tests.support.payloads import json_values
from versus_py.incidents.payloads import PACKED_MAX, pack, unpack


def kept(payload):
    return unpack(pack(payload)[1])


def test_a_body_is_kept_as_it_is():
    payload = {"title": "Disk full", "labels": {"host": "db-7"}, "values": [1, 2.5, None, True]}

    assert kept(payload) == payload


@pytest.mark.parametrize(("beginning", "encode"), [("", b85encode), (".", b64encode)])
def test_a_body_is_read_as_earlier_versions_packed_it(beginning, encode):
    packed = beginning + encode(zlib.compress(b'{"title": "Disk full"}')).decode()

    assert unpack(packed) == {"title": "Disk full"}


def test_secrets_are_removed():
    assert kept({"a": [{"apiKey": "R0"}], "url": "https://ana:R0@host", "keyless": "kept"}) == {
        "a": [{"apiKey": "[removed]"}],
        "url": "https://[removed]@host",
        "keyless": "kept",
    }


def test_a_body_that_is_known_is_not_packed_again():
    digest, packed = pack({"title": "T"})

    assert packed
    assert pack({"title": "T"}, digest) == (digest, "")
    assert pack({"title": "U"}, digest)[1]


def noise(length):
    dice = random.Random(1)
    return "".join(dice.choices(string.printable, k=length))


def test_what_is_too_large_is_kept_in_its_beginning():
    payload = {"alerts": [{"text": noise(3000), "number": number} for number in range(300)], "receiver": "versus"}

    _, packed = pack(payload)

    assert len(packed) <= PACKED_MAX
    found = unpack(packed)
    assert found["receiver"] == "versus"
    assert [it["number"] for it in found["alerts"]] == [*range(len(found["alerts"]))]
    assert len(found["alerts"]) >= 10


def test_what_is_too_large_even_so_is_cut_until_it_fits():
    payload = {noise(900) + str(number): [noise(1000)] * 50 for number in range(20)}
    payload |= {f"{number}{noise(700)}": noise(1000) for number in range(900)}

    _, packed = pack({"title": "T", **payload})

    assert 0 < len(packed) <= PACKED_MAX
    assert unpack(packed)["title"] == "T"


@pytest.mark.parametrize("value", [2**70, -(2**70), "\ud800", float("1e300")], ids=["large", "small", "half", "real"])
def test_odd_values_do_not_cost_the_body(value):
    assert kept({"value": value, "title": "T"})["title"] == "T"


def test_a_body_nested_without_end_is_cut():
    payload: dict[str, Any] = {}
    value = payload
    for _ in range(900):
        value["next"] = {}
        value = value["next"]

    assert kept(payload)["next"]


@given(json_values)
def test_whatever_was_posted_can_be_kept(value):
    _, packed = pack({"value": value})

    assert "value" in unpack(packed)
