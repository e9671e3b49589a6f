"""What the load did and what it was told, written down as it happened. The checker believes this, and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path


class Did(StrEnum):
    """What the load did."""

    TRIGGER = "trigger"  # an alert fires, or is told of again
    ACKNOWLEDGE = "acknowledge"
    GIVE_BACK = "give back"  # un-acknowledge: the wait begins anew
    JOIN = "join"  # what nobody knows fires behind an acknowledgment: a wait begins
    SNOOZE = "snooze"  # the wait stands still
    END_FOR_ONE = "end for one"  # over for one of its senders, and not for another: nothing changes
    RESOLVE = "resolve"
    SAW_RECORD = "saw record"  # somebody looked, and ServiceNow had it
    EMPTIED = "emptied"  # Redis lost all that it had: what was promised before that is no promise any more


class Answer(StrEnum):
    """What came back."""

    TAKEN = "taken"  # a 2xx: it is promised
    REFUSED = "refused"  # a 4xx: it has not happened
    UNKNOWN = "unknown"  # no answer, or a 5xx: it may have happened


@dataclass(frozen=True, slots=True)
class Event:
    """One attempt. Times are this machine's, ms."""

    did: Did
    name: str  # of the alert
    sent_ms: int
    answered_ms: int
    answer: Answer
    wait_ms: int = (
        0  # of a trigger: what it asked for; of giving back, or joining: what begins; of a snooze: its length
    )
    lasts_ms: int = 0  # of an acknowledgment: how long it lasts while the alert fires; 0: for ever
    incident_id: str = ""
    escalates_at_ms: int | None = None  # as the answer says, if it does and the alert waits
    lasts_until_ms: int | None = None  # as the answer says of an acknowledgment, if it does
    may_come_late: bool = False  # the sender gave up waiting: it may happen at any time from now on
    is_hindered: bool = False  # something keeps its record from being created in time
    opens_ms: int = 0  # when the hours begin before which nobody is told of the alert; 0: always
    detail: str = ""


class Journal:
    """Events in the order of their answers, also in a file, for those who look into what went wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        self.events.append(event)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(event)) + "\n")

    def of(self, name: str, did: Did) -> Iterator[Event]:
        return (event for event in self.events if event.name == name and event.did is did)
