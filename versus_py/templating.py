"""Templates that people write, in a sandbox: they see the values they are given and no Python behind them."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Template, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from versus_py.errors import VersusError
from versus_py.template_functions import FILTERS, FUNCTIONS

_GO = re.compile(r"\{\{-?\s*(?:[.$][\w.]*|(?:range|if|else|end|with|define|block|template|printf)\b(?!\()[^}\n]{0,60})")
"""What no template in Jinja2 has behind two braces, and Go's have: a field, a variable, or a statement."""


class TemplateFailed(VersusError):
    """A template cannot be read, compiled or rendered. The message says where."""


class TemplateText:
    """A Jinja2 template in a setting. A name that does not exist renders as nothing: not every alert has every label.

    Raises TemplateFailed when *text* is no template; *name* is what it is called in errors.
    """

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        refuse_go(text, name)
        try:
            self._template = _compiled(text)
        except TemplateSyntaxError as exc:
            raise TemplateFailed(f"{name}: line {exc.lineno}: {exc.message}") from None

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, without blank space around it. Raises TemplateFailed."""
        try:
            return self._template.render(values).strip()
        except Exception as exc:  # a template can raise whatever its expressions raise
            raise TemplateFailed(f"{self._name}: {type(exc).__name__}: {exc}") from exc


@lru_cache(maxsize=1024)  # instances of a system have most of their texts in common
def _compiled(text: str) -> Template:
    return _environment(lambda value: "" if value is None else str(value)).from_string(text)


class TemplateFile:
    """A Jinja2 template in a file, read again whenever the file changes.

    *finalize* is applied to the value of every expression, which is where untrusted text gets escaped.
    """

    def __init__(self, path: Path, *, finalize: Callable[[Any], str], functions: Mapping[str, Any]) -> None:
        self._path = path
        self._environment = _environment(finalize)
        self._environment.globals.update(functions)
        self._stamp: tuple[int, int] | None = None
        self._template: Any = None

    def render(self, values: Mapping[str, Any]) -> str:
        """The text, without blank space around it. Raises TemplateFailed."""
        try:
            self._reload()
            return str(self._template.render(values)).strip()
        except TemplateFailed:
            raise
        except Exception as exc:  # a template can raise whatever its expressions raise
            line = getattr(exc, "lineno", None)
            where = f"{self._path}, line {line}" if line else str(self._path)
            raise TemplateFailed(f"{where}: {type(exc).__name__}: {exc}") from exc

    def _reload(self) -> None:
        stat = self._path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            text = self._path.read_text(encoding="utf-8")
            refuse_go(text, str(self._path))
            self._template = self._environment.from_string(text)
            self._stamp = stamp


def refuse_go(text: str, name: str) -> None:
    """Raise TemplateFailed for a template in the language of Versus Incident's and Alertmanager's, which is Go's.

    Some of it would compile here, and come to nothing.
    """
    if (found := _GO.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        raise TemplateFailed(
            f"{name}: line {line}: {found[0].strip()!r} is of a Go template; versus_py takes Jinja2, "
            "such as {{ alert.labels.severity }} or {% for alert in firing %} … {% endfor %}; "
            "`versus convert-template` makes one of it"
        )


def uses(text: str, name: str) -> bool:
    """Whether a template asks for the value of that name; False for one that cannot be read."""
    try:
        return name in find_undeclared_variables(_environment(str).parse(text))
    except TemplateSyntaxError:
        return False


class _Environment(ImmutableSandboxedEnvironment):
    """`labels.values` is the label of that name, and not the method; `items` is what templates call."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute != "items" and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def _environment(finalize: Callable[[Any], str]) -> ImmutableSandboxedEnvironment:
    environment = _Environment(
        undefined=ChainableUndefined,
        finalize=finalize,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(FUNCTIONS)
    return environment
