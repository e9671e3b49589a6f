"""What was met lately."""

from versus_py.engine.lately import Lately


def test_what_was_met_longest_ago_is_forgotten_first():
    lately = Lately(2)

    for text in ("a", "b", "a", "c"):
        lately.add(text)

    assert [it in lately for it in ("a", "b", "c")] == [True, False, True]
