"""Now and the page of an incident: what they show, each form, who may send it, and how large they get."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.conftest import Engine
from tests.support.factories import make_alert, make_notification, make_policy
from tests.support.groups import alert, group
from versus_py.errors import StoreUnavailable
from versus_py.incidents.model import IncidentId
from versus_py.simulators.slack.errors import ErrorOrder

SETTINGS = {
    "ui": {
        "auth": "proxy",
        "trusted_proxies": ["127.0.0.1"],
        "headers": {"preset": "authelia"},
        "roles": {"responder": ["sre"], "viewer": ["dev"]},
    },
    "policies": [
        {"name": "later", "steps": [{"notify": ["slack"]}], "match": ['team="later"'], "in": ["another day"]},
        {"name": "leads", "steps": [{"notify": ["slack:leads"]}], "match": ['team="leads"']},
        {"name": "all", "steps": [{"notify": ["slack"]}, {"after": "5m", "notify": ["servicenow"]}]},
    ],
    "time_intervals": [
        {"name": "office hours", "time_intervals": [{"weekdays": ["monday:friday"]}]},
        {
            "name": "another day",
            "time_intervals": [{"weekdays": [f"{datetime.now(UTC) + timedelta(days=2):%A}".lower()]}],
        },
    ],
}
ANA = {"Remote-User": "ana", "Remote-Name": "Ana Diaz", "Remote-Email": "ana@example.com", "Remote-Groups": "sre"}
BEN = {"Remote-User": "ben", "Remote-Name": "Ben Okafor", "Remote-Groups": "dev"}
OURS = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
PAGE_BYTES_MAX = 200_000


@pytest.fixture
def settings() -> dict[str, Any]:
    return SETTINGS


@pytest.fixture
def slack_settings() -> dict[str, Any]:
    return {"channels": {"leads": "C0LEADS"}}


async def page(engine: Engine, path: str, who: Mapping[str, str] = ANA, status: int = 200) -> str:
    response = await engine.http.get(path, headers={**OURS, **who})
    text = await response.text()
    assert response.status == status, text
    return text


async def send(engine: Engine, path: str, who: Mapping[str, str] = ANA, **fields: Any) -> tuple[int, str, str]:
    """The status of a form's answer, where it leads, and what the page there says of it."""
    response = await engine.http.post(path, data=fields or None, headers={**OURS, **who}, allow_redirects=False)
    await engine.settle()
    if response.status != 303:
        return response.status, "", toast(await response.text())
    where = response.headers["Location"]
    said = {name: it.value for name, it in response.cookies.items()}
    shown = await engine.http.get(
        where, headers={**OURS, **who, "Cookie": "; ".join(f"{k}={v}" for k, v in said.items())}
    )
    assert any(it["max-age"] == "0" for it in shown.cookies.values()), "it is said once"
    return response.status, where, toast(await shown.text())


def toast(text: str) -> str:
    found = re.search(r'id="said" role="status">(.*?)</p>', text, re.DOTALL)
    return unescape(found[1]) if found else ""


async def created(engine: Engine, name: str = "Disk", **labels: Any) -> str:
    found = await engine.post(group(alert(name, **labels)))
    await engine.settle()
    return str(found["incidents"][0]["id"])


def row_ids(text: str, name: str) -> list[str]:
    part = text.partition(f'<ul class="list" id="{name}">')[2].partition("</ul>")[0]
    return re.findall(r'id="i-([^"]+)"', part)


async def test_now_says_honestly_that_nothing_is_open(engine):
    text = await page(engine, "/")

    assert "Nothing is waiting" in text
    assert "No incident yet" in text
    assert "Redis" in text
    assert 'id="waiting"' not in text


async def test_now_says_when_the_last_one_was_resolved(engine):
    incident_id = await created(engine)
    await engine.post(group(alert("Disk", over=True)))

    text = await page(engine, "/")

    assert "All quiet" in text
    assert f'href="/incidents/{incident_id}"' in text


async def test_now_lists_what_waits_and_then_what_somebody_has(engine):
    first = await created(engine, "Disk")
    engine.clock.advance(seconds=30)
    second = await created(engine, "Queue")
    third = await created(engine, "Host")
    await send(engine, f"/incidents/{third}/acknowledge", back="now")

    text = await page(engine, "/")

    assert row_ids(text, "waiting") == [first, second]
    assert row_ids(text, "acknowledged") == [third]
    assert "2 waiting for acknowledgment" in text
    assert "<title>(2) Now · Versus</title>" in text
    assert "Ana Diaz" in text


