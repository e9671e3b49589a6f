"""Regular expressions of people: they mean what Python's mean, and none takes long."""

import re
from contextlib import suppress
from random import Random

import pytest

from versus_py.incidents import expressions
from versus_py.incidents.expressions import STEPS_MAX, Expression, TooCostly

ATOMS = ("a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "(a|b)", "(?:ab)", "^", "$", "")
TIMES = ("*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "{1}?")


def made_up(random: Random, depth: int) -> str:
    if depth == 0 or random.random() < 0.3:
        return random.choice(ATOMS)
    parts = [made_up(random, depth - 1) for _ in range(random.randint(1, 3))]
    joined = random.choice(("", "|")).join(parts)
    return f"({joined}){random.choice(TIMES)}" if random.random() < 0.4 else joined


def test_an_expression_matches_what_pythons_matches():
    random = Random(7)
    for _ in range(1500):
        text = made_up(random, 3)
        ours, theirs = Expression(text), re.compile(text, re.DOTALL)
        for _ in range(5):
            value = "".join(random.choice("ab1.") for _ in range(random.randrange(7)))
            assert ours.fullmatch(value) is bool(theirs.fullmatch(value)), (text, value)


@pytest.mark.parametrize(
    ("text", "value", "is_match"),
    [
        ("prod|stage", "stage", True),
        ("prod|stage", "stage-2", False),
        (".*full.*", "disk\nfull", True),
        ("(?i)prod", "PROD", True),
        ("db-[0-9]+", "db-17", True),
        ("", "", True),
        ("^$", "", True),
        ("a$b", "ab", False),
        ("a{", "a{", True),
        ("(?P<name>x)", "x", True),
        ("größe", "größe", True),
    ],
)
def test_what_people_write(text, value, is_match):
    assert Expression(text).fullmatch(value) is is_match


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*.*.*.*)*x", "(((a?)*)*)*b"])
def test_what_takes_python_for_ever_takes_few_steps(text):
    expression = Expression(text)

    assert expression.fullmatch("a" * 1024) is False
    assert STEPS_MAX - expression._left < 100_000


def test_what_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(expressions, "STEPS_MAX", 2_000)
    expression = Expression("(.?x?){50}q")

    with pytest.raises(TooCostly, match="takes too long: make it simpler"):
        expression.fullmatch("".join(map(chr, range(97, 1000))))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("(a", "a parenthesis that is not closed"),
        ("a)", "a parenthesis that is not opened"),
        ("*a", "nothing to repeat"),
        ("a|*", "nothing to repeat"),
        ("a**", "repeats what is repeated"),
        ("(?=a)", "not understood"),
        ("(?<!a)", "not understood"),
        (r"\bx", "not understood"),
        (r"(a)\1", "not understood"),
        ("[a", "not understood"),
        ("[[:alpha:]]", "Possible nested set"),
        ("[b-a]", "bad character range"),
        ("a{3,2}", "no number of times"),
        ("a{1,5000}", "no number of times"),
        ("(a{100}){100}", "too large"),
        ("(" * 200 + ")" * 200, "nested too deeply"),
    ],
)
def test_what_is_none_is_refused_in_a_sentence(text, why):
    with pytest.raises(ValueError, match=r"^it ") as found:
        Expression(text)

    assert why in str(found.value)


def test_no_text_makes_it_crash():
    random = Random(3)
    for _ in range(2000):
        text = "".join(random.choice("ab()[]{}|*+?.^$\\,0-:<>=!P") for _ in range(random.randrange(12)))
        with suppress(ValueError):
            Expression(text).fullmatch("ab")
