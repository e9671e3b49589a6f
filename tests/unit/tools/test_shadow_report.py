"""versus shadow report: how requests are counted there and here."""

import pytest

from tests.support.factories import make_alert, make_incident
from versus_py.errors import VersusError
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Delivery
from versus_py.store.journal.chain import Line
from versus_py.targets.shadow import WRITES
from versus_py.tools.shadow import compared, tickets_created


def line(incident, outcome="created", *, at_ms=1, item=1, source="alertmanager", body="b"):
    return Line(
        at_ms=at_ms,
        process="p",
        sender="",
        source=source,
        item=item,
        body=body,
        key=None,
        incident=incident,
        outcome=outcome,
        version=1,
        n=1,
        previous="",
        hash="",
    )


def shadowed(**writes):
    deliveries = {name: Delivery(reference={WRITES: str(number)}) for name, number in writes.items()}
    return replace(make_incident(make_alert()), deliveries=deliveries)


def counted(lines, incident=None, *, by_default=True):
    known = {} if incident is None else {incident.id: incident}
    [found] = compared(lines, known, escalates_by_default=by_default, channels=["slack"]).values()
    return found


def test_each_request_is_a_message_and_a_ticket_there_and_one_of_each_here():
    incident = shadowed(slack=3, servicenow=2)

    found = counted([line(incident.id), line(incident.id, "updated", at_ms=2)], incident)

    assert (found.requests, found.their_messages, found.their_tickets) == (2, 2, 2)
    assert (found.messages, found.edits, found.tickets) == (1, 2, 1)
    assert found.difference == 2


def test_a_request_that_says_it_is_over_is_a_message_and_no_ticket_there():
    incident = shadowed(slack=2)

    found = counted([line(incident.id), line(incident.id, "resolved", at_ms=2)], incident)

    assert (found.their_messages, found.their_tickets, found.messages, found.tickets) == (2, 1, 1, 0)


def test_a_message_less_does_not_make_up_for_a_ticket_more():
    incident = shadowed(servicenow=1)

    found = counted([line(incident.id, "resolved")], incident)

    assert (found.their_messages, found.messages, found.their_tickets, found.tickets) == (1, 0, 0, 1)
    assert found.difference == 2


def test_further_incidents_of_one_request_count_once_there():
    found = counted([line("a-0", item=1), line("a-0", item=2)])

    assert (found.requests, found.their_messages) == (2, 1)


def test_each_record_of_a_list_of_logs_counts_there():
    found = counted([line("a-0", item=1, source="fluentbit"), line("a-0", item=2, source="fluentbit")])

    assert found.their_messages == 2


def test_what_is_not_kept_any_more_escalates_as_the_configuration_says():
    assert counted([line("a-0")], by_default=False).their_tickets == 0
    assert counted([line("a-0")]).their_tickets == 1
    assert counted([line(None, "ignored")]).their_tickets == 0


def test_tickets_of_an_exported_list_are_counted_by_their_time(tmp_path):
    file = tmp_path / "incident.csv"
    file.write_text(
        "\ufeffnumber,sys_created_on\nINC1,1970-01-01 00:00:01\nINC2,1970-01-01 00:01:00\nINC3,01/01/1970 00:00:02\n",
        "utf-8",
    )

    assert tickets_created(file, 0, 2000) == 2


def test_a_time_that_cannot_be_read_is_refused_and_not_left_out(tmp_path):
    file = tmp_path / "incident.csv"
    file.write_text("Created\n1970-01-01 00:00:01\n11/29/2026 10:00 AM\n")

    with pytest.raises(VersusError, match="'11/29/2026 10:00 AM' is no time such as 2026-11-29 10:00:00"):
        tickets_created(file, 0, 2000)


def test_a_list_without_a_time_is_refused(tmp_path):
    file = tmp_path / "incident.csv"
    file.write_text("number\nINC1\n")

    with pytest.raises(VersusError, match="has none of the columns sys_created_on"):
        tickets_created(file, 0, 1)