async def test_a_filter_leaves_what_matches_and_says_so(engine):
    disk = await created(engine, "Disk", team="storage")
    await created(engine, "Queue", team="payments")

    assert row_ids(await page(engine, "/?q=team=storage"), "waiting") == [disk]
    assert "2 without the filter" in await page(engine, "/?q=team=storage")
    assert row_ids(await page(engine, "/?q=queue+nothing"), "waiting") == []


async def test_a_filter_that_nothing_matches_does_not_say_that_nothing_is_waiting(engine):
    await created(engine, "Disk")

    text = await page(engine, "/?q=nothing")

    assert "Nothing that waits matches" in text
    assert "1 waiting without the filter" in text
    assert "Nothing is waiting" not in text


async def test_what_is_held_until_another_day_says_which(engine):
    await created(engine, team="later")

    text = await page(engine, "/")

    opens = datetime.now(UTC) + timedelta(days=2)
    assert f'data-day="{opens:%Y-%m-%d}' in text
    assert f"{opens.day} {opens:%b} UTC</span>, outside of hours" in text


async def test_a_link_of_a_list_that_is_none_is_refused_with_a_page(engine):
    assert "open the first page again" in await page(engine, "/?waiting_after=x", status=400)


async def many(engine: Engine, number: int, **labels: Any) -> None:
    """So many open incidents, each with an alert of its own."""
    notifications = [
        make_notification(
            make_alert("Disk", fingerprint=f"{at:05}", instance=f"db-{at}", cluster="eu-1", team="storage", **labels),
            title=f"Disk of db-{at} is nearly full: 97 % of /var/lib/postgresql",
            dedup_key=f"disk {at}",
        )
        for at in range(number)
    ]
    await engine.lifecycle.accept(notifications, lambda _, __: make_policy())


async def test_with_2000_open_incidents_a_page_is_small_and_all_are_within_reach(engine):
    await many(engine, 2000)

    response = await engine.http.get("/", headers=OURS | ANA)
    text = await response.text()
    assert "2000 waiting for acknowledgment" in text
    assert len(text.encode()) <= PAGE_BYTES_MAX
    seen = row_ids(text, "waiting")
    while following := re.search(r'href="(/\?[^"]*waiting_after=[^"]*)"', text):
        text = await page(engine, unescape(following[1]))
        assert len(text.encode()) <= PAGE_BYTES_MAX
        seen += row_ids(text, "waiting")

    assert len(seen) == len(set(seen)) == 2000


async def test_hostile_labels_make_a_page_no_larger(engine):
    await many(engine, 300, **dict.fromkeys(("namespace", "pod", "job"), '<"&>' * 200))

    text = await page(engine, "/")

    assert "300 waiting" in text
    assert len(text.encode()) <= PAGE_BYTES_MAX


async def test_200_are_acknowledged_by_one_form_and_what_came_later_is_not(engine):
    await many(engine, 200)
    [until] = re.findall(r'name="until" value="(\d+)"', await page(engine, "/"))
    engine.clock.advance(seconds=1)
    later = await created(engine, "Later")

    status, where, said = await send(engine, "/incidents/acknowledge-all", until=until)

    assert (status, where, said) == (303, "/", "200 incidents acknowledged")
    assert row_ids(await page(engine, "/"), "waiting") == [later]


@pytest.mark.parametrize("until", ["", "soon", "9" * 5000, "-1"])
async def test_acknowledging_all_until_what_is_no_time_changes_nothing(engine, until):
    incident_id = await created(engine, "Disk")

    assert (await send(engine, "/incidents/acknowledge-all", until=until))[0] == 400
    assert "Triggered" in await page(engine, f"/incidents/{incident_id}")


