"""The page of a storm: which ways to act it offers, and acknowledging all of it."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.integration.conftest import make_storms
from versus_py.ack_links import DAY_MS, STORM_MS
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import Incident, Status

STORM = {"signing_secret": "s", "storm": {"threshold": 1}}


async def storm_link(engine) -> tuple[str, dict[str, str]]:
    """Path and query of the page of a storm of a few incidents."""
    for number in range(10):
        await engine.post({"title": f"Alert{number}", "id": f"d{number}"})
    await engine.settle()
    texts = [message.text for message in engine.slack.messages]
    [link] = [found[1] for text in texts if (found := re.search(r"<([^|>]+/api/storms/[^|]+)\|", text))]
    url = urlsplit(link.replace("&amp;", "&"))
    return url.path, dict(parse_qsl(url.query))


async def storm_page(engine) -> str:
    """The page of a storm of a few incidents."""
    path, query = await storm_link(engine)
    response = await engine.http.get(path, params=query)
    assert response.status == 200
    page: str = await response.text()
    return page


async def members(engine, path: str) -> list[Incident]:
    """The storm's incidents as they are now."""
    place, storm_id = path.split("/")[-2:]
    storm = await make_storms(engine.store).get(place, storm_id)
    assert storm is not None
    return [it for it in await engine.store.get_readable([*storm.members]) if it is not None]


def names(incidents: list[Incident]) -> set[str]:
    """Who acknowledged them."""
    return {it.acknowledged_by.name if it.acknowledged_by else "" for it in incidents}


async def acknowledge_all(engine, **form: str) -> tuple[str, list[Incident]]:
    """What the page says then, and the incidents."""
    path, query = await storm_link(engine)
    response = await engine.http.post(path, params=query, data=form)
    assert response.status == 200
    return await response.text(), await members(engine, path)


@pytest.mark.parametrize(
    ("slack_settings", "has_links"),
    [
        pytest.param(STORM, True, id="everybody may"),
        pytest.param(STORM | {"allowed_users": ["U0ANA"]}, False, id="only some users"),
        pytest.param(STORM | {"allowed_groups": ["S0ONCALL"]}, False, id="only some groups"),
        pytest.param(STORM | {"actions": {"acknowledge": False}}, False, id="acknowledging is switched off"),
    ],
)
async def test_each_incident_has_a_link_where_the_buttons_would_let_everybody_acknowledge(engine, has_links):
    page = await storm_page(engine)

    assert re.search(r"Alert\d", page)
    assert "were posted before the storm have messages of their own" in page
    assert ("/api/ack/" in page) is has_links
    assert ("<form" in page) is has_links


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_one_press_acknowledges_each_incident_and_the_page_counts_them(engine):
    page, found = await acknowledge_all(engine, name="Ana <b>")

    assert len(found) > 1
    assert {it.status for it in found} == {Status.ACKNOWLEDGED}
    assert names(found) == {"Ana <b>, by the ACK link"}
    assert f"Acknowledged {len(found)} incidents." in page
    assert "<form" not in page
    await engine.after(minutes=6)
    acknowledged = {it.id for it in found}
    assert not acknowledged & {record["correlation_id"] for record in engine.servicenow.incidents}


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_without_a_name_the_link_is_who_acknowledges(engine):
    _, found = await acknowledge_all(engine)

    assert names(found) == {"the ACK link"}


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_what_needs_somebody_comes_first_and_each_row_leads_to_its_incident(engine):
    path, query = await storm_link(engine)
    first, *others = await members(engine, path)
    await engine.http.post(f"/api/incidents/{first.id}/acknowledge", params={"by": "ben"})

    page = await (await engine.http.get(path, params=query)).text()

    waiting, _, rest = page.partition('id="h-rest"')
    assert f'href="/incidents/{first.id}"' in rest
    assert "ben" in rest
    assert all(f'href="/incidents/{it.id}"' in waiting and f"/api/ack/{it.id}?" in waiting for it in others)
    assert "<script" not in page


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_looking_at_the_page_acknowledges_nothing(engine):
    path, query = await storm_link(engine)

    await engine.http.get(path, params=query)

    assert {it.status for it in await members(engine, path)} == {Status.TRIGGERED}


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_what_was_resolved_or_acknowledged_meanwhile_is_said_and_keeps_its_name(engine):
    path, query = await storm_link(engine)
    first, second, *_ = await members(engine, path)
    await engine.http.post(f"/api/incidents/{first.id}/acknowledge", params={"by": "ben"})
    await engine.http.post(f"/api/incidents/{second.id}/resolve", params={"by": "ben"})

    page = await (await engine.http.post(path, params=query)).text()

    assert "; 1 is acknowledged by ben, 1 is resolved." in page
    assert (await engine.store.get(first.id)).acknowledged_by.name == "ben"
    assert (await engine.store.get(second.id)).status is Status.RESOLVED


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_what_was_dealt_with_before_is_counted(engine):
    path, query = await storm_link(engine)
    first, *others = await members(engine, path)
    await engine.http.post(f"/api/incidents/{first.id}/acknowledge", params={"by": "ben"})
    await engine.settle()

    page = await (await engine.http.post(path, params=query)).text()
    await engine.settle()
    again = await (await engine.http.post(path, params=query)).text()

    assert f"Acknowledged {len(others)} incidents; 1 is acknowledged by ben." in page
    said = f"Nothing to acknowledge: {len(others)} are acknowledged by the ACK link, 1 is acknowledged by ben."
    assert said in again


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_what_failed_is_said_and_the_same_press_again_takes_it(engine, monkeypatch):
    path, query = await storm_link(engine)
    broken, *others = await members(engine, path)
    save = engine.lifecycle.act

    async def act(incident_id, *args):
        if incident_id == broken.id:
            raise StoreUnavailable("Redis is full")
        return await save(incident_id, *args)

    monkeypatch.setattr(engine.lifecycle, "act", act)
    page = await (await engine.http.post(path, params=query)).text()
    monkeypatch.undo()
    after = {it.id: it.status for it in await members(engine, path)}
    again = await (await engine.http.post(path, params=query)).text()

    assert "1 could not be acknowledged: acknowledge all once more." in page
    assert after[broken.id] is Status.TRIGGERED
    assert {after[it.id] for it in others} == {Status.ACKNOWLEDGED}
    assert "Acknowledged 1 incident; 8 are acknowledged by the ACK link." in again
    assert {it.status for it in await members(engine, path)} == {Status.ACKNOWLEDGED}


