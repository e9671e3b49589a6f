"""Every fenced block of README.md and docs/ is loaded by what would load it, or run; or it is listed, with why not."""

from pathlib import Path

import pytest

from tests.docs.loaders import loaders_of
from tests.support.blocks import KINDS, ROOT, Block, blocks, blocks_of, commands_of, is_as_shown

CLUSTERS = "tests/integration/test_kubernetes_pages.py"
ELSEWHERE = {("docs/kubernetes.md", "yaml"): CLUSTERS, ("docs/openshift.md", "yaml"): CLUSTERS}
"""(page, kind) of blocks that other tests load, and which tests these are."""

LOADED = [it for it in blocks() if it.kind != "console" and (it.page, it.kind) not in ELSEWHERE]


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_the_kind_of_every_block_is_known(block):
    assert block.kind in KINDS, f"{block}: say after the fence what it is, one of {sorted(KINDS)}"


@pytest.mark.parametrize("block", LOADED, ids=str)
def test_a_block_is_accepted_by_what_would_load_it(block, tmp_path):
    found = loaders_of(block)

    assert len(found) == 1, f"{block}: tests/docs/loaders.py knows nothing that loads this, or several things"
    found[0](block, tmp_path)


@pytest.mark.parametrize("where", ELSEWHERE, ids="-".join)
def test_what_other_tests_load_is_still_there(where):
    page, _ = where

    assert where in {(it.page, it.kind) for it in blocks()}
    assert Path(page).name in (ROOT / ELSEWHERE[where]).read_text()


def test_blocks_in_lists_are_found_without_their_indentation():
    text = "1. Do:\n\n   ```console\n   $ a \\\n       b\n   done\n   ```\n"

    [block] = blocks_of(text, "x.md")

    assert block == Block("x.md", 3, "console", "$ a \\\n    b\ndone\n")


def test_commands_are_told_from_what_they_print():
    text = "$ one \\\n  more\nsaid\n$ cat > f <<'E'\n$ not a command\nE\n$ two\n"

    found = commands_of(Block("x.md", 1, "console", text))

    assert [(it.text, it.shown) for it in found] == [
        ("one \\\n  more", "said"),
        ("cat > f <<'E'\n$ not a command\nE", ""),
        ("two", ""),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "is_so"),
    [("a … c", "a b c\n", True), ("a\n…\nd", "a\nb\nc\nd", True), ("a", "a b", False), ("a.c", "abc", False)],
)
def test_an_ellipsis_stands_for_anything(shown, printed, is_so):
    assert is_as_shown(shown, printed) is is_so