async def test_after_an_answer_that_something_failed_nothing_of_the_form_goes_on(engine, monkeypatch):
    first, second = await created(engine, "Disk"), await created(engine, "Queue")
    act, ended = engine.lifecycle.act, []

    async def failing(incident_id: IncidentId, decide: Any) -> Any:
        if incident_id == first:
            raise StoreUnavailable("it is away")
        await asyncio.sleep(0.2)
        ended.append(incident_id)
        return await act(incident_id, decide)

    monkeypatch.setattr(engine.lifecycle, "act", failing)

    assert (await send(engine, "/incidents/acknowledge", id=[first, second]))[0] == 503
    assert ended == [second]


async def test_acknowledging_all_keeps_to_the_filter(engine):
    await created(engine, "Disk", team="storage")
    other = await created(engine, "Queue", team="payments")

    now_ms = str(engine.clock.now_ms())
    _, where, said = await send(engine, "/incidents/acknowledge-all", until=now_ms, q="team=storage")

    assert (where, said) == ("/?q=team%3Dstorage", "1 incident acknowledged")
    assert row_ids(await page(engine, "/"), "waiting") == [other]


async def test_what_is_selected_is_acknowledged_snoozed_or_resolved_together(engine):
    ids = [await created(engine, name) for name in ("A", "B", "C", "D")]

    assert (await send(engine, "/incidents/acknowledge", id=ids[:2]))[2] == "2 incidents acknowledged"
    assert (await send(engine, "/incidents/snooze", id=ids[1:3], minutes="60"))[
        2
    ] == "1 incident snoozed; 1 other as they were"
    assert (await send(engine, "/incidents/resolve", id=ids[3:], comment="gone"))[2] == "1 incident resolved"
    assert (await send(engine, "/incidents/acknowledge"))[2] == "No incident was selected"

    text = await page(engine, "/")
    assert row_ids(text, "waiting") == []
    assert set(row_ids(text, "acknowledged")) == set(ids[:3])


async def test_every_form_changes_the_incident_and_says_so(engine):
    incident_id = await created(engine)
    where = f"/incidents/{incident_id}"

    async def act(action: str, **fields: Any) -> str:
        status, location, said = await send(engine, f"{where}/{action}", **fields)
        assert (status, location) == (303, where)
        return said

    assert await act("acknowledge") == "Acknowledged: Disk is bad"
    assert "Ana Diaz acknowledged it" in await act("acknowledge")
    assert await act("unacknowledge") == "Not acknowledged any more, and the wait starts again: Disk is bad"
    assert await act("snooze", minutes="15") == "Snoozed: Disk is bad"
    assert await act("comment", text="deploying the fix") == "Comment kept"
    assert await act("severity", severity="critical") == "Severity changed: Disk is bad"
    assert await act("escalate") == "Escalated: Disk is bad"
    assert "has escalated to ServiceNow as INC" in await act("escalate")
    assert await act("route", policy="leads") == "Routed, and its escalation starts again: Disk is bad"
    assert await act("retry") == "Nothing was given up"
    assert await act("resolve", comment="a larger disk") == "Resolved: Disk is bad"
    assert "Ana Diaz resolved it" in await act("resolve")

    detail = await engine.detail(incident_id)
    assert (detail["status"], detail["severity"]) == ("resolved", "critical")
    done = [it["event"] for it in detail["timeline"] if it["by"] == "Ana Diaz"]
    assert done == [
        "acknowledged",
        "unacknowledged",
        "snoozed",
        "commented",
        "severity raised",
        "escalating",
        "routed",
        "resolved",
    ]
    assert {it.get("by_email") for it in detail["timeline"] if it["by"] == "Ana Diaz"} == {"ana@example.com"}


async def test_the_page_of_a_resolved_one_says_how_it_ended_and_takes_comments_only(engine):
    incident_id = await created(engine)
    await send(engine, f"/incidents/{incident_id}/resolve", comment="a larger disk")

    text = await page(engine, f"/incidents/{incident_id}")

    assert "Resolved by Ana Diaz" in text
    assert "a larger disk" in text
    assert set(re.findall(r'action="/incidents/[^/]+/(\w+)"', text)) == {"comment"}


async def test_an_alert_without_texts_and_labels_says_so(engine):
    bare = (await engine.post({"title": "Bare"}))["incidents"][0]["id"]
    labelled = await created(engine, team="storage")

    assert "It came without texts and labels." in await page(engine, f"/incidents/{bare}")
    assert "It came without" not in await page(engine, f"/incidents/{labelled}")