@pytest.mark.parametrize("slack_settings", [STORM])
async def test_a_redis_that_takes_nothing_is_an_answer_to_repeat(engine, monkeypatch):
    path, query = await storm_link(engine)

    async def act(*_args):
        raise StoreUnavailable("Redis is away")

    monkeypatch.setattr(engine.lifecycle, "act", act)
    response = await engine.http.post(path, params=query)

    assert response.status == 503
    assert {it.status for it in await members(engine, path)} == {Status.TRIGGERED}


@pytest.mark.parametrize("slack_settings", [STORM])
@pytest.mark.parametrize(
    ("changed", "status"), [({"sig": "0" * 64}, 401), ({"exp": "9999999999"}, 401), ({}, 403)], ids=str
)
async def test_a_link_that_is_not_ours_or_has_expired_acknowledges_nothing(engine, changed, status):
    path, query = await storm_link(engine)
    if not changed:
        engine.clock.advance(ms=STORM_MS + 2 * DAY_MS)

    response = await engine.http.post(path, params=query | changed)
    page = await engine.http.get(path, params=query | changed, headers={"Accept": "text/html"})

    assert (response.status, page.status) == (status, status)
    assert "error" in await response.json()
    assert "<h1>" in await page.text()
    assert "/api/ack/" not in await page.text()
    assert {it.acknowledged_at_ms for it in await members(engine, path)} == {None}


@pytest.mark.parametrize("slack_settings", [STORM | {"allowed_users": ["U0ANA"]}])
async def test_where_only_some_may_act_the_page_acknowledges_nothing(engine):
    path, query = await storm_link(engine)

    response = await engine.http.post(path, params=query)

    assert response.status == 403
    assert {it.status for it in await members(engine, path)} == {Status.TRIGGERED}


@pytest.mark.parametrize("slack_settings", [STORM])
@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"&".join(b"a=1" for _ in range(50))], ids=["no text", "many fields"])
async def test_a_body_that_is_no_form_acknowledges_nothing(engine, body):
    path, query = await storm_link(engine)

    response = await engine.http.post(path, params=query, data=body)

    assert response.status == 400
    assert {it.status for it in await members(engine, path)} == {Status.TRIGGERED}
