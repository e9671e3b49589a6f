"""Which columns of a record are ours to write again: what we wrote last, and what came of it. Pure."""

import json
from collections.abc import Mapping
from hashlib import sha256

from msgspec import Struct


class Column(Struct, frozen=True):
    """One of update_fields, by digests of texts."""

    holds: str  # what the record held afterwards: what people change is theirs
    sent: str = ""  # what the template came to: ServiceNow may write it in another way; "" where that is not known


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def read_columns(text: str) -> dict[str, Column]:
    """From what `write_columns` made; an earlier version kept only what the record held."""
    data = json.loads(text or "{}")
    return {name: Column(*it) if isinstance(it, list) else Column(it) for name, it in data.items()}


def write_columns(columns: Mapping[str, Column]) -> str:
    return json.dumps({name: [it.holds, it.sent] for name, it in columns.items()})
