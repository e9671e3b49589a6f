"""What is stored of an incident and its ticket: it is read back whole, and kept by the version before."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_incident, make_policy
from tests.support.payloads import DATA
from tests.support.stored import unpacked
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Actor, Delivery, Entry, Event, Incident, IncidentId, Snooze
from versus_py.incidents.policies import Asked
from versus_py.incidents.sides import Report, Side, Standing
from versus_py.store import codec
from versus_py.store.codec import dump_delivery, dump_entry, dump_incident, load_entry, load_incident
from versus_py.store.keys import DELIVERY_FIELD

SERVICENOW, INFRA = "servicenow", "servicenow:infra"
BEN = Actor("Ben", "ben@example.com", {SERVICENOW: "ben.oz"})
SIDE = Side(7, Standing.ON_HOLD, "u-ben", "g-mail", "critical", "g-mail", "The mail is down")


def stored(incident: Incident) -> dict[str, str]:
    """The fields of its hash."""
    deliveries = {f"{DELIVERY_FIELD}{name}": dump_delivery(it).decode() for name, it in incident.deliveries.items()}
    return {
        "incident": dump_incident(incident).decode(),
        "status": incident.status,
        "version": str(incident.version),
        **deliveries,
    }


def read_back(incident: Incident) -> Incident:
    found = load_incident(incident.id, stored(incident))
    assert found is not None
    return found


def of_ticket(**changes: Any) -> Incident:
    """As it is after some time: snoozed by its ticket, with news from there."""
    asked = Asked(policy="leads", wait_ms=60_000, escalates=True, mention="<!here>", origin=SERVICENOW)
    news = (
        Entry(START_MS, Event.ASSIGNED, "to Ben", BEN, said_at=SERVICENOW),
        Entry(START_MS, Event.COMMENTED, "it is mine", Actor("ana")),
    )
    values: dict[str, Any] = {
        "origin": SERVICENOW,
        "sides": {SERVICENOW: SIDE, INFRA: Side(0, Standing.NEW)},
        "snooze": Snooze(START_MS + 1, BEN, record=SERVICENOW),
        "news": news,
        "news_count": 2,
        "deliveries": {SERVICENOW: Delivery({"sys_id": "abc", "source": "1"}, "INC0010001", locator="default\nabc")},
    }
    return replace(make_incident(policy=make_policy(asked=asked)), **{**values, **changes})


def test_an_incident_of_a_ticket_is_read_back_whole():
    incident = of_ticket()

    assert read_back(incident) == incident
    assert read_back(read_back(incident)) == incident


@pytest.mark.parametrize("standing", Standing)
def test_each_standing_of_a_record_is_read_back(standing):
    incident = of_ticket(sides={SERVICENOW: replace(SIDE, standing=standing)})

    found = read_back(incident).sides[SERVICENOW].standing

    assert found is standing
    assert found.is_over is standing.is_over


@pytest.mark.parametrize(
    "asked", [None, Asked(), Asked(origin=SERVICENOW), Asked(mention="@ops", destinations={"slack": "C0LEADS"})]
)
def test_what_was_asked_of_its_escalation_is_read_back(asked):
    incident = of_ticket(policy=make_policy(asked=asked))

    assert read_back(incident).policy == incident.policy


def test_a_snooze_of_a_person_names_no_record():
    snooze = Snooze(START_MS + 1, Actor("ana"))

    assert read_back(of_ticket(snooze=snooze)).snooze == snooze


def test_what_a_sync_has_seen_is_not_stored():
    seen = Delivery({"sys_id": "abc"}, locator="default\nabc", report=Report(SERVICENOW, SIDE))
    incident = of_ticket(deliveries={SERVICENOW: seen})

    assert "report" not in stored(incident)[f"{DELIVERY_FIELD}{SERVICENOW}"]
    assert read_back(incident).delivery(SERVICENOW).report is None
    assert read_back(incident).delivery(SERVICENOW).locator == "default\nabc"


@pytest.mark.parametrize(
    "event", [Event.ASSIGNED, Event.ON_HOLD, Event.REOPENED_THERE, Event.STILL_FIRING, Event.REPAIRED]
)
def test_an_entry_of_the_timeline_says_where_it_was_said(event):
    entry = Entry(START_MS, event, "detail", BEN, said_at=SERVICENOW)

    assert load_entry(dump_entry(entry).decode()) == entry


def test_an_entry_of_before_was_said_anywhere():
    entry = load_entry('{"at_ms":1,"event":"commented","detail":"hello","by":{"name":"ana","email":"","ids":{}}}')

    assert entry.said_at == ""


@pytest.mark.parametrize("name", ["layout-1.json", "layout-2.json"])
def test_what_earlier_versions_stored_came_from_no_ticket(name):
    dump = orjson.loads((DATA / name).read_text())["redis"]
    hashes = {key: it["value"] for key, it in dump.items() if it["type"] == "hash" and "incident" in it["value"]}
    assert hashes

    for key, fields in hashes.items():
        incident = load_incident(IncidentId(key.rpartition(":")[2]), fields)
        assert incident is not None
        assert (incident.origin, incident.sides) == ("", {})
        assert {it.said_at for it in incident.news} <= {""}
        assert {it.locator for it in incident.deliveries.values()} <= {""}
        assert read_back(incident) == incident


NEW: Mapping[type, Mapping[str, Any]] = {
    Incident: {"origin": "", "sides": {}},
    Asked: {"origin": "", "mention": ""},
    Snooze: {"record": ""},
    Entry: {"said_at": ""},
    Delivery: {"locator": ""},
}
"""What a version does not know that is older than these fields."""


def known_before(incident: Incident) -> Incident:
    asked, snooze = incident.policy.asked, incident.snooze
    return replace(
        incident,
        **NEW[Incident],
        policy=replace(incident.policy, asked=asked and replace(asked, **NEW[Asked])),
        snooze=snooze and replace(snooze, **NEW[Snooze]),
        news=tuple(replace(it, **NEW[Entry]) for it in incident.news),
        deliveries={name: replace(it, **NEW[Delivery]) for name, it in incident.deliveries.items()},
    )


@contextmanager
def the_version_before() -> Iterator[None]:
    """This code, one schema back, without the fields of tickets."""
    known = codec._parts

    def parts(kind: type) -> Mapping[str, type | None]:
        return {name: it for name, it in known(kind).items() if name not in NEW.get(kind, {})}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(codec, "_parts", parts)
        yield


@contextmanager
def the_version_after() -> Iterator[None]:
    """This code, one schema on."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(codec, "SCHEMA", codec.SCHEMA + 1)
        yield


