"""The files that an installed package brings: the configuration, the Slack template, the .env of `versus init`.

A wheel has config/config.yaml and config/slack_message.tmpl in its folder config (see pyproject.toml). In a source tree
they stay in config/, so that there is one of each.
"""

from pathlib import Path

CONFIG = "config.yaml"
SLACK_TEMPLATE = "slack_message.tmpl"

_HERE = Path(__file__).parent
_SOURCE_TREE = _HERE.parent.parent

ENVIRONMENT = _HERE / "environment.txt"
"""What `versus init` writes as .env."""


def shipped(name: str) -> Path:
    """The path of the shipped file of that *name*, which nobody should write to."""
    packaged = _HERE / "config" / name
    return packaged if packaged.is_file() else _SOURCE_TREE / "config" / name
