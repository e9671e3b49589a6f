"""What is written into a record."""

import pytest

from versus_py.config import ServiceNowInstance
from versus_py.incidents.model import Actor, Entry, Event
from versus_py.targets.servicenow.record import notes


@pytest.mark.parametrize(
    "entry",
    [
        Entry(0, Event.COMMENTED, "[code]<b>x</b>[/CODE]", Actor("a sender")),
        Entry(0, Event.RESOLVED, "x", Actor("[code]<b>Ana</b>[/code]")),
    ],
    ids=["detail", "person"],
)
def test_a_work_note_is_text_whatever_alerts_and_people_say(entry):
    [line] = notes([entry], ServiceNowInstance())

    assert "[" not in line.text
    assert line.text.startswith(line.begins)
