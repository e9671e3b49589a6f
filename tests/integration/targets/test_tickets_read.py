"""What is read of tickets: what people write there, who they are, and many at once for comparisons."""

from typing import Any

import pytest

from tests.integration.conftest import make_turns
from tests.support.factories import make_policy
from tests.support.two_way import ANA, NAME, TOKEN, TwoWay, begun, make_target
from versus_py.errors import Permanent, RateLimited, Transient
from versus_py.incidents import transitions
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Event, Incident, IncidentId, Status
from versus_py.incidents.sides import Report, Standing
from versus_py.simulators import Fault
from versus_py.targets.target import NotYet

USERS = "GET /api/now/table/sys_user"
JOURNAL = "GET /api/now/table/sys_journal_field"
RECORDS = "GET /api/now/table/incident"


@pytest.fixture
def settings() -> dict[str, Any]:
    return {}


@pytest.fixture
def target(session, clock, servicenow_url, settings):
    return make_target(servicenow_url, clock=clock, session=session, turns=make_turns(), **settings)


@pytest.fixture
def both(target, servicenow, clock) -> TwoWay:
    return begun(target, servicenow, clock)


async def heard(it: TwoWay) -> list[tuple[str, str]]:
    """What is kept after the next look."""
    it.clock.advance(minutes=6)
    await it.sync()
    return [(comment.by, comment.text) for comment in it.delivery.comments]


async def test_work_notes_and_comments_come_with_the_name_of_who_wrote_them(both):
    await both.sync()
    both.there("note", work_notes="internal")
    both.there("note", comments="for the caller")

    assert await heard(both) == [("Ana Diaz", "internal"), ("Ana Diaz", "for the caller")]


async def test_what_was_written_before_the_first_sync_is_heard(both):
    both.there("note", work_notes="already at it")
    await both.sync()

    assert await heard(both) == [("Ana Diaz", "already at it")]


def texts(it: TwoWay) -> list[str]:
    return [comment.text for comment in it.delivery.comments]


@pytest.mark.parametrize("do", ["resolve", "cancel"])
async def test_what_was_written_just_before_the_end_there_is_heard(both, do):
    await both.sync()
    both.there("note", work_notes="it was db-7")
    both.there(do)
    await both.sync()
    await both.sync()

    assert both.incident.status is Status.RESOLVED
    assert texts(both) == ["it was db-7"]


async def test_what_was_written_just_before_the_end_here_and_after_it_is_heard(both):
    await both.sync()
    both.there("note", work_notes="it was db-7")
    both.here(lambda it, now_ms: transitions.resolve(it, ANA, now_ms))
    await both.sync()
    both.there("note", comments="Thank you")
    await both.sync()
    await both.sync()

    assert texts(both) == ["it was db-7", "Thank you"]
    assert both.delivery.comment_count == 2


async def test_comments_are_not_asked_for_where_only_we_have_changed_the_record(both):
    await both.sync()
    asked = both.servicenow.calls.count(JOURNAL)

    for number in range(3):
        both.here(lambda it, now_ms, text=f"On it {number}": transitions.comment(it, text, ANA, now_ms))
        await both.sync()

    # Each time only to see whether the note is there.
    assert both.servicenow.calls.count(JOURNAL) == asked + 3


async def test_comments_that_cannot_be_read_for_the_moment_are_read_with_the_next_sync(both):
    await both.sync()
    both.there("note", work_notes="it was db-7")
    both.there("resolve")
    both.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_journal_field", times=1))
    await both.sync()
    read_at_first = texts(both)
    await both.sync()

    assert (read_at_first, texts(both)) == ([], ["it was db-7"])


async def test_comments_that_cannot_be_read_at_the_end_are_looked_for_until_they_are(both):
    await both.sync()
    both.there("note", work_notes="it was db-7")
    both.there("resolve")
    both.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_journal_field", times=4))
    await both.sync()
    assert both.incident.status is Status.RESOLVED
    while (due_ms := both.delivery.look_again_at_ms) is not None:
        both.clock.advance(seconds=(due_ms - both.clock.now_ms()) / 1000)
        await both.sync()

    assert texts(both) == ["it was db-7"]


