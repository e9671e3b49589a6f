"""What a configuration of Versus Incident v1.4, and its environment variables, come to here.

Its keys that mean the same here are the model's own. This package handles the others: some have another place or form
here, some have no effect, and some would lose notifications. docs/from-versus-incident.md lists them all.
"""

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from versus_py.config.versus_incident.keys import adapt_keys
from versus_py.config.versus_incident.places import Origin
from versus_py.config.versus_incident.variables import apply_variables, unread_variables

PAGE = "docs/from-versus-incident.md"


@dataclass(frozen=True, slots=True)
class Adapted:
    """A configuration in the model's own keys."""

    data: dict[str, Any]
    problems: tuple[str, ...] = ()
    """What is enabled there and would be lost here, each after its key."""
    notices: tuple[str, ...] = ()
    """What has no effect here, or another one than there."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """The settings that environment variables set by themselves."""


def adapt(
    data: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    written: Mapping[str, Any],
    channels: Collection[str],
    providers: Collection[str],
) -> Adapted:
    """*data* is the file's, with references replaced; *written* is the same as it stands in the file.

    *channels* and *providers* are those of the model: a package may add one that Versus Incident has too.
    """
    adapted: dict[str, Any] = deepcopy(dict(data))
    origins, mistakes = apply_variables(adapted, environ)
    known = {*channels, *providers}
    lost, changed, unread = adapt_keys(adapted, written, origins, known)
    names = [*unread, *unread_variables(environ, known)]
    if names:
        changed.insert(0, f"these settings of Versus Incident are not read: {', '.join(names)}; see {PAGE}")
    return Adapted(adapted, (*mistakes, *lost), tuple(changed), origins)


__all__ = ["PAGE", "Adapted", "Origin", "adapt"]
