"""Pipelines of Go's templates as expressions of Jinja2."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from versus_py.tools.convert.parsing import NotGo, Operand, Pipeline

ACK_URL = "AckURL"

_ATOM = re.compile(r"[\w.]+(\(\))?(\[[^\[\]]*\])*[\w.]*|\"(?:[^\"\\]|\\.)*\"")

_SUBJECT_FIRST = {
    "contains",
    "default",
    "hasPrefix",
    "hasSuffix",
    "replace",
    "replaceAll",
    "slice",
    "split",
    "trimPrefix",
    "trimSuffix",
    "truncate",
    "join",
}
"""Their first argument is what they work on. A pipe passes its value last, which is hardly what was meant."""

_LAYOUT = {
    "2006": "%Y",
    "January": "%B",
    "Monday": "%A",
    "-0700": "%z",
    "Jan": "%b",
    "Mon": "%a",
    "MST": "%Z",
    "01": "%m",
    "02": "%d",
    "03": "%I",
    "04": "%M",
    "05": "%S",
    "06": "%y",
    "15": "%H",
    "PM": "%p",
}
"""The parts of Go's layouts of times, the longer ones first."""

_LINK = "<%s|%s>"


@dataclass(slots=True)
class Scope:
    """What a dot and the variables are where an expression stands."""

    dot: str = "content"
    variables: dict[str, str] = field(default_factory=dict)
    """Go's name -> the name here."""

    def inner(self, dot: str | None = None) -> "Scope":
        return Scope(self.dot if dot is None else dot, dict(self.variables))


@dataclass(slots=True)
class Writer:
    """Writes expressions, and notes what reads otherwise than it did."""

    note: Callable[[str], None]

    def pipeline(self, pipeline: Pipeline, scope: Scope) -> str:
        """Raises NotGo for what has no counterpart."""
        first, *rest = pipeline.commands
        value = self._command(first, scope, None)
        for command in rest:
            value = self._command(command, scope, value)
        return value

    def _command(self, operands: Sequence[Operand], scope: Scope, piped: str | None) -> str:
        head, *others = operands
        if head.kind == "word":
            arguments = [self._operand(it, scope) for it in others]
            return self._call(head.text, arguments, others, piped) + "".join(map(_field, head.fields))
        if others or piped is not None:
            raise NotGo("a value is called as if it were a function")
        return self._operand(head, scope)

    def _operand(self, operand: Operand, scope: Scope) -> str:
        match operand.kind:
            case "string":
                # Templates with two braces and a dot are taken for Go's, also where these are in a text.
                return json.dumps(operand.text, ensure_ascii=False).replace("{{", r"{\u007b")
            case "number":
                return operand.text
            case "word":
                return self._call(operand.text, [], [], None) + "".join(map(_field, operand.fields))
            case "pipeline" if operand.pipeline is not None:
                base = self.pipeline(operand.pipeline, scope)
                base = _atom(base) if operand.fields else base
            case "variable" if operand.text:
                if operand.text not in scope.variables:
                    raise NotGo(f"the variable ${operand.text} is not declared")
                base = scope.variables[operand.text]
            case "variable":
                base = "content"
            case _:
                base = scope.dot
        if operand.fields and operand.fields[-1] == ACK_URL:
            return "ack_url"
        return base + "".join(map(_field, operand.fields))

    def _call(self, name: str, given: list[str], operands: Sequence[Operand], piped: str | None) -> str:
        arguments = given if piped is None else [*given, piped]
        if piped is not None and name in _SUBJECT_FIRST and operands and operands[0].is_literal:
            arguments = [piped, *given]
            self.note(f"{name} is used on the value before the pipe; in Go, that value is its last argument")
        elif name == "contains" and len(operands) == 2 and operands[0].is_literal and not operands[1].is_literal:  # noqa: PLR2004
            arguments.reverse()
            self.note(
                "contains searches the other value for the fixed text; in Go, it searches the fixed text for the value"
            )
        if name == "printf" and arguments[:1] == [json.dumps(_LINK)] and len(arguments) == 3:  # noqa: PLR2004
            return f"link({arguments[1]}, {arguments[2]})"
        if name == "format":
            return self._format(arguments)
        if name == "env":
            self.note("env is not there: templates do not see the environment; write the value in its place")
            return '""'
        least, write = _FUNCTIONS.get(name, (0, None))
        if write is None:
            raise NotGo(f"the function {name} is not known")
        if len(arguments) < least:
            raise NotGo(f"the function {name} needs {least} values")
        return write(*arguments)

    def _format(self, arguments: list[str]) -> str:
        if len(arguments) != 2:  # noqa: PLR2004
            raise NotGo("the function format needs 2 values")
        layout, moment = arguments
        for go, strftime in _LAYOUT.items():
            layout = layout.replace(go, strftime)
        return f"{_atom(moment)}|format_time({layout})"


