"""The journal in a file: a disk that is full, a process that dies, and files that are bounded."""

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.support.journals import followed, full_disk, lines_of, make_acceptance, read
from tests.support.waiting import DEADLINE_S, wait_until
from versus_py.errors import VersusError
from versus_py.store.journal import Appender, FileJournal, JournalFile, file

WRITER = """
import asyncio, sys
from pathlib import Path
from tests.support.journals import make_acceptance
from versus_py.store.journal import Appender, FileJournal
from versus_py.telemetry.metrics import Metrics

async def main():
    async with FileJournal(Appender(Path(sys.argv[1])), Metrics()) as journal:
        print("open", flush=True)
        while True:
            await journal.add([make_acceptance()])

asyncio.run(main())
"""


def write_until_killed(path):
    """Some lines, by another process."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        enough = path.stat().st_size + 10_000
        wait_until(lambda: path.stat().st_size > enough, what="some lines")
        process.send_signal(signal.SIGKILL)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


@pytest.fixture
def open_journal(path, metrics):
    """Opens it; *how* is for its Appender."""
    return lambda **how: FileJournal(Appender(path, **how), metrics)


def some(number=1):
    return [make_acceptance(item=item) for item in range(1, number + 1)]


def counted(metrics, result):
    return metrics.registry.get_sample_value("versus_journal_lines_total", {"result": result})


async def test_what_is_added_is_read_as_one_chain(path, open_journal, metrics):
    async with open_journal() as journal:
        await journal.add(some(3))
        await journal.add(some(2))

        found = await followed(JournalFile(path))

    assert (found.broken, [line.n for line in found.lines]) == ([], [1, 2, 3, 4, 5])
    assert found.chain.algorithm == "sha256"
    assert path.stat().st_mode & 0o077 == 0
    assert counted(metrics, "written") == 5


async def test_many_at_once_make_one_chain(path, open_journal):
    async with open_journal() as journal:
        await asyncio.gather(*(journal.add(some(1 + number % 4)) for number in range(200)))

    found = await followed(JournalFile(path))
    assert (found.broken, len(found.lines)) == ([], 50 * (1 + 2 + 3 + 4))


async def test_after_a_restart_the_chain_goes_on(path, open_journal):
    for _ in range(3):
        async with open_journal() as journal:
            await journal.add(some(2))

    found = await followed(JournalFile(path))
    assert (found.broken, [line.n for line in found.lines]) == ([], [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("cut", [1, 2, 30, 400])
async def test_a_line_that_was_cut_off_is_kept_and_the_next_one_follows_the_last_whole_one(
    path, open_journal, logs, cut
):
    async with open_journal() as journal:
        await journal.add(some(3))
    os.truncate(path, path.stat().st_size - cut)
    torn = lines_of(path)[-1]

    async with open_journal() as journal:
        await journal.add(some(2))

    found = await followed(JournalFile(path))
    is_whole = cut == 1  # only its line break is missing
    assert found.broken == []
    assert torn in lines_of(path)
    assert found.torn == ([] if is_whole else [3])
    assert [line.n for line in found.lines] == ([1, 2, 3, 4, 5] if is_whole else [1, 2, 3, 4])
    assert [it["after"] for it in logs if it["event"] == "journal.torn"] == ([] if is_whole else [2])


@pytest.mark.parametrize("left", [0, 5, 60])
async def test_an_anchor_that_was_cut_off_is_written_anew(path, open_journal, left):
    async with open_journal():
        pass
    os.truncate(path, left)

    async with open_journal() as journal:
        await journal.add(some())

    found = await followed(JournalFile(path))
    assert (found.broken, len(found.lines)) == ([], 1)


async def test_a_process_that_is_killed_leaves_a_chain_that_goes_on(path, open_journal):
    for _ in range(3):
        await asyncio.to_thread(write_until_killed, path)

    async with open_journal() as journal:
        await journal.add(some())

    found = await followed(JournalFile(path))
    assert found.broken == []
    assert [line.n for line in found.lines] == [*range(1, len(found.lines) + 1)]


async def test_a_full_disk_costs_no_alert_and_the_next_line_says_how_many_it_cost(path, open_journal, metrics, logs):
    async with open_journal() as journal:
        await journal.add(some(2))
        with full_disk(path.stat().st_size + 300):
            await journal.add(some(1))
            await journal.add(some(3))
        await journal.add(some(2))

    found = await followed(JournalFile(path))
    assert (found.broken, found.torn) == ([], [])
    assert [(line.n, line.missed) for line in found.lines] == [(1, 0), (2, 0), (3, 4), (4, 0)]
    assert (counted(metrics, "written"), counted(metrics, "not_written")) == (4, 4)
    assert "File too large" in logs.expect_error("journal.not_written")["error"]


async def test_a_disk_that_hangs_costs_no_alert(path, metrics, logs, monkeypatch):
    monkeypatch.setattr(file, "WRITE_TIMEOUT_S", 0.05)
    answers = threading.Event()
    write = os.write

    def hang(*args):
        answers.wait(DEADLINE_S)
        return write(*args)

    async with FileJournal(Appender(path), metrics) as journal:
        monkeypatch.setattr(os, "write", hang)
        for _ in range(3):
            await journal.add(some(2))
        answers.set()
        monkeypatch.setattr(file, "WRITE_TIMEOUT_S", DEADLINE_S)
        await journal.add(some())

    found = await followed(JournalFile(path))
    # The first was under way, and came through in the end; the others were not begun.
    assert (found.broken, [line.missed for line in found.lines]) == ([], [0, 0, 4])
    assert "did not take it within" in logs.expect_error("journal.not_written")["error"]


async def test_a_file_is_followed_by_the_next_one_and_the_eldest_goes(path, open_journal):
    async with open_journal(size_max=2000, files_max=4) as journal:
        for _ in range(60):
            await journal.add(some())

    found = await followed(JournalFile(path))
    assert sorted(it.name for it in path.parent.iterdir()) == [path.name, *(f"{path.name}.{it}" for it in (1, 2, 3))]
    assert all(it.stat().st_size < 3000 for it in path.parent.iterdir())
    assert found.broken == []
    assert found.chain.first > 1
    assert [line.n for line in found.lines] == [*range(found.chain.first, 61)]


async def test_a_file_that_is_gone_in_between_is_found(path, open_journal):
    async with open_journal(size_max=2000) as journal:
        for _ in range(30):
            await journal.add(some())
    numbers = [line.n for line in (await followed(JournalFile(path))).lines]
    path.with_name(f"{path.name}.2").unlink()

    found = await followed(JournalFile(path))

    first_missing = next(n for n in numbers if n not in {line.n for line in found.lines})
    assert [line for line, _ in found.broken] == [first_missing]


async def test_a_process_that_dies_between_two_files_goes_on_where_the_first_one_ended(path, open_journal):
    async with open_journal() as journal:
        await journal.add(some(3))
    path.rename(path.with_name(f"{path.name}.1"))

    async with open_journal() as journal:
        await journal.add(some())

    found = await followed(JournalFile(path))
    assert (found.broken, [line.n for line in found.lines]) == ([], [1, 2, 3, 4])


async def test_files_that_move_on_while_they_are_opened_are_all_read_once(path, open_journal, monkeypatch):
    async with open_journal(size_max=2000) as journal:
        for _ in range(30):
            await journal.add(some())
        numbered = file._numbered
        has_moved: list[bool] = []

        def move_on(path, number):
            """As the current one has just been opened, and the next one not yet."""
            if number == 1 and not has_moved and threading.current_thread() is threading.main_thread():
                has_moved.append(True)
                journal._appender._rotate()
            return numbered(path, number)

        monkeypatch.setattr(file, "_numbered", move_on)

        found = await followed(JournalFile(path))

    assert has_moved
    assert (found.broken, [line.n for line in found.lines]) == ([], [*range(1, 31)])


async def test_a_second_process_on_one_file_is_refused(path, open_journal):
    async with open_journal():
        with pytest.raises(VersusError, match=r"journal\.file .*in use by another process"):
            async with open_journal():
                pass


@pytest.mark.parametrize("text", ["alerts:\n  - one\n", '{"journal":1,"algorithm":"sha1","n":0,"hash":"0"}\n'])
async def test_a_file_of_somebody_else_is_left_alone(path, open_journal, text):
    path.write_text(text)

    with pytest.raises(VersusError, match="is no journal of versus_py"):
        async with open_journal():
            pass

    assert path.read_text() == text


async def test_a_file_that_cannot_be_made_is_told(path, open_journal):
    path.parent.joinpath("journal.jsonl").mkdir()

    with pytest.raises(VersusError, match=r"journal\.file .*journal.jsonl' cannot be used: Is a directory"):
        async with open_journal():
            pass


async def test_a_journal_that_is_not_there_is_told(path):
    with pytest.raises(VersusError, match="cannot be read: No such file"):
        await read(JournalFile(path))
