"""What was met lately."""

from versus_py.engine.lately import Lately


def test_what_was_noted_longest_ago_is_forgotten_first():
    lately = Lately[str, int](2)

    for number, text in enumerate("abac"):
        lately.note(text, number)

    assert "a" in lately
    assert "b" not in lately
    assert "c" in lately


def test_what_is_taken_is_forgotten():
    lately = Lately[str, int](2)
    lately.note("a", 1)

    assert lately.take("a") == 1
    assert lately.take("a") is None
