"""The key layout: every key, its type and its members. Nothing else spells a key.

| key (prefix `versus:`)  | type       | holds                                                                   |
|-------------------------|------------|-------------------------------------------------------------------------|
| `{p}:incident:<id>`     | hash       | `version`, `status`, `incident`, `alerts`, `delivery:<target>`: see     |
|                         |            | codec; `repeats` of that version, `repeated_ms`, when the last one came |
| `{p}:dedup:<sha256>`    | string     | id of the incident that a dedup key names; of a further key, ids        |
| `{q}:alerts:<day>:<n>`  | hash       | some of the alerts that began on that day -> ids of their incidents     |
| `{p}:payload:<id>`      | string     | the last body that the incident came with, packed                       |
| `{p}:unread:<id>`       | string     | since when an incident cannot be read, ms; expires                      |
| `{p}:timers`            | sorted set | `<id>|<target>` by due time, ms                                         |
| `{p}:running`           | sorted set | `<id>|<target>` by the end of its lease, ms: also the claim's token     |
| `{p}:unsent`            | hash       | `<id>|<target>` -> the worker that has claimed it and sent nothing yet  |
| `{p}:workers`           | sorted set | worker by when it looked last, ms; expires                              |
| `{p}:attempts`          | hash       | `<id>|<target>` -> attempts since the last completed sync               |
| `{p}:failed`            | sorted set | `<id>|<target>` given up, by when, ms, until it works                   |
| `{p}:pending`           | sorted set | the ledger: id of what may still escalate, by when that is due, ms      |
| `{p}:expected`          | sorted set | the same of heartbeats: id by when the next beat is due, ms             |
| `{p}:timeline:<id>`     | list       | entries (JSON) after those of its creation, oldest first                |
| `{p}:incidents`         | sorted set | id by creation, ms                                                      |
| `{p}:heartbeats`        | sorted set | the same of heartbeats, which are stored as incidents are               |
| `{p}:marker`            | hash       | which data this is, when a replica last saw it, and how it was lost     |
| `{p}:barrier`           | string     | nothing: written to wait until all that was written before it lasts     |
| `{0}:probe`             | string     | proof that Redis takes writes; expires                                  |
| `{0}:due_minutes`       | hash       | `<minute>|<system>` -> deliveries that came due then; two hours         |
| `{0}:due_days`          | hash       | `<day>|<system>` -> the most of a minute, and which; 30 days            |
| `{0}:journal`           | list       | what was accepted: an anchor, then lines (JSON) that make a chain       |
| `{0}:journal_head`      | hash       | `n` and `hash` of the journal's last line                               |
| `{d}:waiting`           | sorted set | who waits for a turn at a destination, by their order                   |
| `{d}:promised`          | sorted set | the same, by when they were told to come back, ms                       |
| `{d}:free_at`           | string     | when the next turn is, ms                                               |
| `{s}:refused`           | hash       | of refused credentials: `error`, `next_probe_ms`, `accepted_ms`         |
| `{s}:waiting_for_probe` | sorted set | `<id>|<target>` that such credentials hold up, by when it is due, ms    |
| `refused`               | set        | names of the systems that refuse our credentials                        |
| `{d}:storm`             | string     | id of the channel's storm that goes on                                  |
| `{d}:counted:<id>`      | string     | id of the storm that an incident is counted in                          |
| `{d}:storm:<id>`        | hash       | a storm: when, its message, its incidents                               |
| `{d}:storm:<id>:lock`   | string     | somebody writes its message                                             |
| `storms`                | set        | `<place> <id>` of every storm whose message is to be kept up to date    |
| `events`                | stream     | which incident has changed, and when its first timer is due; capped     |
| `secret`                | string     | the generated signing key                                               |
| `gateway_secret`        | string     | the generated secret of the API                                         |
| `replicas`              | hash       | name of a replica -> how it stands (JSON); expires                      |
| `checkup`               | string     | what the last checkup found (JSON); expires                             |
| `clock`                 | hash       | what replicas have noted about Redis' clock: see `ClockNotes`           |
| `resolves:<sha256>`     | string     | proof that a sender lists resolved alerts; expires                      |
| `person:<system>:<id>`  | string     | who that is, by their id in a system (JSON); expires                    |
| `reference:<sha256>`    | string     | id of the incident whose message, or record, a system calls so; expires |
| `taken_request:<id>`    | string     | somebody's request that was taken; expires                              |
| `turn:<name>`           | string     | a replica has just done what one of them does now and then; expires     |
| `sender_request:<id>`   | string     | what became of a sender's request (JSON); expires                       |

`{p}` is the partition, a Redis hash tag: all keys of one script share a slot. An incident's id ends in its partition.
`{q}` is that of an alert's fingerprint, whatever its incident: it is asked for before that is known.
`{d}` is a destination, such as `slack:C0123456789`. `{s}` is a system, such as `servicenow:infra`.
"""

from binascii import b2a_base64
from functools import lru_cache
from hashlib import sha256

from versus_py.incidents.heartbeats import is_heartbeat
from versus_py.incidents.model import IncidentId
from versus_py.incidents.partitions import partition_of

