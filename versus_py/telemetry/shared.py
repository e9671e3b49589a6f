"""Metrics of several processes as one: each writes its own into files, and whoever is asked adds all of them up.

The files outlive a process, so that its counters go on where they were when it is started again: none goes down.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # what prometheus_client calls it
_PID = ".pid"


def share_metrics(folder: Path, number: int) -> None:
    """From now on, what this process counts is written into *folder*. To be called before there are `Metrics`."""
    os.environ[_FOLDER] = str(folder)
    forget_gauges(folder, number)  # of the process that had this number before
    (folder / f"{number}{_PID}").write_text(str(os.getpid()))
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: number)  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated


def forget_gauges(folder: Path, number: int) -> None:
    """Process *number* has ended: its gauges are nobody's, its counters stay."""
    (folder / f"{number}{_PID}").unlink(missing_ok=True)
    mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated


def registry_of_all(folder: Path) -> CollectorRegistry:
    """The metrics of all processes: counters and histograms are sums, gauges what their `multiprocess_mode` says."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]  # prometheus_client leaves it unannotated
    registry.register(_Processes(folder))
    return registry


class _Processes(Collector):
    """CPU, memory and files of each process, by its number: their sums would fall when one is started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Each metric once, with the samples of all processes."""
        found: dict[str, Metric] = {}
        for path in sorted(self._folder.glob(f"*{_PID}")):
            with suppress(OSError, ValueError):  # it ends just now
                self._add(found, path.stem, int(path.read_text()))
        yield from found.values()

    def _add(self, found: dict[str, Metric], number: str, pid: int) -> None:
        for metric in ProcessCollector(pid=lambda: pid, registry=None).collect():
            whole = found.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            for sample in metric.samples:
                whole.add_sample(sample.name, {"process": number}, sample.value)
