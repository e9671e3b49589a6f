"""What `versus serve` does beside running the service."""

import gc
import weakref

import pytest
import typer

from versus_py.cli import serving


@pytest.fixture(autouse=True)
def own_thresholds():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_once_the_service_is_up_what_it_consists_of_is_not_searched_for_cycles_again():
    serving._spare_the_collector()

    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == serving.GC_THRESHOLDS


def test_cycles_that_come_later_are_still_collected():
    class Cycle:
        itself: object

    serving._spare_the_collector()
    cycle = Cycle()
    cycle.itself = cycle
    gone = weakref.ref(cycle)

    del cycle
    gc.collect()

    assert gone() is None


def test_a_shadow_of_several_processes_is_refused(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("{}")

    with pytest.raises(typer.Exit) as refused:
        serving.serve(config, processes=2, shadow=True)

    assert refused.value.exit_code == 1
    assert "--processes: a shadow is one process" in capsys.readouterr().err
