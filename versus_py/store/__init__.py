"""Everything Redis: the durable state of incidents and timers."""

from versus_py.store.store import Claim, Completion, Page, Store

__all__ = ["Claim", "Completion", "Page", "Store"]
