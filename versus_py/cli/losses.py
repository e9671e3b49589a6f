"""versus accept-empty."""

import typer

from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, run_to_end
from versus_py.config import Config, LogConfig
from versus_py.store import Loss, Markers
from versus_py.store.connection import reach_redis
from versus_py.telemetry.logs import configure_logging


def accept_empty(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Accept the data that Redis has now, after it lost data: the sign of life continues.

    Exit status 1 when no loss is open.
    """
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    loss = run_to_end(_accept(loaded))
    if loss is None:
        err.print("nothing was changed: Redis has lost nothing that is not accepted", style="yellow", markup=False)
        raise typer.Exit(1)
    out.print(f"accepted: the data of Redis was {loss}", markup=False, highlight=False)


async def _accept(config: Config) -> Loss | None:
    async with reach_redis(config.redis, config.data_dir) as redis:
        return await Markers(redis).accept()
