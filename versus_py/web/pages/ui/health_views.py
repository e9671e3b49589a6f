"""What the page of health says of the server by itself: each finding with what to do about it. Pure, asks nobody.

The doctor's checks, which ask remote systems, stand beside it: see `engine.checkup`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from versus_py.engine.health import STARTING, Readiness
from versus_py.engine.presence import GONE_MS
from versus_py.incidents.model import system_of
from versus_py.incidents.updates import counted
from versus_py.store import Standing
from versus_py.store.replicas import Replica
from versus_py.targets import Called
from versus_py.targets.check import Check, CheckStatus
from versus_py.web.pages.ui.moments import lasted

CLOCK_OFF_MS = 2_000
"""A machine's clock that is further off is worth setting: logs are hard to read. Escalations do not go by it."""

BEATS_MAX = 50

_LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_GRAVITY = {CheckStatus.FAILED: 0, CheckStatus.WARNING: 1, CheckStatus.OK: 2, CheckStatus.SKIPPED: 3}

_REDIS = {
    "ok": (CheckStatus.OK, "takes writes", ""),
    "unavailable": (
        CheckStatus.FAILED,
        "takes no writes, or not as surely as redis.durability asks for: alerts are refused, to be sent again",
        "check that it runs and is reached from here; the log says more: health.redis_unavailable",
    ),
    "full": (
        CheckStatus.FAILED,
        "is full: new alerts are refused, what was accepted goes on",
        "raise its maxmemory, or keep incidents for less time (retention_days)",
    ),
    "emptied": (
        CheckStatus.FAILED,
        "lost its data",
        "find out why, look after what was open by hand, then run: versus accept-empty",
    ),
    "not_on_disk": (
        CheckStatus.FAILED,
        "cannot write its files: a restart would lose everything",
        "look after the disk and the folder data_dir",
    ),
}


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat that is expected, and how it comes."""

    name: str
    at_ms: int | None = None  # None: never
    sent_by: str = ""
    is_silent: bool = False
    incident_id: str = ""  # of its silence
    path: str = ""  # where it is sent to


@dataclass(frozen=True, slots=True)
class Kept:
    """The journal: where it is, and how many lines this process could not write. "" where none is kept."""

    where: str = ""
    not_written: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known without asking anybody but Redis."""

    now_ms: int
    readiness: Readiness | None  # None where nobody looks after the parts of this process
    standing: Standing | None  # None before the first look
    loss: str
    replicas: Sequence[Replica]
    beats: Sequence[Beat] | None  # None while Redis cannot be asked
    journal: Kept

    @property
    def reaches_redis(self) -> bool:
        """Whether it is worth asking it for more."""
        return self.readiness is None or self.readiness.redis != "unavailable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: how it stands, and what to do; "" when nothing is to be done."""

    name: str
    status: CheckStatus
    found: str
    advice: str = ""
    at_ms: int | None = None  # what the row counts from
    link: str = ""  # a path that shows more


@dataclass(frozen=True, slots=True)
class ReplicaShown:
    """A row of the table."""

    it: Replica
    is_gone: bool

    @property
    def is_well(self) -> bool:
        return not self.is_gone and self.it.worker == "ok"

    @property
    def word(self) -> str:
        if self.is_gone:
            return "Gone"
        return "Ready" if self.it.worker == "ok" else self.it.worker.capitalize()

    @property
    def clock(self) -> str:
        """How far its machine's clock is off, such as +3 ms."""
        ms = self.it.ahead_ms
        return f"{ms:+} ms" if abs(ms) < CLOCK_OFF_MS else f"{ms / 1000:+.0f} s"


def findings(facts: Facts, called: Called) -> list[Finding]:
    """The gravest first."""
    found = [
        *_redis(facts),
        *_worker(facts),
        *_escalations(facts),
        *_targets(facts, called),
        *_failed(facts),
        *_replicas(facts),
        *_heartbeats(facts),
        _journal(facts),
    ]
    return sorted(found, key=lambda it: _GRAVITY[it.status])


def of_doctor(checks: Iterable[Check]) -> list[Finding]:
    """The gravest first, without those that stand in `findings` as they are now."""
    found = (Finding(it.name, it.status, it.found, it.advice) for it in checks if it.name != "Heartbeats")
    return sorted(found, key=lambda it: _GRAVITY[it.status])


def replicas_shown(facts: Facts) -> list[ReplicaShown]:
    return [ReplicaShown(it, _is_gone(it, facts)) for it in facts.replicas]


def masked(found: Iterable[Finding], mask: Callable[[str], str]) -> list[Finding]:
    """Without the secrets that *mask* knows, and without what stands for a login in an address."""

    def plain(text: str) -> str:
        return _LOGIN_IN_URL.sub("**********@", mask(text))

    return [replace(it, name=plain(it.name), found=plain(it.found), advice=plain(it.advice)) for it in found]


def count_of(found: Sequence[Finding]) -> Mapping[str, int]:
    """How many failed, and how many warn."""
    return {
        status.value: sum(it.status is status for it in found) for status in (CheckStatus.FAILED, CheckStatus.WARNING)
    }


def _redis(facts: Facts) -> Iterator[Finding]:
    if facts.readiness is None:
        return
    said = facts.readiness.redis
    status, found, advice = _REDIS.get(said, (CheckStatus.FAILED, said, ""))
    how = f": {facts.loss}" if said == "emptied" and facts.loss else ""
    yield Finding("Redis", status, f"{found}{how}", advice)


