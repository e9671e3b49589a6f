"""Every peer in turn: section `peers`. What cannot be installed is named with its reason."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.load import percentile
from benchmarks.machine import cores, on_core
from benchmarks.peers.jobs import NOTES, PORT, noted
from benchmarks.processes import ROOT, Bed, Process, RedisServer, opened, until
from benchmarks.results import Results

SECTION = "peers"
OURS = "versus_py, its timers alone"
HOME = ROOT / "benchmarks" / ".venv-peers"
INSTALL_TIMEOUT_S = 300.0
STARTS_WITHIN_S = 5.0
"""How long before the first job is due its worker is started."""

DRAINED_WITHIN_S = 10.0
"""After so long a burst is over, whatever is still to run."""

PER_SECOND = 333
"""Jobs that come due each second while their lateness is measured."""

KILLED = 300
KILLED_SPREAD_S = 3.0
KILLED_AFTER_S = 30.0
"""When the first of these is due: all peers are killed beside each other, and their workers start slowly so."""

IDLE_S = 15.0
"""When no job has run for so long, those that are left count as lost; a queue may run them later."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How it is installed, and its workers: programs of its environment, or `python`."""

    name: str
    module: str
    requirements: tuple[str, ...]
    workers: tuple[tuple[str, ...], ...]

    @property
    def home(self) -> Path:
        return HOME / self.module.removesuffix("_jobs")

    def command(self, program: str, *arguments: str) -> list[str]:
        if not self.requirements:
            return [sys.executable, *arguments]
        return [str(self.home / "bin" / program), *arguments]

    @property
    def path(self) -> str:
        return f"benchmarks.peers.{self.module}"


def _peer(name: str, module: str, requirements: str, *workers: str) -> Peer:
    path = f"benchmarks.peers.{module}"
    commands = tuple(tuple(it.replace("MODULE", path).split()) for it in workers)
    return Peer(name, module, tuple(requirements.split()), commands)


PEERS = (
    _peer(OURS, "versus_jobs", "", "python -m MODULE work"),
    _peer("arq", "arq_jobs", "arq==0.28.0 uvloop==0.23.0", "arq MODULE.WorkerSettings"),
    _peer(
        "saq", "saq_jobs", "saq[redis,hiredis]==0.26.4 typing-extensions==4.16.0 uvloop==0.23.0", "saq MODULE.settings"
    ),
    _peer("streaq", "streaq_jobs", "streaq==7.2.0", "streaq run MODULE:worker"),
    _peer(
        "taskiq",
        "taskiq_jobs",
        "taskiq==0.13.0 taskiq-redis==1.2.4 uvloop==0.23.0",
        "taskiq worker MODULE:broker --workers 1",
        "taskiq scheduler MODULE:scheduler",
    ),
    _peer("Celery", "celery_jobs", "celery[redis]==5.7.0", "celery -A MODULE worker --concurrency 1"),
    _peer(
        "APScheduler", "apscheduler_jobs", "apscheduler==3.11.3 redis==8.1.0 hiredis==3.5.0", "python -m MODULE work"
    ),
    _peer("dramatiq", "dramatiq_jobs", "dramatiq[redis]==2.2.1", "dramatiq MODULE --processes 1"),
    _peer("RQ", "rq_jobs", "rq==2.12.0 hiredis==3.5.0", "rq worker --with-scheduler --url REDIS"),
)


def measure(results: Results, *, jobs: int, seconds: float) -> None:
    """*jobs* due at once, and some for so many *seconds*; each peer once.

    What survives takes no rate, so that all are killed at the same time; then each has its core for itself.
    """
    there = [peer for peer in PEERS if _is_installed(results, peer)]
    with ThreadPoolExecutor(len(PEERS)) as pool:
        survivals = [pool.submit(_survival, results, peer) for peer in there]
    for peer, survival in zip(there, survivals, strict=True):
        try:
            survival.result()
            pace = _paced(peer)
            _burst(results, peer, jobs, pace)
            _trickle(results, peer, seconds, pace)
        except Exception as exc:  # noqa: BLE001 - the others are measured all the same
            results.missing[f"{SECTION}: {peer.name}"] = f"{type(exc).__name__}: {str(exc)[-500:]}"


def _is_installed(results: Results, peer: Peer) -> bool:
    try:
        installed(peer)
    except (OSError, subprocess.SubprocessError) as exc:
        results.missing[f"{SECTION}: {peer.name}"] = f"{type(exc).__name__}: {str(exc)[-500:]}"
        return False
    return True


def installed(peer: Peer) -> None:
    """Has its environment, with what is pinned. Raises subprocess.CalledProcessError."""
    mark = peer.home / "installed"
    if not peer.requirements or (mark.exists() and mark.read_text() == " ".join(peer.requirements)):
        return
    pip = [str(peer.home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *peer.requirements]
    for command in ([sys.executable, "-m", "venv", str(peer.home)], pip):
        subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_S, capture_output=True)
    mark.write_text(" ".join(peer.requirements))


