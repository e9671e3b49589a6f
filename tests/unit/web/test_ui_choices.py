"""What forms offer."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from versus_py.systems import model
from versus_py.web.pages.ui.choices import snoozes


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_a_snooze_until_the_office_opens_names_the_day_that_it_is_there(zone):
    times = [{"start_time": "08:00" if zone != "America/New_York" else "21:00", "end_time": "23:00"}]
    hours = {"weekdays": ["monday:friday"], "times": times, "location": zone}
    config = model().model_validate({"time_intervals": [{"name": "office", "time_intervals": [hours]}]})
    saturday = datetime(2026, 11, 28, 12, tzinfo=ZoneInfo(zone))

    *_, until = snoozes(config, round(saturday.timestamp() * 1000))

    assert until.word == "office: Mon"