PREFIX = "versus:"
EVENTS = f"{PREFIX}events"
SECRET = f"{PREFIX}secret"
GATEWAY_SECRET = f"{PREFIX}gateway_secret"
STORMS = f"{PREFIX}storms"
REFUSED = f"{PREFIX}refused"
CLOCK = f"{PREFIX}clock"
REPLICAS = f"{PREFIX}replicas"
CHECKUP = f"{PREFIX}checkup"
DELIVERY_FIELD = "delivery:"
DAY_MS = 24 * 3600_000

ALERT_BUCKETS = 256
"""Of each partition, for the alerts of a day. Redis keeps hashes of up to 512 short fields in the least memory."""

_REMEMBERED_MAX = 1024
"""Digests that are remembered: while an incident is written, each is asked for several times."""


def in_partition(partition: int | str, name: str) -> str:
    return f"{PREFIX}{{{partition}}}:{name}"


PROBE = in_partition(0, "probe")
DUE_MINUTES = in_partition(0, "due_minutes")
DUE_DAYS = in_partition(0, "due_days")
JOURNAL = in_partition(0, "journal")
JOURNAL_HEAD = in_partition(0, "journal_head")


def partition_of_key(key: str) -> str:
    """The hash tag of a key that has one."""
    return key.partition("{")[2].partition("}")[0]


def partition_of_incident(incident_id: IncidentId) -> str:
    """The partition that *incident_id* ends in. Some other text ends in none: nothing is found there."""
    return incident_id.rpartition("-")[2]


def of_incident(incident_id: IncidentId, name: str) -> str:
    """A key of an incident's partition."""
    return in_partition(partition_of_incident(incident_id), name)


def at_destination(destination: str, name: str) -> str:
    """A key about a place that things are sent to, such as `slack:C0123456789`."""
    return f"{PREFIX}{{{destination}}}:{name}"


def refused(system: str) -> str:
    return at_destination(system, "refused")


def waiting_for_probe(system: str) -> str:
    return at_destination(system, "waiting_for_probe")


def current_storm(place: str) -> str:
    return at_destination(place, "storm")


def storm(place: str, storm_id: str) -> str:
    return at_destination(place, f"storm:{storm_id}")


def counted(place: str, incident_id: IncidentId) -> str:
    return at_destination(place, f"counted:{incident_id}")


def storm_lock(place: str, storm_id: str) -> str:
    return at_destination(place, f"storm:{storm_id}:lock")


def incident(incident_id: IncidentId) -> str:
    return of_incident(incident_id, f"incident:{incident_id}")


def index(incident_id: IncidentId) -> str:
    """The index that lists it."""
    return of_incident(incident_id, "heartbeats" if is_heartbeat(incident_id) else "incidents")


def ledger(incident_id: IncidentId) -> str:
    """The ledger that it is in while something is owed."""
    return of_incident(incident_id, "expected" if is_heartbeat(incident_id) else "pending")


def timeline(incident_id: IncidentId) -> str:
    return of_incident(incident_id, f"timeline:{incident_id}")


@lru_cache(_REMEMBERED_MAX)
def _sha256(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()


def dedup(dedup_key: str) -> str:
    return in_partition(partition_of(dedup_key), f"dedup:{_sha256(dedup_key)}")


def alert(fingerprint: str, starts_at_ms: int) -> tuple[str, str]:
    """The bucket that holds which incidents an alert with this start is in, and its field there.

    A key for each alert would take several times the memory of what it holds.
    """
    digest = _alert_digest(fingerprint, starts_at_ms)
    bucket = int.from_bytes(digest[:4]) % ALERT_BUCKETS
    field = b2a_base64(digest[4:13], newline=False).decode()
    return in_partition(partition_of(fingerprint), f"alerts:{starts_at_ms // DAY_MS}:{bucket}"), field


def older_alert(fingerprint: str, starts_at_ms: int) -> str:
    """The set of these incidents' ids that versions of layout 5 wrote, and that expires as they do."""
    return in_partition(partition_of(fingerprint), f"alert:{_alert_digest(fingerprint, starts_at_ms).hex()}")


@lru_cache(_REMEMBERED_MAX)
def _alert_digest(fingerprint: str, starts_at_ms: int) -> bytes:
    return sha256(f"{fingerprint}\n{starts_at_ms}".encode(errors="replace")).digest()


def payload(incident_id: IncidentId) -> str:
    return of_incident(incident_id, f"payload:{incident_id}")


def unread(incident_id: IncidentId) -> str:
    return of_incident(incident_id, f"unread:{incident_id}")


def resolves(origin: str) -> str:
    return f"{PREFIX}resolves:{_sha256(origin)}"


def person(system: str, user_id: str) -> str:
    return f"{PREFIX}person:{system}:{user_id}"


def reference(system: str, locator: str) -> str:
    digest = sha256(f"{system}\n{locator}".encode(errors="replace")).hexdigest()
    return f"{PREFIX}reference:{digest}"


def taken_request(request_id: str) -> str:
    return f"{PREFIX}taken_request:{request_id}"


def turn(name: str) -> str:
    return f"{PREFIX}turn:{name}"


def sender_request(request_id: str) -> str:
    return f"{PREFIX}sender_request:{request_id}"


def member(incident_id: IncidentId, target: str) -> str:
    """A timer's name in the sorted sets."""
    return f"{incident_id}|{target}"


def split_member(name: str) -> tuple[IncidentId, str]:
    incident_id, _, target = name.partition("|")
    return IncidentId(incident_id), target