def changed_by_the_version_before(incident: Incident, change: Callable[[Incident], Incident]) -> Incident:
    """What that makes of it, as this one reads it."""
    with the_version_after():
        fields = stored(incident)
    with the_version_before():
        found = load_incident(incident.id, fields)
        assert found is not None
        fields = stored(change(known_before(found)))
    with the_version_after():
        found = load_incident(incident.id, fields)
    assert found is not None
    return found


def test_what_layout_4_stored_came_from_no_ticket():
    before = known_before(of_ticket())
    data = unpacked(stored(before)["incident"]) | {"schema": 4, "readable_from": 4, "id": before.id}
    for name in NEW[Incident]:
        del data[name]
    del data["policy"]["asked"]["origin"], data["policy"]["asked"]["mention"], data["snooze"]["record"]
    fields = {
        "version": str(before.version),
        "status": before.status,
        "alerts": orjson.dumps(data.pop("alerts")).decode(),
        "incident": orjson.dumps(data | {"alerts": []}).decode(),
        "delivery:servicenow": orjson.dumps(unpacked(dump_delivery(before.delivery(SERVICENOW)))).decode(),
    }

    assert load_incident(before.id, fields) == before


def test_the_version_before_keeps_all_that_it_does_not_know():
    incident = of_ticket()

    changed = changed_by_the_version_before(incident, lambda it: replace(it, title="Changed"))

    assert changed == replace(incident, title="Changed")


def test_the_version_before_keeps_where_older_news_were_said_beside_its_own():
    incident = of_ticket()
    own = Entry(START_MS + 1, Event.ACKNOWLEDGED, by=Actor("ana"))

    found = changed_by_the_version_before(incident, lambda it: replace(it, news=(*it.news, own), snooze=None))

    assert found.news == (*incident.news, own)
    assert (found.origin, found.sides, found.snooze) == (SERVICENOW, incident.sides, None)
