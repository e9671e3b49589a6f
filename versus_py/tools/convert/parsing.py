"""Reads Go's text/template: text and actions, and in actions pipelines of commands."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from versus_py.errors import VersusError

_ACTION = re.compile(
    r"""\{\{(?P<left>-(?=\s))?(?P<inside>
        \s*/\*.*?\*/\s*?
        | (?:"(?:\\.|[^"\\\n])*" | `[^`]*` | '(?:\\.|[^'\\\n])+' | (?!-?\}\}). )*?
    )(?P<right>(?<=\s)-)?\}\}""",
    re.DOTALL | re.VERBOSE,
)

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:\\.|[^'\\\n])+')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))
    | (?P<variable>\$\w*)
    | (?P<field>\.[A-Za-z_]\w*(?:-\w+)*)
    | (?P<dot>\.)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<mark>:=|=|\||\(|\)|,)""",
    re.VERBOSE,
)

Kind = Literal["string", "number", "variable", "field", "dot", "word", "pipeline"]

_CONSTANTS = {"true": "true", "false": "false", "nil": "none"}


class NotGo(VersusError):
    """An action that cannot be read. The message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Action:
    """What stands between braces, and whether the white space around it goes."""

    inside: str
    line: int
    trims_left: bool
    trims_right: bool

    @property
    def is_comment(self) -> bool:
        return self.inside.startswith("/*")


@dataclass(frozen=True, slots=True)
class Operand:
    """One value in a command, with the fields that are taken of it."""

    kind: Kind
    text: str = ""
    """Of a string the value itself, of a variable its name without the dollar."""
    fields: tuple[str, ...] = ()
    pipeline: "Pipeline | None" = None

    @property
    def is_literal(self) -> bool:
        return self.kind in {"string", "number"}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which gets what the one before it comes to as its last argument."""

    commands: tuple[tuple[Operand, ...], ...]
    names: tuple[str, ...] = ()
    """The variables that it is put in."""
    declares: bool = False
    """Whether these are new."""


def pieces(text: str) -> Iterator[str | Action]:
    """Text and actions in turn. Raises NotGo for an action that does not end."""
    at = 0
    for found in _ACTION.finditer(text):
        yield text[at : found.start()]
        yield Action(
            found["inside"].strip(),
            text.count("\n", 0, found.start()) + 1,
            trims_left=found["left"] is not None,
            trims_right=found["right"] is not None,
        )
        at = found.end()
    rest = text[at:]
    if "{{" in rest:
        line = text.count("\n", 0, at + rest.index("{{")) + 1
        raise NotGo(f"line {line}: an action that begins with {{{{ does not end")
    yield rest


def parse(text: str) -> Pipeline:
    """The pipeline in *text*. Raises NotGo."""
    return _Parser(text).pipeline_to_the_end()


@dataclass(slots=True)
class _Parser:
    text: str
    _tokens: list[tuple[str, str, bool]] = field(init=False)  # kind, text, whether space comes before it
    _at: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._tokens = list(_tokens(self.text))

    def pipeline_to_the_end(self) -> Pipeline:
        pipeline = self._pipeline()
        if self._at < len(self._tokens):
            raise NotGo(f"{self._tokens[self._at][1]!r} is not expected there")
        return pipeline

    def _pipeline(self) -> Pipeline:
        names, declares = self._names()
        commands = [self._command()]
        while self._next("|"):
            commands.append(self._command())
        return Pipeline(tuple(commands), names, declares)

    def _names(self) -> tuple[tuple[str, ...], bool]:
        """Those in front of := or =, if it begins with such."""
        ahead = [it[1] for it in self._tokens[self._at : self._at + 4]]
        for names, mark in ((ahead[:1], ahead[1:2]), ([*ahead[:1], *ahead[2:3]], ahead[3:4])):
            is_list = len(names) == 1 or ahead[1:2] == [","]
            if mark in ([":="], ["="]) and is_list and all(it.startswith("$") for it in names):
                self._at += 2 * len(names)
                return tuple(it[1:] for it in names), mark == [":="]
        return (), False

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while self._at < len(self._tokens) and self._tokens[self._at][1] not in {"|", ")"}:
            operands.append(self._operand())
        if not operands:
            raise NotGo("a value is missing")
        return tuple(operands)

    def _operand(self) -> Operand:
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        match kind:
            case "mark" if text == "(":
                inner = self._pipeline()
                if not self._next(")"):
                    raise NotGo("a closing parenthesis is missing")
                return Operand("pipeline", pipeline=inner, fields=self._fields())
            case "string" | "raw" | "char":
                return Operand("string", _unquoted(text))
            case "number":
                return Operand("number", _decimal(text))
            case "variable":
                return Operand("variable", text[1:], self._fields())
            case "field":
                self._at -= 1
                return Operand("dot", fields=self._fields(is_first=True))
            case "dot":
                return Operand("dot")
            case "word" if text in _CONSTANTS:
                return Operand("number", _CONSTANTS[text])
            case "word":
                return Operand("word", text, self._fields())
        raise NotGo(f"{text!r} is not expected there")

    def _fields(self, *, is_first: bool = False) -> tuple[str, ...]:
        """The fields that follow without space."""
        found: list[str] = []
        while self._at < len(self._tokens):
            kind, text, is_apart = self._tokens[self._at]
            if kind != "field" or (is_apart and not (is_first and not found)):
                break
            found.append(text[1:])
            self._at += 1
        return tuple(found)

    def _next(self, mark: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][:2] == ("mark", mark):
            self._at += 1
            return True
        return False


def _tokens(text: str) -> Iterator[tuple[str, str, bool]]:
    at, is_apart = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotGo(f"{text[at]!r} is not expected there")
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0], is_apart
        is_apart = found.lastgroup == "space"
        at = found.end()


def _decimal(number: str) -> str:
    """With a leading 0, it is octal in Go and nothing in Jinja2."""
    return str(int(number, 8)) if re.fullmatch(r"[+-]?0[0-7]+", number) else number.lstrip("+")


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        raise NotGo(f"the text {text} cannot be read") from None
