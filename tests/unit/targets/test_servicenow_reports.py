"""Whether a record has been changed by nobody else since it was last seen."""

import pytest

from versus_py.incidents.sides import Side, Standing
from versus_py.targets.servicenow.people import OwnUser
from versus_py.targets.servicenow.record import Record
from versus_py.targets.servicenow.reports import Synced

US = OwnUser("versus")


def record(revision: int, by: str) -> Record:
    return Record("s", "INC1", "1", {"sys_mod_count": str(revision), "sys_updated_by": by})


def known(revision: int) -> Side:
    return Side(revision, Standing.NEW)


@pytest.mark.parametrize(
    ("before", "after", "writes", "is_ours"),
    [
        pytest.param(record(3, "ana"), record(4, "versus"), 1, True, id="one write"),
        pytest.param(record(3, "ana"), record(5, "versus"), 2, True, id="two writes"),
        pytest.param(record(4, "versus"), record(5, "Versus"), 1, True, id="after one whose answer was lost"),
        pytest.param(record(4, "ana"), record(5, "versus"), 1, False, id="a person before the read"),
        pytest.param(record(3, "ana"), record(5, "versus"), 1, False, id="a person between the read and the write"),
        pytest.param(record(4, "ana"), record(5, "versus"), 2, False, id="a person, and a write that changes nothing"),
        pytest.param(record(5, "versus"), record(6, "versus"), 1, False, id="two that are not known, the last ours"),
        pytest.param(record(3, "ana"), record(4, "ana"), 1, False, id="a person after the write"),
        pytest.param(None, record(4, "versus"), 0, True, id="a lost write that is only read"),
        pytest.param(None, record(5, "versus"), 0, False, id="a person and a lost write that are only read"),
        pytest.param(None, record(4, "ana"), 0, False, id="a person"),
    ],
)
def test_changes_are_ours_only_where_each_is_accounted_for(before, after, writes, is_ours):
    assert Synced(after, writes=writes, before=before).is_all_ours(known(3), US) is is_ours


def test_what_was_just_created_is_ours():
    assert Synced(record(0, "versus"), writes=1).is_all_ours(None, US)
    assert Synced(record(1, "versus"), writes=2).is_all_ours(None, OwnUser(""))


def test_what_is_seen_for_the_first_time_is_ours_only_where_we_changed_it_last():
    assert Synced(record(7, "versus")).is_all_ours(None, US)
    assert not Synced(record(7, "ana")).is_all_ours(None, US)
    assert not Synced(record(8, "versus"), writes=1, before=record(7, "ana")).is_all_ours(None, US)


def test_where_nobody_knows_who_we_are_only_what_was_written_just_now_is_ours():
    nobody = OwnUser("")

    assert Synced(record(4, "x"), writes=1, before=record(3, "ana")).is_all_ours(known(3), nobody)
    assert not Synced(record(4, "x")).is_all_ours(known(3), nobody)


def test_who_we_are_is_learnt_once():
    user = OwnUser("")
    user.learn({"sys_updated_by": {"value": "Versus", "display_value": "Versus"}})
    user.learn({"sys_updated_by": "ana"})

    assert user.is_it("versus")
    assert not user.is_it("ana")
