"""`make` on a bare machine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize("goal", ["demo", "test"])
def test_a_python_that_is_too_old_is_named_before_anything_is_installed(tmp_path, goal):
    old = tmp_path / "python3.10"
    pretends = "import sys; sys.version_info, sys.version = (3, 10, 13), '3.10.13 (main)'; exec(sys.argv[2])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretends}" "$@"\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(MAKEFILE.with_name(name), tmp_path)

    found = subprocess.run(
        ["make", goal, f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert found.returncode != 0
    assert f"Python 3.11 or newer is needed; {sys.executable} is 3.10.13." in found.stderr
    assert f"make {goal} PYTHON=python3.11" in found.stderr
    assert not (tmp_path / ".venv").exists()
