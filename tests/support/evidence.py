"""What a failed test leaves behind: its logs, configurations and screenshots, in one folder that the report names."""

import os
import re
import shutil
from pathlib import Path

import pytest
from selenium.common.exceptions import WebDriverException

FOLDER = Path(os.environ.get("TEST_EVIDENCE") or "test-evidence")
SECTION = "left behind"

_KEPT = ("*.log", "log", "*.yaml", "*.yml", "*.jsonl")
_FILE_MAX = 20 * 1024 * 1024
"""Bytes; what is larger is left where it is."""


def keep(item: pytest.Item) -> Path | None:
    """Copy what is in the test's own folder while it is there; None when it has none."""
    arguments: dict[str, object] = getattr(item, "funcargs", {})
    source = arguments.get("tmp_path")
    if not isinstance(source, Path):
        return None
    target = FOLDER.absolute() / re.sub(r"[^\w.-]+", "_", item.nodeid.removeprefix("tests/"))[:150]
    shutil.rmtree(target, ignore_errors=True)
    for pattern in _KEPT:
        for path in source.rglob(pattern):
            if path.is_file() and path.stat().st_size <= _FILE_MAX and (source / "profile") not in path.parents:
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    _photograph(arguments.get("browser"), target)
    return target if target.exists() else None


def _photograph(browser: object, target: Path) -> None:
    if browser is None:
        return
    target.mkdir(parents=True, exist_ok=True)
    try:
        browser.save_screenshot(str(target / "browser.png"))  # type: ignore[attr-defined]
        (target / "browser.html").write_text(browser.page_source)  # type: ignore[attr-defined]
    except WebDriverException as exc:
        (target / "browser.txt").write_text(str(exc))
