"""What requests mean, over HTTP: answers, refusals, and what a person sees who clicks the link."""

import asyncio
import io
import re
import time
from urllib.parse import urlsplit

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from fakeredis import FakeAsyncRedis, FakeServer

from tests.integration.conftest import CHANNEL, make_storms
from versus_py.ack_links import AckLinks
from versus_py.config import CloudWatchConfig
from versus_py.engine.lifecycle import Lifecycle
from versus_py.sources.sns import SnsDoor
from versus_py.store import Store, keys
from versus_py.systems import model
from versus_py.web import create_app
from versus_py.web.accepting import WARNINGS_MAX

HTML = {"Accept": "text/html,application/xhtml+xml"}
ALERT = {"title": "Disk full", "id": "d1", "severity": "high"}
ON_THIS_MACHINE = {"public_host": None}


async def ack_path(engine, payload=None) -> str:
    """The path and query of the acknowledge link of a new incident."""
    [created] = (await engine.post(payload or ALERT))["incidents"]
    split = urlsplit(engine.links.url(await engine.store.get(created["id"])))
    return f"{split.path}?{split.query}"


# Intake


async def test_a_single_object_is_answered_with_its_incident(engine):
    body = await engine.post(ALERT)

    [created] = body["incidents"]
    assert body["status"] == "Incident created"
    assert "count" not in body
    assert created["status"] == "triggered"
    assert created["escalates_at"].endswith("Z")


async def test_an_array_is_accepted_element_by_element(engine):
    body = await engine.post([ALERT, 3, {"title": "Other"}, "text", None, ["x"], True])

    assert (body["status"], body["count"], len(body["incidents"])) == ("Incidents created", 2, 2)
    assert body["warnings"] == [
        "element 1 is a JSON number, not an object, and was left out",
        "element 3 is a JSON string, not an object, and was left out",
        "element 4 is a JSON null, not an object, and was left out",
        "element 5 is a JSON array, not an object, and was left out",
        "element 6 is a JSON boolean, not an object, and was left out",
    ]


async def test_a_request_with_much_to_warn_of_does_not_fill_the_log(engine, logs):
    body = await engine.post([ALERT, *range(4999)])

    assert len(body["warnings"]) == WARNINGS_MAX + 1
    assert body["warnings"][-1] == f"and {4999 - WARNINGS_MAX} further warnings"
    assert len([line for line in logs if line["event"] == "intake.warning"]) == WARNINGS_MAX + 1


@pytest.mark.parametrize("content_type", ["text/plain; charset=UTF-8", "application/x-www-form-urlencoded", ""])
async def test_the_content_type_does_not_matter(engine, content_type):
    response = await engine.http.post(
        "/api/incidents", data=orjson.dumps(ALERT), headers={"Content-Type": content_type}
    )

    assert response.status == 201


async def test_bytes_that_are_no_utf8_do_not_cost_the_alert(engine):
    response = await engine.http.post("/api/incidents", data=b'\xef\xbb\xbf{"title": "caf\xe9"}')

    assert response.status == 201


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": "lone \\ud800 surrogate"}',
        b'{"title": "x", "value": NaN}',
        b'{"title": "x", "value": 1' + b"0" * 400 + b"}",
        '{"title": "x"}'.encode("utf-16"),
        b'[{"title": "good"}, {"title": "\\udc00"}]',
        b'{"title": "x", "startsAt": "9999-12-31T23:59:59-12:00", "id": "far"}',
    ],
)
async def test_odd_json_does_not_cost_the_alert(engine, body):
    response = await engine.http.post("/api/incidents", data=body)

    assert response.status == 201
    await engine.settle()
    assert engine.slack.messages
    for incident in (await response.json())["incidents"]:
        await engine.detail(incident["id"])


async def test_a_broken_compression_is_refused(engine):
    response = await engine.http.post("/api/incidents", data=b"not gzip", headers={"Content-Encoding": "gzip"})

    assert response.status == 400
    assert "error" in await response.json()


