"""Copies with some fields changed are what dataclasses would make."""

import dataclasses

import pytest

from tests.support.factories import make_alert, make_incident, make_notification
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery, Incident, Listing, Outcome
from versus_py.incidents.policies import Policy
from versus_py.incidents.transitions import Change

INCIDENT = make_incident()
VALUES = [INCIDENT, INCIDENT.policy, make_alert(), make_notification(), Delivery(), Listing()]
VALUES += [Change(INCIDENT, Outcome.UPDATED, {})]


@pytest.mark.parametrize("value", VALUES, ids=lambda it: type(it).__name__)
def test_any_field_is_changed_in_a_copy_that_is_as_frozen(value):
    for field in dataclasses.fields(value):
        copy = replace(value, **{field.name: "changed"})

        assert copy == dataclasses.replace(value, **{field.name: "changed"})
        assert getattr(value, field.name) != "changed"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(copy, field.name, None)


@pytest.mark.parametrize("value", VALUES, ids=lambda it: type(it).__name__)
def test_what_is_no_field_is_refused(value):
    with pytest.raises(TypeError, match="statsu"):
        replace(value, statsu="x")


@pytest.mark.parametrize("kind", [Incident, Policy, Delivery])
def test_no_class_that_is_copied_as_a_whole_does_anything_when_it_is_made(kind):
    assert not hasattr(kind, "__post_init__")
