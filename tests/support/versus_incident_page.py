"""The tables of docs/from-versus-incident.md."""

import re
from collections.abc import Iterator
from pathlib import Path

from versus_py.config.versus_incident import PAGE

ENVIRON = {
    "SLACK_TOKEN": "xoxb-1",
    "SLACK_CHANNEL_ID": "C0123456789",
    "SERVICENOW_INSTANCE_URL": "https://dev12345.service-now.com",
    "SERVICENOW_USERNAME": "versus",
    "SERVICENOW_PASSWORD": "p",
}
"""What a file of the tables may leave to the environment."""


def rows(title: str) -> Iterator[list[str]]:
    """The rows of the table below the heading *title*; cells that are code alone are without their backticks."""
    text = (Path(__file__).parents[2] / PAGE).read_text()
    section = text.partition(f"### {title}\n")[2].partition("\n#")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [it.strip() for it in line.strip("|").split(" | ")]
            yield [it[1:-1] if re.fullmatch(r"`[^`]*`", it) else it for it in cells]