async def test_a_storm_on_one_incident_is_accepted_whole(engine):
    answers = await asyncio.gather(*(engine.post(ALERT) for _ in range(80)))

    assert sum(answer["incidents"][0]["outcome"] == "created" for answer in answers) == 1
    assert (await engine.store.page()).incidents[0].occurrences == 80


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is empty"),
        (b"  \n", "the body is empty"),
        (b"not json", "the body is not JSON"),
        (b'{"a": ', "the body is not JSON"),
        (b'"text"', "the body is a JSON string"),
        (b"17", "the body is a JSON number"),
        (b"null", "the body is a JSON null"),
        (b"[]", "the array holds no JSON object"),
        (b"[1, 2]", "the array holds no JSON object"),
        (b"[" * 100_000, "the body is not JSON"),
    ],
)
async def test_what_is_no_payload_is_refused_with_a_sentence(engine, body, said):
    response = await engine.http.post("/api/incidents", data=body)

    assert response.status == 400
    assert said in (await response.json())["error"]
    assert (
        "send a JSON object" in (await response.json())["error"]
        or "send at least one" in (await response.json())["error"]
    )


async def test_a_body_that_is_too_large_is_refused_with_a_sentence(engine):
    response = await engine.http.post("/api/incidents", data=io.BytesIO(b" " * (1024 * 1024 + 1)))

    assert response.status == 413
    assert "larger than 1048576 bytes" in (await response.json())["error"]


async def test_an_array_with_too_many_elements_is_refused(engine):
    response = await engine.http.post("/api/incidents", data=b"[" + b"{}," * 5000 + b"{}]")

    assert response.status == 413
    assert "at most 5000" in (await response.json())["error"]


async def test_a_body_that_never_ends_is_given_up(engine, monkeypatch):
    monkeypatch.setattr("versus_py.web.intake.intake.BODY_TIMEOUT_S", 0.1)

    async def endless():
        yield b"{"
        await asyncio.Event().wait()

    response = await engine.http.post("/api/incidents", data=endless())

    assert response.status == 408


async def test_the_body_is_logged_only_when_asked_for(engine, logs):
    await engine.post(ALERT)

    assert "intake.body" not in [line["event"] for line in logs]


@pytest.fixture
async def broken(session):
    """An application whose Redis is gone, and the switch that brings it back."""
    server = FakeServer()
    server.connected = False
    async with FakeAsyncRedis(server=server, decode_responses=True) as redis:
        store = Store(redis, retention_ms=1000_000, reopen_ms=1000)
        lifecycle = Lifecycle(store, _Now())
        links = AckLinks("http://x", _Now(), "key")
        app = create_app(
            model()(),
            store=store,
            lifecycle=lifecycle,
            storms=make_storms(store),
            links=links,
            sns=SnsDoor(CloudWatchConfig(), session),
        )
        async with TestClient(TestServer(app)) as http:
            yield http, server, links


class _Now:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


async def test_while_redis_is_gone_the_answer_is_503_and_nothing_is_said_to_be_accepted(broken):
    http, server, _ = broken

    response = await http.post("/api/incidents", json=ALERT)

    assert response.status == 503
    assert response.headers["Retry-After"] == "5"
    assert "send it again" in (await response.json())["error"]
    server.connected = True
    assert (await http.post("/api/incidents", json=ALERT)).status == 201


@pytest.mark.parametrize("path", ["/api/incidents", "/api/incidents/x-0"])
async def test_while_redis_is_gone_reading_is_503_too(broken, path):
    assert (await broken[0].get(path)).status == 503


async def test_the_process_is_healthy_without_redis(broken):
    assert (await broken[0].get("/healthz")).status == 200


