"""What the journal is told of a request: digests and names, no text of a payload."""

import os
import socket
from collections.abc import Sequence
from hashlib import sha256

from versus_py.engine.lifecycle import Accepted, Refused
from versus_py.incidents.model import Notification
from versus_py.store.journal import Acceptance


def acceptances(
    body: bytes,
    notifications: Sequence[Notification],
    accepted: Sequence[Accepted | Refused],
    *,
    sender: str,
    at_ms: int,
) -> list[Acceptance]:
    """One for each notification of a request that was accepted, in their order. *sender* is the name of its token."""
    digest = body_digest(body)
    return [
        acceptance(
            it,
            digest,
            source=notification.source,
            dedup_key=notification.dedup_key,
            sender=sender,
            at_ms=at_ms,
            item=item,
        )
        for item, (notification, it) in enumerate(zip(notifications, accepted, strict=True), start=1)
        if isinstance(it, Accepted)
    ]


def acceptance(
    accepted: Accepted,
    digest: str,
    *,
    source: str,
    dedup_key: str | None,
    sender: str,
    at_ms: int,
    item: int = 1,
) -> Acceptance:
    """That of the *item*, counted from 1, of a request whose body has this *digest*."""
    incident = accepted.incident
    return Acceptance(
        at_ms=at_ms,
        process=f"{socket.gethostname()}:{os.getpid()}",
        sender=sender,
        source=source,
        item=item,
        body=digest,
        key=_digest(incident.dedup_key if incident else dedup_key),
        incident=incident.id if incident else None,
        outcome=accepted.outcome,
        version=incident.version if incident else None,
    )


def body_digest(body: bytes) -> str:
    """As the journal has it."""
    return sha256(body).hexdigest()


def _digest(dedup_key: str | None) -> str | None:
    return None if dedup_key is None else sha256(dedup_key.encode()).hexdigest()
