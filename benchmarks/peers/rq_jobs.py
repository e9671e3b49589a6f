"""RQ: https://python-rq.org. Worker: `rq worker --with-scheduler`, which forks for each job."""

from datetime import UTC, datetime

from redis import Redis
from rq import Queue

from benchmarks.peers.jobs import enqueue_each, ran, redis_port

if __name__ == "__main__":
    queue = Queue(connection=Redis(port=redis_port()))
    enqueue_each(lambda number, due: queue.enqueue_at(datetime.fromtimestamp(due, UTC), ran, number, due))