async def test_news_of_an_incident_that_a_newer_version_wrote_is_to_be_sent_again(engine, logs):
    answer = await engine.post({"title": "Disk", "dedup_key": "disk"})
    incident_id = answer["incidents"][0]["id"]
    await engine.store._redis.hset(keys.incident(incident_id), "status", "of a newer version")

    response = await engine.http.post("/api/incidents", json={"title": "Disk", "dedup_key": "disk"})

    assert response.status == 503
    assert response.headers["Retry-After"] == "5"
    assert incident_id in (await response.json())["error"]
    logs.expect_error("request.unreadable")


async def test_what_nobody_expected_is_a_plain_500(engine, logs, monkeypatch):
    async def crash(*_args):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(engine.lifecycle, "accept", crash)

    response = await engine.http.post("/api/incidents", json=ALERT)

    assert response.status == 500
    assert await response.json() == {"error": "internal error; the log says more"}
    logs.expect_error("request.crashed")


# The link that acknowledges


async def test_a_get_changes_nothing_and_answers_a_page_that_posts(engine):
    path = await ack_path(engine)
    for _ in range(3):
        response = await engine.http.get(path, headers=HTML)
    page = await response.text()

    assert response.status == 200
    assert '<form method="post"' in page
    assert "<button" in page
    assert (await engine.store.page()).incidents[0].status == "triggered"


async def test_pages_are_strict_about_what_they_load(engine):
    response = await engine.http.get(await ack_path(engine), headers=HTML)

    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert "script-src" not in response.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in response.headers["Content-Security-Policy"]
    assert "<script" not in await response.text()
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_post_from_a_browser_shows_the_result(engine):
    path = await ack_path(engine)

    first = await engine.http.post(path, headers=HTML)
    second = await engine.http.post(path, headers=HTML)
    looked = await engine.http.get(path, headers=HTML)

    assert first.status == 201
    assert "<span>Acknowledged. ServiceNow will not be called.</span>" in await first.text()
    assert second.status == 200
    assert "Already acknowledged" in await second.text()
    assert "Already acknowledged" in await looked.text()
    assert "form" not in await looked.text()


async def test_the_page_says_what_fires_how_grave_it_is_and_since_when(engine):
    labels = {"alertname": "KubePodCrashLooping", "severity": "critical", "namespace": "shop"}
    annotations = {"description": "5 restarts <b>", "runbook_url": "https://wiki.example/crash"}
    alerts = [
        {
            "status": "firing",
            "labels": labels | {"pod": pod},
            "annotations": annotations,
            "startsAt": "2026-05-04T10:20:00Z",
        }
        for pod in ("a-1", "b-2")
    ]
    path = await ack_path(engine, {"groupKey": "g", "alerts": alerts, "externalURL": "http://am"})

    page = await (await engine.http.get(path, headers=HTML)).text()

    shown = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Triggered KubePodCrashLooping Critical since 04 May 10:20 UTC" in shown
    assert 'title="2026-05-04 10:20:00 UTC"' in page
    assert "5 restarts &lt;b&gt;" in page
    assert "Where namespace= shop Alerts 2 alerts What differs pod=a-1 pod=b-2 Next" in shown
    assert [pod for pod in ("a-1", "b-2") if f"<b>pod={pod}</b>" in page] == ["a-1", "b-2"]
    assert "ServiceNow is notified, unless somebody acknowledges it" in shown
    assert "People Nobody has acted yet" in shown
    assert 'href="https://wiki.example/crash"' in page
    assert 'href="http://am"' in page
    incident_id = path.split("?")[0].rpartition("/")[2]
    assert f'href="/incidents/{incident_id}" rel="noreferrer">Open the incident' in page


