"""Secrets in what senders post."""

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.payloads import json_values
from versus_py.incidents import redaction
from versus_py.incidents.redaction import LEVELS_MAX, REMOVED, may_change, redacted

HIDDEN = "Hunter2-r0"


@pytest.mark.parametrize(
    "name",
    [
        "routing_key",
        "service_key",
        "api_key",
        "token",
        "password",
        "secret",
        "authorization",
        "Authorization",
        "API-KEY",
        "routingKey",
        "apiKey",
        "accessToken",
        "x-api-key",
        "X-Auth-Token",
        "slackToken",
        "clientSecret",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "privateKey",
        "Set-Cookie",
        "cookies",
        "credentials",
        "pwd",
        "pass",
        "token2",
        "auth",
        "dsn",
        "connection_string",
        "sessionId",
        "passwords",
    ],
)
def test_what_is_called_a_secret_is_removed_in_any_spelling_at_any_depth(name):
    payload = {"a": [{name: HIDDEN, "b": {name: {"nested": HIDDEN}}}], name: [HIDDEN], "keyless": "kept"}

    found = redacted(payload)

    assert HIDDEN not in str(found)
    assert found["a"][0][name] == REMOVED
    assert found["keyless"] == "kept"


@pytest.mark.parametrize(
    "kept",
    [
        {"secretName": "db-tls", "token_type": "bearer", "keyless": "x", "monkey": "x", "passing": "x"},
        {"has_token": True, "password": False, "secret": "", "token": None},
        {"tokens": 4096, "pass": 12, "fail": 2},
        {"message": "cannot refresh token: connection refused"},
        {"message": "Bearer authentication failed, Basic Authentication too"},
        {"url": "https://grafana.example/d/abc?orgId=1&from=now-1h&var-host=db-7#panel"},
        {"url": "https://example.com/@ana/page", "mail": "ana@example.com"},
        {"note": "max_tokens=4096 has_token=true user=ana"},
        {"when": "2026-05-04T10:00:00Z", "expr": 'rate(http_requests_total{job="api"}[5m]) > 1'},
        {"text": '{"title": "Disk",  "n": 1}', "list": "[FIRING:1] Disk"},
        {"tags": ["env", "token"], "name": "Disk", "value": 3},
    ],
)
def test_what_is_no_secret_stays_as_it_was_posted(kept):
    assert redacted(kept) == kept


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:Hunter2-r0@host/path", f"https://{REMOVED}@host/path"),
        ("see redis://:Hunter2-r0@cache:6379/0.", f"see redis://{REMOVED}@cache:6379/0."),
        ("https://Hunter2-r0@github.com/a", f"https://{REMOVED}@github.com/a"),
        ("https://u:p@Hunter2-r0@host", f"https://{REMOVED}@host"),
        ("https://x/y?a=1&token=Hunter2-r0&b=2", f"https://x/y?a=1&token={REMOVED}&b=2"),
        ("https://x/y?apiKey=Hunter2-r0#top", f"https://x/y?apiKey={REMOVED}#top"),
        ("https://x/y?key=Hunter2-r0", f"https://x/y?key={REMOVED}"),
        ("https://b.s3/x?X-Amz-Signature=Hunter2-r0", f"https://b.s3/x?X-Amz-Signature={REMOVED}"),
        ("https://hooks.slack.com/services/T1/B2/Hunter2-r0", f"https://hooks.slack.com/{REMOVED}"),
        ("login failed password=Hunter2-r0 user=ana", f"login failed password={REMOVED} user=ana"),
        ("psql password='Hunter2-r0 x' -h db", f"psql password='{REMOVED}' -h db"),
        ("auth_token=Bearer Hunter2-r0 ok", f"auth_token={REMOVED} ok"),
        ("--api-key=Hunter2-r0", f"--api-key={REMOVED}"),
        ("Authorization: Basic Hunter2-r0", f"Authorization: {REMOVED}"),
        ("GET / HTTP/1.1\r\nCookie: a=Hunter2-r0\r\nHost: x", f"GET / HTTP/1.1\r\nCookie: {REMOVED}\r\nHost: x"),
        ("curl -H 'X-Auth-Token: Hunter2-r0'", f"curl -H 'X-Auth-Token: {REMOVED}"),
        ("user: ana\npassword: Hunter2-r0\n", f"user: ana\npassword: {REMOVED}\n"),
        ("got Bearer Hunter2-r0, refused", f"got Bearer {REMOVED}, refused"),
        ("""body: {"token": "Hunter2-r0", "n": 1}""", f"""body: {{"token": "{REMOVED}", "n": 1}}"""),
        ("body: {'apiKey': 'Hunter2-r0'}", f"body: {{'apiKey': '{REMOVED}'}}"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nHunter2\n-----END RSA PRIVATE KEY-----\nmore",
            f"{REMOVED}\nmore",
        ),
        ("xoxb-12345678-Hunter2r0", REMOVED),
    ],
)
def test_a_text_loses_its_secrets_and_nothing_else(text, expected):
    assert redacted({"log": [text]}) == {"log": [expected]}


