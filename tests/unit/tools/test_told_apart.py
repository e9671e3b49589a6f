"""Values of a label: one at least for each combination of answers that its matchers can give together."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versus_py.incidents.matchers import parse_matchers
from versus_py.tools.told_apart import values_apart


def answers(texts, value):
    return tuple(matcher.matches({"x": value}) for text in texts for matcher in parse_matchers(text))


def found(*texts):
    return values_apart([matcher for text in texts for matcher in parse_matchers(text)])


def combinations(*texts):
    return {answers(texts, value) for value in found(*texts).found}


def test_what_is_compared_with_is_told_from_what_is_missing_and_from_anything_else():
    assert found('x="db"', 'x!="web"').found == ("", "db", "web")
    assert found('x="db"', 'x=""').found == ("", "db", "other")


def test_a_value_that_two_regular_expressions_match_together_is_found():
    texts = ('x=~"db-.*"', 'x=~".*-prod"')

    assert combinations(*texts) == set(product([True, False], repeat=2))
    assert found(*texts).is_exact


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        pytest.param(('x=~"db|web"', 'x="db"'), 3, id="alternatives and one of them"),
        pytest.param(('x=~"a{3}"', 'x=~"a+"'), 3, id="a number of repeats"),
        pytest.param(('x=~"[0-9]+"', 'x=~"[5-9]+"'), 3, id="ranges"),
        pytest.param((r'x=~"\d+"', 'x=~"[^0-9]+"'), 3, id="a category and what is none"),
        pytest.param(('x=~"(?i)prod"', 'x="prod"', 'x="PROD"'), 4, id="upper and lower case"),
        pytest.param(('x=~"^db$"', 'x="db"'), 2, id="anchors that change nothing"),
        pytest.param(('x=~"a^b"',), 1, id="what never matches"),
        pytest.param(('x=~".*"',), 1, id="what always matches"),
        pytest.param(('x=~".+"', 'x!=""'), 2, id="what is there"),
        pytest.param(('x=~"(a|b)?c??"', 'x="ac"'), 3, id="what may be left out"),
    ],
)
def test_every_combination_that_is_possible_has_a_value(texts, number):
    assert len(combinations(*texts)) == number
    assert found(*texts).is_exact


@pytest.mark.parametrize("text", ['x=~"[[:alpha:]]+db"', r'x=~"\bdb"', r'x=~"\pLdb"', f'x=~"{"(a|b){900}" * 8}"'])
def test_an_unusual_regular_expression_is_tried_with_the_words_in_it(text):
    values = found(text, 'x="db"')

    assert not values.is_exact
    assert "db" in values.found


PIECES = st.sampled_from(["a", "b", "[ab]", ".", "[^a]", "a?", "b*", "(ab|b)", "a{2}", "(a|)+"])
REGEXES = st.lists(PIECES, max_size=3).map("".join)


@given(regexes=st.lists(REGEXES, min_size=1, max_size=3), value=st.text("abc", max_size=4))
def test_no_value_has_answers_that_those_found_do_not_have(regexes, value):
    texts = [f'x=~"{regex}"' for regex in regexes]

    assert answers(texts, value) in combinations(*texts)