def _field(name: str) -> str:
    """Jinja2 calls the method of that name where *items* is one; hyphens, which Go refuses, are in payloads."""
    return f".{name}" if name.isidentifier() and name != "items" else f'["{name}"]'


def _atom(expression: str) -> str:
    return expression if _ATOM.fullmatch(expression) else f"({expression})"


def _filter(name: str) -> Callable[..., str]:
    return lambda value, *rest: f"{_atom(value)}|{name}" + (f"({', '.join(rest)})" if rest else "")


def _function(name: str) -> Callable[..., str]:
    return lambda *values: f"{name}({', '.join(values)})"


def _operator(sign: str) -> Callable[..., str]:
    return lambda *values: f" {sign} ".join(map(_atom, values))


def _equal(one: str, *others: str) -> str:
    return f"{_atom(one)} == {_atom(others[0])}" if len(others) == 1 else f"{_atom(one)} in ({', '.join(others)})"


def _text(value: str) -> str:
    return value if value.startswith('"') else f"text({value})"


def _index(value: str, *keys: str) -> str:
    return _atom(value) + "".join(f"[{key}]" for key in keys)


def _slice(value: str, start: str = "", end: str = "") -> str:
    return f"{_text(value)}[{start}:{end}]"


def _dict(*values: str) -> str:
    pairs = zip(values[::2], values[1::2], strict=False)
    return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"


_FUNCTIONS: Mapping[str, tuple[int, Callable[..., str] | None]] = {
    "add": (2, _operator("+")),
    "and": (1, _operator("and")),
    "append": (2, lambda items, *more: f"{_atom(items)} + [{', '.join(more)}]"),
    "contains": (2, lambda value, part: f"{_text(part)} in {_text(value)}"),
    "default": (2, lambda value, other: f"{_atom(value)}|default({other}, true)"),
    "dict": (0, _dict),
    "eq": (2, _equal),
    "escapeHTML": (1, lambda value: value),
    "formatTime": (1, _filter("format_time")),
    "ge": (2, _function("ge")),
    "gt": (2, _function("gt")),
    "hasPrefix": (2, lambda value, part: f"{_text(value)}.startswith({_text(part)})"),
    "hasSuffix": (2, lambda value, part: f"{_text(value)}.endswith({_text(part)})"),
    "html": (1, lambda value: value),
    "index": (1, _index),
    "join": (2, _filter("join")),
    "le": (2, _function("le")),
    "len": (1, _filter("length")),
    "list": (0, lambda *values: f"[{', '.join(values)}]"),
    "lower": (1, _filter("lower")),
    "lt": (2, _function("lt")),
    "ne": (2, lambda one, other: f"{_atom(one)} != {_atom(other)}"),
    "not": (1, lambda value: f"not {_atom(value)}"),
    "now": (0, lambda: "now()"),
    "or": (1, _operator("or")),
    "print": (1, _operator("~")),
    "printf": (1, _function("printf")),
    "regexMatch": (2, _function("regex_match")),
    "replace": (3, _filter("replace")),
    "replaceAll": (3, _filter("replace")),
    "slice": (1, _slice),
    "split": (2, _filter("split")),
    "stringSlice": (1, lambda value: value),
    "title": (1, _filter("title")),
    "toJson": (1, _filter("tojson")),
    "toString": (1, _function("text")),
    "trim": (1, _filter("trim")),
    "trimPrefix": (2, _filter("trim_prefix")),
    "trimSuffix": (2, _filter("trim_suffix")),
    "truncate": (2, lambda value, most: f"{_text(value)}[:{most}]"),
    "upper": (1, _filter("upper")),
    "urlquery": (1, _filter("urlquery")),
}
"""By Go's name: how many values it needs at least, and how it is written here."""
