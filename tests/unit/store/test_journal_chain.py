"""The chain of a journal: whatever is done to its lines afterwards is found, by the number of the line."""

import json

import pytest

from tests.support.journals import Followed, make_acceptance, make_lines
from versus_py.errors import VersusError
from versus_py.store.journal import Head
from versus_py.store.journal.chain import anchor_text, content_of, sealed

BROKEN = "it was changed"


@pytest.fixture(params=["sha1", "sha256"])
def texts(request):
    """An anchor, and lines 1 to 6."""
    return make_lines([make_acceptance(item=item) for item in range(1, 7)], request.param)


def forged(text, **changes):
    """A line that says something else, with its own hash made anew."""
    line = json.loads(text) | changes
    content = json.dumps({name: it for name, it in line.items() if name not in {"n", "previous", "hash"}})[1:-1]
    return sealed(Head(line["n"] - 1, line["previous"]), content, "sha1" if len(line["hash"]) == 40 else "sha256")[0]


def test_what_nobody_touched_is_whole(texts):
    found = Followed(texts)

    assert (found.broken, found.torn) == ([], [])
    assert [line.n for line in found.lines] == [1, 2, 3, 4, 5, 6]
    assert (found.chain.first, found.head) == (1, Head(6, found.lines[-1].hash))


def test_each_line_holds_the_hash_of_the_one_before(texts):
    anchor, *lines = map(json.loads, texts)

    assert [line["previous"] for line in lines] == [it["hash"] for it in (anchor, *lines[:-1])]
    assert anchor["algorithm"] == ("sha1" if len(anchor["hash"]) == 40 else "sha256")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outcome", "ignored"),
        ("incident", None),
        ("at_ms", 1),
        ("sender", "é"),
        ("n", 9),
        ("previous", "0"),
        ("hash", "0"),
    ],
)
def test_a_changed_line_is_found_whatever_was_changed_in_it(texts, name, value):
    texts[3] = json.dumps(json.loads(texts[3]) | {name: value}, separators=(",", ":"), ensure_ascii=False)

    found = Followed(texts)

    assert found.broken[0] == (3, BROKEN)
    assert {line for line, _ in found.broken} <= {3, 4}
    assert [line.n for line in found.lines if line.n != 4] == [1, 2, 5, 6]


def test_a_byte_more_is_a_change_too(texts):
    texts[3] = texts[3].replace(",", ", ", 1)

    assert Followed(texts).broken == [(3, BROKEN)]


def test_a_changed_line_with_its_hash_made_anew_is_found_by_the_next_one(texts):
    texts[3] = forged(texts[3], outcome="ignored")

    [(line, what)] = Followed(texts).broken

    assert (line, what) == (4, "it does not follow the line before: that one was changed, and its hash made anew")


def test_missing_lines_are_named(texts):
    assert Followed([*texts[:3], *texts[4:]]).broken == [(3, "line 3 is missing")]
    assert Followed([*texts[:2], *texts[5:]]).broken == [(2, "lines 2 to 4 are missing")]


def test_a_line_that_moved_is_missing_where_it_was_and_named_where_it_is(texts):
    texts[3], texts[4] = texts[4], texts[3]

    assert Followed(texts).broken == [(3, "line 3 is missing"), (3, "it stands after line 4")]


def test_a_line_that_is_there_twice_is_named(texts):
    assert Followed([*texts[:4], texts[3], *texts[4:]]).broken == [(3, "it stands after line 3")]


@pytest.mark.parametrize("inserted", ["nonsense", "{}", '{"n":4}', "", "[]", "\x00\x00"])
def test_a_line_that_is_none_is_named(texts, inserted):
    assert Followed([*texts[:4], inserted, *texts[4:]], is_file=False).broken[0] == (4, "it cannot be read")


def test_a_line_in_the_place_of_another_is_one_finding(texts):
    texts[3] = "nonsense"

    found = Followed(texts)

    assert found.broken == [(3, "it cannot be read")]
    assert [line.n for line in found.lines] == [1, 2, 4, 5, 6]


