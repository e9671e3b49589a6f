"""The metrics of several processes, read as one."""

import os

import pytest
from prometheus_client import values
from prometheus_client.parser import text_string_to_metric_families

from versus_py.telemetry.metrics import Metrics
from versus_py.telemetry.shared import forget_gauges, share_metrics


@pytest.fixture
def process(tmp_path, monkeypatch):
    """Makes the metrics of a process by its number, as each does when it starts."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")

    def start(number):
        share_metrics(tmp_path, number)
        return Metrics(tmp_path)

    return start


def shown(metrics, name, **labels):
    """The values of the series with that name and those labels."""
    samples = [it for family in text_string_to_metric_families(metrics.text().decode()) for it in family.samples]
    return [it.value for it in samples if it.name == name and labels.items() <= it.labels.items()]


def test_any_process_tells_the_sum_of_what_all_have_counted(process):
    found = []
    for number, accepted in enumerate((3, 4)):
        metrics = process(number)
        metrics.notifications_accepted.labels("grafana", "created").inc(accepted)
        metrics.redis_call.observe(0.002)
        found.append(metrics)

    for metrics in found:
        assert shown(metrics, "versus_notifications_accepted_total", source="grafana") == [7]
        assert shown(metrics, "versus_redis_call_seconds_count") == [2]
        assert shown(metrics, "versus_redis_call_seconds_bucket", le="0.0025") == [2]
        assert len(shown(metrics, "versus_build_info")) == 1


def test_gauges_are_the_most_the_earliest_or_the_sum(process):
    for number, value in enumerate((20, 10)):
        first = process(number)
        first.escalations_pending.set(value)
        first.worker_turned.set(value)
        first.ui_streams.set(value)
        first.breaker_changed("slack", is_open=number == 0)

    assert shown(first, "versus_escalations_pending") == [20]
    assert shown(first, "versus_worker_last_claim_timestamp_seconds") == [10]
    assert shown(first, "versus_ui_streams") == [30]
    assert shown(first, "versus_breaker_open", target="slack") == [1]
    assert shown(first, "versus_processes") == [2]


def test_a_process_that_is_started_again_counts_on_and_leaves_no_gauge(process, tmp_path):
    first = process(0)
    second = process(1)
    second.notifications_accepted.labels("grafana", "created").inc(4)
    second.breaker_changed("slack", is_open=True)
    forget_gauges(tmp_path, 1)

    assert shown(first, "versus_notifications_accepted_total", source="grafana") == [4]
    assert shown(first, "versus_breaker_open", target="slack") == []
    assert shown(first, "versus_processes") == [1]

    process(1).notifications_accepted.labels("grafana", "created").inc()

    assert shown(first, "versus_notifications_accepted_total", source="grafana") == [5]
    assert shown(first, "versus_processes") == [2]


def test_cpu_and_memory_are_told_of_each_process(process, tmp_path):
    first = process(0)
    (tmp_path / "1.pid").write_text(str(os.getppid()))
    (tmp_path / "2.pid").write_text("4194305")  # no process has such an id

    assert len(shown(first, "process_cpu_seconds_total")) == 2
    assert len(shown(first, "process_resident_memory_bytes", process="1")) == 1