async def test_who_acknowledges_may_say_a_name_and_others_see_who_did_what(engine):
    path = await ack_path(engine)
    incident_id = path.split("?")[0].rpartition("/")[2]
    said = {"by": "Ben Okafor", "text": "a secret of the thread"}
    await engine.http.post(f"/api/incidents/{incident_id}/comments", json=said)

    page = await (await engine.http.post(path, headers=HTML, data={"name": " Ana\n<Diaz> "})).text()

    shown = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    found = await engine.store.get(incident_id)
    assert found.acknowledged_by.name == "Ana <Diaz>, by the ACK link"
    assert re.search(r"Ben Okafor commented at \d\d:\d\d UTC Ana &lt;Diaz&gt;, by the ACK link acknowledged at", shown)
    assert "a secret of the thread" not in page


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"name": "Ana"}'),
        ("application/x-www-form-urlencoded", b"\xff\xfe=1"),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(50))),
    ],
    ids=["json", "no text", "many fields"],
)
async def test_a_body_that_is_no_form_of_ours_acknowledges_as_none_does(engine, kind, body):
    response = await engine.http.post(await ack_path(engine), data=body, headers={"Content-Type": kind})

    assert (response.status, (await response.json())["acknowledged_by"]) == (201, "the ACK link")


async def test_the_page_offers_the_name_that_the_browser_keeps(engine):
    path = await ack_path(engine)
    cookie = {"Cookie": "__Host-versus-name=Ana%20%22D%22"}

    assert 'name="name" value="Ana &#34;D&#34;"' in await (await engine.http.get(path, headers=HTML | cookie)).text()


async def test_to_a_browser_a_link_that_is_refused_is_a_page_that_leads_on(engine):
    response = await engine.http.get("/api/ack/x-1?exp=1&sig=0", headers=HTML)

    page = await response.text()
    assert response.status == 401
    assert "<h1>This link is not valid</h1>" in page
    assert '<a class="btn" href="/" rel="noreferrer">Open all incidents</a>' in page
    assert "<form" not in page


@pytest.mark.parametrize("settings", [{"public_host": "https://example.com/versus"}])
async def test_below_a_path_every_link_of_the_page_begins_with_it(engine):
    path = (await ack_path(engine)).removeprefix("/versus")  # as the proxy does

    page = await (await engine.http.get(path, headers=HTML)).text()

    assert '<a class="btn" href="/versus/incidents/' in page
    assert {it.partition("/static/")[0] for it in re.findall(r'<link [^>]*href="([^"]*)"', page)} == {"/versus"}
    assert '<form method="post" action=""' in page


async def test_the_page_leads_back_to_the_channel(engine, slack_url):
    path = await ack_path(engine)
    await engine.settle()

    page = await (await engine.http.post(path, headers=HTML)).text()

    assert f'href="{slack_url}/app_redirect?channel={CHANNEL}" rel="noreferrer">Back to the channel' in page


async def test_a_post_from_a_program_is_answered_in_json(engine):
    path = await ack_path(engine)

    question = await (await engine.http.get(path)).json()
    first = await engine.http.post(path)
    second = await engine.http.post(path)

    assert question["message"] == "POST to this URL to acknowledge"
    assert (first.status, second.status) == (201, 200)
    assert (await first.json())["acknowledged_by"] == "the ACK link"
    assert (await second.json())["message"].startswith("Already acknowledged. By the ACK link")


async def test_acknowledging_something_resolved_says_so(engine):
    path = await ack_path(engine)
    await engine.post(ALERT | {"status": "resolved"})

    response = await engine.http.post(path)

    assert response.status == 200
    assert (await response.json())["message"].startswith("Already resolved. By generic")