def test_lines_that_are_missing_at_the_end_are_known_by_the_head(texts):
    whole = Followed(texts).head
    found = Followed(texts[:-2])

    found.chain.end(whole)

    assert found.broken == [(5, "lines 5 to 6 are missing at the end")]


def test_lines_beyond_the_head_are_known_by_it(texts):
    found = Followed(texts)

    found.chain.end(Followed(texts[:-2]).head)

    assert found.broken == [(6, "it is not the last line that was written: that is 4")]


def test_without_its_anchor_a_journal_does_not_begin_at_its_beginning(texts):
    found = Followed(texts[2:])

    assert found.broken == [(2, "the journal's first line is missing, or was changed")]
    assert [line.n for line in found.lines] == [2, 3, 4, 5, 6]


def test_a_journal_that_begins_later_says_where():
    _, *lines = make_lines([make_acceptance(item=item) for item in range(1, 7)])
    [*_, third, fourth, fifth, sixth] = lines
    anchor = anchor_text(Head(3, json.loads(third)["hash"]), "sha256")

    found = Followed([anchor, fourth, fifth, sixth])

    assert (found.broken, found.chain.first) == ([], 4)


def test_an_anchor_that_was_changed_is_found_by_the_line_after_it(texts):
    texts[0] = texts[0].replace('"hash":"00', '"hash":"01')

    assert [line for line, _ in Followed(texts).broken] == [1]


def test_the_next_file_goes_on_where_the_last_one_ended(texts):
    found = Followed(texts)
    algorithm = found.chain.algorithm
    seventh, _ = sealed(found.head, content_of(make_acceptance()), algorithm)

    assert Followed([*texts, anchor_text(found.head, algorithm), seventh]).broken == []


def test_a_file_that_is_missing_in_between_is_found(texts):
    found = Followed(texts)
    algorithm = found.chain.algorithm
    seventh, _ = sealed(found.head, content_of(make_acceptance()), algorithm)
    next_file = [anchor_text(found.head, algorithm), seventh]

    assert Followed([*texts[:3], *next_file]).broken == [(3, "lines 3 to 6 are missing")]


def test_a_chain_that_begins_anew_is_found(texts):
    assert Followed([*texts, *texts]).broken[0] == (1, "the chain begins anew after line 6")


@pytest.mark.parametrize("length", [1, 10, 90, 200])
def test_a_line_that_was_cut_off_is_torn_and_breaks_nothing(texts, length):
    found = Followed([*texts[:4], texts[4][:length], *texts[4:]])

    assert (found.broken, found.torn) == ([], [4])
    assert [line.n for line in found.lines] == [1, 2, 3, 4, 5, 6]


def test_a_line_that_was_cut_off_at_the_end_is_torn(texts):
    found = Followed([*texts[:-1], texts[-1][:-1]])

    assert (found.broken, found.torn) == ([], [6])


def test_where_no_line_can_be_cut_off_it_is_a_break(texts):
    assert Followed([*texts[:-1], texts[-1][:-1]], is_file=False).broken == [(6, "it cannot be read")]


def test_a_line_that_lost_its_end_when_the_next_one_was_there_is_no_torn_one(texts):
    texts[3] = texts[3][:50]

    found = Followed(texts)

    assert [line for line, _ in found.broken] == [3]


def test_a_field_that_only_a_newer_version_knows_changes_nothing(texts):
    head = Followed(texts).head
    algorithm = Followed(texts).chain.algorithm
    line, _ = sealed(head, content_of(make_acceptance()) + ',"weather":"fine"', algorithm)

    found = Followed([*texts, line])

    assert (found.broken, found.lines[-1].n) == ([], 7)


@pytest.mark.parametrize(("old", "new"), [('"journal":1', '"journal":2'), ("sha", "md")])
def test_a_journal_of_a_newer_version_is_not_judged(texts, old, new):
    with pytest.raises(VersusError, match="newer version"):
        Followed([texts[0].replace(old, new)])