async def test_comments_that_cannot_be_read_are_looked_for_no_longer_than_a_day_after_the_end(both):
    await both.sync()
    both.there("note", work_notes="it was db-7")
    both.there("resolve")
    both.servicenow.faults.order(Fault(kind="503", path="/api/now/table/sys_journal_field", times=None))
    await both.sync()
    assert both.incident.status is Status.RESOLVED
    assert both.delivery.look_again_at_ms is not None
    both.clock.advance(hours=25)

    await both.sync()

    assert both.delivery.look_again_at_ms is None


API_KEY = {"auth": {"type": "api_key", "api_key": "key-of-the-api"}, "username": "", "password": ""}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="the login tells who we are"),
        pytest.param(API_KEY, id="nothing tells"),
        pytest.param({**API_KEY, "events": {"token": TOKEN, "user": "versus.integration"}}, id="a setting tells"),
    ],
)
async def test_our_own_notes_are_not_heard(both):
    await both.sync()
    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))
    await both.sync()
    both.there("note", work_notes="thanks")

    assert await heard(both) == [("Ana Diaz", "thanks")]


@pytest.mark.parametrize("settings", [API_KEY])
async def test_notes_that_an_earlier_process_wrote_are_known_by_their_words(both, session, clock, settings):
    await both.sync()
    both.here(lambda it, now_ms: transitions.comment(it, "On it", ANA, now_ms))
    await both.sync()
    url = both.target._configured[None].instance_url
    assert url is not None
    both.target = make_target(url, clock=clock, session=session, turns=make_turns(), **settings)

    assert await heard(both) == []


@pytest.mark.parametrize("settings", [{"events": {}}])
async def test_without_two_ways_work_notes_are_not_heard_and_names_are_not_looked_up(both):
    await both.sync()
    both.there("note", work_notes="internal")
    both.there("note", comments="for the caller")

    assert await heard(both) == [("ana", "for the caller")]
    assert USERS not in both.servicenow.calls


async def test_comments_come_with_the_address_of_who_wrote_them(both):
    await both.sync()
    both.there("note", work_notes="internal")
    await heard(both)

    assert [comment.email for comment in both.delivery.comments] == ["ana@example.com"]


async def test_who_it_is_assigned_to_there_is_known_by_name_and_address(both):
    await both.sync()
    both.there("change", assigned_to="Ana Diaz")
    await both.until_quiet()

    [assigned] = [entry for entry in both.incident.news if entry.event is Event.ASSIGNED]
    assert (assigned.detail, assigned.whom) == ("to Ana Diaz", Actor("Ana Diaz", "ana@example.com"))


async def test_who_was_known_by_user_name_alone_is_known_by_name_and_address_after_the_next_look(both):
    await both.sync()
    both.there("start")
    event = Report(
        NAME, replace(both.incident.sides[NAME], revision=1, standing=Standing.IN_PROGRESS), "ana", user="ana"
    )
    both.hear(event)
    assert both.incident.acknowledged_by == Actor("ana", "", {NAME: "ana"})

    await both.sync()
    asked = both.servicenow.calls.count(USERS)
    await both.sync()

    assert both.incident.acknowledged_by == Actor("Ana Diaz", "ana@example.com", {NAME: "ana"})
    assert both.incident.sides[NAME].standing is Standing.IN_PROGRESS
    assert asked == both.servicenow.calls.count(USERS) == 1


async def test_an_author_is_looked_up_once(both):
    await both.sync()
    both.there("note", work_notes="one")
    await heard(both)
    both.there("note", work_notes="two")

    await heard(both)

    assert both.servicenow.calls.count(USERS) == 1


async def test_users_that_cannot_be_read_are_called_by_their_user_name(both, logs):
    both.servicenow.closed_tables = {"sys_user"}
    await both.sync()
    both.there("note", work_notes="one")
    both.there("start")

    assert await heard(both) == [("ana", "one")]
    await both.sync()
    both.there("note", work_notes="two")
    await heard(both)

    assert both.incident.acknowledged_by is not None
    assert both.incident.acknowledged_by.name == "ana"
    assert both.servicenow.calls.count(USERS) == 1
    assert [line["event"] for line in logs].count("servicenow.users_unreadable") == 1


@pytest.mark.parametrize("kind", ["500", "429", "html200", "down"])
async def test_a_look_up_that_fails_fails_no_sync(both, kind):
    await both.sync()
    both.servicenow.faults.order(Fault(kind=kind, path="/api/now/table/sys_user", times=None))
    both.there("start")

    await both.sync()

    assert both.incident.acknowledged_by is not None
    assert both.incident.acknowledged_by.name == "ana"