async def test_an_incident_that_never_escalates_says_so(engine):
    [created] = (await engine.post(ALERT, oncall_enable="false"))["incidents"]
    split = urlsplit(engine.links.url(await engine.store.get(created["id"])))

    response = await engine.http.post(f"{split.path}?{split.query}")

    assert "does not escalate" in (await response.json())["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("damage", ["no query", "no sig", "other sig", "other incident", "later expiry", "odd"])
async def test_a_link_that_is_not_ours_is_refused(engine, method, damage):
    path = await ack_path(engine)
    other = urlsplit(await ack_path(engine, {"title": "Other", "id": "d2"}))
    bare, _, query = path.partition("?")
    expires, signature = (pair.partition("=")[2] for pair in query.split("&"))
    damaged = {
        "no query": bare,
        "no sig": f"{bare}?exp={expires}",
        "other sig": f"{bare}?exp={expires}&sig={'0' * 64}",
        "other incident": f"{other.path}?{query}",
        "later expiry": f"{bare}?exp={int(expires) + 1}&sig={signature}",
        "odd": f"{bare}?exp=%00&sig=%ff%fe",
    }[damage]

    response = await engine.http.request(method, damaged)

    assert response.status == 401
    assert "error" in await response.json()
    assert {incident.status for incident in (await engine.store.page()).incidents} == {"triggered"}


async def test_an_expired_link_is_refused_and_says_what_to_do(engine):
    path = await ack_path(engine)
    engine.clock.advance(hours=49)

    response = await engine.http.post(path, headers=HTML)

    assert response.status == 403
    assert "expired" in await response.text()


@pytest.mark.parametrize(
    "slack_settings",
    [
        pytest.param({"signing_secret": "s", "allowed_users": ["U0ANA"]}, id="users"),
        pytest.param({"signing_secret": "s", "allowed_groups": ["S0ONCALL"]}, id="groups"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_where_only_some_may_act_a_link_from_before_acknowledges_no_more(engine, method):
    path = await ack_path(engine)

    response = await engine.http.request(method, path)
    page = await engine.http.request(method, path, headers=HTML)

    assert (response.status, page.status) == (403, 403)
    assert "buttons in Slack" in (await response.json())["error"]
    assert "buttons in Slack" in await page.text()
    assert "form" not in await page.text()
    assert (await engine.store.page()).incidents[0].status == "triggered"


@pytest.mark.parametrize("slack_settings", [{"signing_secret": "s", "allowed_users": ["U0ANA"]}])
async def test_where_only_some_may_act_a_link_that_is_not_ours_is_refused_as_ever(engine):
    path, _, _ = (await ack_path(engine)).partition("?")

    assert (await engine.http.post(path)).status == 401


@pytest.mark.parametrize("slack_settings", [{"signing_secret": "s", "actions": {"acknowledge": False}}])
async def test_a_link_acknowledges_also_where_slack_has_no_button_for_it(engine):
    assert (await engine.http.post(await ack_path(engine))).status == 201


async def test_a_link_to_an_incident_that_is_forgotten_is_404(engine, clock):
    path = await ack_path(engine)
    incident = (await engine.store.page()).incidents[0]
    await engine.store._redis.delete(keys.incident(incident.id))

    assert (await engine.http.get(path)).status == 404
    assert (await engine.http.post(path)).status == 404


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods_do_nothing(engine, method):
    response = await engine.http.request(method, await ack_path(engine))

    assert response.status == 405
    assert (await engine.store.page()).incidents[0].status == "triggered"


async def test_titles_are_escaped_on_the_page(engine):
    path = await ack_path(engine, {"title": "<script>alert(1)</script>", "id": "x"})

    page = await (await engine.http.get(path, headers=HTML)).text()

    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(("name", "status"), [("ui.css", 200), ("ack.html", 404), ("..%2fapp.py", 404), ("x", 404)])
async def test_only_the_known_files_are_served(engine, name, status):
    assert (await engine.http.get(f"/static/{name}")).status == status


# Reading and acting


async def test_incidents_are_listed_newest_first_by_pages(engine):
    for number in range(5):
        await engine.post({"title": f"T{number}"})
        engine.clock.advance(ms=1)

    first = await (await engine.http.get("/api/incidents?limit=3")).json()
    rest = await (await engine.http.get("/api/incidents", params={"limit": 3, "cursor": first["next"]})).json()

    assert [it["title"] for it in first["incidents"] + rest["incidents"]] == ["T4", "T3", "T2", "T1", "T0"]
    assert rest["next"] is None


async def test_incidents_are_filtered_by_status(engine):
    [first] = (await engine.post({"title": "A"}))["incidents"]
    await engine.post({"title": "B"})
    await engine.http.post(f"/api/incidents/{first['id']}/acknowledge?by=ana")

    listed = await (await engine.http.get("/api/incidents?status=acknowledged")).json()

    assert [(it["title"], it["acknowledged_by"]) for it in listed["incidents"]] == [("A", "ana")]


async def test_incidents_are_searched_for(engine):
    await engine.post({"title": "Alpha", "severity": "warning", "team": "storage"})
    await engine.post({"title": "Beta", "severity": "critical"})

    for query, found in {
        "q=team=storage": ["Alpha"],
        "severity=p1": ["Beta"],
        "from=2000-01-01&to=2001-01-01": [],
        "q=beta": ["Beta"],
    }.items():
        listed = await (await engine.http.get(f"/api/incidents?{query}")).json()
        assert [it["title"] for it in listed["incidents"]] == found, query


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=odd", "allowed: triggered, acknowledged, resolved"),
        ("limit=0", "allowed: 1 to 200"),
        ("limit=201", "allowed: 1 to 200"),
        ("limit=x", "allowed: 1 to 200"),
        ("cursor=x", "cursor is not one"),
        ("outcome=odd", "allowed: acknowledged, resolved"),
        ("q=a==b", "has a value that has to be in double quotes as a whole"),
        ("from=soon", "from: 'soon' is no time"),
        ("failed=true&status=triggered", "failed=true and status exclude each other"),
        ("failed=true&q=x", "failed=true and q exclude each other"),
    ],
)
async def test_wrong_parameters_of_the_list_are_refused_with_a_sentence(engine, query, said):
    response = await engine.http.get(f"/api/incidents?{query}")

    assert response.status == 400
    assert said in (await response.json())["error"]


async def test_an_incident_is_shown_with_everything(engine):
    [created] = (await engine.post(ALERT))["incidents"]
    await engine.settle()

    shown = await engine.detail(created["id"])

    assert shown["alerts"][0]["labels"]["severity"] == "high"
    assert shown["deliveries"]["slack"]["label"].startswith("message ")
    assert shown["overview"]["count"] == "1 alert"
    assert [entry["event"] for entry in shown["timeline"]] == ["triggered", "posted"]
    steps = shown["policy"].pop("steps")
    assert [it["states"] for it in steps] == [{"slack": "told"}, {"servicenow": "pending"}]
    assert shown["policy"] == {
        "name": None,
        "channels": ["slack"],
        "oncall": "servicenow",
        "fallback": None,
        "wait_minutes": 5.0,
        "ack_timeout_minutes": 0.0,
        "destinations": {},
    }


@pytest.mark.parametrize("action", ["acknowledge", "resolve"])
async def test_acting_is_201_the_first_time_and_200_after(engine, action):
    [created] = (await engine.post(ALERT))["incidents"]
    path = f"/api/incidents/{created['id']}/{action}"

    first = await engine.http.post(path, json={"by": "ana"})
    second = await engine.http.post(path, json={"by": "ben"})

    assert (first.status, second.status) == (201, 200)
    assert (await second.json())[f"{action.rstrip('e')}ed_by"] == "ana"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"by": ""}', b'{"by": 3}', b"[]", b"odd", b'{"by": "' + b"x" * 101 + b'"}']
)
async def test_acting_needs_a_name(engine, body):
    [created] = (await engine.post(ALERT))["incidents"]

    response = await engine.http.post(f"/api/incidents/{created['id']}/acknowledge", data=body)

    assert response.status == 400
    assert '{"by": "your name"}' in (await response.json())["error"]


