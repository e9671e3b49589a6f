"""The simulation finds bugs that are planted, each within 100 seeds of the profile that is meant for it."""

from tests.simulation import bugs


def test_each_planted_bug_has_its_place_in_the_code_of_today() -> None:
    bugs.check()
