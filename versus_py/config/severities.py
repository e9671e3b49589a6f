"""Severities in the configuration: names of one's own, and settings by severity."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from versus_py.incidents.severity import UNKNOWN_SEVERITY, is_severity, spelling

if TYPE_CHECKING:
    from versus_py.config.model import Config


def _known(value: str) -> str:
    if not is_severity(value):
        raise ValueError("must be a known severity, such as critical, error, warning, notice or info")
    return value


def _known_or_none(value: str) -> str:
    return _known(value) if value else value


def _named(value: Any) -> Any:
    """YAML reads 1: critical as a number's."""
    if not isinstance(value, Mapping):
        return value
    return {
        str(name) if isinstance(name, int) and not isinstance(name, bool) else name: it for name, it in value.items()
    }


def _folded(value: dict[str, str]) -> dict[str, str]:
    folded = {spelling(name): severity for name, severity in value.items()}
    if len(folded) < len(value):
        raise ValueError("must have each name once: case, spaces, hyphens and underscores do not count")
    return folded


KnownSeverity = Annotated[str, AfterValidator(_known)]
OptionalSeverity = Annotated[str, AfterValidator(_known_or_none)]
SeverityMap = Annotated[
    dict[Annotated[str, Field(max_length=50)], KnownSeverity], BeforeValidator(_named), AfterValidator(_folded)
]


def counted_as(name: str, names: Mapping[str, str]) -> str:
    """The severity that *names* of one's own make of *name*, else itself."""
    return names.get(spelling(name), name)


def row_warnings(path: str, names: Iterable[str], config: "Config") -> Iterator[str]:
    """What is said of rows for severities at *path* that hardly any alert has."""
    for name in names:
        counts_as = config.severity_map.get(spelling(name))
        if counts_as is not None and spelling(counts_as) != spelling(name):
            yield f"{path}.{name} has no effect: severity_map makes {counts_as} of it"
        elif not is_severity(name) and name != UNKNOWN_SEVERITY:
            yield (
                f"{path}.{name} is no severity that is known here: it counts only for alerts that are sent with "
                "exactly that; severity_map can name one that it counts as"
            )
