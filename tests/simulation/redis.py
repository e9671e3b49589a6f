"""A Redis in this process, which answers at once: data, scripts, an append-only file, and what can go wrong with it.

It draws nothing and waits for nothing: the same commands at the same times have the same replies. What it is asked for
and does not know, it refuses as a server does.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import redis

from tests.simulation.redis_commands import COMMANDS, OK, Effect, Keyspace, Ok
from tests.simulation.redis_scripts import Interpreter, flags, sha_of
from tests.simulation.redis_values import Value, integer, refusal, text_of

VERSION = "8.2.0"
"""What it says it is: a Redis whose WAITAOF waits for the disk."""

_FULL = "OOM command not allowed when used memory > 'maxmemory'."
_FULL_FOR_SCRIPT = (
    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory', command not allowed "
    "when used memory > 'maxmemory'"
)


@cache
def interpreter() -> Interpreter:
    """That of this process."""
    return Interpreter()


_CALLBACKS: Mapping[str, Callable[..., Any]] = dict(redis.Redis(decode_responses=True).response_callbacks)
"""What redis-py makes of each command's reply. Made before any world is: redis-py draws a name for each client."""


class Server:
    """*now_ms* is its clock, which may be off and may jump. *elapsed_ms* is real time, which says what a power cut
    takes; without it the clock does."""

    def __init__(self, now_ms: Callable[[], int], elapsed_ms: Callable[[], int] | None = None) -> None:
        self.now_ms = now_ms
        self.is_full = False
        """Whether it refuses what takes memory."""
        self.replicas = 0
        """How many have all that was written: the reply of WAIT."""
        self.disk_answers = True
        """Whether WAITAOF is told that the disk has everything; else it answers that it has not, after its time."""
        self.appended: list[Callable[[str], None]] = []
        """Called with the key of a stream when an entry was added."""
        self.scripts_run = 0
        self._elapsed_ms = elapsed_ms or now_ms
        self._log: list[tuple[int, Effect]] = []
        self._on_disk = 0
        self._scripts: dict[str, str] = {}
        self._server_commands = _server_commands(self)
        self.keyspace = self._new_keyspace()

    def execute(self, args: Sequence[str | bytes | float], **options: Any) -> Any:
        """The reply as redis-py has it; *options* are those that its methods hand on beside a command.

        Raises the ResponseError that redis-py raises.
        """
        name, *words = [it if it.__class__ is str else text_of(it) for it in args]
        reply = self._run(name, words)
        callback = _CALLBACKS.get(name.upper())
        return callback(reply, **options) if callback is not None else reply

    def value(self, key: str) -> Value | None:
        """What is under a key, for who looks on."""
        return self.keyspace.find(key)

    def key_names(self) -> list[str]:
        """All that have not expired."""
        return [key for key in list(self.keyspace.values) if self.keyspace.find(key) is not None]

    def name_of(self, command: Sequence[Any]) -> str:
        """The command's, or that of the script that it runs."""
        name = str(command[0])
        text = self._scripts.get(str(command[1]).lower()) if name == "EVALSHA" else None
        if name == "EVAL":
            text = str(command[1])
        return name if text is None else _title(text)

    # -- troubles

    def restart(self) -> None:
        """As after a clean stop: the data is there, the scripts are not."""
        self._scripts.clear()

    def lose_last(self, ms: int) -> None:
        """A power cut: what was written in the last *ms* is gone, unless the disk was asked for it; a restart."""
        self.restart()
        horizon_ms = self._elapsed_ms() - ms
        kept = max(
            self._on_disk, next((n for n, (at_ms, _) in enumerate(self._log) if at_ms > horizon_ms), len(self._log))
        )
        self._log = self._log[:kept]
        self._on_disk = kept
        self.keyspace = self._new_keyspace()
        self.keyspace.load(effect for _, effect in self._log)

    def empty(self) -> None:
        """All data is gone, as after FLUSHALL by hand."""
        self.execute(["FLUSHALL"])

    # -- commands

    def _run(self, name: str, words: Sequence[str]) -> Any:
        upper = name.upper()
        if upper in COMMANDS:
            if self.is_full and COMMANDS[upper].takes_memory:
                raise refusal(_FULL)
            return self.keyspace.run(upper, words)
        command = self._server_commands.get(upper)
        if command is None and " " in upper:
            first, _, second = name.partition(" ")
            return self._run(first, [second, *words])
        if command is None:
            beginning = " ".join(f"'{it}'" for it in words[:3])
            raise refusal(f"ERR unknown command '{name}', with args beginning with: {beginning}")
        return command(words)

    def _new_keyspace(self) -> Keyspace:
        return Keyspace(self.now_ms, note=self._write, appended=self._tell_appended)

    def _write(self, effect: Effect) -> None:
        self._log.append((self._elapsed_ms(), effect))

    def _tell_appended(self, key: str) -> None:
        for tell in list(self.appended):
            tell(key)

    def eval(self, words: Sequence[str]) -> Any:
        text, *rest = words
        flags(text)
        interpreter().function(text)
        self._scripts[sha_of(text)] = text
        return self._run_script(text, rest)

    def evalsha(self, words: Sequence[str]) -> Any:
        sha, *rest = words
        text = self._scripts.get(sha.lower())
        if text is None:
            raise refusal("NOSCRIPT No matching script. Please use EVAL.")
        return self._run_script(text, rest)

    def _run_script(self, text: str, words: Sequence[str]) -> Any:
        count = integer(words[0])
        if count < 0:
            raise refusal("ERR Number of keys can't be negative")
        if count > len(words) - 1:
            raise refusal("ERR Number of keys can't be greater than number of args")
        said = flags(text)
        if self.is_full and said is not None and "allow-oom" not in said:
            raise refusal(_FULL_FOR_SCRIPT)
        self.scripts_run += 1
        command = _Wary(self.keyspace).run if self.is_full and said is None else self.keyspace.run
        return interpreter().run(text, words[1 : count + 1], words[count + 1 :], command)

    def script(self, words: Sequence[str]) -> Any:
        match [words[0].upper(), *words[1:]] if words else []:
            case ["LOAD", text]:
                flags(text)
                interpreter().function(text)
                self._scripts[sha_of(text)] = text
                return sha_of(text)
            case ["EXISTS", *shas]:
                return [int(it.lower() in self._scripts) for it in shas]
            case ["FLUSH", *_]:
                self._scripts.clear()
                return OK
        raise refusal("ERR unknown subcommand. Try SCRIPT HELP.")

    def time(self, _: Sequence[str]) -> list[str]:
        seconds, ms = divmod(self.now_ms(), 1000)
        return [str(seconds), str(ms * 1000)]

    def waitaof(self, words: Sequence[str]) -> list[int]:
        local, replicas, _ = map(integer, words)
        if local and self.disk_answers:
            self._on_disk = len(self._log)
        return [int(self.disk_answers), min(replicas, self.replicas)]

    def wait(self, words: Sequence[str]) -> int:
        _, _ = map(integer, words)
        return self.replicas

    def info(self, _: Sequence[str]) -> str:
        used = 2 if self.is_full else 1
        facts = {"redis_version": VERSION, "role": "master", "connected_slaves": self.replicas, "used_memory": used}
        facts |= {"maxmemory": 2, "maxmemory_policy": "noeviction"}
        return "".join(f"{name}:{value}\r\n" for name, value in facts.items())

    def config(self, words: Sequence[str]) -> dict[str, str]:
        match words:
            case [get, name] if get.upper() == "GET":
                settings = {"maxmemory": "2", "maxmemory-policy": "noeviction", "appendonly": "yes"}
                settings |= {"appendfsync": "everysec"}
                return {it: settings[it] for it in settings if it == name}
        raise refusal("ERR unknown subcommand. Try CONFIG HELP.")


@cache
def _title(text: str) -> str:
    """What a script calls itself in its first comment."""
    found = re.search(r"^-- (\w+):", text, re.MULTILINE)
    return "a script" if found is None else found[1]


def _server_commands(server: Server) -> dict[str, Callable[[Sequence[str]], Any]]:
    return {
        "CONFIG": server.config,
        "EVAL": server.eval,
        "EVALSHA": server.evalsha,
        "INFO": server.info,
        "PING": lambda words: words[0] if words else Ok("PONG"),
        "SCRIPT": server.script,
        "TIME": server.time,
        "WAIT": server.wait,
        "WAITAOF": server.waitaof,
    }


class _Wary:
    """Of a full server, for one script without flags: its first write may take no memory."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._has_written = False

    def run(self, name: str, words: Sequence[str]) -> Any:
        command = COMMANDS.get(name)
        if command is not None and command.writes:
            if command.takes_memory and not self._has_written:
                raise refusal(_FULL)
            self._has_written = True
        return self._keyspace.run(name, words)
