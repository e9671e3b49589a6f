"""The simulated Redis answers as a real one does: every script of the store, and the commands that are in use."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from itertools import islice
from random import Random
from typing import Any

import pytest
import redis
from redis.exceptions import NoScriptError, ResponseError

from tests.simulation.redis import Server, interpreter
from tests.simulation.redis_calls import MINUTE_MS, Caller, commands
from versus_py import store
from versus_py.config import RedisConfig
from versus_py.store.calls import load_script
from versus_py.store.connection import durability_warnings

COMMANDS = 10_000
SCRIPT_CALLS = 6_000
EMPTIED = 0.001
"""How likely the server is emptied before a call: what is missing is a branch too."""

BATCH = 250
START_MS = 1_790_000_000_000
SLACK_MS = 30_000
"""How much later a real server may have taken a relative time."""


@pytest.fixture(scope="module")
def seed() -> int:
    """Another one for each run, told with a failure; SIMULATION_SEED repeats one."""
    return int(os.environ.get("SIMULATION_SEED", time.time_ns()))


@pytest.fixture
def real(redis_socket: Any) -> Iterator[redis.Redis]:
    """A real server: Redis and Valkey, one after the other."""
    with redis.Redis(unix_socket_path=str(redis_socket), decode_responses=True) as client:
        client.config_set("maxmemory", 0)
        client.flushall()
        client.script_flush()
        yield client
        client.config_set("maxmemory", 0)


@pytest.fixture
def server() -> Server:
    """Its time stands still, a few seconds behind that of a real one."""
    start_ms = time.time_ns() // 1_000_000
    return Server(lambda: start_ms)


class Pair:
    """Sends to both the same, and compares."""

    def __init__(self, real: redis.Redis, server: Server) -> None:
        self.real = real
        self.server = server
        self._sent: list[tuple[Sequence[Any], Any]] = []

    def send(self, command: Sequence[Any]) -> None:
        self._sent.append((command, _answer(self.server, command)))
        if len(self._sent) >= BATCH:
            self.compare()

    def compare(self) -> None:
        sent, self._sent = self._sent, []
        with self.real.pipeline(transaction=False) as pipeline:
            for command, _ in sent:
                pipeline.execute_command(*command)
            replies = pipeline.execute(raise_on_error=False)
        for (command, expected), reply in zip(sent, replies, strict=True):
            if command[0] in ("PTTL", "PEXPIRETIME"):
                assert expected == pytest.approx(reply, abs=SLACK_MS), command
            else:
                assert _shown(expected) == _shown(reply), command

    def compare_data(self) -> None:
        self.compare()
        assert sorted(self.server.key_names()) == sorted(self.real.keys())
        for key in self.server.key_names():
            kind = self.real.type(key)
            for command in _LOOKS[kind](key):
                assert _answer(self.server, command) == self.real.execute_command(*command), key
            assert self.server.execute(["PTTL", key]) == pytest.approx(self.real.pttl(key), abs=SLACK_MS), key


_HOOK = """
function(note)
  local known = {}
  local function hook(event, line)
    if event == 'call' then
      local info = debug.getinfo(2, 'SfL')
      if info.what ~= 'C' and info.source == 'user_script' and not known[info.func] then
        known[info.func] = true
        for active in pairs(info.activelines) do note('active', active) end
      end
    elseif debug.getinfo(2, 'S').source == 'user_script' then
      note('run', line)
    end
  end
  return function() debug.sethook(hook, 'cl') end, function() debug.sethook() end
