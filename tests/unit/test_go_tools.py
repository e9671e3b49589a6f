"""Where programs in Go come from: a Go that is too old is passed over for the one of the wheel."""

from pathlib import Path

import pytest

from tests.support import go_tools
from tests.support.go_tools import HELM, find_go, main, version_of


@pytest.fixture
def machine(tmp_path: Path, monkeypatch):
    """A machine with the Go of this version, and the path of that of the wheel."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(go_tools, "_from_wheel", lambda: tmp_path / "wheel" / "go")

    def has(version: str | None) -> Path:
        found = [] if version is None else [script(tmp_path / version, f"echo {version}")]
        monkeypatch.setattr(go_tools, "_installed", lambda: iter(found))
        return tmp_path / (version or "wheel")

    return has


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", ["go1.26.8", "go1.27.0", "go2.0"])
def test_a_go_that_is_new_enough_is_taken(machine, version):
    own = machine(version)

    assert find_go() == own


@pytest.mark.parametrize("version", ["go1.19.8", "go1.25.5", "devel", None])
def test_without_one_it_is_that_of_the_wheel(machine, version, tmp_path):
    machine(version)

    assert find_go() == tmp_path / "wheel" / "go"


def test_a_go_that_does_not_run_has_no_version(tmp_path):
    assert version_of(tmp_path / "go") == ()
    assert version_of(script(tmp_path / "go", "exit 1")) == ()


def test_what_was_built_is_not_built_again(machine, monkeypatch):
    built = []

    def build(tool, go):
        built.append(tool.name)
        tool.path.parent.mkdir(parents=True)
        tool.path.touch()

    machine("go1.26.8")
    monkeypatch.setattr(go_tools, "build", build)

    main(["helm"])
    main(["helm"])

    assert built == ["helm"]
    assert HELM.path.name == "helm-3.22.0"