@pytest.mark.parametrize("incident_id", ["x", "x-0", "0-99", "%00", "{0}", "..", "%F0%9F%92%A5-1"])
async def test_an_unknown_incident_is_404(engine, incident_id):
    assert (await engine.http.get(f"/api/incidents/{incident_id}")).status == 404
    assert (await engine.http.post(f"/api/incidents/{incident_id}/resolve?by=ana")).status == 404


@pytest.mark.parametrize("settings", [ON_THIS_MACHINE])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Port": "443"},
        {"X-Real-IP": "127.0.0.1"},
        {"True-Client-IP": "127.0.0.1"},
        {"X-Original-URI": "/"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "evil.example:3000"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_without_a_secret_only_programs_on_this_machine_may_read_and_act(engine, headers):
    [created] = (await engine.post(ALERT))["incidents"]

    read = await engine.http.get("/api/incidents", headers=headers)
    acted = await engine.http.post(f"/api/incidents/{created['id']}/resolve?by=evil", headers=headers)

    assert (read.status, acted.status) == (403, 403)
    assert "gateway_secret" in (await read.json())["error"]


@pytest.mark.parametrize("settings", [ON_THIS_MACHINE])
async def test_without_a_secret_what_stock_nginx_passes_on_is_refused(engine):
    """It asks in HTTP/1.0, for the host that it was told to pass on to, and says nothing of for whom."""
    statuses = [await status_of_raw(engine, version) for version in ("1.1", "1.0")]

    assert statuses == [200, 403]


async def status_of_raw(engine, version):
    reader, writer = await asyncio.open_connection(engine.http.host, engine.http.port)
    head = f"GET /api/incidents HTTP/{version}\r\nHost: 127.0.0.1:{engine.http.port}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


@pytest.mark.parametrize("settings", [ON_THIS_MACHINE])
async def test_a_caller_from_elsewhere_is_refused_without_a_secret(engine, monkeypatch):
    monkeypatch.setattr(web.BaseRequest, "remote", "192.0.2.7")

    assert (await engine.http.get("/api/incidents")).status == 403


async def test_with_a_secret_everybody_who_has_it_may(engine, session):
    config = engine.config.model_copy(update={"gateway_secret": model()(gateway_secret="s3cret").gateway_secret})
    sns = SnsDoor(config.sources.cloudwatch, session)
    app = create_app(
        config,
        store=engine.store,
        lifecycle=engine.lifecycle,
        storms=make_storms(engine.store),
        links=engine.links,
        sns=sns,
    )
    async with TestClient(TestServer(app)) as http:
        without = await http.get("/api/incidents")
        refusal = await without.json()
        wrong = await http.get("/api/incidents", headers={"X-Gateway-Secret": "s3cre"})
        right = await http.get("/api/incidents", headers={"X-Gateway-Secret": "s3cret", "X-Forwarded-For": "1.2.3.4"})

    assert (without.status, wrong.status, right.status) == (401, 401, 200)
    assert "X-Gateway-Secret" in refusal["error"]


@pytest.mark.parametrize(
    "settings", [{"gateway_secret": "new-secret", "previous_gateway_secrets": ["old", "", "older"]}]
)
@pytest.mark.parametrize(
    ("given", "status"), [("new-secret", 200), ("old", 200), ("older", 200), ("ol", 401), ("", 401)]
)
async def test_while_the_secret_is_changed_the_old_one_will_do_too(engine, given, status):
    response = await engine.http.get("/api/incidents", headers={"X-Gateway-Secret": given})

    assert response.status == status


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("DELETE", "/api/incidents", 405)])
async def test_what_does_not_exist_is_json_too(engine, method, path, status):
    response = await engine.http.request(method, path)

    assert response.status == status
    assert "error" in await response.json()