@dataclass(frozen=True, slots=True)
class _Pace:
    """How fast a peer was so far, to plan what follows."""

    rate: float  # of enqueueing, jobs a second
    start_s: float  # of a process

    def due(self, jobs: int) -> float:
        """When to have so many due, if all are to be enqueued, and the worker to be up, before that."""
        return time.time() + 1.2 * (jobs / self.rate + self.start_s) + self.worker_starts_s

    @property
    def worker_starts_s(self) -> float:
        return max(STARTS_WITHIN_S, self.start_s)


@dataclass
class _Stage:
    """A Redis, the jobs' notes, and the peer's workers."""

    peer: Peer
    bed: Bed
    server: RedisServer

    @property
    def notes(self) -> Path:
        return self.bed.folder / "notes"

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(ROOT), PORT: str(self.server.port), NOTES: str(self.notes)}

    def enqueue(self, count: int, first_due: float, spread_s: float) -> float:
        """Jobs a second."""
        command = self.peer.command("python", "-m", self.peer.path, str(count), str(first_due), str(spread_s))
        with on_core(cores().measured):
            ran = subprocess.run(command, cwd=ROOT, env=os.environ | self.environment, capture_output=True, check=False)
        if ran.returncode:
            raise RuntimeError(ran.stderr.decode(errors="replace"))
        return count / float(orjson.loads(ran.stdout.splitlines()[-1])["seconds"])

    def work(self) -> list[Process]:
        url = f"redis://127.0.0.1:{self.server.port}"
        return [
            self.bed.start(
                self.peer.command(program, *(it.replace("REDIS", url) for it in arguments)),
                core=cores().measured,
                port=0,
                env=self.environment,
                group=True,
            )
            for program, *arguments in self.peer.workers
        ]

    def wait(self, count: int, until_s: float) -> int:
        """Until so many jobs ran, or that time has come; how many ran."""
        with suppress(TimeoutError):
            within_s = max(0.0, until_s - time.time())
            until(lambda: len({it for it, *_ in noted(self.notes)}) >= count, what="", within_s=within_s)
        return len({it for it, *_ in noted(self.notes)})


def _paced(peer: Peer) -> _Pace:
    with opened() as bed:
        began = time.time()
        rate = _Stage(peer, bed, bed.redis()).enqueue(KILLED, began + KILLED_AFTER_S, 0.0)
        return _Pace(rate, max(0.0, time.time() - began - KILLED / rate))


def _survival(results: Results, peer: Peer) -> None:
    """What is left when the worker is killed in the middle."""
    with opened() as bed:
        stage = _Stage(peer, bed, bed.redis())
        due = time.time() + KILLED_AFTER_S
        stage.enqueue(KILLED, due, KILLED_SPREAD_S)
        workers = stage.work()
        stage.wait(KILLED // 3, due + KILLED_SPREAD_S + DRAINED_WITHIN_S)
        for it in workers:
            it.kill()
        before = len(noted(stage.notes))
        stage.work()
        ran = -1
        while (ran_by_now := stage.wait(KILLED, time.time() + IDLE_S)) not in {ran, KILLED}:
            ran = ran_by_now
        times = Counter(it for it, *_ in noted(stage.notes))
        survived = {"lost": KILLED - len(times), "twice": sum(it > 1 for it in times.values()), "before": before}
        results.add(SECTION, peer.name, 0, **survived, jobs_killed=KILLED)


def _burst(results: Results, peer: Peer, jobs: int, pace: _Pace) -> None:
    with opened() as bed:
        stage = _Stage(peer, bed, bed.redis())
        empty = int(stage.server.client.info("memory")["used_memory"])
        due = pace.due(jobs)
        reached = stage.enqueue(jobs, due, 0.0)
        each = (int(stage.server.client.info("memory")["used_memory"]) - empty) / jobs
        time.sleep(max(0.0, due - pace.worker_starts_s - time.time()))
        if time.time() > due:
            raise RuntimeError(f"{jobs} jobs were not enqueued before they were due")
        stage.work()
        ran = stage.wait(jobs, due + DRAINED_WITHIN_S)
        took_s = max((at for *_, at in noted(stage.notes)), default=due + DRAINED_WITHIN_S) - due
        values = {"enqueued_rate": reached, "bytes": each, "rate": ran / took_s, "ran": ran, "jobs": jobs}
        results.add(SECTION, f"{peer.name}: burst", 0, **values)


def _trickle(results: Results, peer: Peer, seconds: float, pace: _Pace) -> None:
    jobs = round(PER_SECOND * seconds)
    with opened() as bed:
        stage = _Stage(peer, bed, bed.redis())
        due = pace.due(jobs)
        stage.enqueue(jobs, due, seconds)
        time.sleep(max(0.0, due - pace.worker_starts_s - time.time()))
        stage.work()
        ran = stage.wait(jobs, due + seconds + DRAINED_WITHIN_S)
        late_ms = [1000 * (at - was_due) for _, was_due, at in noted(stage.notes)]
        results.add(SECTION, f"{peer.name}: trickle", 0, **_lateness(late_ms), ran=ran, jobs=jobs)


def _lateness(late_ms: list[float]) -> Mapping[str, float]:
    if not late_ms:
        return {}
    parts = {"late_p50_ms": 0.50, "late_p99_ms": 0.99}
    return {name: percentile(late_ms, part) for name, part in parts.items()} | {"late_max_ms": max(late_ms)}
