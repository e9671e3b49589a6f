"""The files that an installed package brings: the configuration and the Slack template.

A wheel has config/config.yaml and config/slack_message.tmpl here (see pyproject.toml). In a source tree they stay in
config/, so that there is one of each.
"""

from pathlib import Path

CONFIG = "config.yaml"
SLACK_TEMPLATE = "slack_message.tmpl"

_HERE = Path(__file__).parent
_SOURCE_TREE = _HERE.parent.parent / "config"


def shipped(name: str) -> Path:
    """The path of the shipped file of that *name*, which nobody should write to."""
    packaged = _HERE / name
    return packaged if packaged.is_file() else _SOURCE_TREE / name
