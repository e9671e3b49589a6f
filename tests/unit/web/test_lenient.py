"""Bodies that are nearly JSON, forms, and bodies that are something else."""

import json
import time
from urllib.parse import urlencode

import pytest
from hypothesis import given

from tests.support.payloads import json_values
from versus_py.errors import BadPayload
from versus_py.web.intake.lenient import LENIENT_MAX, repaired
from versus_py.web.intake.reading import read_body

NEARLY = "the body is not quite JSON and was read as what it seems to mean"


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ('{"title": "two\nlines\tand a tab"}', {"title": "two\nlines\tand a tab"}),
        (r'{"title": "C:\Windows"}', {"title": r"C:\Windows"}),
        (r'{"title": "\d+ failed \u12"}', {"title": r"\d+ failed \u12"}),
        ('{"title": "T", "tags": ["a", ], }', {"title": "T", "tags": ["a"]}),
        ("{“title”: “Disk full“, “id”: 7}", {"title": "Disk full", "id": 7}),
        ('{"title": “Disk full"}', {"title": "Disk full"}),
        ('{"title": "a “quoted” word, }"\n,}', {"title": "a “quoted” word, }"}),
        ('{"a": "\x01", "b": "x",\n}', {"a": "\x01", "b": "x"}),
    ],
    ids=["line break", "backslash", "escapes", "commas", "quotation marks", "mixed", "in strings", "two faults"],
)
def test_the_usual_faults_of_templates_are_read_with_a_warning(body, payload):
    are_many, payloads, warnings = read_body(body.encode())

    assert (are_many, payloads) == (False, [payload])
    assert len(warnings) == 1
    assert warnings[0].startswith(NEARLY)


def test_one_faulty_object_in_a_row_takes_no_other_away():
    are_many, payloads, [warning] = read_body(b'{"title": "a"}\n{"title": "b\tc"}\n{"title": "d"}')

    assert are_many
    assert [it["title"] for it in payloads] == ["a", "b\tc", "d"]
    assert warning.startswith(NEARLY)


def test_an_object_that_is_cut_off_is_left_out_and_those_before_it_are_read():
    _, payloads, [warning] = read_body(b'{"title": "a"}{"title": "b')

    assert payloads == [{"title": "a"}]
    assert "what follows the JSON value number 1 is not JSON" in warning


@pytest.mark.parametrize("body", ['{"a" 1}', '{"a": }', "{title: x}", "no JSON", '{"a": "b', '["a" "b"]', '{"a":1,,}'])
def test_what_means_nothing_certain_is_refused(body):
    with pytest.raises(BadPayload, match="the body is not JSON"):
        read_body(body.encode())


@given(json_values)
def test_what_is_json_is_not_changed(value):
    text = json.dumps(value, ensure_ascii=False)

    assert repaired(text) == text


@pytest.mark.parametrize("unit", ['"', "“", "\\", ",", ", ", '"\\', "“\\", '",', "{“"])
def test_a_large_body_of_faults_takes_no_long_time(unit):
    text = unit * (100_000 // len(unit))

    began = time.perf_counter()
    repaired(text)

    assert time.perf_counter() - began < 10  # a quadratic look would take minutes


def test_a_body_that_is_too_large_to_be_repaired_is_refused():
    with pytest.raises(BadPayload, match="the body is not JSON"):
        read_body(b'{"title": "T",' + b" " * LENIENT_MAX + b"}")


@pytest.mark.parametrize("name", ["payload", "data", "json"])
def test_a_form_is_read_by_the_json_in_it(name):
    body = urlencode({"token": "x", name: json.dumps({"title": "Disk full & more"})})

    assert read_body(body.encode()) == (False, [{"title": "Disk full & more"}], [])


def test_a_form_without_json_is_read_by_its_fields():
    assert read_body(b"Status=Down&Name=shop&Url=https%3A%2F%2Fx.example%2F") == (
        False,
        [{"Status": "Down", "Name": "shop", "Url": "https://x.example/"}],
        [],
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x28\xb5\x2f\xfd\x04\x00", "packed with zstd"),
        (b"\x1f\x8b\x08\x00", "Content-Encoding: gzip"),
        (b"\xff\x06\x00\x00sNaPpY", "packed with snappy"),
        (b"\x91\x82\xa4date\xcb\x41\xda", r"Fluent Bit: Format json"),
        (b"\xdc\x00\x01\x82\xa4date\xcb\x41\xda", "MessagePack"),
        (b'--x\r\nContent-Disposition: form-data; name="payload"\r\n\r\n{}', "form in parts"),
        (b"<?xml version='1.0'?>", "XML"),
    ],
    ids=["zstd", "gzip", "snappy", "a list of Fluent Bit", "a long list", "parts", "XML"],
)
def test_a_body_of_another_kind_is_refused_with_what_to_do(body, said):
    with pytest.raises(BadPayload, match=said):
        read_body(body)
