"""Chromium without a window, driven by selenium."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.common.exceptions import WebDriverException

from tests.support.servers import find_program

TRIES = 3  # on a machine that is short of memory or time, Chromium now and then ends while it starts
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give it 64 MB, and pages crash in that
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def run_browser(*arguments: str) -> Iterator[webdriver.Chrome]:
    """A browser with a new profile and these further arguments; its console can be read with `get_log("browser")`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        driver = _start(folder, arguments)
        try:
            yield driver
        finally:
            driver.quit()


def _start(folder: str, arguments: tuple[str, ...], tries: int = TRIES) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = find_program("chromium", "chromium")
    for argument in (*ARGUMENTS, f"--user-data-dir={folder}/{tries}", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        return webdriver.Chrome(
            options=options, service=webdriver.ChromeService(find_program("chromedriver", "chromium-driver"))
        )
    except WebDriverException:
        if tries == 1:
            raise
        return _start(folder, arguments, tries - 1)