async def test_what_a_person_may_do_with_an_incident(engine):
    [created] = (await engine.post({"title": "Disk", "dedup_key": "d"}))["incidents"]

    async def act(action: str, **said: object) -> tuple[int, str, bool]:
        response = await engine.http.post(f"/api/incidents/{created['id']}/{action}", json={"by": "ana"} | said)
        body = await response.json()
        return response.status, body["status"], body["snoozed_until"] is not None

    assert await act("unacknowledge") == (200, "triggered", False)
    assert await act("snooze", minutes=15) == (201, "triggered", True)
    assert await act("acknowledge") == (201, "acknowledged", False)
    assert await act("snooze", minutes=15) == (200, "acknowledged", False)
    assert await act("unacknowledge") == (201, "triggered", False)
    assert await act("escalate") == (201, "triggered", False)
    assert await act("escalate") == (200, "triggered", False)
    assert await act("resolve") == (201, "resolved", False)
    assert await act("escalate") == (200, "resolved", False)


@pytest.mark.parametrize("minutes", [None, 0, -1, "soon", 1e9, [5], "nan", True])
async def test_a_snooze_says_for_how_long(engine, minutes):
    [created] = (await engine.post({"title": "Disk"}))["incidents"]

    response = await engine.http.post(f"/api/incidents/{created['id']}/snooze", json={"by": "ana", "minutes": minutes})

    assert response.status == 400
    assert "minutes" in (await response.json())["error"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        pytest.param({}, {"by": "ana", "minutes": 15}, id="body"),
        pytest.param({"by": "ana", "minutes": "15"}, None, id="query"),
        pytest.param({"by": "ana"}, {"minutes": 15}, id="name in the query"),
        pytest.param({"minutes": "15"}, {"by": "ana"}, id="minutes in the query"),
        pytest.param({"by": "ana", "minutes": "15"}, {"by": "ben", "minutes": 30}, id="the query wins"),
    ],
)
async def test_what_a_person_says_may_be_in_the_query_and_in_the_body(engine, clock, query, said):
    [created] = (await engine.post(ALERT))["incidents"]

    response = await engine.http.post(f"/api/incidents/{created['id']}/snooze", params=query, json=said)

    assert response.status == 201
    snooze = (await engine.store.get(created["id"])).snooze
    assert (snooze.by.name, snooze.until_ms) == ("ana", clock.now_ms() + 15 * 60_000)


