"""Label matchers mean what they mean in Alertmanager; what cannot be read is told, and nothing else happens."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versus_py.incidents.matchers import MATCHER_MAX, parse_matchers


def parsed(text):
    return [(matcher.name, matcher.operator, matcher.value) for matcher in parse_matchers(text)]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


READABLE = [
    ("foo=bar", [("foo", "=", "bar")]),
    ("foo!=bar", [("foo", "!=", "bar")]),
    ("foo=~[a-z]+", [("foo", "=~", "[a-z]+")]),
    ("foo!~a|b", [("foo", "!~", "a|b")]),
    ('foo="bar"', [("foo", "=", "bar")]),
    (' foo =~  "bar" ', [("foo", "=~", "bar")]),
    ("foo = bar baz ", [("foo", "=", "bar baz")]),
    ("foo=", [("foo", "=", "")]),
    ('foo=""', [("foo", "=", "")]),
    ("foo=bar=baz", [("foo", "=", "bar=baz")]),
    ('"foo.bar/baz qux"="x"', [("foo.bar/baz qux", "=", "x")]),
    ("foo.bar=x", [("foo.bar", "=", "x")]),
    ("Προμηθεύς=🙂", [("Προμηθεύς", "=", "🙂")]),
    (r'foo="a\"b\\c\nd"', [("foo", "=", 'a"b\\c\nd')]),
    (r'"f\"oo"="x"', [('f"oo', "=", "x")]),
    (r'foo=~"db\d+\.example"', [("foo", "=~", r"db\d+\.example")]),
    (r"foo=~db\d+", [("foo", "=~", r"db\d+")]),
    ('foo="a\nb"', [("foo", "=", "a\nb")]),
    ('foo="a,b}{=~"', [("foo", "=", "a,b}{=~")]),
    ('{foo="bar"}', [("foo", "=", "bar")]),
    ('{ foo="bar", baz=~"d|e" }', [("foo", "=", "bar"), ("baz", "=~", "d|e")]),
    ("foo=bar,baz!=qux", [("foo", "=", "bar"), ("baz", "!=", "qux")]),
    ('{\n  foo="bar",\n}\n', [("foo", "=", "bar")]),
    ("foo=bar,", [("foo", "=", "bar")]),
    ("", []),
    ("{}", []),
]


@pytest.mark.parametrize(("text", "expected"), READABLE)
def test_what_alertmanager_takes_is_taken(text, expected):
    assert parsed(text) == expected


UNREADABLE = [
    ("foo", "'foo' is no matcher"),
    ("=bar", "'=bar' is no matcher"),
    ('""=bar', "'\"\"=bar' has no label name"),
    ("foo==bar", "'foo==bar' has a value that has to be in double quotes"),
    ("foo='bar'", "has a value that has to be in double quotes"),
    ('foo="bar"baz', "has a value that has to be in double quotes"),
    ('foo=bar"baz"', "has a value that has to be in double quotes"),
    ("foo=~a{2}b", "has a value that has to be in double quotes"),
    ("foo=~a{2}", "a brace at one end only"),
    ('foo="bar', "'foo=\"bar' has a double quote that is not closed"),
    ('{foo="bar"', "a brace at one end only"),
    ('foo="bar"}', "a brace at one end only"),
    ('{{foo="bar"}}', "is no matcher"),
    ("{", "a brace at one end only"),
    (",", "a comma with no matcher before it"),
    ("a=b,,c=d", "a comma with no matcher before it"),
    ("a=b,,", "a comma with no matcher before it"),
    ('a="b", c, d="e"', "'c' is no matcher"),
    ('foo=~"(bar"', "'foo=~\"(bar\"' has a regular expression that cannot be used: missing )"),
    ('foo!~"(?<!a)b"', "has a regular expression that cannot be used: invalid perl operator: (?<"),
    ('foo=~"(x{99}){99}"', "cannot be used: invalid repetition size: {99}"),
    ('foo=~"' + "(a|.b){900}" * 90 + '"', "cannot be used: pattern too large - compile failed"),
    (f"foo={'x' * MATCHER_MAX}", f"is longer than {MATCHER_MAX} characters"),
]


@pytest.mark.parametrize(("text", "said"), UNREADABLE, ids=[text[:20] for text, _ in UNREADABLE])
def test_what_cannot_be_read_is_named_with_what_is_wrong(text, said):
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        parse_matchers(text)

    assert len(str(caught.value)) < 250


LABELS = {"team": "db", "severity": "critical", "note": "a\nb"}


@pytest.mark.parametrize(
    ("text", "does_match"),
    [
        ("team=db", True),
        ("team=DB", False),
        ("team!=db", False),
        ("team!=web", True),
        ("team=~d.", True),
        ("team=~d", False),
        ("team=~b", False),
        ("team=~d|e", False),
        ("team=~db|web", True),
        ("team=~(?i)DB", True),
        ("team!~d", True),
        ("team!~db|web", False),
        ("note=~a.b", False),
        ('note="a\\nb"', True),
        ("owner=", True),
        ("owner!=", False),
        ("owner!=db", True),
        ("owner=~.+", False),
        ("owner=~.*", True),
        ("owner!~.+", True),
    ],
)
def test_matching(text, does_match):
    [matcher] = parse_matchers(text)

    assert matcher.matches(LABELS) is does_match


@pytest.mark.parametrize("text", ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*.*.*.*)*x", "(((a?)*)*)*b"])
def test_no_regular_expression_takes_for_ever(text):
    [matcher] = parse_matchers(f'team=~"{text}"')  # each of these takes Python longer than this test may

    assert not matcher.matches({"team": "a" * 4000})


def test_the_whole_value_counts():
    for text in ("a=~x+", f"a={'x' * 4000}"):
        [matcher] = parse_matchers(text)
        assert matcher.matches({"a": "x" * 4000})
        assert not matcher.matches({"a": "x" * 4000 + "y"})


MATCHERS = st.tuples(st.text(min_size=1, max_size=50), st.sampled_from(["=", "!=", "=~", "!~"]), st.text(max_size=50))


@given(st.lists(MATCHERS.map(lambda it: (it[0], it[1], re.escape(it[2]) if "~" in it[1] else it[2])), max_size=5))
def test_what_was_written_with_quotes_is_read_as_it_was(matchers):
    text = ", ".join(f"{quoted(name)}{operator}{quoted(value)}" for name, operator, value in matchers)

    assert parsed(text) == matchers
    assert parsed(f"{{{text},}}" if matchers else "{}") == matchers


@given(st.one_of(st.text(), st.text("{}ab=!~,\\\"'[(*|) \n", max_size=30)))
def test_no_text_leads_to_anything_but_matchers_or_a_value_error(text):
    try:
        matchers = parse_matchers(text)
    except ValueError:
        return
    assert all(matcher.name for matcher in matchers)
