"""The wheel, and bare environments to install it into."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.support.servers import missing

ROOT = Path(__file__).parents[2]
OLDEST = 11
"""The minor version of the oldest Python that pyproject.toml allows."""


def interpreters() -> dict[str, str]:
    """The Pythons of this machine that the package runs on, by version, such as 3.12; also those of pyenv."""
    found: dict[str, str] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    others = [*pyenv.glob("versions/3.*/bin/python3.*"), *Path("/usr/bin").glob("python3.*")]
    named = [it for it in others if re.fullmatch(r"python3\.\d+", it.name) and int(it.name[8:]) >= OLDEST]
    candidates = [*named, Path(sys.executable)]
    for path in candidates:
        program = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        asked = subprocess.run([path, "-c", program], capture_output=True, text=True, check=False)
        version = asked.stdout.strip()
        if re.fullmatch(r"3\.\d+", version) and int(version[2:]) >= OLDEST:
            found[version] = str(path.resolve())
    return found


def build(source: Path, out: Path, *targets: str, **environ: str) -> dict[str, str]:
    """Build *targets*, by default the wheel and the source archive; the SHA-256 of each by its name."""
    if find_spec("hatchling") is None:
        missing("hatchling is not installed: `make` installs it")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    command += [it for target in targets for it in ("-t", target)]
    env = {"PATH": os.defpath, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environ}
    done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {it.name: hashlib.sha256(it.read_bytes()).hexdigest() for it in out.iterdir()}


def copy_of_sources(folder: Path) -> Path:
    """The files that are built from, in another place, with other dates and modes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(0o600 | (ROOT / name).stat().st_mode & 0o100)
            os.utime(copy, (1e9, 1e9))
    return folder


def bare_environment(folder: Path, python: str, wheel: Path) -> Path:
    """An environment with the wheel and what it depends on, and nothing else; the folder of its commands."""
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        missing("uv is not installed: `make` installs it")
    constraints = ["-c", str(ROOT / "constraints.txt")]
    for arguments in (
        ["venv", "--python", python, str(folder)],
        ["pip", "install", "--python", str(folder / "bin" / "python"), *constraints, str(wheel)],
    ):
        command = [uv, *arguments, "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    return folder / "bin"
