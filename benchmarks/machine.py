"""The machine: which core a process runs on, and what it has used."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

CORES_MIN = 2
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of a whole process: the kernel's posix-timers_types.h


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: what is measured on one core, and everything around it on another."""

    measured: int
    around: int
    replicas: frozenset[int]  # where several of them run: on all but that of the load, if there are more than two

    @property
    def said(self) -> str:
        return (
            f"the measured process on core {self.measured}; "
            f"Redis, the load generator and the stubs on core {self.around} (sched_setaffinity); "
            f"several replicas on cores {', '.join(map(str, sorted(self.replicas)))}"
        )


@cache
def cores() -> Cores:
    """The first two that this process may use. Raises SystemExit when there is one only."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < CORES_MIN:
        raise SystemExit("benchmarks need two cores: one for what is measured, one for Redis and the load")
    others = frozenset(found) - {found[1]}
    return Cores(found[0], found[1], others if len(others) > 1 else frozenset(found))


@contextmanager
def on_core(core: int | frozenset[int]) -> Iterator[None]:
    """What this thread does, and what it starts, runs on *core*, or on any of several."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if isinstance(core, int) else core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """CPU seconds that all threads of a process have used, to the microsecond."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def cpu_of_tree_s(pid: int) -> float:
    """The same of a process and its children."""
    tasks = [it.read_text().split() for it in Path(f"/proc/{pid}/task").glob("*/children")]
    return cpu_s(pid) + sum(cpu_of_tree_s(int(child)) for found in tasks for child in found)


def memory_bytes(pid: int) -> int:
    """What it has in memory now."""
    [kib] = re.findall(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kib) * 1024


def described() -> dict[str, str]:
    """The machine, and how busy it was when the run began."""
    cpus = Path("/proc/cpuinfo").read_text()
    names = re.findall(r"^model name\s*: (.*)$", cpus, re.MULTILINE)
    [kib] = re.findall(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "cpu": f"{len(names) or os.cpu_count()} × {names[0] if names else platform.machine()}",
        "memory": f"{int(kib) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "pinning": cores().said,
    }


def versions(commands: Mapping[str, list[str]]) -> dict[str, str]:
    """Of Python, of what the service is made of, and of the servers that *commands* ask."""
    libraries = ("versus-py", "aiohttp", "orjson", "redis", "hiredis", "uvloop", "pydantic")
    found = {"Python": platform.python_version()} | {name: _installed(name) for name in libraries}
    for name, command in commands.items():
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[name] = next(iter(re.findall(r"v=(\S+)|(\d+\.\d+\.\d+)", said)), ("", ""))[0] or said.strip()
    return found


def commit() -> str:
    """The commit that is measured, with + where files differ from it."""
    here, program = str(Path(__file__).parent), shutil.which("git")
    if program is None:
        return "not known"

    def git(*arguments: str) -> str:
        return subprocess.run([program, "-C", here, *arguments], capture_output=True, text=True, check=False).stdout

    return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain").strip() else "")


def _installed(name: str) -> str:
    try:
        return version(name)
    except ModuleNotFoundError:
        return "not installed"
