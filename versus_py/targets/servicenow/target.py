"""The incident's record: whether there has to be one, which one it is, and what it has been told.

The Table API does not know duplicates (two POSTs with one correlation_id make two records), so a record is
looked for before it is created, and again after every attempt whose outcome is unknown.
"""

import re
from dataclasses import replace

import aiohttp
import structlog

from versus_py.clock import Clock
from versus_py.config import ServiceNowConfig
from versus_py.errors import Permanent
from versus_py.incident import Delivery, Entry, Incident, Status
from versus_py.targets.pace import Pace
from versus_py.targets.servicenow.connection import RateLimited
from versus_py.targets.servicenow.instance import Instance, Told
from versus_py.targets.servicenow.record import Record, contradiction, is_closed
from versus_py.targets.servicenow.table_api import Forbidden

log = structlog.get_logger()

NAME = "servicenow"

_SAFE_IN_QUERY = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


class ServiceNowTarget:
    """The incident's record. *session* must send no cookies of its own and verify TLS.

    Raises ConfigError when a certificate of the configuration cannot be used.
    """

    def __init__(
        self, config: ServiceNowConfig, *, clock: Clock, session: aiohttp.ClientSession, service: str = "versus"
    ) -> None:
        self._instances = {
            name: Instance(instance, service=service, clock=clock, session=session)
            for name, instance in config.instances().items()
        }
        self._pace = Pace(clock, interval_ms=0)

    async def sync(self, incident: Incident, *, attempt: int) -> Delivery:
        """Create the record if the incident escalates and has none; bring one that exists up to date.

        An incident that was acknowledged or resolved, and whose record was never attempted, costs no request.
        """
        if not _SAFE_IN_QUERY.fullmatch(incident.id):
            raise Permanent(f"incident id {incident.id!r} cannot be looked up in ServiceNow")
        before = incident.delivery(NAME)
        is_unsure = attempt > 1 or before.attempts > 0
        if not (before.reference or _wants_record(incident) or is_unsure):
            return before
        instance, note = self._instance(incident, before)
        self._pace.take(instance.url, incident.id)
        try:
            return await self._synced(instance, incident, before, note, is_unsure=is_unsure)
        except RateLimited as exc:
            self._pace.block(instance.url, exc.retry_after_s or 1)
            raise

    def _instance(self, incident: Incident, before: Delivery) -> tuple[Instance, str]:
        """The instance that the record is in or belongs in, and a note when it is not the one that was named."""
        if before.reference:
            known = next((it for it in self._instances.values() if _is_in(it, before)), None)
            if known is None:
                raise Permanent(f"{before.url} is in an instance or a table that is not configured any more")
            return known, before.reference.get("note", "")
        name = incident.policy.destinations.get(NAME)
        if name in self._instances:
            return self._instances[name], ""
        return self._instances[None], f"instance {name!r} is not configured any more: the default one was used"

    async def _synced(
        self, instance: Instance, incident: Incident, before: Delivery, note: str, *, is_unsure: bool
    ) -> Delivery:
        record, follows = await self._find(instance, incident, before, is_unsure=is_unsure)
        wrote = before.reference.get("wrote", "")
        untold = incident.news_after(_told(incident, before))
        if record is None and not before.reference and not _wants_record(incident):
            return before
        if record is None and before.reference and not (_wants_record(incident) and follows):
            # Never a second one in the same wait: it is deleted, which people may, or hidden from the user.
            return replace(before, note=_said(note, f"{before.label} is gone, or the user may not read it any more"))
        if record is None:
            record, written = await instance.create(incident, previous_record=follows, is_first=not is_unsure)
            wrote, note = written.wrote, _said(note, *written.warnings)
            untold = _told_to_a_new_one(incident)
        elif record.sys_id != before.reference.get("sys_id"):  # made by an attempt that nobody recorded
            wrote = instance.digests(record)
        warnings: tuple[str, ...] = ()
        if not _is_over(instance, record, incident, before):
            news = Told(
                untold,
                is_retry=is_unsure,
                is_reopened=_wants_record(incident) and _is_of_an_earlier_wait(incident, before),
                follows=follows,
                wrote=wrote,
            )
            written = await instance.bring_up_to_date(record, incident, news)
            wrote, warnings = written.wrote, written.warnings
        reference = {
            "sys_id": record.sys_id,
            "instance": instance.url,
            "table": instance.config.table,
            "wait": _wait(incident) if _wants_record(incident) else before.reference.get("wait", ""),
            "told": str(incident.news_count),
            "wrote": wrote,
            "note": note,
        }
        return Delivery(
            reference={name: value for name, value in reference.items() if value},
            label=record.number,
            url=instance.page(record),
            note=_said(note, contradiction(record, incident, instance.config.states), *warnings),
        )

    async def _find(
        self, instance: Instance, incident: Incident, before: Delivery, *, is_unsure: bool
    ) -> tuple[Record | None, str]:
        """The record to write to, None without one; and the closed or lost one of an earlier wait that it follows."""
        sys_id = before.reference.get("sys_id")
        if sys_id is None:
            return await self._first(instance, incident, is_unsure=is_unsure), ""
        record = await instance.read(sys_id)
        if record is None:
            log.warning("servicenow.record_gone", incident=incident.id, record=before.label)
        is_over = record is None or is_closed(record, instance.config.states)
        if not is_over or not _is_of_an_earlier_wait(incident, before):
            return record, ""
        if not (_wants_record(incident) or is_unsure):
            return record, ""
        successor = await instance.search(incident, but=sys_id, is_open=True)
        if successor is None and not _wants_record(incident):
            return record, ""
        return successor, before.label

    async def _first(self, instance: Instance, incident: Incident, *, is_unsure: bool) -> Record | None:
        try:
            return await instance.search(incident)
        except Forbidden:
            if is_unsure or not _wants_record(incident):
                raise
            # A role that may create and not read is enough, as long as there is nothing to be found.
            log.warning("servicenow.search_forbidden", incident=incident.id, table=instance.config.table)
            return None


