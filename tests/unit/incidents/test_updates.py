"""How much of its alerts an incident keeps."""

import pytest

from tests.support.factories import make_alert
from versus_py.incidents.copies import replace
from versus_py.incidents.updates import ALERTS_TEXT_MAX, MAX_ALERTS, bounded

LONG = {"description": "d" * (ALERTS_TEXT_MAX // 4)}


@pytest.mark.parametrize("fires_first", [True, False])
def test_what_fires_keeps_its_texts_before_what_is_over(fires_first):
    over = [replace(make_alert(f"Over{number}", firing=False), annotations=LONG) for number in range(3)]
    fires = [replace(make_alert(f"Fires{number}", team="db"), annotations=LONG) for number in range(3)]
    alerts = (*fires, *over) if fires_first else (*over, *fires)

    kept = bounded(alerts)

    assert [it.fingerprint for it in kept] == [it.fingerprint for it in alerts]
    assert all(it.labels["team"] == "db" and it.annotations for it in kept if it.is_firing)
    assert sum(bool(it.annotations) for it in kept) == 3
    assert sum(it.text_size for it in kept) <= ALERTS_TEXT_MAX


def test_what_is_short_is_kept_as_it_is():
    alerts = tuple(make_alert(f"A{number}", firing=number % 2 == 0) for number in range(10))

    assert bounded(alerts) is alerts


def test_of_too_many_those_stay_that_fire():
    over = [make_alert(f"Over{number}", firing=False) for number in range(MAX_ALERTS)]
    fires = [make_alert(f"Fires{number}") for number in range(3)]

    kept = bounded((*over, *fires))

    assert len(kept) == MAX_ALERTS
    assert sum(it.is_firing for it in kept) == 3
