"""The judgment of the journal finds each way in which its chain can be broken."""

import pytest

from tests.simulation.chain import judge_journal
from tests.simulation.redis import Server
from versus_py.store.calls import load_script

_LINES = ['"at_ms":1,"incident":"a-0"', '"at_ms":2,"incident":"b-0"', '"at_ms":3,"incident":"c-0"']


@pytest.fixture
def journal() -> tuple[list[str], dict[str, str]]:
    """Lines and head, as the real script writes them."""
    server = Server(lambda: 1_790_000_000_000)
    text = load_script(None, "journal").texts[-1]  # type: ignore[arg-type]  # it is run by the server itself
    server.execute(["EVAL", text, 2, "journal", "head", "0" * 40, 0, 10, 1_890_000_000_000, *_LINES])
    return server.execute(["LRANGE", "journal", 0, -1]), server.execute(["HGETALL", "head"])


def test_a_journal_that_is_whole_is_right(journal: tuple[list[str], dict[str, str]]) -> None:
    assert [*judge_journal(*journal, ["a-0", "c-0"])] == []


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_line_that_is_taken_out_is_found(journal: tuple[list[str], dict[str, str]], line: int) -> None:
    texts, head = journal

    assert [*judge_journal([*texts[:line], *texts[line + 1 :]], head, [])]


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_line_that_is_changed_is_found(journal: tuple[list[str], dict[str, str]], line: int) -> None:
    texts, head = journal
    changed = texts[line].replace('-0"', '-1"')

    assert [*judge_journal([*texts[:line], changed, *texts[line + 1 :]], head, [])]


def test_an_incident_that_was_promised_and_is_in_no_line_is_found(journal: tuple[list[str], dict[str, str]]) -> None:
    assert [*judge_journal(*journal, ["a-0", "d-0"])] == [("accepted, and not in the journal", "d-0")]
    assert [*judge_journal([], {}, ["a-0"])]