def _wants_record(incident: Incident) -> bool:
    return incident.status is Status.TRIGGERED and incident.is_escalating


def _is_in(instance: Instance, delivery: Delivery) -> bool:
    """Whether the record of *delivery* is one of the instance's; what an earlier version wrote names no table."""
    table = instance.config.table
    return instance.url == delivery.reference.get("instance") and table == delivery.reference.get("table", table)


def _wait(incident: Incident) -> str:
    """What tells the present wait from earlier ones."""
    return str(incident.waiting_since_ms)


def _is_of_an_earlier_wait(incident: Incident, before: Delivery) -> bool:
    """Whether the record that is known was last written in a wait that is over; the incident was reopened since."""
    return before.reference.get("wait", "") not in {"", _wait(incident)}


def _is_over(instance: Instance, record: Record, incident: Incident, before: Delivery) -> bool:
    """Whether the record is left alone: closed for good, or resolved in an earlier wait than the one that goes on."""
    states = instance.config.states
    is_past = _is_of_an_earlier_wait(incident, before) and not _wants_record(incident)
    return is_closed(record, states) or (record.state == states.resolved and is_past)


def _told(incident: Incident, before: Delivery) -> int:
    """The number of the last news that the record has been told.

    A record that nobody recorded was made in this escalation, and may not have been told what came after its begin.
    """
    if before.reference:
        return int(before.reference.get("told", 0))  # earlier versions counted no news
    began_ms = incident.escalation_began_at_ms or 0
    return incident.news_count - sum(entry.at_ms >= began_ms for entry in incident.news)


def _told_to_a_new_one(incident: Incident) -> tuple[Entry, ...]:
    """What a new record does not say by itself: that somebody did not wait."""
    wait_ends_ms = incident.waiting_since_ms + incident.policy.wait_ms
    return tuple(
        entry
        for entry in incident.news
        if entry.event == "escalating" and entry.at_ms == incident.escalation_began_at_ms and entry.at_ms < wait_ends_ms
    )


def _said(*texts: str) -> str:
    return "; ".join(text for text in texts if text)
