"""What monitoring tools send, through the whole service: what people find in Slack, in the API and in ServiceNow."""

import html
import re
from pathlib import Path

import pytest
import yaml

from tests.support import corpus
from tests.support.amazon import Amazon
from versus_py.incidents.severity import Level, level_of
from versus_py.sources.sns import SnsDoor

ROOT = Path(__file__).parents[3]
TOPICS = [about["sns"]["TopicArn"] for path in corpus.FILES if "sns" in (about := corpus.read(path).about)]
RANKS = {Level.CRITICAL: "critical", Level.ERROR: "error", Level.WARNING: "warning", Level.NOTICE: "info"} | {
    Level.INFO: "info",
    Level.DEBUG: "info",
    Level.UNKNOWN: "unknown",
}
SECRETS = re.compile(
    "R0123456789ABCDEF|deadbeefdeadbeef|hunter2|shared-secret-of-the-webhook|not-a-secret-of-anybody|v1=0000"
)
JSON = re.compile(r'[{\[]\s*"|"\s*:\s*["{\[\d]|\{\'')


@pytest.fixture(scope="module")
def amazon_key():
    return Amazon()


@pytest.fixture
def amazon(amazon_key, monkeypatch):
    """SNS, its certificate here already."""
    monkeypatch.setattr(SnsDoor, "_key", lambda *_: amazon_key.key())
    return amazon_key


@pytest.fixture
def settings():
    return {"sources": {"cloudwatch": {"topics": TOPICS}}}


@pytest.fixture
def servicenow_settings():
    """What the shipped configuration writes into a record."""
    shipped = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["oncall"]["servicenow"]
    return {name: shipped[name] for name in ("severities", "fields")}


@pytest.fixture(params=corpus.FILES, ids=lambda path: path.stem)
def tool(request):
    return corpus.read(request.param)


async def send(engine, tool, request, amazon):
    """One request as the tool sends it, escalated at once; the body of the answer."""
    data, query = request.body, {"oncall_wait_minutes": "0", **tool.about.get("query", {})}
    if sns := tool.about.get("sns"):
        envelope = amazon.notification(
            subject=sns.get("Subject"), topic=sns["TopicArn"], Message=data.decode(), MessageId=f"id of {request.name}"
        )
        data = corpus.encoded({name: value for name, value in envelope.items() if value is not None})
    response = await engine.http.post("/api/incidents", data=data, headers=request.headers, params=query)
    answer = await response.json()
    assert response.status == 201, answer
    await engine.settle()
    return answer


async def incidents(engine):
    return (await (await engine.http.get("/api/incidents")).json())["incidents"]


def plain(text):
    """As a person reads it, without Slack's marks."""
    return html.unescape(text).replace("\u200b", "").replace("*", "").replace("`", "")


async def test_what_a_tool_sends_is_found_in_slack_in_the_record_and_in_the_api(engine, tool, amazon):
    expected = tool.expected
    [first, *more] = tool.requests

    await send(engine, tool, first, amazon)

    [listed] = await incidents(engine)
    found = await engine.detail(listed["id"])
    [alert] = found["alerts"]
    [message], [record] = engine.slack.messages, engine.servicenow.incidents
    shown, described = plain(message.shown), plain(record["short_description"] + "\n" + record["description"])
    assert {
        "title": found["title"],
        "severity": RANKS[level_of(found["severity"])],
        "resource": alert["resource"],
        "link": alert["url"],
    } == {name: expected[name] for name in ("title", "severity", "resource", "link")}
    assert plain(expected["title"]) in shown
    assert plain(expected["title"]) in described
    for value in expected["labels"].values():
        assert plain(value) in shown
        assert plain(value) in described
    for text in (shown, described):
        assert not SECRETS.search(text)
        assert not JSON.search(text)

    for request in more:
        assert (await incidents(engine))[-1]["status"] != "resolved"
        await send(engine, tool, request, amazon)
    statuses = [it["status"] for it in await incidents(engine)]
    assert len(statuses) == expected["incidents"]
    assert (set(statuses) == {"resolved"}) == (expected["ended"] is True)
