"""The built-in samples are what the sources read."""

from datetime import UTC, datetime, timedelta

import pytest

from versus_py import sources
from versus_py.tools.samples import SAMPLES

STARTS_AT = datetime(2026, 5, 4, 10, 20, tzinfo=UTC)
STARTS_AT_MS = 1777890000000
WITHOUT_START = {"opsgenie", "pagerduty"}
"""What they send has no start, or one of each event."""


def test_there_is_a_sample_for_every_source():
    assert SAMPLES.keys() == sources.SOURCES.keys()


@pytest.mark.parametrize("source", SAMPLES)
def test_a_sample_is_recognised_by_its_source_and_fires_now(source):
    found = sources.parse(SAMPLES[source](starts_at=STARTS_AT))

    assert found.source == source
    assert found.warnings == ()
    assert found.is_firing
    assert found.alerts[0].starts_at_ms == (None if source in WITHOUT_START else STARTS_AT_MS)


@pytest.mark.parametrize("source", SAMPLES)
def test_the_resolved_sample_is_over_and_has_the_same_dedup_key(source):
    firing = sources.parse(SAMPLES[source](starts_at=STARTS_AT))

    over = sources.parse(SAMPLES[source](starts_at=STARTS_AT + timedelta(minutes=5), is_resolved=True))

    assert over.source == source
    assert not over.is_firing
    assert over.dedup_key == firing.dedup_key
    assert over.alerts[0].fingerprint == firing.alerts[0].fingerprint


@pytest.mark.parametrize("source", SAMPLES)
def test_the_name_is_in_the_title_and_tells_samples_apart(source):
    found = sources.parse(SAMPLES[source]("Lost cause", starts_at=STARTS_AT))

    assert "Lost cause" in found.title
    assert found.dedup_key != sources.parse(SAMPLES[source](starts_at=STARTS_AT)).dedup_key
