"""The columns by which a record that is kept in sync both ways shows an incident, beside its state and its notes."""

from collections.abc import Mapping

import structlog

from versus_py.config import ServiceNowInstance
from versus_py.errors import Transient
from versus_py.incidents.model import Entry, Event, Incident, Status
from versus_py.targets.servicenow.fields import References, Rendered
from versus_py.targets.servicenow.record import Record, notes
from versus_py.targets.servicenow.reflection import CALLER, Reflection, more_urgent, raised
from versus_py.targets.servicenow.sides import GROUP

log = structlog.get_logger()

_CALLERS = "sys_user.email"


class Reflector:
    """What it renders can be left out; the rest matters more."""

    def __init__(self, config: ServiceNowInstance, references: References) -> None:
        self._config = config
        self._references = references

    def columns(
        self, record: Record, incident: Incident, reflection: Reflection, news: tuple[Entry, ...], note: str
    ) -> Rendered:
        """Impact, urgency and the group, this by its routing key. *note* is the one that is about to be written."""
        is_over = incident.status is Status.RESOLVED
        fields = raised(record, incident.severity, self._config) if reflection.is_graver and not is_over else {}
        if reflection.is_called and self._is_first_call(news, note):
            fields |= more_urgent({**record.values, **fields})
        if reflection.group and not is_over:
            fields[GROUP] = reflection.group
        return Rendered(fields)

    async def caller(self, reflection: Reflection) -> Mapping[str, str]:
        """The person who acts as the caller; empty where that is not exactly one, or nobody can tell for the moment."""
        if not reflection.caller:
            return {}
        try:
            user, _ = await self._references.find(_CALLERS, reflection.caller)
        except Transient as exc:
            log.warning("servicenow.caller_not_found", error=str(exc))
            return {}
        return {CALLER: user} if user else {}

    def _is_first_call(self, news: tuple[Entry, ...], note: str) -> bool:
        """Whether the note of the call is written now: where it is there, an earlier attempt has raised too."""
        calls = [entry for entry in news if entry.event is Event.CALLED_AGAIN]
        return any(it.begins in note for it in notes(calls, self._config))
