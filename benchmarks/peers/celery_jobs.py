"""Celery with an ETA on Redis: https://docs.celeryq.dev. Worker: `celery -A benchmarks.peers.celery_jobs worker`."""

from datetime import UTC, datetime

from celery import Celery

from benchmarks.peers.jobs import enqueue_each, ran, redis_url

app = Celery("benchmarks.peers.celery_jobs", broker=f"{redis_url()}/0")


@app.task(name="job", ignore_result=True)
def job(number: int, due: float) -> None:
    ran(number, due)


if __name__ == "__main__":
    enqueue_each(lambda number, due: job.apply_async((number, due), eta=datetime.fromtimestamp(due, UTC)))