@pytest.mark.parametrize(
    "headers",
    [
        [{"name": "Authorization", "value": HIDDEN}, {"name": "Accept", "value": "kept"}],
        [{"key": "x-api-key", "value": {"stringValue": HIDDEN}}, {"key": "a", "value": {"stringValue": "kept"}}],
        [["Authorization", HIDDEN], ["Accept", "kept"]],
        ["Accept", "kept", "X-Auth-Token", HIDDEN],
        ["Accept: kept", f"X-Api-Key: {HIDDEN}"],
        ["kept", "--token", HIDDEN],
        {"Accept": "kept", "Cookie": [HIDDEN]},
    ],
)
def test_lists_of_headers_and_options_lose_the_values_of_secrets(headers):
    found = str(redacted({"request": {"headers": headers}}))

    assert HIDDEN not in found
    assert "kept" in found


def test_json_in_texts_loses_its_secrets_however_often_it_was_put_into_another():
    inner = json.dumps({"apiKey": HIDDEN, "host": "db-7"})
    payload = {"Message": json.dumps({"detail": inner, "url": f"https://a:{HIDDEN}@b"})}

    found = redacted(payload)

    assert HIDDEN not in str(found)
    assert json.loads(json.loads(found["Message"])["detail"]) == {"apiKey": REMOVED, "host": "db-7"}


def test_what_is_too_deep_to_look_at_is_not_kept():
    payload: dict[str, object] = {"token": HIDDEN}
    for _ in range(LEVELS_MAX + 5):
        payload = {"next": payload}

    assert HIDDEN not in str(redacted(payload))
    assert HIDDEN not in str(redacted({"text": "[" * 3000 + f'{{"token": "{HIDDEN}"}}' + "]" * 3000}))


def test_the_name_of_a_field_loses_its_secrets_too():
    assert redacted({f"https://a:{HIDDEN}@b": 1}) == {f"https://{REMOVED}@b": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500_000,
        "a=" * 250_000,
        "://" * 160_000,
        "-" * 500_000,
        "'a':" * 120_000,
        "x-token" * 70_000,
        " " * 500_000,
    ],
    ids=lambda it: it[:8],
)
def test_the_time_that_it_takes_grows_with_the_text_only(text):
    began = time.process_time()

    redacted({"text": text})

    assert time.process_time() - began < 5


@given(json_values)
def test_whatever_was_posted_is_taken(value):
    redacted({"value": value})


FRAGMENTS = ["TOKEN", "passé", "\u017fecret", "ghp_", "key", "\u212aey", "=", ": ", "\n", "?sig=", "Bearer ", "x" * 24]
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=8).map("".join)


@given(TEXTS)
def test_what_saves_time_changes_nothing(value):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redaction, "_has_no_word", lambda _: False)
        patched.setattr(redaction, "_known_text", redaction._clean)
        slowly = redacted({value: value})

    assert redacted({value: value}) == slowly


NAMES = ["to-ken", "to\tken", 'to"ken', "api k\ney", "api_Key", "Pass.Wd", "client secret", "jw-t", "groupKey", "x-sig"]
NAMES += ["co\\okie", "userPass", "name", "value", "a"]
SAID = ['{"to\\u006ben": "r0"}', "https://a:r0@b", r'{"url": "https:\/\/ben:r0@host"}', '{"to\\tken": "r0"}', *NAMES]
VALUES = TEXTS | st.sampled_from(SAID) | st.integers(0, 9) | st.none()
OBJECTS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(OBJECTS)
def test_what_may_not_change_does_not(value):
    for payload in ({"value": value}, {"said": json.dumps(value)}):  # each by itself: one must not hide the other
        assert may_change(payload, orjson.dumps(payload)) or redacted(payload) == payload


@pytest.mark.parametrize(
    "payload",
    [
        {"text": r'{"url": "https:\/\/ben:r0@host"}'},
        {"to\tken": "r0"},
        {'to"ken': "r0"},
        {"api k\ney": "r0"},
        {"text": json.dumps({"to\tken": "r0"})},
        {"name": "to\nken", "value": "r0"},
        {"args": ["--to\tken", "r0"]},
    ],
    ids=str,
)
def test_what_json_writes_otherwise_hides_no_secret(payload):
    assert redacted(payload) != payload
    assert may_change(payload, orjson.dumps(payload))


def test_what_is_nested_too_deep_may_change():
    payload: dict[str, Any] = {}
    for _ in range(LEVELS_MAX):
        payload = {"next": [payload]}

    assert redacted(payload) != payload
    assert may_change(payload, orjson.dumps(payload))


def test_what_most_senders_post_may_not_change():
    labels = {"alertname": "HighLatency", "severity": "critical", "namespace": "shop", "instance": "10.0.0.7:9090"}
    alert = {"labels": labels, "annotations": {"runbook_url": "https://wiki/x?id=1"}, "status": "firing"}
    payload = {"groupKey": '{}:{alertname="HighLatency"}', "groupLabels": labels, "alerts": [alert]}

    assert not may_change(payload, orjson.dumps(payload))