@pytest.mark.parametrize("user_name", ["x^ORuser_name=ana", "javascript:gs.getUserID()", "a,ana"])
async def test_a_user_name_that_would_change_the_query_is_not_asked_for(both, user_name):
    people = both.target._instances[None].people

    found = await people.named([user_name])

    assert found[user_name].called == user_name
    assert both.servicenow.calls == []


def more(both: TwoWay, number: int) -> list[Incident]:
    """So many incidents with tickets of their own; every one after *both*'s."""
    found = []
    for at in range(number):
        it = begun(both.target, both.servicenow, both.clock, make_policy())
        found.append(replace(it.incident, id=IncidentId(f"{at:020x}-0")))
    return found


async def test_a_hundred_are_asked_for_at_once(both):
    incidents = [both.incident, *more(both, 149)]
    gone = both.servicenow.incidents.pop(7)
    both.servicenow.incidents[3]["state"] = "6"

    found = await both.target.look(incidents)

    assert both.servicenow.calls.count(RECORDS) == 2
    assert len(found) == 150
    assert [it.side.standing for it in found.values() if it is not None].count(Standing.RESOLVED) == 1
    assert [incidents[7].id] == [id_ for id_, it in found.items() if it is None]
    assert incidents[7].delivery(NAME).reference["sys_id"] == gone["sys_id"]
    assert all(it.is_repair for it in found.values() if it is not None)


async def test_what_has_no_record_or_is_not_two_way_is_left_out(both, target):
    bare = replace(both.incident, deliveries={})

    assert await target.look([bare]) == {}
    assert both.servicenow.calls == []


async def test_a_reference_that_is_no_sys_id_is_not_asked_for(both, target):
    odd = replace(both.delivery, reference={**both.delivery.reference, "sys_id": "x^ORactive=true"})
    incident = replace(both.incident, deliveries={NAME: odd})

    assert await target.look([incident]) == {incident.id: None}
    assert both.servicenow.calls == []


async def test_rows_that_were_not_asked_for_are_left_out(both, target, monkeypatch):
    more(both, 3)
    search = target._instances[None].api.search

    async def all_rows(table, query, *rest, **keys):
        return await search(table, "", *rest, **keys)

    monkeypatch.setattr(target._instances[None].api, "search", all_rows)

    found = await target.look([both.incident])

    assert [*found] == [both.incident.id]


async def test_a_rate_limit_is_kept_by_all(both, target, clock):
    both.servicenow.faults.order(Fault(kind="429", retry_after=90))

    with pytest.raises(RateLimited):
        await target.look([both.incident])
    with pytest.raises(NotYet):
        await target.look([both.incident])
    with pytest.raises(NotYet):
        await both.sync()
    clock.advance(seconds=91)

    assert (await target.look([both.incident]))[both.incident.id] is not None


@pytest.mark.parametrize(("kind", "error"), [("cut_off", Transient), ("503", Transient), ("400", Permanent)])
async def test_half_an_answer_is_none(both, target, kind, error):
    incidents = [both.incident, *more(both, 3)]
    both.servicenow.faults.order(Fault(kind=kind))

    with pytest.raises(error):
        await target.look(incidents)


async def test_comparing_hears_what_no_event_told_and_says_nothing_twice(both, target):
    await both.sync()
    both.there("resolve", close_notes="Gone")

    report = (await target.look([both.incident]))[both.incident.id]
    assert report is not None
    both.hear(report)
    news = both.incident.news_count
    await both.until_quiet()

    assert both.incident.resolve_comment == "Gone"
    assert both.incident.news_count == news
    assert both.writes == 0


async def test_a_record_of_an_instance_that_was_restored_is_heard_again_once_it_was_compared(both, target):
    await both.sync()
    for text in ("one", "two", "three"):
        both.there("note", work_notes=text)
    await both.sync()
    both.record["sys_mod_count"] = "0"
    both.there("change", short_description="Disk full")
    await both.sync()
    assert both.incident.sides[NAME].revision > 1

    report = (await target.look([both.incident]))[both.incident.id]
    assert report is not None
    both.hear(report)
    assert both.incident.sides[NAME].revision == 1
    both.there("resolve", close_notes="Gone")
    await both.until_quiet()

    assert both.incident.resolve_comment == "Gone"
