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
    digest = sha256(body).hexdigest()
    process = f"{socket.gethostname()}:{os.getpid()}"
    return [
        Acceptance(
            at_ms=at_ms,
            process=process,
            sender=sender,
            source=notification.source,
            item=item,
            body=digest,
            key=_digest(it.incident.dedup_key if it.incident else notification.dedup_key),
            incident=it.incident.id if it.incident else None,
            outcome=it.outcome,
            version=it.incident.version if it.incident else None,
        )
        for item, (notification, it) in enumerate(zip(notifications, accepted, strict=True), start=1)
        if isinstance(it, Accepted)
    ]


def _digest(dedup_key: str | None) -> str | None:
    return None if dedup_key is None else sha256(dedup_key.encode()).hexdigest()
