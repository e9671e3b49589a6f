"""Whatever bytes come, they are read or refused with a sentence, and no good element is lost beside a bad one."""

import json
from contextlib import suppress

import msgspec
import orjson
import pytest
from multidict import MultiDict

from tests.support.fuzzing import share
from tests.support.nasty import GOOD, Nasty
from tests.support.payloads import assert_is_sound
from versus_py import sources
from versus_py.config import MAX_WAIT_MINUTES
from versus_py.engine.policies import Policies
from versus_py.errors import BadPayload, NotAnAlert, WrongAddress
from versus_py.systems import model
from versus_py.targets.slack.press import read_presses
from versus_py.web.intake.overrides import override_names, read_overrides
from versus_py.web.intake.reading import read_body


def read(body):
    try:
        return read_body(body)
    except BadPayload as exc:
        refusal = str(exc)
    assert 0 < len(refusal) < 1000
    orjson.dumps(refusal)  # so that it can be answered
    return False, [], []


def test_every_body_is_payloads_or_refused(nasty: Nasty):
    for number in share("read_body", 30):
        body = nasty.body()
        try:
            _, payloads, warnings = read(body)
        except Exception as exc:
            raise AssertionError(f"body {number}: {body[:2000]!r}") from exc
        orjson.dumps(warnings)
        assert all(isinstance(it, dict) for it in payloads)


@pytest.mark.parametrize("name", [None, *sources.SOURCES])
def test_every_payload_is_read_by_every_source_or_no_alert(nasty: Nasty, name):
    for number in share("sources", 5):
        _, payloads, _ = read(nasty.json_text().encode(errors="surrogatepass"))
        for payload in payloads:
            try:
                with suppress(NotAnAlert, WrongAddress):
                    found = sources.parse(payload, model()().sources, name)
                    assert_is_sound(found)
                    msgspec.json.encode(found)  # as it is stored
            except Exception as exc:
                raise AssertionError(f"payload {number}: {str(payload)[:2000]}") from exc


def test_good_elements_are_kept_whatever_stands_beside_them(nasty: Nasty):
    for _ in share("arrays", 10):
        elements = [nasty.element() for _ in range(nasty.random.randrange(1, 4))]
        marked = [json.dumps(GOOD | {"id": str(number)}) for number in range(2)]
        text = f"[{marked[0]}, {', '.join(elements)}, {marked[1]}]"

        _, payloads, _ = read(text.encode(errors="surrogatepass"))

        found = [it for it in payloads if it.get("title") == GOOD["title"] and it.get("id") in {"0", "1"}]
        assert len(found) == 2, text[:2000]


def test_every_query_comes_to_a_policy(nasty: Nasty):
    settings = {"alert": {"slack": {"enable": True, "token": "xoxb-1", "channel_id": "C0ALERTS"}}}
    config = model().model_validate(settings)
    for _ in share("overrides", 5):
        query = MultiDict(nasty.query())

        found = read_overrides(query, config)

        policy = Policies(config).for_labels({}, 0, found.asked)
        assert policy.channels == ("slack",), query
        assert 0 <= (policy.wait_ms or 0) <= MAX_WAIT_MINUTES * 60_000, query
        assert found.warnings or query.keys() <= set(override_names(model()())), query


def test_every_interaction_is_presses_or_refused(nasty: Nasty):
    for _ in share("presses", 5):
        payload = nasty.interaction()
        with suppress(BadPayload):
            assert all(press.user_id and press.request_id for press in read_presses(payload)), payload
