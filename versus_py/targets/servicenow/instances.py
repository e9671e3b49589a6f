"""Which of the configured instances a record is in, also after the URL of one has changed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from versus_py.config import ServiceNowInstance

DEFAULT_KEY = "oncall.servicenow"
"""What a reference calls the default instance; the others go by their names in other_instance_urls."""

DEFAULT_NAME = "default"
"""What a locator calls the default instance."""

Configured = Mapping[str | None, ServiceNowInstance]
"""The instances of the configuration by name, the default one by None."""


@dataclass(frozen=True, slots=True)
class Match:
    """A configured instance that a record is in."""

    name: str | None
    is_at_its_url: bool  # else its URL was another one when the record was written


def key_of(name: str | None) -> str:
    return DEFAULT_KEY if name is None else name


def locator_of(name: str | None, sys_id: str) -> str:
    """The `Delivery.locator` of a record, also of one that is a ticket: which instance, and which record in it."""
    return f"{DEFAULT_NAME if name is None else name}\n{sys_id}"


def match(reference: Mapping[str, str], destination: str | None, configured: Configured) -> Match | None:
    """The instance of the record that *reference* names; None when it is not configured any more.

    That is one with the same table: the one at the record's URL, and where several are or none is, the one with the
    record's key. What an earlier version wrote has no key: it was made for *destination*, if that is configured, else
    for the default one; and before that it had no table either.
    """
    url, meant = reference.get("instance"), reference.get("key")
    if meant is None:
        meant = key_of(destination if destination in configured else None)
    same_table = [name for name, it in configured.items() if reference.get("table", it.table) == it.table]
    at_url = [name for name in same_table if configured[name].instance_url == url]
    by_key = [name for name in same_table if key_of(name) == meant]
    best = [*(name for name in at_url if name in by_key), *at_url, *by_key]
    return Match(best[0], is_at_its_url=best[0] in at_url) if best else None
