"""The unit for systemd: valid, confined, and about paths that its page names."""

import re
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from tests.support.servers import find_program
from versus_py.cli import COMMANDS

ROOT = Path(__file__).parent.parent.parent
UNIT = ROOT / "deploy" / "systemd" / "versus.service"
EXPOSURE_MAX = 15
"""In tenths of systemd's own measure, of 100."""


def directives() -> dict[str, str]:
    parser = RawConfigParser(strict=False, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # as configparser documents it
    parser.read_string(UNIT.read_text())
    return dict(parser["Service"])


def analyzed(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the unit, with a command that exists on this machine."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE))
    command = [find_program("systemd-analyze", "systemd"), "--no-pager", *arguments, str(copy)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [("verify",), ("security", "--offline=true", f"--threshold={EXPOSURE_MAX}")])
def test_systemd_is_content(tmp_path, arguments):
    said = analyzed(tmp_path, *arguments)

    assert (said.returncode, said.stderr) == (0, "")


def test_it_runs_the_server_as_nobody_and_writes_to_its_state_alone():
    found = directives()
    words = found["ExecStart"].split()

    assert words[1] in COMMANDS
    assert (found["DynamicUser"], found["ProtectSystem"], found["CapabilityBoundingSet"]) == ("yes", "strict", "")
    assert f"VERSUS_DATA_DIR=/var/lib/{found['StateDirectory']}" in found["Environment"].split()
    assert "ReadWritePaths" not in found


def test_it_starts_again_whatever_has_happened():
    found = directives()

    assert found["Restart"] == "always"
    assert "\nStartLimitIntervalSec=0\n" in UNIT.read_text()


def test_it_keeps_what_the_metrics_of_the_process_are_read_from():
    """/proc/stat, without which prometheus_client has none of them, is not there with ProcSubset=pid."""
    assert "ProcSubset" not in directives()


def test_its_page_puts_the_files_where_it_reads_them():
    page = (ROOT / "docs" / "install-systemd.md").read_text()
    found = directives()
    binary, *_, config = found["ExecStart"].split()

    for path in (binary, config, found["EnvironmentFile"], str(UNIT.relative_to(ROOT))):
        assert path in page