def _worker(facts: Facts) -> Iterator[Finding]:
    if facts.readiness is None or facts.readiness.worker == "ok":
        return
    said = facts.readiness.worker
    advice = "wait a moment; if it stays, look into the log, and whether Redis answers"
    yield Finding("Worker", CheckStatus.FAILED, f"is {said}: this replica sends nothing", advice)


def _escalations(facts: Facts) -> Iterator[Finding]:
    if facts.standing is None:
        yield Finding("Escalations", CheckStatus.WARNING, "nobody has looked yet at what is overdue", "wait a moment")
        return
    overdue = facts.standing.overdue
    if overdue:
        found = f"{counted(overdue, 'escalation')} {'is' if overdue == 1 else 'are'} overdue"
        advice = "look after these incidents by hand: the log names them (escalation.overdue)"
        yield Finding("Escalations", CheckStatus.FAILED, found, advice)
    else:
        yield Finding("Escalations", CheckStatus.OK, f"none is overdue; {facts.standing.pending} may still come")
    if facts.standing.partitions_lost:
        found = f"{facts.standing.partitions_lost} partitions cannot be looked at"
        yield Finding("Redis cluster", CheckStatus.FAILED, found, "bring the nodes back that are away")


def _targets(facts: Facts, called: Called) -> Iterator[Finding]:
    troubled: set[str] = set()
    for it in (it for it in facts.replicas if not _is_gone(it, facts)):
        for system, circuit in it.circuits.items():
            troubled.add(system)
            at = _utc(circuit.next_probe_ms)
            found = f"does not answer {it.host}: {circuit.error or 'no answer'}; it is tried again at {at}"
            advice = "nothing is lost: what waits is sent when it answers. Check it, and the way there"
            yield Finding(called(system), CheckStatus.FAILED, found, advice)
        for system, error in it.refused.items():
            troubled.add(system)
            found = f"refuses the credentials of {it.host}: {error}"
            advice = "correct them in the configuration, and restart: what waits is sent then"
            yield Finding(called(system), CheckStatus.FAILED, found, advice)
    words = {"open": "does not answer, and is left alone for a while", "refused": "refuses our credentials"}
    for name, said in () if facts.readiness is None else facts.readiness.targets.items():
        if troubled & {name, system_of(name)}:
            continue  # what is said of its system holds for it
        if said == "ok":
            yield Finding(called(name), CheckStatus.OK, "no trouble")
        else:
            yield Finding(called(name), CheckStatus.FAILED, words.get(said, said), "see the log of this replica")


def _failed(facts: Facts) -> Iterator[Finding]:
    number = 0 if facts.standing is None else facts.standing.failed
    if number:
        found = f"{number} {'delivery' if number == 1 else 'deliveries'} failed for good"
        advice = "mend what the error says, then retry: versus retry --all"
        yield Finding("Failed deliveries", CheckStatus.WARNING, found, advice, link="/failed")


def _replicas(facts: Facts) -> Iterator[Finding]:
    here = [it for it in facts.replicas if not _is_gone(it, facts)]
    versions = sorted({it.version for it in here})
    if len(versions) > 1:
        found = f"run different versions: {', '.join(versions)}"
        yield Finding("Replicas", CheckStatus.WARNING, found, "finish the update: replace those of the older version")
    for it in facts.replicas:
        if _is_gone(it, facts):
            found = f"{it.host} said nothing for {lasted(facts.now_ms - it.seen_ms)}"
            advice = "if nobody stopped it, look into its log, and whether it reaches Redis"
            yield Finding("Replicas", CheckStatus.WARNING, found, advice)
        elif it.worker not in {"ok", STARTING}:
            advice = "look into its log: others do its work meanwhile"
            yield Finding("Replicas", CheckStatus.WARNING, f"the worker of {it.host} is {it.worker}", advice)
        if abs(it.ahead_ms) >= CLOCK_OFF_MS:
            way = "ahead" if it.ahead_ms > 0 else "behind"
            found = f"the clock of {it.host} is {abs(it.ahead_ms) / 1000:.0f} s {way}"
            advice = "set it by NTP. Escalations come at their time all the same"
            yield Finding("Clock", CheckStatus.WARNING, found, advice)


def _heartbeats(facts: Facts) -> Iterator[Finding]:
    if facts.beats is None:
        return
    for it in facts.beats[:BEATS_MAX]:
        name, by = f"Heartbeat {it.name}", f" from {it.sent_by}" if it.sent_by else ""
        if it.at_ms is None:
            yield Finding(name, CheckStatus.WARNING, "has never come", f"have it sent: POST {it.path}")
        elif it.is_silent:
            link = f"/incidents/{it.incident_id}" if it.incident_id else ""
            advice = "look whether its sender runs, and reaches this server"
            yield Finding(name, CheckStatus.FAILED, f"is silent; the last one came{by}", advice, it.at_ms, link)
        else:
            yield Finding(name, CheckStatus.OK, f"came{by}", at_ms=it.at_ms)
    if len(facts.beats) > BEATS_MAX:
        yield Finding("Heartbeats", CheckStatus.SKIPPED, f"{len(facts.beats) - BEATS_MAX} more: versus doctor")


def _journal(facts: Facts) -> Finding:
    it = facts.journal
    if not it.where:
        return Finding("Journal", CheckStatus.SKIPPED, "is not kept: journal.keep is none")
    if it.not_written:
        found = f"{counted(it.not_written, 'notification')} could not be written to {it.where} since the start"
        advice = "look after the disk: the log says why (journal.not_written)"
        return Finding("Journal", CheckStatus.FAILED, found, advice)
    return Finding("Journal", CheckStatus.OK, f"is written to {it.where}")


def _is_gone(it: Replica, facts: Facts) -> bool:
    return facts.now_ms - it.seen_ms > GONE_MS


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S UTC")