async def test_the_page_of_a_snoozed_one_says_until_when_and_what_comes_then(engine):
    incident_id = await created(engine)
    await send(engine, f"/incidents/{incident_id}/snooze", minutes="15")

    text = await page(engine, f"/incidents/{incident_id}")

    assert "Snoozed by Ana Diaz until <time" in text
    assert "; ServiceNow is notified in <time" in text


async def test_the_page_of_an_incident_says_who_was_told_and_who_is_next(engine):
    incident_id = await created(engine, team="storage")

    text = await page(engine, f"/incidents/{incident_id}")

    assert "until ServiceNow is notified" in text
    assert "step 2 of 2" in text
    assert "In sync" in text
    assert "team=<b>storage</b>" in text
    assert "Raw payload" in text
    assert "1 of 1" in text


async def test_neighbours_are_those_of_now(engine):
    ids = []
    for name in "ABC":
        ids.append(await created(engine, name))
        engine.clock.advance(seconds=5)

    text = await page(engine, f"/incidents/{ids[1]}")

    assert "2 of 3" in text
    assert f'rel="prev" href="/incidents/{ids[0]}"' in text
    assert f'rel="next" href="/incidents/{ids[2]}"' in text


async def test_what_was_given_up_shows_its_error_and_is_tried_again(engine, slack, logs):
    slack.errors.order(ErrorOrder(error="channel_not_found", method="chat.postMessage", times=None))
    incident_id = await created(engine)
    text = await page(engine, f"/incidents/{incident_id}")
    assert "Given up" in text
    assert "channel_not_found" in text
    slack.errors.clear()
    logs.expect_error("sync.failed")

    assert (await send(engine, f"/incidents/{incident_id}/retry"))[2] == "Tried again now"

    assert "Given up" not in await page(engine, f"/incidents/{incident_id}")
    assert len(slack.messages) == 1


@pytest.mark.parametrize(
    ("action", "fields", "why"),
    [
        ("comment", {"text": " "}, "say what: text, 1 to"),
        ("snooze", {"minutes": "0"}, "say for how long: minutes"),
        ("snooze", {"until": "nightshift"}, "no time interval of that name"),
        ("severity", {"severity": "odd"}, "severity is 'odd'; allowed:"),
        ("route", {}, "say where to: policy, channel, or both"),
        ("route", {"policy": "lead"}, "did you mean 'leads'?"),
        ("resolve", {"comment": "x" * 20_000}, "comment is not a text of up to"),
    ],
)
async def test_what_is_not_understood_is_said_on_the_page_of_the_incident(engine, action, fields, why):
    incident_id = await created(engine)

    status, _, said = await send(engine, f"/incidents/{incident_id}/{action}", **fields)

    assert status == 400
    assert said.startswith("Nothing was changed: ")
    assert why in said


async def test_snoozing_until_the_office_opens(engine):
    incident_id = await created(engine)
    opens = re.search(r'name="until" value="office hours"', await page(engine, f"/incidents/{incident_id}"))

    status, _, said = await send(engine, f"/incidents/{incident_id}/snooze", until="office hours")

    if opens:  # it is a weekend
        assert (status, said) == (303, "Snoozed: Disk is bad")
    else:
        assert (status, said) == (400, "Nothing was changed: no time interval of that name begins later")


async def test_a_viewer_sees_the_same_without_forms_and_may_send_none(engine):
    incident_id = await created(engine)
    for path in ("/", f"/incidents/{incident_id}"):
        text = await page(engine, path, BEN)
        assert "Disk" in text
        assert re.findall(r'action="(/incidents/[^"]*)"', text) == []
        assert 'type="checkbox" form="bulk"' not in text
    before = await engine.detail(incident_id)
    for action in (
        "acknowledge",
        "unacknowledge",
        "resolve",
        "escalate",
        "snooze",
        "severity",
        "route",
        "comment",
        "retry",
    ):
        status, *_ = await send(
            engine, f"/incidents/{incident_id}/{action}", BEN, text="x", minutes="5", policy="leads"
        )
        assert status == 403, action
    for action in ("acknowledge", "acknowledge-all", "snooze", "resolve"):
        status, *_ = await send(engine, f"/incidents/{action}", BEN, id=incident_id, until="1", minutes="5")
        assert status == 403, action

    assert await engine.detail(incident_id) == before


