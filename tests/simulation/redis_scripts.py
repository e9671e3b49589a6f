"""Lua 5.1, as Redis has it: the scripts run for real, with the commands of a simulated server."""

from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from typing import Any

import lupa.lua51 as lupa
from redis.exceptions import ResponseError

from tests.simulation.redis_commands import Ok, Scored
from tests.simulation.redis_values import number_text, refusal

_SURROUNDINGS = """
function(call, pcall_, sha1hex)
  local shown = { redis = { call = call, pcall = pcall_, sha1hex = sha1hex,
    error_reply = function(text) return { err = text } end,
    status_reply = function(text) return { ok = text } end } }
  for _, name in ipairs({ 'assert', 'error', 'ipairs', 'math', 'next', 'pairs', 'pcall', 'select', 'string', 'table',
                          'tonumber', 'tostring', 'type', 'unpack' }) do
    shown[name] = _G[name]
  end
  return setmetatable({}, {
    __index = function(_, name)
      if shown[name] == nil then
        error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
      end
      return shown[name]
    end,
    __newindex = function(_, name) error('Attempt to modify a readonly table', 2) end,
  })
end
"""

_COMPILE = """
function(text, surroundings)
  local make, problem = loadstring(text, 'user_script')
  if not make then
    return problem
  end
  return setfenv(make, surroundings)()
end
"""

_ITEMS = """
function(value)
  local count = 0
  while value[count + 1] ~= nil do
    count = count + 1
  end
  return value.err, value.ok, unpack(value, 1, count)
end
"""
"""What a table has, in one call: its error, its status, and its items up to the first nil."""


def sha_of(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


class Interpreter:
    """Runs scripts, and keeps what it has compiled. One is enough for a process: nothing of a call outlives it."""

    def __init__(self) -> None:
        self.lua = lupa.LuaRuntime(unpack_returned_tuples=False, register_eval=False)
        self._command: Callable[[str, list[str]], Any] = lambda *_: None
        self._compile = self.lua.eval(_COMPILE)
        self._surroundings = self.lua.eval(_SURROUNDINGS)(self._call, self._protected_call, _sha1hex)
        self._items = self.lua.eval(_ITEMS)
        self._ok = self.lua.table_from({"ok": "OK"})
        self._functions: dict[str, Any] = {}

    def run(self, text: str, keys: Sequence[str], args: Sequence[str], command: Callable[[str, list[str]], Any]) -> Any:
        """What the script answers, in RESP. *command* runs one of its commands, by its name in capitals.

        Raises ResponseError, also for what redis.call raised.
        """
        function = self.function(text)
        before, self._command = self._command, command
        try:
            return self._reply(function(self.lua.table_from(keys), self.lua.table_from(args)))
        except lupa.LuaError as exc:
            raise refusal(f"ERR {exc}") from exc
        finally:
            self._command = before

    def function(self, text: str) -> Any:
        """The script as a function of KEYS and ARGV. Raises ResponseError when it is no Lua."""
        if text not in self._functions:
            made = self._compile(f"return function(KEYS, ARGV) {_without_first_line(text)}\nend", self._surroundings)
            if isinstance(made, str):
                raise refusal(f"ERR Error compiling script (new function): {made}")
            self._functions[text] = made
        return self._functions[text]

    def _call(self, name: str, *words: Any) -> Any:
        reply = self._command(name.upper(), [it if it.__class__ is str else _word(it) for it in words])
        kind = reply.__class__
        return reply if kind is str or kind is int else self._shown(reply)

    def _protected_call(self, name: str, *words: Any) -> Any:
        try:
            return self._call(name, *words)
        except ResponseError as exc:
            return self.lua.table_from({"err": str(exc)})

    def _shown(self, reply: Any) -> Any:
        """A reply as a script has it: no map, no number that is not whole, false for nothing."""
        if reply is None:
            return False
        match reply:
            case Ok():
                return self._ok if reply == "OK" else self.lua.table_from({"ok": str(reply)})
            case str() | int():
                return reply
            case float():
                return number_text(reply)
            case Scored():
                return self.lua.table_from([text for member, at in reply for text in (member, number_text(at))])
            case dict():
                return self.lua.table_from([self._shown(it) for pair in reply.items() for it in pair])
            case list():
                return self.lua.table_from([it if it.__class__ is str else self._shown(it) for it in reply])
        raise TypeError(f"no script can be told {reply!r}")

    def _reply(self, value: Any) -> Any:
        """What a script returns: numbers are cut to whole ones, an array ends at its first nil."""
        if value.__class__ is str or value is None:
            return value
        if value.__class__ is bool:
            return 1 if value else None
        if value.__class__ is int or value.__class__ is float:
            return int(value)
        error, status, *found = self._items(value)
        if error is not None:
            raise refusal(error)
        if status is not None:
            return Ok(status)
        return [self._reply(it) for it in found]


@cache
def flags(text: str) -> frozenset[str] | None:
    """What a script says of itself in its first line; None when it has no such line, as before Redis 7."""
    if not text.startswith("#!"):
        return None
    engine, *words = text.partition("\n")[0].removeprefix("#!").split()
    if engine != "lua":
        raise refusal(f"ERR Unexpected engine in script shebang: {engine}")
    found: set[str] = set()
    for word in words:
        name, _, value = word.partition("=")
        if name != "flags":
            raise refusal(f"ERR Unknown lua shebang option: {word}")
        found |= set(filter(None, value.split(",")))
    if unknown := found - {"allow-oom"}:
        raise refusal(f"ERR Unexpected flag in script shebang: {min(unknown)}")
    return frozenset(found)


def _without_first_line(text: str) -> str:
    """Without the flags, which are no Lua; lines keep their numbers."""
    return text[text.index("\n") :] if text.startswith("#!") else text


def _word(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refusal("ERR Lua redis lib command arguments must be strings or integers")
    return number_text(value)


def _sha1hex(text: Any) -> str:
    return sha_of(str(text))
