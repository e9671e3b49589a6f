"""Everything Redis: the durable state of incidents and timers."""

from versus_py.store.ledger import Ledger, Standing
from versus_py.store.store import Claim, Completion, GivenUp, Names, Page, Store
from versus_py.store.storms import Member, Storm, Storms
from versus_py.store.turns import Rate, Turns

__all__ = [
    "Claim",
    "Completion",
    "GivenUp",
    "Ledger",
    "Member",
    "Names",
    "Page",
    "Rate",
    "Standing",
    "Store",
    "Storm",
    "Storms",
    "Turns",
]
