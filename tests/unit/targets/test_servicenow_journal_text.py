"""What people read of comments and work notes that were written in the editor for formatted text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from versus_py.targets.servicenow.journal_text import READ_MAX, plain


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        pytest.param("The disk is <full> & loud", "The disk is <full> & loud", id="as it was typed"),
        pytest.param("[code]<p>The disk is <b>full</b></p>[/code]", "The disk is full", id="formatted"),
        pytest.param("[code]<p>One</p><p>Two<br/>Three</p>[/code]", "One\nTwo\nThree", id="lines"),
        pytest.param("[code]<ul><li>One</li><li>Two</li></ul>[/code]", "One\nTwo", id="a list"),
        pytest.param("[code]a &lt; b &amp;&nbsp;c[/code]", "a < b & c", id="entities"),
        pytest.param("see [code]<a href='https://x.example'>this</a>[/code] first", "see this first", id="a part"),
        pytest.param("[CODE]<i>x</i>[/Code]", "x", id="in any case"),
        pytest.param("[code]<p>it is cut", "it is cut", id="without an end"),
        pytest.param("[code]<style>p {x: y}</style><script>f()</script>ok[/code]", "ok", id="no text"),
        pytest.param("[code]<p> </p>[/code]", "", id="nothing"),
    ],
)
def test_the_markup_of_formatted_text_is_left_out(entry, read):
    assert plain(entry) == read


def test_of_a_very_long_entry_the_begin_is_read():
    assert plain("[code]" + "<p>x</p>" * READ_MAX + "[/code]").startswith("x\nx")


@given(st.text("[]/code<>&;!-p'\" \n"))
def test_whatever_the_entry_is_it_is_read(entry):
    assert "\0" not in plain(f"[code]{entry}")
