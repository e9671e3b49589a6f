"""The column by which a record is found again."""

import pytest

from tests.support.factories import make_incident
from versus_py.config import ServiceNowInstance
from versus_py.incidents.model import IncidentId
from versus_py.targets.servicenow.fields import created_fields
from versus_py.targets.servicenow.key import Key
from versus_py.targets.servicenow.record import Record

ID = IncidentId("4ca6d7d63b3c2ef97ad8-1")
TITLED = Key("short_description", is_in_text=True)


def record(column: str, text: str) -> Record:
    return Record("sys", "INC1", "1", {column: text})


@pytest.mark.parametrize(
    ("key", "query"),
    [
        (Key("correlation_id"), f"correlation_id={ID}"),
        (Key("short_description"), f"short_description=Incident {ID}"),
        (TITLED, f"short_descriptionLIKE{ID}"),
    ],
)
def test_a_record_is_looked_for_by_the_column_of_the_key(key, query):
    assert key.query(ID) == query


@pytest.mark.parametrize(
    ("text", "is_its"),
    [
        (f"DiskFull [{ID}]", True),
        (f"{ID}: DiskFull", True),
        (f"DiskFull [{ID}0]", False),
        (f"DiskFull [x-{ID}]", False),
        ("DiskFull", False),
    ],
)
def test_a_text_with_a_longer_id_in_it_is_of_another_incident(text, is_its):
    assert TITLED.is_of(record("short_description", text), ID) is is_its


def test_an_id_alone_is_compared_as_a_whole():
    key = Key("correlation_id")

    assert key.is_of(record("correlation_id", ID), ID)
    assert not key.is_of(record("correlation_id", f"[{ID}]"), ID)
    assert not key.is_of(record("number", ID), ID)


def test_a_long_text_is_cut_so_that_the_id_fits_the_column():
    incident = make_incident()

    text = TITLED.text(incident, "x" * 300)

    assert len(text) == 160
    assert text.endswith(f"… [{incident.id}]")


def test_without_a_template_or_with_an_empty_one_the_id_stands_alone():
    incident = make_incident()

    assert TITLED.text(incident) == f"Incident {incident.id}"
    assert Key("u_key").text(incident) == incident.id


def test_a_new_record_has_a_short_description_also_where_another_column_is_the_key():
    incident = make_incident()
    key = Key.of(ServiceNowInstance(key_field="u_key"))

    assert created_fields(incident, key) == {"short_description": f"Incident {incident.id}", "u_key": incident.id}
    assert created_fields(incident, key, {"short_description": "x"})["short_description"] == "x"


def test_the_id_is_kept_where_a_column_of_unknown_length_is_cut_off():
    key, incident = Key("u_alert", is_in_text=True), make_incident()

    text = key.text(incident, "DiskFull " * 20)

    assert key.is_of(record("u_alert", text[:40]), incident.id)
