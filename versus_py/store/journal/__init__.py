"""The journal: what was accepted, line by line, apart from what became of it, so that the two can be compared.

Off by default. It is kept in Redis, one for all replicas, or in a file, one for each process.
"""

from versus_py.store.journal.chain import Acceptance, Chain, Head, Line
from versus_py.store.journal.file import Appender, FileJournal, JournalFile
from versus_py.store.journal.in_redis import RedisJournal, StoredJournal
from versus_py.store.journal.journal import Journal, Stretch, Written
from versus_py.store.journal.opening import open_journal

__all__ = [
    "Acceptance",
    "Appender",
    "Chain",
    "FileJournal",
    "Head",
    "Journal",
    "JournalFile",
    "Line",
    "RedisJournal",
    "StoredJournal",
    "Stretch",
    "Written",
    "open_journal",
]
