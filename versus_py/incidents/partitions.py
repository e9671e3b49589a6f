"""Over how many partitions incidents are spread. A Redis Cluster keeps each of them on one node.

Ids, keys and all that reads them depend on it, so it is one number for a process, set before anything else is done.
What is stored belongs to it for ever: see `store.partitioning`.
"""

from functools import lru_cache
from hashlib import sha256

DEFAULT = 4
MOST = 64

_numbers = range(DEFAULT)


def partitions() -> range:
    """The numbers of all partitions."""
    return _numbers


def use_partitions(count: int) -> None:
    """From now on there are so many."""
    global _numbers  # noqa: PLW0603 - the one number that ids, which are pure, and keys have in common
    _numbers = range(count)
    partition_of.cache_clear()


@lru_cache(1024)
def partition_of(dedup_key: str) -> int:
    """The partition that everything about *dedup_key* is kept in; asked for several times while that is written."""
    return int.from_bytes(sha256(dedup_key.encode(errors="replace")).digest()[:4]) % len(_numbers)