async def test_an_action_whose_body_never_ends_is_given_up(engine, monkeypatch):
    monkeypatch.setattr("versus_py.web.api.incidents.BODY_TIMEOUT_S", 0.05)
    incident_id = (await engine.post(ALERT))["incidents"][0]["id"]
    given_up = asyncio.Event()

    async def dripping():
        yield b"{"
        await given_up.wait()

    response = await engine.http.post(f"/api/incidents/{incident_id}/resolve", data=dripping())
    given_up.set()

    assert response.status == 408
    assert (await engine.detail(incident_id))["status"] == "triggered"


async def test_with_a_name_in_the_query_any_body_will_do(engine):
    [created] = (await engine.post(ALERT))["incidents"]

    response = await engine.http.post(f"/api/incidents/{created['id']}/acknowledge?by=ana", data=b"from=pager")

    assert response.status == 201


@pytest.mark.parametrize("limit", ["0", "201", "-1", "ten", "9" * 5000, "\u0663"])
async def test_a_limit_that_is_none_is_refused_with_a_sentence(engine, limit):
    response = await engine.http.get("/api/incidents", params={"limit": limit})

    assert response.status == (200 if limit == "\u0663" else 400)  # a 3 in other digits is one too


async def test_an_action_whose_body_cannot_be_read_is_refused(engine):
    [created] = (await engine.post(ALERT))["incidents"]

    response = await engine.http.post(
        f"/api/incidents/{created['id']}/acknowledge?by=ana", data=b"not gzip", headers={"Content-Encoding": "gzip"}
    )

    assert response.status == 400
    assert response.headers["Connection"] == "close"
    assert (await engine.detail(created["id"]))["status"] == "triggered"
