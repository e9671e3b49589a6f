"""dramatiq on Redis: https://dramatiq.io. Worker: `dramatiq benchmarks.peers.dramatiq_jobs --processes 1`."""

import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.jobs import enqueue_each, ran, redis_url

dramatiq.set_broker(RedisBroker(url=redis_url()))


@dramatiq.actor
def job(number: int, due: float) -> None:
    ran(number, due)


if __name__ == "__main__":
    enqueue_each(
        lambda number, due: job.send_with_options(args=(number, due), delay=max(0, round(1000 * (due - time.time()))))
    )
