"""Comments by the API: in the timeline, the threads and the record, also on what is over."""

import pytest

from tests.integration.conftest import Engine
from tests.support.groups import alert, group
from versus_py.incidents.transitions import COMMENT_MAX


@pytest.fixture
async def incident(engine: Engine) -> str:
    """Its id."""
    [created] = (await engine.post(group(alert("Disk"))))["incidents"]
    await engine.settle()
    return str(created["id"])


async def comment(engine, incident_id, **said):
    response = await engine.http.post(f"/api/incidents/{incident_id}/comments", json=said)
    return response.status, await response.json()


def commented(detail):
    return [(it["by"], it["detail"]) for it in detail["timeline"] if it["event"] == "commented"]


async def test_a_comment_is_in_the_timeline_the_thread_and_the_record(engine, incident):
    await engine.after(minutes=6)

    status, body = await comment(engine, incident, text=" The disk is being replaced ", by="ana")
    await engine.settle()

    assert status == 201
    assert body["id"] == incident
    assert commented(body) == [("ana", "The disk is being replaced")]
    assert engine.slack.messages[0].replies[-1] == ":speech_balloon: *ana*: The disk is being replaced"
    [record] = engine.servicenow.incidents
    assert "ana: The disk is being replaced" in "\n".join(engine.servicenow.notes[record["sys_id"]])


async def test_it_may_be_in_the_query_string(engine, incident):
    response = await engine.http.post(f"/api/incidents/{incident}/comments", params={"by": "ana", "text": "On it"})

    assert response.status == 201
    assert commented(await response.json()) == [("ana", "On it")]


async def test_the_same_again_is_answered_with_how_it_stands(engine, incident):
    first, _ = await comment(engine, incident, text="On it", by="ana")
    second, body = await comment(engine, incident, text="On it", by="ana")
    other, _ = await comment(engine, incident, text="On it", by="ben")

    assert (first, second, other) == (201, 200, 201)
    assert commented(body) == [("ana", "On it")]


async def test_what_is_resolved_takes_comments(engine, incident):
    await engine.http.post(f"/api/incidents/{incident}/resolve?by=ana")
    await engine.settle()

    status, body = await comment(engine, incident, text="It was the fan", by="ana")
    await engine.settle()

    assert (status, body["status"]) == (201, "resolved")
    assert engine.slack.messages[0].replies == [":speech_balloon: *ana*: It was the fan"]


@pytest.mark.parametrize(
    "said",
    [
        {"by": "ana"},
        {"by": "ana", "text": ""},
        {"by": "ana", "text": " \n"},
        {"by": "ana", "text": 5},
        {"by": "ana", "text": ["On it"]},
        {"by": "ana", "text": "x" * (COMMENT_MAX + 1)},
    ],
)
async def test_a_comment_that_says_nothing_or_too_much_is_refused(engine, incident, said):
    assert await comment(engine, incident, **said) == (400, {"error": "say what: text, 1 to 1000 characters"})


async def test_a_comment_by_nobody_is_refused(engine, incident):
    status, body = await comment(engine, incident, text="On it")

    assert (status, "say who you are" in body["error"]) == (400, True)


async def test_the_longest_comment_is_kept_whole(engine, incident):
    status, body = await comment(engine, incident, text="ä" * COMMENT_MAX, by="ana")

    assert status == 201
    assert commented(body) == [("ana", "ä" * COMMENT_MAX)]


async def test_markup_in_a_comment_is_shown_as_it_is(engine, incident):
    await comment(engine, incident, text="<!channel> & <https://evil.example|click>", by="<@U0ANA>")
    await engine.settle()

    [line] = engine.slack.messages[0].replies
    assert "<!channel>" not in line
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in line
    assert "<@U0ANA>" not in line


@pytest.mark.parametrize("incident_id", ["nobody-0", "h-watchdog-0"])
async def test_an_unknown_incident_takes_none(engine, incident_id):
    status, body = await comment(engine, incident_id, text="On it", by="ana")

    assert (status, "no incident" in body["error"]) == (404, True)


@pytest.mark.parametrize("settings", [{"gateway_secret": "gateway-secret-0123456789"}])
async def test_without_the_secret_nobody_comments(engine, incident):
    answer = await engine.http.post(
        f"/api/incidents/{incident}/comments", json={"by": "ana", "text": "x"}, headers={"X-Gateway-Secret": "guess"}
    )

    assert answer.status == 401
    assert commented(await engine.detail(incident)) == []
