"""ServiceNow's encoded queries: conditions with operators, `^`, `^OR`, `^NQ` and ordering.

Like the original by default, a condition on a column that does not exist is dropped, so that the rest matches more
rows than meant (property glide.invalid_query.returns_no_rows is false). Columns, operators and values are
case-sensitive; all values are compared as strings.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

Row = Mapping[str, str]
Condition = Callable[[Row], bool]

_WORDS: dict[str, Callable[[str, str], bool]] = {
    "ISNOTEMPTY": lambda have, _: have != "",
    "ISEMPTY": lambda have, _: have == "",
    "EMPTYSTRING": lambda have, _: have == "",
    "STARTSWITH": lambda have, want: have.startswith(want),
    "ENDSWITH": lambda have, want: have.endswith(want),
    "NOT LIKE": lambda have, want: want not in have,
    "LIKE": lambda have, want: want in have,
    "NOT IN": lambda have, want: have not in want.split(","),
    "IN": lambda have, want: have in want.split(","),
    "BETWEEN": lambda have, want: want.partition("@")[0] <= have <= want.partition("@")[2],
    "ANYTHING": lambda _have, _want: True,
    "NSAMEAS": operator.ne,
    "SAMEAS": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_OF_TWO_COLUMNS = {"SAMEAS", "NSAMEAS"}
_SCRIPT = "javascript:"


class ScriptInQuery(ValueError):
    """A value that the original would run as a script."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a column refers to: the *rows* by sys_id, and the *columns* that they have."""

    rows: Mapping[str, Row]
    columns: Collection[str]


def select(
    rows: Iterable[dict[str, str]],
    query: str,
    columns: Collection[str],
    *,
    references: Mapping[str, Reference] | None = None,
    invalid_returns_no_rows: bool = False,
) -> list[dict[str, str]]:
    """The rows that *query* matches, in its order, and otherwise in theirs.

    *references* are the columns that a condition may step through, once (`caller_id.email=…`). Raises ScriptInQuery:
    no client here means a script, so that one is taken for an injection.
    """
    table = _Table(columns, references or {})
    parsed = [_alternative(part, table) for part in query.split("^NQ")]
    orders = [order for part in query.replace("^NQ", "^").split("^") if (order := _order(part, table))]
    if invalid_returns_no_rows and table.has_met_invalid:
        return []
    found = [row for row in rows if any(_matches(row, conditions) for conditions in parsed)]
    for column, is_descending in reversed(orders):
        found.sort(key=lambda row: table.value(row, column), reverse=is_descending)
    return found


class _Table:
    """The columns of the table that is asked, and whether a query named others."""

    def __init__(self, columns: Collection[str], references: Mapping[str, Reference]) -> None:
        self._columns = columns
        self._references = references
        self.has_met_invalid = False

    def has(self, column: str) -> bool:
        name, dot, further = column.partition(".")
        reference = self._references.get(name)
        is_known = column in self._columns if not dot else reference is not None and further in reference.columns
        self.has_met_invalid |= not is_known
        return is_known

    def value(self, row: Row, column: str) -> str:
        name, dot, further = column.partition(".")
        if not dot:
            return row.get(column, "")
        return self._references[name].rows.get(row.get(name, ""), {}).get(further, "")


def _alternative(text: str, table: _Table) -> list[list[Condition]]:
    """All of these hold, of each at least one."""
    groups: list[list[Condition]] = []
    for part in filter(None, text.split("^")):
        if part.startswith("ORDERBY"):
            continue
        is_or = part.startswith("OR") and bool(groups)
        if not is_or:
            groups.append([])
        if condition := _condition(part.removeprefix("OR") if is_or else part, table):
            groups[-1].append(condition)
    return [group for group in groups if group]


def _order(part: str, table: _Table) -> tuple[str, bool] | None:
    """A column and whether it is descending; None for what is no order, or by a column that does not exist."""
    for word, is_descending in (("ORDERBYDESC", True), ("ORDERBY", False)):
        if part.startswith(word):
            column = part.removeprefix(word)
            return (column, is_descending) if table.has(column) else None
    return None


def _matches(row: Row, conditions: list[list[Condition]]) -> bool:
    return all(any(condition(row) for condition in either) for either in conditions)


def _condition(text: str, table: _Table) -> Condition | None:
    """One condition; None for a column that does not exist, or for no operator at all."""
    found = [(at, -len(word), word) for word in _WORDS if (at := text.find(word)) > 0]
    at, _, word = min(found, default=(len(text), 0, ""))
    column, value = text[:at], text[at + len(word) :]
    if any(part.startswith(_SCRIPT) for part in re.split("[,@]", value)):
        raise ScriptInQuery(f"the query runs a script: {text}")
    is_known = table.has(column)
    if not is_known or not word:
        return None
    compare = _WORDS[word]
    if word in _OF_TWO_COLUMNS:
        return (lambda row: compare(table.value(row, column), table.value(row, value))) if table.has(value) else None
    return lambda row: compare(table.value(row, column), value)
