"""versus capacity: what this installation delivers, and what it would have come to in its largest burst."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, run_to_end
from versus_py.cli.tables import print_named
from versus_py.config import Config, LogConfig
from versus_py.engine.capacity import Drain, drained
from versus_py.engine.presence import GONE_MS
from versus_py.incidents.updates import counted
from versus_py.store import SharedTime
from versus_py.store.bursts import Burst, Bursts
from versus_py.store.connection import reach_redis
from versus_py.store.replicas import Replicas
from versus_py.telemetry.logs import configure_logging

COLUMNS = ("system", "delivers now", "with all slots", "largest burst of 30 days", "last delivery of that burst")
NOT_KNOWN = "not known, no delivery is reported yet"


@dataclass(frozen=True, slots=True)
class Found:
    """What replicas say of one system, and the most that it was ever to get."""

    system: str
    drain: Drain | None  # None until a replica reports a delivery
    burst: Burst | None

    def as_json(self) -> dict[str, Any]:
        drain, burst = self.drain, self.burst
        return {
            "system": self.system,
            "replicas": 0 if drain is None else drain.replicas,
            "slots": None if drain is None else drain.slots,
            "slots_max": None if drain is None else drain.most_slots,
            "delivery_seconds": None if drain is None else round(drain.seconds, 6),
            "per_second": None if drain is None else drain.per_second,
            "per_second_max": None if drain is None else drain.most_per_second,
            "largest_burst": None if burst is None else burst.deliveries,
            "largest_burst_at": None if burst is None else _at(burst),
            "last_late_seconds": None if drain is None or burst is None else drain.last_is_late_s(burst.deliveries),
        }

    def row(self) -> list[str]:
        drain, burst = self.drain, self.burst
        now, most, late = NOT_KNOWN, "", ""
        if drain is not None:
            each = f"{counted(drain.slots, 'slot')} of {counted(drain.replicas, 'replica')}"
            now = f"{drain.per_second:,.1f}/s ({each}, {drain.seconds:.3f} s a delivery)"
            most = f"{drain.most_per_second:,.1f}/s ({drain.most_slots} slots)"
        if drain is not None and burst is not None:
            late = f"{drain.last_is_late_s(burst.deliveries):,.0f} s late"
        came = "none" if burst is None else f"{burst.deliveries:,} in the minute of {_at(burst)}"
        return [self.system, now, most, came, "" if burst is None else late]


def capacity(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON array.")] = False,
) -> None:
    """Show how many deliveries a second the running replicas come to, and how late a burst would make the last one.

    The burst is the minute of the last 30 days in which the most came due, taken as due at one moment. Rate limits,
    such as Slack's for each channel, are not part of it. Replicas report every 10 seconds. Exit status 1 when none
    runs.
    """
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    running, found = run_to_end(_found(loaded))
    if as_json:
        out.print_json(data=[it.as_json() for it in found])
    elif found:
        print_named(COLUMNS, [it.row() for it in found])
    if not running:
        err.print("no replica runs: its capacity is not known", style="yellow", markup=False)
        raise typer.Exit(1)
    if not found:
        err.print("nothing was delivered or came due yet", style="yellow", markup=False)


async def _found(config: Config) -> tuple[int, list[Found]]:
    """How many replicas run, and what there is to say of each system."""
    async with reach_redis(config.redis, config.data_dir) as redis:
        now_ms = await SharedTime(redis).now_ms()
        running = [it for it in await Replicas(redis).known() if it.seen_ms > now_ms - GONE_MS]
        drains, bursts = drained([it.paces for it in running]), await Bursts(redis).largest(now_ms=now_ms)
    names = sorted({*drains, *bursts})
    return len(running), [Found(it, drains.get(it), bursts.get(it)) for it in names]


def _at(burst: Burst) -> str:
    return datetime.fromtimestamp(burst.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