@pytest.mark.parametrize("incident_id", ["0123456789abcdef0123-1", "nothing", "heartbeat-1", "%3Cscript%3E"])
async def test_an_unknown_incident_is_a_page_that_says_so(engine, incident_id):
    assert "No such incident" in await page(engine, f"/incidents/{incident_id}", status=404)
    response = await engine.http.post(f"/incidents/{incident_id}/acknowledge", headers={**OURS, **ANA})
    assert response.status == 404


class Elements(HTMLParser):
    """The names and attributes of the elements of a page, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize("settings", [{**SETTINGS, "heartbeats": [{"name": "cron", "every": "5m"}]}])
async def test_a_heartbeat_is_no_incident_and_is_shown_where_nothing_is_open(engine):
    assert "Not begun" in await page(engine, "/")
    response = await engine.http.post("/api/heartbeats/cron")
    assert response.status == 201
    [known] = await engine.store.heartbeats()

    assert "Arriving" in await page(engine, "/")
    await page(engine, f"/incidents/{known.id}", status=404)
    assert (await engine.http.get(f"/stream?incident={known.id}", headers=ANA)).status == 404
    for action in ("acknowledge", "resolve", "comment", "retry"):
        assert (await send(engine, f"/incidents/{known.id}/{action}", text="x"))[0] == 404
    await send(engine, "/incidents/resolve", id=known.id)
    [after] = await engine.store.heartbeats()
    assert (after.status, after.news_count, after.resolved_by) == (known.status, known.news_count, None)


@pytest.mark.parametrize("settings", [{**SETTINGS, "public_host": "https://example.com/versus"}])
async def test_below_a_path_every_link_and_form_begins_with_it(engine):
    incident_id = await created(engine)

    for path in ("/", f"/incidents/{incident_id}"):
        found = Elements()
        found.feed(await page(engine, path))
        ours = [value for name, value in found.attributes if name in {"href", "src", "action", "formaction"} and value]
        own = [it for it in ours if it.startswith("/")]
        assert own
        assert [it for it in own if not it.startswith("/versus/")] == []
    response = await engine.http.post(
        f"/incidents/{incident_id}/acknowledge", headers=OURS | ANA, allow_redirects=False
    )
    assert response.headers["Location"] == f"/versus/incidents/{incident_id}"


async def test_html_in_labels_names_and_comments_is_shown_as_text(engine):
    who = {**ANA, "Remote-Name": HOSTILE}
    incident_id = await created(engine, HOSTILE, team=HOSTILE, instance=HOSTILE, runbook_url="javascript:alert(1)")
    await engine.post(group(alert(HOSTILE, pod=HOSTILE, team=HOSTILE), by=("team",)))
    await send(engine, f"/incidents/{incident_id}/comment", who, text=HOSTILE)
    await send(engine, f"/incidents/{incident_id}/acknowledge", who)

    for path in ("/", f"/incidents/{incident_id}", f"/?q={HOSTILE}"):
        text = await page(engine, path, {**who, "Cookie": f"__Host-versus-said={quote(HOSTILE)}"})
        found = Elements()
        found.feed(text)
        assert "img" not in found.names
        assert found.names.count("script") == 1  # ours, by its address
        assert not [it for it in found.attributes if it[0].startswith("on") or it[0] == "style"]
        assert not [it for it in found.attributes if str(it[1]).startswith("javascript:")]


async def test_nothing_changes_on_a_get(engine):
    incident_id = await created(engine)
    before = await engine.detail(incident_id)

    for path in ("/", f"/incidents/{incident_id}", f"/incidents/{incident_id}?alerts=all&timeline=all"):
        await page(engine, path)
    for action in ("acknowledge", "resolve"):
        response = await engine.http.get(f"/incidents/{incident_id}/{action}", headers={**OURS, **ANA})
        assert response.status in {404, 405}

    assert await engine.detail(incident_id) == before


async def test_a_form_of_another_site_changes_nothing(engine):
    incident_id = await created(engine)

    headers = {**OURS, **ANA, "Sec-Fetch-Site": "cross-site"}
    response = await engine.http.post(f"/incidents/{incident_id}/acknowledge", headers=headers)

    assert response.status == 403
    assert (await engine.detail(incident_id))["status"] == "triggered"
