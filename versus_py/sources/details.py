"""Free-form details that tools add to an event: short ones are labels, long ones are texts to read."""

from collections.abc import Iterator, Mapping
from typing import Any

from versus_py.incidents.model import common
from versus_py.incidents.redaction import hides
from versus_py.sources import fields

LABEL_MAX = 200
"""Characters of a label; what is longer, or has several lines, is an annotation."""

LEVELS_MAX = 3
"""How many objects deep a detail may be."""


def labels_and_annotations(details: Any) -> tuple[dict[str, str], dict[str, str]]:
    """The details, whatever they are: nested ones by their path, such as `http.status`. Secrets are left out.

    Of alerts that Alertmanager lists among them, what these have in common.
    """
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    for name, text in _pairs(details, "", LEVELS_MAX):
        kept = annotations if len(text) > LABEL_MAX or "\n" in text else labels
        kept[name] = text
    for listed in _listed_alerts(details):
        labels = common([fields.text_map(it.get("labels")) for it in listed]) | labels
        annotations = common([fields.text_map(it.get("annotations")) for it in listed]) | annotations
    return labels, annotations


def texts(value: Any) -> list[str]:
    """The scalars of a list; of one that stands alone, a list of it."""
    return [text for it in (value if isinstance(value, list) else [value]) if (text := fields.text(it))]


def _pairs(value: Any, name: str, levels: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, it in value.items() if levels else ():
            if not hides(str(key), it):
                yield from _pairs(it, f"{name}.{key}" if name else str(key), levels - 1)
    elif text := ", ".join(texts(value)):
        yield name or "details", text


def _listed_alerts(details: Any) -> Iterator[list[Mapping[str, Any]]]:
    for value in details.values() if isinstance(details, Mapping) else ():
        alerts = [it for it in value if isinstance(it, Mapping) and "labels" in it] if isinstance(value, list) else []
        if alerts:
            yield alerts
