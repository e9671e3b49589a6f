"""axe-core, which finds what keeps people out of a page: `python3 tests/support/axe.py` fetches it.

It is no part of the tree: the package comes once from the npm registry, and is kept in the user's cache. This needs
nothing but the standard library, so that it can be fetched before anything is installed.
"""

import base64
import hashlib
import io
import os
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

VERSION = "4.14.1"
URL = f"https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz"
INTEGRITY = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""SHA-512 of the package, as the registry says it: `npm view axe-core@VERSION dist.integrity`."""

SCRIPT = "package/axe.min.js"
TIMEOUT_S = 60


def download() -> bytes:
    """Raises OSError."""
    with urllib.request.urlopen(URL, timeout=TIMEOUT_S) as response:
        body: bytes = response.read()
    return body


def axe_script(cache: Path | None = None, fetch: Callable[[], bytes] = download) -> str:
    """The script. Raises OSError when it is not in the cache and cannot be fetched, ValueError for another package."""
    kept = (cache or _cache()) / f"axe-core-{VERSION}.tgz"
    package = kept.read_bytes() if kept.exists() else fetch()
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != INTEGRITY:
        raise ValueError(f"{kept if kept.exists() else URL}: its SHA-512 is {found}, not {INTEGRITY}")
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(package)
        fresh.replace(kept)
    with tarfile.open(fileobj=io.BytesIO(package)) as files:
        script = files.extractfile(SCRIPT)
        assert script is not None
        return script.read().decode()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "versus-tests"


if __name__ == "__main__":
    axe_script()
