"""Copies with some fields changed, of structs and of dataclasses."""

import dataclasses
from typing import Any

import pytest
from msgspec import structs

from tests.support.factories import make_alert, make_incident, make_notification
from versus_py.incidents import copies
from versus_py.incidents.model import Delivery, Listing, Outcome
from versus_py.incidents.sides import Side, Standing
from versus_py.incidents.transitions import Change

replace: Any = copies.replace  # with values of other types than the fields have
INCIDENT = make_incident()
STRUCTS = [INCIDENT, INCIDENT.policy, make_alert(), make_notification(), Delivery(), Listing()]
STRUCTS += [Change(INCIDENT, Outcome.UPDATED, {})]
SIDE = Side(1, Standing.NEW)


@pytest.mark.parametrize("value", STRUCTS, ids=lambda it: type(it).__name__)
def test_any_field_is_changed_in_a_copy_that_is_as_frozen(value):
    for field in structs.fields(value):
        copy = replace(value, **{field.name: "changed"})

        assert structs.asdict(copy) == structs.asdict(value) | {field.name: "changed"}
        assert getattr(value, field.name) != "changed"
        with pytest.raises(AttributeError):
            setattr(copy, field.name, None)


def test_a_dataclass_is_copied_as_ever():
    assert replace(SIDE, title="changed") == dataclasses.replace(SIDE, title="changed")


@pytest.mark.parametrize("value", [*STRUCTS, SIDE], ids=lambda it: type(it).__name__)
def test_what_is_no_field_is_refused(value):
    with pytest.raises(TypeError, match="statsu"):
        replace(value, statsu="x")


@pytest.mark.parametrize("name", ["opening", "confirmations", "repeats", "written_at_ms", "payload", "schema"])
def test_incidents_are_the_same_however_they_are_stored(name):
    same, another = replace(INCIDENT, **{name: "changed"}), replace(INCIDENT, title="changed")

    assert same == INCIDENT
    assert not same != INCIDENT  # noqa: SIM202 - of a struct, that is not the same
    assert another != INCIDENT
    assert not another == INCIDENT  # noqa: SIM201


def test_deliveries_are_the_same_whatever_was_seen_of_their_records():
    same, another = replace(Delivery(), report="seen"), replace(Delivery(), note="changed")

    assert same == Delivery()
    assert not same != Delivery()  # noqa: SIM202
    assert another != Delivery()
    assert not another == Delivery()  # noqa: SIM201
