"""Everything Redis: the durable state of incidents and timers."""

from versus_py.store.history import History, OpenThen, SearchPage, Span, WasOpen
from versus_py.store.ledger import Ledger, Standing
from versus_py.store.markers import Loss, Markers
from versus_py.store.names import ALERTS_ASKED_MAX, Names
from versus_py.store.pages import READ_AGAIN, GivenUp, GivenUpPage, Page, Unread, UnreadFailure
from versus_py.store.shared_time import SharedTime
from versus_py.store.store import Completion, Store
from versus_py.store.storms import Member, Storm, Storms
from versus_py.store.timers import Claim, Due, Found, Timers
from versus_py.store.turns import Rate, Turns

__all__ = [
    "ALERTS_ASKED_MAX",
    "READ_AGAIN",
    "Claim",
    "Completion",
    "Due",
    "Found",
    "GivenUp",
    "GivenUpPage",
    "History",
    "Ledger",
    "Loss",
    "Markers",
    "Member",
    "Names",
    "OpenThen",
    "Page",
    "Rate",
    "SearchPage",
    "SharedTime",
    "Span",
    "Standing",
    "Store",
    "Storm",
    "Storms",
    "Timers",
    "Turns",
    "Unread",
    "UnreadFailure",
    "WasOpen",
]
