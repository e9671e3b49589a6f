"""The documentation names what there is, and nothing else."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from tests.docs import environment_table
from versus_py.cli import app
from versus_py.systems import model
from versus_py.targets.slack.scopes import BOT_EVENTS, PURPOSES
from versus_py.web.intake.overrides import override_names

CONFIG = model()
ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def settings_of(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= settings_of(field.annotation, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field.default
    return found


def documented() -> dict[str, str]:
    text = (ROOT / "docs" / "configuration.md").read_text()
    return dict(re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \|", text, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_setting_exists():
    assert documented().keys() == settings_of(CONFIG).keys()


def test_documented_defaults_are_the_defaults_as_yaml_has_them():
    settings = settings_of(CONFIG)
    for name, shown in documented().items():
        if whole := re.fullmatch(r"`([^`]+)`", shown.strip()):
            assert yaml.safe_load(whole[1]) == as_in_yaml(settings[name]), name


def as_in_yaml(value: Any) -> Any:
    return json.loads(json.dumps(value, default=lambda it: dict(it) if isinstance(it, Mapping) else str(it)))


def test_every_setting_explains_itself_in_the_schema():
    def descriptions(model: type[BaseModel]) -> list[str | None]:
        return [field.description for field in model.model_fields.values()]

    assert all(descriptions(CONFIG))


def test_every_override_is_documented():
    section = (ROOT / "docs" / "alertmanager.md").read_text().partition("## Overrides")[2].partition("\n## ")[0]

    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == set(override_names(model()()))


def test_every_error_and_warning_of_the_log_is_explained_and_every_explained_one_exists():
    """A crash is a bug wherever it happens: they are explained together."""
    explained = re.findall(
        r"^\| (`[a-z_.]+`(?:, `[a-z_.]+`)*) \|", (ROOT / "docs" / "logs.md").read_text(), re.MULTILINE
    )
    documented = {event.strip("`") for row in explained for event in row.split(", ")}

    assert documented == {event for event in logged() if not event.endswith("crashed")}


def logged() -> set[str]:
    """The names of all events that are told at `error` or `warning`."""
    found = set()
    for module in (ROOT / "versus_py").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)):
            match call:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("log"), attr="error" | "exception" | "warning")
                    | ast.Name("ThrottledLog"),
                    args=[ast.Constant(str(event)), *_],
                ):
                    found.add(event)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not target.startswith("http"):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not anchor or anchor in anchors_of(file), target


def anchors_of(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    titles = re.findall(
        r"^#+ (.*)", re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()

    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "README.md" or f"({name})" in index, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_test_that_a_page_names_exists(page):
    named = re.findall(r"`((?:unit|integration|acceptance|faults|fuzz)/[\w/]+\.py)(?:::(\w+))?`", page.read_text())
    for file, function in named:
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = {it.name for it in ast.walk(tree) if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)}

        assert any(name.startswith("test_") for name in functions), file
        assert not function or function in functions, function


def test_the_api_page_names_every_command():
    text = (ROOT / "docs" / "api.md").read_text()
    commands = typer.main.get_group(app).commands
    for name, command in commands.items():
        assert f"versus {name}" in text
        for below in getattr(command, "commands", ()):
            assert below in text


def test_the_table_of_environment_variables_is_that_of_the_shipped_configuration():
    page = environment_table.PAGE.read_text()

    assert environment_table.written(page) == page, "run: python -m tests.docs.environment_table"


def test_the_environment_variables_of_the_commands_are_documented():
    page = environment_table.PAGE.read_text().partition("## Of the commands")[2]
    named = {
        name for names in re.findall(r"^\| (`[^|]+`) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", names)
    }
    sources = "".join(it.read_text() for it in (ROOT / "versus_py" / "cli").glob("*.py"))
    lists = re.findall(r"envvar=(\[[^\]]+\]|\"\w+\")", sources)

    assert named == {name for it in lists for name in re.findall(r"\w+", it)}


def test_the_permissions_page_names_every_scope_and_every_table():
    page = (ROOT / "docs" / "permissions.md").read_text()
    tables = set(
        re.findall(
            r"\"((?:sys|cmdb)_(?:user|user_group|choice|dictionary|journal_field|ci_service))\"",
            "".join(it.read_text() for it in (ROOT / "versus_py" / "targets" / "servicenow").glob("*.py")),
        )
    )

    assert [it for it in (*PURPOSES, *BOT_EVENTS, *tables) if f"`{it}`" not in page] == []


PRIVATE = re.compile(r"\b(doors?|rooms?|desks?|stor(y|ies)|told|looks?|looked|heard)\b", re.IGNORECASE)
"""Words that mean something else in this code than to a reader."""
TERMS = re.compile(r"`[^`]*`|\*[^*\n]*\*|last[ \n-]look|look(ed)? (users )?up|\]\([^)]*\)", re.IGNORECASE)
"""Code, buttons and links; the name of a feature; and what one does in a table."""


@pytest.mark.parametrize(
    "page", [it for it in PAGES if it.name not in ("CONTRIBUTING.md", "CHANGELOG.md")], ids=lambda it: it.name
)
def test_a_page_has_no_private_words(page):
    lines = TERMS.sub("", page.read_text()).splitlines()

    assert [it for it in lines if PRIVATE.search(it)] == []


def test_the_help_of_the_commands_has_no_private_words():
    command = typer.main.get_command(app)
    texts = [*helps(command)]

    assert len(texts) > 100
    assert [it for it in texts if PRIVATE.search(it)] == []


def helps(command: Any) -> Iterator[str]:
    yield command.help or ""
    yield from (getattr(it, "help", None) or "" for it in command.params)
    for below in getattr(command, "commands", {}).values():
        yield from helps(below)
