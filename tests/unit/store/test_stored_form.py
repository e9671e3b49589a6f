"""What is stored of an incident: small, read back whole, and left alone by versions that cannot read it."""

import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib import resources
from typing import Any

import orjson
import pytest

from tests.support.clock import START_MS
from tests.support.factories import make_alert, make_incident
from tests.support.payloads import DATA
from tests.support.stored import packed, unpacked
from tests.unit.store.test_ticket_fields import of_ticket
from versus_py.errors import Unreadable
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Entry, Event, Incident, Status
from versus_py.store import codec, packing
from versus_py.store.codec import dump_alerts, dump_delivery, dump_entry, dump_incident, load_incident

NUMBERS_OF_LAYOUT_5 = re.compile(r'{"schema":(\d+),"readable_from":(\d+),')
"""How versions of layout 5 find the numbers."""


def stored(incident: Incident) -> dict[str, str]:
    alerts = {"alerts": dump_alerts(incident).decode()} if codec.has_alerts_apart(incident) else {}
    return {"incident": dump_incident(incident).decode(), "status": incident.status, "version": "1", **alerts}


def loaded(fields: dict[str, str], incident: Incident) -> Incident:
    found = load_incident(incident.id, fields)
    assert found is not None
    return found


def alerts_in(text: str | bytes) -> list[dict[str, Any]]:
    """What a field of alerts says."""
    found: list[dict[str, Any]] = orjson.loads(packing.unpack(orjson.loads(text)["packed"]))
    return found


def many_alerts(count: int = codec.TOGETHER_MAX + 1) -> Incident:
    alerts = tuple(make_alert(fingerprint=f"fp-{number}") for number in range(count))
    return replace(make_incident(), alerts=alerts, version=1)


def test_the_dictionary_is_what_it_was_when_it_packed_what_is_stored():
    text = resources.files("versus_py.store").joinpath("dictionary.txt").read_bytes()

    assert sha256(text).hexdigest() == "b4b972aede3dbf230f9b1f776f69dd3c4b18481b82a02649ad8d0d6ad6fd8cee"


@pytest.mark.parametrize("json", [b"", b"{}", b'{"a":"\\u00e9"}', orjson.dumps({"a": ["x" * 100] * 1000})])
def test_what_is_packed_is_unpacked(json):
    assert packing.unpack(packing.pack(json).decode()) == json


def test_several_threads_may_pack_and_unpack():
    """A context of zstandard is for one at a time: two end the process."""
    texts = [orjson.dumps({"number": number, "more": "x" * 10 * number}) for number in range(400)]

    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda text: packing.unpack(packing.pack(text).decode()), texts)]

    assert found == texts


@pytest.mark.parametrize("text", ["", "A", "AAAA", "é", "not packed", packing.pack(b'{"a":1}').decode()[:-4]])
def test_what_was_not_packed_is_an_error(text):
    with pytest.raises(ValueError, match=r"."):
        packing.unpack(text)


def test_no_packed_text_takes_more_memory_than_any_incident(monkeypatch):
    monkeypatch.setattr(packing, "UNPACKED_MAX", 1000)

    with pytest.raises(ValueError, match="more than 1000 bytes"):
        packing.unpack(packing.pack(b" " * 2000).decode())


def test_an_incident_of_layout_5_is_read_whole():
    dump = orjson.loads((DATA / "layout-5.json").read_text())

    found = load_incident(dump["id"], dump["fields"])

    assert found == replace(of_ticket(), version=1)
    assert found.schema == 5


@pytest.mark.parametrize("text", [dump_incident(of_ticket()), dump_delivery(Delivery({"ts": "1"}))])
def test_a_version_of_layout_5_sees_that_it_may_not_work_on_it(text):
    found = NUMBERS_OF_LAYOUT_5.match(text.decode("ascii"))

    assert found is not None
    assert found.groups() == (str(codec.SCHEMA), str(codec.SCHEMA))


def test_few_alerts_are_stored_with_the_rest():
    incident = many_alerts(codec.TOGETHER_MAX)

    assert not codec.has_alerts_apart(incident)
    assert load_incident(incident.id, stored(incident)) == incident


def test_many_alerts_are_a_field_of_their_own():
    incident = many_alerts()
    fields = stored(incident)

    assert load_incident(incident.id, fields) == incident
    assert "alerts" not in unpacked(fields["incident"])
    assert loaded({**fields, "alerts": dump_alerts(many_alerts(30)).decode()}, incident).alerts[29:]


def test_many_alerts_need_not_be_read_with_the_rest():
    incident = many_alerts()
    fields = stored(incident)
    del fields["alerts"]

    assert load_incident(incident.id, fields) == replace(incident, alerts=())


def test_what_is_unknown_of_one_of_many_alerts_is_kept():
    incident = many_alerts()
    fields = stored(incident)
    items = alerts_in(fields["alerts"])
    items[3]["colour"] = "teal"
    numbers = {"schema": codec.SCHEMA + 1, "readable_from": codec.SCHEMA}
    newer = {
        "incident": packed(unpacked(fields["incident"]) | numbers),
        "alerts": orjson.dumps({"packed": packing.pack(orjson.dumps(items)).decode()}).decode(),
    }

    found = loaded(fields | newer, incident)
    again = alerts_in(dump_alerts(found))

    assert [it.get("colour") for it in again[:5]] == [None, None, None, "teal", None]


def test_alerts_that_an_older_layout_left_beside_the_incident_do_not_count():
    incident = replace(make_incident(), version=1)
    other = orjson.dumps([{"fingerprint": "old", "status": "firing"}]).decode()

    assert load_incident(incident.id, {**stored(incident), "alerts": other}) == incident


@pytest.mark.parametrize(
    "changes",
    [
        {"incident": packed({"schema": 6, "readable_from": 6})},
        {"incident": '{"schema":6,"readable_from":6,"packed":"nonsense"}'},
        {"incident": '{"schema":6,"readable_from":6}'},
        {"incident": ""},
        {"status": "of a newer version"},
        {"version": "x"},
        {"delivery:slack": "nonsense"},
    ],
)
def test_what_is_broken_is_unreadable(changes):
    incident = make_incident()

    with pytest.raises(Unreadable, match=f"incident {incident.id} cannot be read"):
        load_incident(incident.id, {**stored(incident), **changes})


def test_an_entry_says_only_what_is_not_as_always():
    entry = Entry(START_MS, Event.TRIGGERED, "1 alert from alertmanager")

    assert orjson.loads(dump_entry(entry)) == {
        "at_ms": START_MS,
        "event": "triggered",
        "detail": "1 alert from alertmanager",
    }


@pytest.mark.parametrize("status", Status)
def test_the_status_is_that_of_its_field(status):
    incident = make_incident()

    assert loaded({**stored(incident), "status": status}, incident).status is status
