"""What is counted and measured, for Prometheus: one instance for a process, handed to whoever counts.

Labels take their values from the program and its configuration, never from a payload: there are few, whatever is sent.
Who counts makes the series of all labels at the start: what begins at 1 instead of 0 is no increase to Prometheus.
"""

import platform
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from versus_py import __version__
from versus_py.incidents.heartbeats import is_heartbeat
from versus_py.incidents.model import Ending, Incident
from versus_py.telemetry.shared import registry_of_all

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

TIMER_STATES = ("due", "waiting", "running", "failed")
CLOCK_JUMPS = ("noticed", "over", "confirmed", "set_right", "unconfirmed")

_LATENESS_S = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 14_400)
_ACKNOWLEDGED_S = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 28_800, 86_400)
_REDIS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


_ACCEPTED = "Notifications that were written down before their sender was answered, by what they did."
_REFUSED = "Requests that were answered with an error."
_OUTCOMES = "Waits of incidents that ended, by how."
_JOURNAL = "Notifications for the journal: written, or accepted although they could not be written to its file."
_PENDING = "Incidents that may still escalate, of all replicas."
_OVERDUE = "Those whose escalation is long due and that have no outcome, of all replicas: should be 0."
_EMPTIED = "1 from when Redis lost its data until an operator says: versus accept-empty."
_REARMED = "Overdue escalations that nobody would have come back to, armed again by the watchdog: should be 0."
_DRIFT = "Records that did not agree with their incidents at the last comparison, though both were heard; must be 0."
_LATENESS = "How much later than due an incident had its record."
_TO_ACK = "From the start of an incident's wait to its acknowledgment."
_BREAKER = "1 while this process leaves a target alone because it does not answer."
_CREDENTIALS = "1 while a target refuses the credentials of this process: should be 0."
_REDIS = "How long Redis took to run a script, the way there and back included."
_TAKEN_OVER = "Claims of workers that did not give them back in time."
_JUMPS = "Jumps of Redis' clock, as this process saw them: noticed, and what became of them."
_AHEAD = "How far Redis' clock is ahead of the time that replicas go by: 0 unless it has jumped."
_TURNED = "When this process last asked Redis for what is due, and was answered."
_BURST = "The most deliveries that came due in one minute of the last 30 days, of all replicas."
_DRAIN = "Deliveries a second that the slots of this process come to: their number, over how long one delivery takes."
_RESTARTS = "Processes of `versus serve --processes` that had to be started again."


class Metrics:
    """The metrics of a process, in a registry of their own.

    With *shared*, `text` is of all processes that write into that folder.
    Where there are several, a gauge is what its `multiprocess_mode` says: of what all of them know alike, or of what
    concerns one of them only, the most; of times, the earliest; of what each has some of, the sum.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry, multiprocess_mode="livemax")
        histogram = partial(Histogram, registry=self.registry)
        self.notifications_accepted = counter("versus_notifications_accepted_total", _ACCEPTED, ("source", "outcome"))
        self.requests_refused = counter("versus_requests_refused_total", _REFUSED, ("reason",))
        self.journal_lines = counter("versus_journal_lines_total", _JOURNAL, ("result",))
        self.incident_outcomes = counter("versus_incident_outcomes_total", _OUTCOMES, ("outcome",))
        self.escalations_pending = gauge("versus_escalations_pending", _PENDING)
        self.escalations_overdue = gauge("versus_escalations_overdue", _OVERDUE)
        self.store_emptied = gauge("versus_store_emptied", _EMPTIED)
        self.escalations_rearmed = counter("versus_escalations_rearmed_total", _REARMED)
        self.timers = gauge("versus_timers", "Timers of all replicas.", ("state",))
        self.escalation_lateness = histogram("versus_escalation_lateness_seconds", _LATENESS, buckets=_LATENESS_S)
        self.time_to_acknowledge = histogram("versus_time_to_acknowledge_seconds", _TO_ACK, buckets=_ACKNOWLEDGED_S)
        self.servicenow_drift = gauge("versus_servicenow_drift", _DRIFT, ("target",))
        self.syncs = counter("versus_syncs_total", "Syncs, by what came of them.", ("target", "result"))
        self.retries = counter("versus_retries_total", "Syncs that failed and are tried again.", ("target",))
        self.breaker_open = gauge("versus_breaker_open", _BREAKER, ("target",))
        self.credentials_refused = gauge("versus_credentials_refused", _CREDENTIALS, ("target",))
        self.redis_call = histogram("versus_redis_call_seconds", _REDIS, buckets=_REDIS_S)
        self.leases_taken_over = counter("versus_leases_taken_over_total", _TAKEN_OVER)
        self.clock_jumps = counter("versus_clock_jumps_total", _JUMPS, ("outcome",))
        self.clock_ahead = gauge("versus_clock_redis_ahead_seconds", _AHEAD)
        self.worker_turned = gauge("versus_worker_last_claim_timestamp_seconds", _TURNED, multiprocess_mode="livemin")
        self.ui_streams = gauge(
            "versus_ui_streams", "Tabs of the web UI that this process keeps up to date.", multiprocess_mode="livesum"
        )
        self.processes = gauge("versus_processes", "Processes of this server that run.", multiprocess_mode="livesum")
        self.processes.set(1)
        self.largest_burst = gauge("versus_largest_burst", _BURST, ("target",))
        self.drain = gauge("versus_drain_per_second", _DRAIN, ("target",), multiprocess_mode="livesum")
        self.process_restarts = counter("versus_process_restarts_total", _RESTARTS)
        self.heartbeats = counter(
            "versus_heartbeats_total", "Signs of life to heartbeat.url: sent, failed, or withheld.", ("result",)
        )
        build = Info("versus_build", "What runs.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})
        self._shown = self.registry
        if shared is not None:
            self._shown = registry_of_all(shared)
            self._shown.register(build)
        for result in ("written", "not_written"):
            self.journal_lines.labels(result)
        for ending in Ending:
            self.incident_outcomes.labels(ending)
        for state in TIMER_STATES:
            self.timers.labels(state)
        for outcome in CLOCK_JUMPS:
            self.clock_jumps.labels(outcome)

    def breaker_changed(self, system: str, is_open: bool) -> None:
        """Whether this process leaves *system* alone from now on."""
        self.breaker_open.labels(system).set(is_open)

    def credentials_changed(self, system: str, is_refused: bool) -> None:
        """Whether *system* refuses the credentials of this process from now on."""
        self.credentials_refused.labels(system).set(is_refused)

    def observe_change(self, before: Incident, after: Incident, now_ms: int) -> None:
        """Count what an incident has come to; a heartbeat is none."""
        if is_heartbeat(after.id):
            return
        if after.acknowledged_at_ms is not None and before.acknowledged_at_ms is None:
            self.time_to_acknowledge.observe(max(0, after.acknowledged_at_ms - before.waiting_since_ms) / 1000)
        ending = after.ending
        if ending is None or ending is before.ending:
            return
        self.incident_outcomes.labels(ending).inc()
        if ending is Ending.ESCALATED and after.escalations:
            due_ms = max(it.due_ms for it in after.escalations.values())
            self.escalation_lateness.observe(max(0, now_ms - due_ms) / 1000)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._shown)
