"""ServiceNow's encoded queries: conditions with operators, `^`, `^OR`, `^NQ` and ordering.

Like the original by default, a condition on a column that does not exist is dropped, so that the rest matches more
rows than meant (property glide.invalid_query.returns_no_rows is false).
"""

import operator
from collections.abc import Callable, Collection, Mapping

Row = Mapping[str, str]
Condition = Callable[[Row], bool]

_WORDS: dict[str, Callable[[str, str], bool]] = {
    "ISNOTEMPTY": lambda have, _: have != "",
    "ISEMPTY": lambda have, _: have == "",
    "STARTSWITH": lambda have, want: have.startswith(want),
    "ENDSWITH": lambda have, want: have.endswith(want),
    "NOT LIKE": lambda have, want: want not in have,
    "LIKE": lambda have, want: want in have,
    "NOT IN": lambda have, want: have not in want.split(","),
    "IN": lambda have, want: have in want.split(","),
    "ANYTHING": lambda _have, _want: True,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def select(rows: list[dict[str, str]], query: str, columns: Collection[str]) -> list[dict[str, str]]:
    """The rows that *query* matches, in its order."""
    alternatives: list[list[list[Condition]]] = []
    orders: list[tuple[str, bool]] = []
    for alternative in query.split("^NQ"):
        conditions: list[list[Condition]] = []
        for part in filter(None, alternative.split("^")):
            if part.startswith("ORDERBYDESC"):
                orders.append((part.removeprefix("ORDERBYDESC"), True))
            elif part.startswith("ORDERBY"):
                orders.append((part.removeprefix("ORDERBY"), False))
            elif part.startswith("OR") and conditions:
                if condition := _condition(part.removeprefix("OR"), columns):
                    conditions[-1].append(condition)
            elif condition := _condition(part, columns):
                conditions.append([condition])
        alternatives.append(conditions)
    found = [row for row in rows if any(_matches(row, conditions) for conditions in alternatives)]
    for column, is_descending in reversed(orders):
        found.sort(key=lambda row: row.get(column, ""), reverse=is_descending)
    return found


def _matches(row: Row, conditions: list[list[Condition]]) -> bool:
    return all(any(condition(row) for condition in either) for either in conditions)


def _condition(text: str, columns: Collection[str]) -> Condition | None:
    """One condition; None for a column that does not exist, or for no operator at all."""
    found = [(at, -len(word), word) for word in _WORDS if (at := text.find(word)) > 0]
    if not found:
        return None
    at, _, word = min(found)
    column, value = text[:at], text[at + len(word) :]
    if column not in columns:
        return None
    compare = _WORDS[word]
    return lambda row: compare(row.get(column, ""), value)
