"""What users.info tells of a person."""

import pytest
from hypothesis import given

from tests.support.payloads import json_values
from versus_py.incidents.model import Actor
from versus_py.targets.slack.people import EMAIL_MAX, NAME_MAX, read_person

SO_FAR = Actor("ana", ids={"slack": "U0ANA"})


def named(name):
    return Actor(name, ids={"slack": "U0ANA"})


ANA = Actor("Ana Diaz", "ana@example.com", {"slack": "U0ANA"})


@pytest.mark.parametrize(
    ("user", "person"),
    [
        pytest.param({"name": "ana", "profile": {"real_name": "Ana Diaz", "email": "ana@example.com"}}, ANA, id="all"),
        pytest.param({"profile": {"real_name": "", "display_name": "Ana"}}, named("Ana"), id="display"),
        pytest.param({"real_name": "Ana Diaz", "profile": None}, named("Ana Diaz"), id="no profile"),
        pytest.param({"name": "anad"}, named("anad"), id="handle"),
        pytest.param({"profile": {"real_name": "<!channel>\nx"}}, named("<!channel> x"), id="one line"),
        pytest.param({}, SO_FAR, id="nothing"),
        pytest.param(None, SO_FAR, id="null"),
    ],
)
def test_the_fullest_name_counts_and_what_is_not_told_stays(user, person):
    assert read_person(user, SO_FAR) == person


@pytest.mark.parametrize("email", ["a@b" + "x" * EMAIL_MAX, "a b@example.com", "ana", "<a@b>", "a@b\n", 7, ""])
def test_what_is_no_address_is_left_out(email):
    assert read_person({"profile": {"email": email}}, SO_FAR).email == ""


@given(json_values)
def test_anything_is_a_person_of_bounded_size(value):
    person = read_person(value, SO_FAR)

    assert 0 < len(person.name) <= NAME_MAX
    assert person.ids == {"slack": "U0ANA"}
