"""The key of a record: the column that holds the incident's id, by which the record is found again. Pure."""

import re
from collections.abc import Mapping

from msgspec import Struct

from versus_py.config import ServiceNowInstance
from versus_py.incidents.model import INCIDENT_ID, Incident, IncidentId, is_incident_id
from versus_py.targets.servicenow.record import Record

# Characters that a column holds: servicenow.com/docs, "Case API" (fields inherited from task). What comes of more is
# not documented, so that it is cut here. description is not documented either; 4000 is what most instances have.
LENGTHS = {
    "short_description": 160,
    "correlation_display": 100,
    "contact_type": 40,
    "description": 4000,
    "comments": 4000,
    "work_notes": 4000,
    "close_notes": 4000,
}

_ID_CHARACTERS = "[A-Za-z0-9_-]"
_PREFIX = "Incident "
_IN_BRACKETS = re.compile(rf"^\[({INCIDENT_ID})\] |\[({INCIDENT_ID})\]$")


class Key(Struct, frozen=True):
    """The *column*; *is_in_text* where a template of `fields` writes it, so that the id is a part of what it holds."""

    column: str
    is_in_text: bool = False

    @classmethod
    def of(cls, config: ServiceNowInstance) -> "Key":
        return cls(config.key_field, config.key_field in config.fields)

    def query(self, incident_id: IncidentId) -> str:
        """The condition of an encoded query. The answer has to be compared: ServiceNow drops what it does not know."""
        if self.is_in_text:
            return f"{self.column}LIKE{incident_id}"
        return f"{self.column}={self._alone(incident_id)}"

    def is_of(self, record: Record, incident_id: IncidentId) -> bool:
        """Whether it is the record of this incident."""
        held = record.values.get(self.column, "")
        if not self.is_in_text:
            return held == self._alone(incident_id)
        whole = f"(?<!{_ID_CHARACTERS}){re.escape(incident_id)}(?!{_ID_CHARACTERS})"
        return re.search(whole, held) is not None

    def incident_id(self, values: Mapping[str, str]) -> str:
        """The id of the incident whose record has these *values*, if it looks like one of ours; "" else."""
        held = values.get(self.column, "")
        if self.is_in_text:
            found = _IN_BRACKETS.search(held)
            return found[1] or found[2] if found else ""
        alone = held.removeprefix(_PREFIX)
        return alone if is_incident_id(alone) else ""

    def text(self, incident: Incident, rendered: str = "") -> str:
        """What a new record gets: the id alone, or after what the template of the column came to.

        Before it in a column of unknown length: ServiceNow cuts off the end of what is too long.
        """
        if not (self.is_in_text and rendered):
            return self._alone(incident.id)
        if self.column not in LENGTHS:
            return f"[{incident.id}] {rendered}"
        added = f" [{incident.id}]"
        return shortened(rendered, LENGTHS[self.column] - len(added)) + added

    def _alone(self, incident_id: IncidentId) -> str:
        return f"{_PREFIX}{incident_id}" if self.column == "short_description" else incident_id


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
