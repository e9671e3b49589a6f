"""Templates: statements and text around the expressions."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from versus_py.tools.convert.expressions import Scope, Writer
from versus_py.tools.convert.parsing import Action, NotGo, Pipeline, parse, pieces

_SEEN = "ack_url alerts annotations content date firing incident labels link links message now overview payload text v"
_WORDS = "and else false for if in is loop none not or printf set true"

_NAMES_TAKEN = frozenset(f"{_SEEN} {_WORDS}".split())
"""What templates see, and words of Jinja2: no variable may have such a name."""

_KEYWORD = re.compile(r"(if|else|end|range|with|define|block|template|break|continue)\b\s*", re.ASCII)
_ASSIGNED = re.compile(r"\{\{-?\s*(?:(?:else\s+)?(?:if|with)\s+)?\$(\w+)\s*=(?!=)")

_UNKNOWN = {
    "break": "break has no counterpart",
    "continue": "continue has no counterpart",
    "define": "define has no counterpart: write its text where it is used",
    "block": "block has no counterpart: write its text where it is used",
    "template": "template has no counterpart: write its text where it is used",
}


@dataclass(frozen=True, slots=True)
class Note:
    """Something to check."""

    line: int
    what: str
    is_lost: bool
    """Whether the template lacks it now; else it may only read otherwise than before."""

    def __str__(self) -> str:
        return f"line {self.line}: {'not converted: ' if self.is_lost else ''}{self.what}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A template of Jinja2, and what to check in it."""

    text: str
    notes: tuple[Note, ...]

    @property
    def lost(self) -> tuple[Note, ...]:
        return tuple(it for it in self.notes if it.is_lost)


@dataclass(slots=True)
class _Block:
    """What an end ends."""

    kind: str
    scope: Scope
    """Outside of it."""
    else_dot: str | None = None


def convert(text: str) -> Conversion:
    """*text* as a template of Slack messages. Raises NotGo for an action without an end."""
    return _Template(text).converted()


