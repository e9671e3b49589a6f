"""Which package of versus_py imports which: `python -m tests.support.imports` (or `make imports`) draws it."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "versus_py"

PACKAGES = (
    "cli",
    "tools",
    "systems",
    "service",
    "supervisor",
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
    "template_functions",
    "shipped",
    "clock",
    "errors",
)
"""From the top down; each may import from those below it, and from its own."""


def package_of(path: Path) -> str:
    """The package, or the module at the top, that the file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that the file imports, by its dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_root = node.module == PACKAGE.name
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if is_root else {node.module}
    return frozenset(found)


def graph() -> Mapping[str, set[str]]:
    """Package -> the packages that it imports, without its own."""
    found: dict[str, set[str]] = {name: set() for name in PACKAGES}
    for path in sorted(PACKAGE.rglob("*.py")):
        package = package_of(path)
        if package not in {"__init__", "__main__"}:
            dotted = (it.split(".") for it in imports(path))
            found.setdefault(package, set()).update(
                parts[1] for parts in dotted if parts[0] == PACKAGE.name and len(parts) > 1
            )
    return {name: others - {name, "__version__"} for name, others in found.items()}


def main() -> None:
    width = max(map(len, PACKAGES))
    for package, others in graph().items():
        print(f"{package:{width}}  → {', '.join(sorted(others, key=PACKAGES.index)) or 'nothing'}")  # noqa: T201


if __name__ == "__main__":
    main()
