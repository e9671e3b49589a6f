"""The registry: the remote systems that there are. To add one, add its line here, or install a package that has it.

Installed packages name a `System` by the entry point `versus_py.systems`.
"""

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from versus_py.config import Config, config_model
from versus_py.config import load_config as load_config_as
from versus_py.config import parse_config as parse_config_as
from versus_py.errors import ConfigError
from versus_py.targets import Called, titles
from versus_py.targets.servicenow.system import SERVICENOW
from versus_py.targets.slack.system import SLACK
from versus_py.targets.system import System

BUILT_IN = (SLACK, SERVICENOW)

ENTRY_POINT = "versus_py.systems"


@cache
def registered() -> tuple[System, ...]:
    """All systems: those built in, then those of installed packages, by name. Raises ConfigError for what is none."""
    found = sorted(entry_points(group=ENTRY_POINT), key=lambda it: it.name)
    return BUILT_IN + tuple(map(_loaded, found))


def _loaded(found: EntryPoint) -> System:
    named = f"the entry point {ENTRY_POINT} {found.name!r}"
    try:
        value = found.load()
    except Exception as exc:
        raise ConfigError([f"{named} cannot be loaded: {type(exc).__name__}: {exc}"]) from exc
    if not isinstance(value, System):
        raise ConfigError([f"{named} is a {type(value).__name__}, no System"])
    return value


def model(systems: Sequence[System] | None = None) -> type[Config]:
    """The model of the configuration, for all registered systems unless they are given."""
    return _model(registered() if systems is None else tuple(systems))


@cache
def _model(systems: tuple[System, ...]) -> type[Config]:
    return config_model([it.config for it in systems])


def called(systems: Sequence[System] | None = None) -> Called:
    """What people call the targets of all registered systems, unless they are given."""
    return titles({it.name: it.title for it in (registered() if systems is None else systems)})


def load_config(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the file at *path*. Raises ConfigError with every problem there is."""
    return load_config_as(path, environ, model=model())


def parse_config(text: str, environ: Mapping[str, str] = os.environ, *, folder: Path | None = None) -> Config:
    """Read the YAML *text*; relative paths in it are looked up below *folder* too."""
    return parse_config_as(text, environ, folder=folder, model=model())