end
"""


class Lines:
    """Which lines of scripts are there to be run, and which were."""

    def __init__(self) -> None:
        self._name = ""
        self._seen: dict[str, set[tuple[str, int]]] = {"active": set(), "run": set()}
        self._start, self._stop = interpreter().lua.eval(_HOOK)(self._note)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        self._name = name
        self._start()
        try:
            yield
        finally:
            self._stop()

    def _note(self, what: str, line: int) -> None:
        self._seen[what].add((self._name, line))

    def missed(self, texts: Mapping[str, str]) -> list[str]:
        """Without the ends of functions, which are not reached where a script always returns before."""
        missed = sorted(self._seen["active"] - self._seen["run"])
        lines = [(name, [*texts[name].splitlines(), "end", "end"][line - 1]) for name, line in missed]
        return [f"{name}: {text}" for name, text in lines if text.strip() != "end"]


_LOOKS: dict[Any, Any] = {
    "string": lambda key: [["GET", key]],
    "hash": lambda key: [["HGETALL", key]],
    "zset": lambda key: [["ZRANGE", key, 0, -1], ["ZSCAN", key, 0, "COUNT", 1000]],
    "list": lambda key: [["LRANGE", key, 0, -1]],
    "set": lambda key: [["SMEMBERS", key]],
    "stream": lambda key: [] if key == "events" else [["XREAD", "STREAMS", key, "0"]],
}


def _answer(server: Server, command: Sequence[Any]) -> Any:
    try:
        return server.execute(command)
    except ResponseError as exc:
        return exc


def _shown(reply: Any) -> Any:
    """Of an error its kind and its code: the rest of its text is not for programs."""
    if not isinstance(reply, Exception):
        return reply
    first = str(reply).partition(" ")[0]
    return type(reply), first if first.isupper() else ""


def _scripts() -> dict[str, tuple[str, ...]]:
    """The texts of each script of the store, with flags and without."""
    folder = resources.files(store).joinpath("lua")
    names = sorted(it.name.removesuffix(".lua") for it in folder.iterdir() if it.name.endswith(".lua"))
    return {name: load_script(redis.asyncio.Redis(), name).texts for name in names}


def test_ten_thousand_commands_are_answered_as_by_a_real_server(real: redis.Redis, server: Server, seed: int) -> None:
    pair = Pair(real, server)

    for command in islice(commands(Random(seed)), COMMANDS):
        pair.send(command)

    pair.compare_data()


@pytest.mark.parametrize("can_be_full", [False, True], ids=["roomy", "at times full"])
def test_the_scripts_of_the_store_do_as_on_a_real_server(
    real: redis.Redis, server: Server, seed: int, can_be_full: bool
) -> None:
    pair, random = Pair(real, server), Random(seed)
    caller = Caller(server, random, server.now_ms() + MINUTE_MS)
    texts = _scripts()

    for _ in range(SCRIPT_CALLS):
        if random.random() < EMPTIED:
            pair.send(["FLUSHALL"])
        if can_be_full and random.random() < 0.05:
            pair.compare()
            server.is_full = random.random() < 0.5
            real.config_set("maxmemory", 1 if server.is_full else 0)
        name, (keys, args) = caller.draw()
        pair.send(["EVAL", random.choice(texts[name]), len(keys), *keys, *args])

    pair.compare_data()


def test_the_calls_that_are_compared_reach_every_line_of_every_script() -> None:
    lines = Lines()
    random = Random(1)
    server = Server(lambda: START_MS)
    caller = Caller(server, random, START_MS + MINUTE_MS)
    texts = _scripts()

    for _ in range(2 * SCRIPT_CALLS):
        if random.random() < EMPTIED:
            server.empty()
        name, (keys, args) = caller.draw()
        with lines.of(name):
            server.execute(["EVAL", texts[name][-1], len(keys), *keys, *args])

    assert caller.names == sorted(texts)
    assert not lines.missed({name: it[-1] for name, it in texts.items()})


class Clock:
    """A time that is set by hand."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_ends_by_the_clock_of_the_server_also_when_that_jumps(clock: Clock) -> None:
    server = Server(clock)
    server.execute(["SET", "key", "1", "PX", 1000])

    clock.now_ms += 1000
    at_the_end = server.execute(["GET", "key"])
    clock.now_ms += 1
    after_it = server.execute(["GET", "key"])

    assert (at_the_end, after_it) == ("1", None)
    assert server.execute(["TIME"]) == (clock.now_ms // 1000, clock.now_ms % 1000 * 1000)


def test_a_power_cut_takes_what_was_written_in_the_last_second_only(clock: Clock) -> None:
    server = Server(clock)
    server.execute(["HSET", "old", "field", "1"])
    clock.now_ms += 500
    server.execute(["HINCRBY", "old", "field", 1])
    clock.now_ms += 700
    server.execute(["HSET", "old", "field", "lost"])

    server.lose_last(1000)

    assert server.execute(["HGETALL", "old"]) == {"field": "1"}


def test_what_the_disk_was_asked_for_is_there_after_a_power_cut(clock: Clock) -> None:
    server = Server(clock)
    server.execute(["SET", "key", "kept"])
    asked = server.execute(["WAITAOF", 1, 0, 2000])
    server.execute(["SET", "key", "lost"])
    server.disk_answers = False
    in_vain = server.execute(["WAITAOF", 1, 0, 2000])

    server.lose_last(1000)

    assert (asked, in_vain, server.execute(["GET", "key"])) == ([1, 0], [0, 0], "kept")


def test_a_power_cut_counts_in_real_time_whatever_the_clock_says(clock: Clock) -> None:
    elapsed = Clock()
    server = Server(clock, elapsed)
    server.execute(["SET", "key", "kept"])
    elapsed.now_ms += 5000
    clock.now_ms -= 3600_000

    server.lose_last(1000)

    assert server.execute(["GET", "key"]) == "kept"


def test_what_scripts_wrote_comes_back_from_the_log_with_the_same_ends(seed: int, clock: Clock) -> None:
    server = Server(clock)
    caller = Caller(server, Random(seed), START_MS + MINUTE_MS)
    texts = _scripts()
    for _ in range(1000):
        name, (keys, args) = caller.draw()
        clock.now_ms = caller.now_ms
        server.execute(["EVAL", texts[name][-1], len(keys), *keys, *args])
    before = _data(server)

    server.lose_last(0)

    assert _data(server) == before


def _data(server: Server) -> dict[str, tuple[Any, int]]:
    return {key: (server.value(key), server.execute(["PTTL", key])) for key in server.key_names()}


def test_a_key_that_had_expired_does_not_come_back_with_a_write_after_it(clock: Clock) -> None:
    server = Server(clock)
    server.execute(["HSET", "key", "before", "1"])
    server.execute(["PEXPIRE", "key", 10])
    clock.now_ms += 11
    server.execute(["HSET", "key", "after", "1"])

    server.lose_last(0)

    assert server.execute(["HGETALL", "key"]) == {"after": "1"}
    assert server.execute(["PTTL", "key"]) == -1


def test_a_server_that_was_started_again_knows_no_script(clock: Clock) -> None:
    server = Server(clock)
    sha = server.execute(["SCRIPT LOAD", "return 1"])
    before = server.execute(["EVALSHA", sha, 0])

    server.restart()

    assert before == 1
    with pytest.raises(NoScriptError):
        server.execute(["EVALSHA", sha, 0])


def test_an_emptied_server_knows_its_scripts_and_nothing_else(clock: Clock) -> None:
    server = Server(clock)
    sha = server.execute(["SCRIPT LOAD", "return 1"])
    server.execute(["SET", "key", "1"])

    server.empty()

    assert (server.key_names(), server.execute(["EVALSHA", sha, 0])) == ([], 1)


def test_who_waits_for_a_stream_is_told_that_it_has_grown(clock: Clock) -> None:
    server = Server(clock)
    told: list[str] = []
    server.appended.append(told.append)

    server.execute(["EVAL", "return redis.call('XADD', KEYS[1], '*', 'f', '1')", 1, "events"])
    found = server.execute(["XREAD", "BLOCK", 1000, "STREAMS", "events", "0"])

    assert told == ["events"]
    assert found == [["events", [(f"{START_MS}-0", {"f": "1"})]]]


async def test_the_product_finds_nothing_to_warn_of(clock: Clock) -> None:
    server = Server(clock)

    class Client(redis.asyncio.Redis):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            return server.execute(args, **options)

    assert await durability_warnings(Client(), RedisConfig(durability="fsync")) == []
    server.is_full = True
    assert "it is full" in (await durability_warnings(Client(), RedisConfig()))[0]
