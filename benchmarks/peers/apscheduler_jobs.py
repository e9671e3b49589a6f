"""APScheduler 3 with its Redis job store: https://apscheduler.readthedocs.io. Jobs run in its ten threads."""

import sys
import threading
from datetime import UTC, datetime

from apscheduler.jobstores.redis import RedisJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from benchmarks.peers.jobs import enqueue_each, ran, redis_port


def scheduler() -> BackgroundScheduler:
    # Without misfire_grace_time, what is more than a second late is dropped.
    store = RedisJobStore(host="127.0.0.1", port=redis_port())
    return BackgroundScheduler(jobstores={"default": store}, job_defaults={"misfire_grace_time": None}, timezone=UTC)


def _work() -> None:
    scheduler().start()
    threading.Event().wait()


def _enqueue() -> None:
    paused = scheduler()
    paused.start(paused=True)
    enqueue_each(
        lambda number, due: paused.add_job(ran, "date", run_date=datetime.fromtimestamp(due, UTC), args=[number, due])
    )


if __name__ == "__main__":
    if sys.argv[1] == "work":
        _work()
    else:
        _enqueue()
