"""The append-only files of the embedded server: whether they hold what it has written, and writing them again."""

import asyncio
import re
from pathlib import Path

from redis.asyncio import Redis

from versus_py.errors import StoreUnavailable
from versus_py.store.calls import answered

FOLDER = "appendonlydir"
REWRITE_TIMEOUT_S = 60.0
_MANIFEST = "appendonly.aof.manifest"


def sizes(data_dir: Path) -> dict[str, int]:
    """The files that the manifest names, with their sizes; 0 for one that is missing."""
    folder = data_dir / FOLDER
    try:
        names = re.findall(r"^file (\S+) ", (folder / _MANIFEST).read_text(), re.MULTILINE)
    except OSError:
        return {}
    return {name: _size(folder / name) for name in names}


async def are_whole(data_dir: Path, client: Redis) -> bool:
    """Whether all that the server has written is in the files, or is being written to new ones."""
    info = await answered(client.info("persistence"))
    if info["aof_rewrite_in_progress"]:
        return True
    return sum(sizes(data_dir).values()) >= int(info["aof_current_size"])


async def write_again(data_dir: Path, client: Redis) -> None:
    """Write everything that the server has to new files, and to a new folder where that is gone.

    Raises StoreUnavailable and OSError.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    await answered(client.config_set("dir", str(data_dir)))  # the server may be in a folder that was deleted
    async with asyncio.timeout(REWRITE_TIMEOUT_S):
        await answered(client.bgrewriteaof())
        while True:
            info = await answered(client.info("persistence"))
            if not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]:
                break
            await asyncio.sleep(0.05)
    if info["aof_last_bgrewrite_status"] != "ok" or not await are_whole(data_dir, client):
        raise StoreUnavailable("the server could not write its files: see valkey.log")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
