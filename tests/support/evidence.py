"""What a failed test leaves behind: its logs, configurations and screenshots, in one folder that the report names."""

import os
import re
import shutil
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException

FOLDER = Path(os.environ.get("TEST_EVIDENCE") or "test-evidence")
SECTION = "evidence"

_KEPT = ("*.log", "log", "*.yaml", "*.yml", "*.jsonl")
_FILE_MAX = 20 * 1024 * 1024
"""Bytes. Larger files are not copied."""


_NOT_LOOKED_INTO = {"profile", "data", "tsdb"}
"""Folders of servers that run, which change while they are read."""


def keep(item: pytest.Item) -> Path | None:
    """Copy the logs and configurations from the test's `tmp_path`, beside what an earlier phase of it has left.

    Returns the folder, or None when there is nothing to copy.
    """
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    source = arguments.get("tmp_path")
    if not isinstance(source, Path):
        return None
    target = FOLDER.absolute() / re.sub(r"[^\w.-]+", "_", item.nodeid.removeprefix("tests/"))[:150]
    for folder, below, names in os.walk(source):
        below[:] = [name for name in below if name not in _NOT_LOOKED_INTO]
        for name in names:
            if any(fnmatch(name, pattern) for pattern in _KEPT):
                _copy(Path(folder, name), target / Path(folder).relative_to(source) / name)
    if not (target / "browser.png").exists():
        _photograph(arguments.get("browser"), target)
    return target if target.exists() else None


def _copy(path: Path, copy: Path) -> None:
    with suppress(FileNotFoundError):  # it was a moment ago
        if path.is_file() and path.stat().st_size <= _FILE_MAX:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _photograph(browser: object, target: Path) -> None:
    if browser is None:
        return
    target.mkdir(parents=True, exist_ok=True)
    try:
        browser.save_screenshot(str(target / "browser.png"))  # type: ignore[attr-defined]
        (target / "browser.html").write_text(browser.page_source)  # type: ignore[attr-defined]
    except WebDriverException as exc:
        (target / "browser.txt").write_text(str(exc))
