"""Durations as Prometheus and Alertmanager write them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from versus_py.config.parts import Duration, duration_ms

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("90s", 90_000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("4h", 4 * HOUR_MS),
        ("1d", 24 * HOUR_MS),
        ("1w", 7 * 24 * HOUR_MS),
        ("6d23h59m59s999ms", 7 * 24 * HOUR_MS - 1),
        ("1y", 365 * 24 * HOUR_MS),
        ("250ms", 250),
        ("0s", 0),
        ("0", 0),
        ("000120m", 2 * HOUR_MS),
    ],
)
def test_a_duration_is_what_prometheus_takes_it_for(text, expected_ms):
    assert duration_ms(text) == expected_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "1.5h",
        "-5m",
        "5 m",
        "30m1h",
        "1h1h",
        "10min",
        "m",
        "PT5M",
        "5M",
        " 5m",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "5m\n",
    ],
)
def test_what_prometheus_does_not_take_is_refused(text):
    with pytest.raises(ValueError, match="such as 90s, 10m, 1h30m or 1d"):
        duration_ms(text)


@pytest.mark.parametrize("text", ["8d", "1w1ms", "1y", "999999999999h"])
def test_a_setting_is_seven_days_at_most(text):
    with pytest.raises(ValidationError, match="must be at most 7d"):
        TypeAdapter(Duration).validate_python(text)
