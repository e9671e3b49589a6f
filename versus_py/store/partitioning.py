"""The number of partitions, which is fixed when incidents are stored for the first time."""

from versus_py.errors import VersusError
from versus_py.incidents.partitions import DEFAULT, partitions
from versus_py.store import keys
from versus_py.store.calls import RedisClient, answered, load_script

_MARKER = keys.in_partition(0, "marker")


class OtherPartitions(VersusError):
    """What is stored is spread over another number of partitions than is configured."""

    def __init__(self, stored: int) -> None:
        self.found = f"redis.partitions is {len(partitions())}, but what this Redis holds is spread over {stored}"
        self.advice = (
            f"set redis.partitions to {stored}, or use an empty Redis; the number cannot be changed afterwards"
        )
        super().__init__(f"{self.found}: {self.advice}")


async def fix_partitions(redis: RedisClient) -> None:
    """Write the number down where none is; raises OtherPartitions where it is another, and StoreUnavailable."""
    fix = load_script(redis, "fix_partitions")
    _compare(int(await answered(fix([_MARKER], [len(partitions()), DEFAULT]))))


async def check_partitions(redis: RedisClient) -> None:
    """Raises OtherPartitions as `fix_partitions` does, and writes nothing."""
    stored, seen_ms = await answered(redis.hmget(_MARKER, ("partitions", "seen_ms")))
    if stored is not None:
        _compare(int(stored))
    elif seen_ms is not None:
        _compare(DEFAULT)


def _compare(stored: int) -> None:
    if stored != len(partitions()):
        raise OtherPartitions(stored)