class _Template:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = list(pieces(text))
        self._assigned = frozenset(_ASSIGNED.findall(text))
        self._names: set[str] = set(_NAMES_TAKEN)
        self._notes: list[Note] = []
        self._line = 1
        self._writer = Writer(self._note)
        self._scope = Scope()
        self._blocks: list[_Block] = []

    def _note(self, what: str, *, is_lost: bool = False) -> None:
        self._notes.append(Note(self._line, what, is_lost))

    def converted(self) -> Conversion:
        out = []
        for index, piece in enumerate(self._pieces):
            if isinstance(piece, str):
                out.append(re.sub(r"\{[%#]", lambda found: f'{{{{ "{found[0]}" }}}}', piece))
                continue
            self._line = piece.line
            out.append(self._action(piece, index))
        if self._blocks:
            self._note(f"{self._blocks[-1].kind} has no end", is_lost=True)
            out += ["{% endfor %}" if it.kind == "range" else "{% endif %}" for it in reversed(self._blocks)]
        head = "{% set v = namespace() %}\n" if self._assigned else ""
        return Conversion(head + "".join(out), tuple(self._notes))

    def _action(self, action: Action, index: int) -> str:
        if action.is_comment:
            said = action.inside[2:].removesuffix("*/").replace("#}", "# }").replace("{{", "{ {")
            return self._around(action, index, [f"#{said}#"])
        try:
            return self._around(action, index, self._statements(action.inside))
        except NotGo as exc:
            self._note(f"{{{{ {action.inside} }}}}: {exc}", is_lost=True)
            return self._around(action, index, self._instead(action.inside))

    def _instead(self, inside: str) -> list[str]:
        """What keeps the rest in order where a statement cannot be converted."""
        keyword = _KEYWORD.match(inside)
        kind = keyword[1] if keyword else ""
        if kind in {"if", "with", "range", "define", "block"}:
            self._blocks.append(_Block("if", self._scope))
            self._scope = self._scope.inner()
            return ["% if false %"]
        return ["% else %" if kind == "else" and self._blocks else "# not converted #"]

    def _statements(self, inside: str) -> list[str]:
        """What stands between the outer braces, of each."""
        keyword = _KEYWORD.match(inside)
        if keyword is None:
            pipeline = parse(inside)
            if pipeline.names:
                return [self._set(pipeline)]
            return [f"{{ {self._writer.pipeline(pipeline, self._scope)} }}"]
        rest = inside[keyword.end() :]
        if keyword[1] in _UNKNOWN:
            raise NotGo(_UNKNOWN[keyword[1]])
        handle: Callable[[str], list[str]] = getattr(self, f"_{keyword[1]}")
        return handle(rest)

    def _if(self, rest: str) -> list[str]:
        before, condition = self._condition(rest)
        self._blocks.append(_Block("if", self._scope.inner()))
        return [*before, f"% if {condition} %"]

    def _with(self, rest: str) -> list[str]:
        pipeline = parse(rest)
        value = self._writer.pipeline(pipeline, self._scope)
        outer = self._scope
        name = self._new(pipeline.names[0] if pipeline.names else "it")
        self._blocks.append(_Block("with", outer, else_dot=outer.dot))
        self._scope = outer.inner(dot=name)
        if pipeline.names:
            self._scope.variables[pipeline.names[0]] = name
        return [f"% set {name} = {value} %", f"% if {name} %"]

    def _range(self, rest: str) -> list[str]:
        pipeline = parse(rest)
        items = self._writer.pipeline(Pipeline(pipeline.commands), self._scope)
        items = items if re.fullmatch(r'[\w.\[\]"]+', items) else f"({items})"
        outer = self._scope
        self._blocks.append(_Block("range", outer, else_dot=outer.dot))
        names = [self._new(it) for it in pipeline.names] or [self._new("it")]
        self._scope = outer.inner(dot=names[-1])
        self._scope.variables |= dict(zip(pipeline.names, names, strict=False))
        return [f"% for {', '.join(names)} in {items}|{'pairs' if len(names) > 1 else 'each'} %"]

    def _else(self, rest: str) -> list[str]:
        if not self._blocks:
            raise NotGo("an else without an if")
        block = self._blocks[-1]
        self._scope = block.scope.inner(dot=block.else_dot)
        if not rest:
            return ["% else %"]
        if not rest.startswith("if "):
            raise NotGo(f"else {rest.split(maxsplit=1)[0]} has no counterpart")
        if block.kind == "range":
            raise NotGo("else if after range has no counterpart")
        before, condition = self._condition(rest.removeprefix("if "))
        if before:
            raise NotGo("a variable that an else if declares has no counterpart")
        return [f"% elif {condition} %"]

    def _end(self, _: str) -> list[str]:
        if not self._blocks:
            raise NotGo("an end without a beginning")
        block = self._blocks.pop()
        self._scope = block.scope
        return ["% endfor %" if block.kind == "range" else "% endif %"]

    def _condition(self, rest: str) -> tuple[list[str], str]:
        pipeline = parse(rest)
        if not pipeline.names:
            return [], self._writer.pipeline(pipeline, self._scope)
        statement = self._set(pipeline)
        return [statement], self._scope.variables[pipeline.names[0]]

    def _set(self, pipeline: Pipeline) -> str:
        [name] = pipeline.names if len(pipeline.names) == 1 else [""]
        if not name:
            raise NotGo("two variables are set at once")
        value = self._writer.pipeline(Pipeline(pipeline.commands), self._scope)
        if pipeline.declares:
            new = self._new(name)
            self._scope.variables[name] = f"v.{new}" if name in self._assigned else new
        elif name not in self._scope.variables:
            raise NotGo(f"the variable ${name} is not declared")
        return f"% set {self._scope.variables[name]} = {value} %"

    def _new(self, name: str) -> str:
        """A name that nothing else has: Go's variables end with their block, ours do not."""
        if name == "it":
            name = next(it for it in ("it", *(f"it_{n}" for n in range(2, 1000))) if it not in self._used_as_dot())
            self._names.add(name)
            return name
        found = name if name not in self._names else f"{name}_"
        number = 2
        while found in self._names:
            found, number = f"{name}_{number}", number + 1
        self._names.add(found)
        return found

    def _used_as_dot(self) -> set[str]:
        return {self._scope.dot, *(it.scope.dot for it in self._blocks)}

    def _around(self, action: Action, index: int, inner: list[str]) -> str:
        """The statements in braces, with the marks that treat white space as Go does.

        A statement alone on its line leaves no line behind, which it does in Go.
        """
        before, after = str(self._pieces[index - 1]), str(self._pieces[index + 1])  # text and actions take turns
        is_first = index == 1
        starts_line = re.search(r"\n[ \t]*$", before) is not None or (is_first and not before.strip(" \t"))
        ends_line = after.startswith("\n")
        is_alone = starts_line and ends_line and not action.trims_left and not action.trims_right
        keeps = "" if inner[0].startswith("{") or is_alone else "+"
        left = "-" if action.trims_left else keeps if starts_line else ""
        right = "-" if action.trims_right else keeps if ends_line else ""
        marked = [it[0] + (left if at == 0 else "") + it[1:] for at, it in enumerate(inner)]
        last = marked[-1]
        marked[-1] = last[:-1] + right + last[-1]
        return "".join(f"{{{it}}}" for it in marked)
