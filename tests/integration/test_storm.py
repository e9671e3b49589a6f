"""More incidents than a channel takes: one message stands for those beyond, and each keeps its own wait."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.conftest import CHANNEL, Engine
from tests.integration.test_engine import firing
from versus_py.incident import Status
from versus_py.simulators import Fault
from versus_py.simulators.slack import PostedMessage
from versus_py.targets.slack.storm import QUIET_MS

COUNT = 60
THRESHOLD = 20


async def break_out(engine, count: int = COUNT) -> list[str]:
    """So many incidents at once; their ids."""
    return [(await engine.post(firing(engine, f"Alert{number:02}")))["incidents"][0]["id"] for number in range(count)]


def digest(engine: Engine) -> PostedMessage:
    [found] = [message for message in engine.slack.messages if "storm" in message.text]
    return found


async def counted(engine, ids: list[str]) -> list[str]:
    """Those that have no message of their own."""
    found = [await engine.store.get(incident_id) for incident_id in ids]
    return [incident.id for incident in found if "storm" in incident.delivery("slack").reference]


async def until_quiet(engine) -> None:
    for _ in range(QUIET_MS // 1000 // 12 + 3):
        await engine.settle()


async def test_one_message_stands_for_what_comes_beyond_the_threshold(engine):
    await break_out(engine)

    for _ in range(4):
        await engine.settle()

    own = len(engine.slack.messages) - 1
    assert own < THRESHOLD + 10  # some of those that waited got their turn while the others came
    assert f"{COUNT - own} incidents" in digest(engine).text
    assert f"{COUNT - own} triggered" in digest(engine).text
    assert "critical" in digest(engine).text
    assert f"https://versus.example/api/storms/{CHANNEL}/" in digest(engine).text


async def test_as_many_as_the_threshold_each_get_a_message(engine):
    await break_out(engine, THRESHOLD)

    await engine.settle()
    await engine.settle()

    assert len(engine.slack.messages) == THRESHOLD
    assert not any("storm" in message.text for message in engine.slack.messages)


async def test_every_incident_of_a_storm_keeps_its_own_wait_and_escalation(engine):
    ids = await break_out(engine)
    await engine.settle()
    await engine.http.post(f"/api/incidents/{ids[-1]}/acknowledge", params={"by": "ana"})

    await engine.after(minutes=5)

    assert {record["correlation_id"] for record in engine.servicenow.incidents} == set(ids[:-1])
    assert len(engine.servicenow.incidents) == COUNT - 1


async def test_the_digest_counts_how_its_incidents_stand(engine):
    ids = await break_out(engine)
    await engine.settle()
    for incident_id in (await counted(engine, ids))[:3]:
        await engine.http.post(f"/api/incidents/{incident_id}/acknowledge", params={"by": "ana"})

    await engine.settle()

    assert "3 acknowledged" in digest(engine).text


async def test_a_storm_ends_by_itself_and_says_so(engine):
    await break_out(engine)
    await until_quiet(engine)

    assert "*The alert storm is over*" in digest(engine).text

    await engine.post(firing(engine, "Afterwards"))
    await engine.settle()
    assert "Afterwards" in engine.slack.messages[-1].text


async def test_what_changes_after_the_storm_is_still_counted_and_what_is_reopened_gets_its_own_message(engine):
    ids = await break_out(engine)
    await until_quiet(engine)
    before = len(engine.slack.messages)
    one = (await counted(engine, ids))[0]
    name = f"Alert{ids.index(one):02}"

    await engine.http.post(f"/api/incidents/{one}/resolve", params={"by": "ana"})
    await engine.settle()
    assert "1 resolved" in digest(engine).text
    assert len(engine.slack.messages) == before

    await engine.post(firing(engine, name))
    await engine.settle()
    assert name in engine.slack.messages[-1].text
    assert len(engine.slack.messages) == before + 1


async def test_a_second_storm_is_a_second_message(engine):
    await break_out(engine)
    await until_quiet(engine)
    for number in range(COUNT):
        await engine.post(firing(engine, f"Later{number:02}"))

    await engine.settle()

    texts = [message.text for message in engine.slack.messages if "storm" in message.text]
    assert ["is over" in text for text in texts] == [True, False]


@pytest.mark.parametrize("kind", ["lost_reply", "down", "500", "429"])
async def test_a_digest_whose_post_fails_is_there_once(engine, kind):
    ids = await break_out(engine, THRESHOLD + 10)
    engine.slack.faults.order(Fault(kind=kind, path="/api/chat.postMessage", times=1))

    for _ in range(12):
        await engine.settle()

    assert f"{len(ids) - (len(engine.slack.messages) - 1)} incidents" in digest(engine).text


async def test_a_digest_that_people_delete_is_posted_again_while_the_storm_goes_on(engine):
    ids = await break_out(engine)
    await engine.settle()
    engine.slack.delete_message(digest(engine).ts)

    one = (await counted(engine, ids))[0]
    await engine.http.post(f"/api/incidents/{one}/acknowledge", params={"by": "ana"})
    await engine.settle()

    assert "1 acknowledged" in digest(engine).text


async def test_a_storm_in_one_channel_is_none_in_another(engine):
    await break_out(engine)

    await engine.post(firing(engine, "Elsewhere"), slack_channel_id="C0OTHER")
    await engine.settle()

    assert any(message.channel == "C0OTHER" and "Elsewhere" in message.text for message in engine.slack.messages)


async def open_list(engine: Engine, **changed: str):
    """The page behind the digest's link, or behind a link with other values in it."""
    found = re.search(r"<(https://versus.example/api/storms/[^|]+)\|", digest(engine).text)
    assert found
    url = urlsplit(found[1].replace("&amp;", "&"))
    return await engine.http.get(url.path, params=dict(parse_qsl(url.query)) | changed)


async def test_the_link_lists_the_incidents_with_a_way_to_acknowledge_each(engine):
    ids = await break_out(engine)
    await engine.settle()
    [one, other, *_] = await counted(engine, ids)
    await engine.http.post(f"/api/incidents/{other}/acknowledge", params={"by": "<b>ana</b>"})

    page = await open_list(engine)

    text = await page.text()
    assert page.status == 200
    assert all(incident_id in text for incident_id in await counted(engine, ids))
    assert f"/api/ack/{one}?" in text
    assert f"/api/ack/{other}?" not in text
    assert "&lt;b&gt;ana&lt;/b&gt;" in text
    assert (await engine.store.get(one)).status is Status.TRIGGERED


@pytest.mark.parametrize("changed", [{"sig": "0" * 64}, {"exp": "99999999999"}, {"sig": "", "exp": ""}])
async def test_a_link_that_was_not_signed_for_this_storm_lists_nothing(engine, changed):
    await break_out(engine)
    await engine.settle()

    page = await open_list(engine, **changed)

    assert page.status == 401
    assert "Alert" not in await page.text()


async def test_a_link_to_a_list_expires(engine):
    await break_out(engine)
    await engine.settle()
    engine.clock.advance(hours=24 * 9)

    assert (await open_list(engine)).status == 403


async def test_a_link_to_acknowledge_opens_no_list(engine):
    ids = await break_out(engine, 1)
    query = urlsplit(engine.links.url(await engine.store.get(ids[0]))).query

    page = await engine.http.get(f"/api/storms/{CHANNEL}/{ids[0]}?{query}")

    assert page.status == 401
