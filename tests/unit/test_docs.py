"""The documentation names what there is, and nothing else."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from versus_py.cli import app, incidents_app, policy_app, servicenow_app
from versus_py.systems import model, parse_config
from versus_py.web.intake.overrides import override_names

CONFIG = model()
ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

SYSTEMS: dict[str, Any] = {
    "alert": {"slack": {"enable": True, "token": "xoxb-1", "channel_id": "C1", "channels": {"leads": "C0123456789"}}},
    "oncall": {"enable": True, "servicenow": {"instance_url": "https://x.example", "username": "u", "password": "p"}},
}


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


def test_documented_defaults_are_the_defaults():
    settings = settings_of(CONFIG)
    for name, shown in documented().items():
        if shown.startswith("`"):
            value = settings[name]
            is_yaml = isinstance(value, bool | tuple)  # which JSON is too
            text = json.dumps(value) if is_yaml else str(value)
            assert shown.strip().strip("`") == text, name


def test_every_setting_explains_itself_in_the_schema():
    def descriptions(model: type[BaseModel]) -> list[str | None]:
        return [field.description for field in model.model_fields.values()]

    assert all(descriptions(CONFIG))


def test_every_override_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()

    assert set(re.findall(r"^\| `([a-z_]+)` \|", readme, re.MULTILINE)) == set(override_names(model()()))


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
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_files_that_the_readme_has_commands_read_are_there():
    named = re.findall(r"`versus [^`]*?([\w./-]+\.ya?ml)`", (ROOT / "README.md").read_text())

    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_test_that_a_page_names_exists(page):
    named = re.findall(r"`((?:unit|integration|acceptance|faults|fuzz)/[\w/]+\.py)(?:::(\w+))?`", page.read_text())
    for file, function in named:
        tree = ast.parse((ROOT / "tests" / file).read_text())
        functions = {it.name for it in ast.walk(tree) if isinstance(it, ast.FunctionDef | ast.AsyncFunctionDef)}

        assert any(name.startswith("test_") for name in functions), file
        assert not function or function in functions, function


def test_the_mappings_of_tickets_that_the_page_shows_are_accepted():
    page = (ROOT / "docs" / "servicenow.md").read_text()
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    [shown] = [it for it in map(yaml.safe_load, blocks) if "priority_map" in it["oncall"]["servicenow"]]
    named = {"name": "network", "match": ["a=b"], "steps": [{"notify": ["slack"]}]}
    slack = {**SYSTEMS["alert"]["slack"], "channels": {"dba": "C0123456789", "storage": "C0123456788"}}
    infra = {"other_instance_urls": {"infra": "https://infra.example"}}
    servicenow = {**SYSTEMS["oncall"]["servicenow"], "events": {"token": "t" * 16}, **infra}
    servicenow |= shown["oncall"]["servicenow"]
    config = {
        "alert": {"slack": slack},
        "oncall": {"enable": True, "servicenow": servicenow},
        "policies": [named, {**named, "name": "leads", "match": ["a=c"]}],
    }

    assert parse_config(json.dumps(config), {}).oncall.servicenow.routing.keys() == servicenow["routing"].keys()


@pytest.mark.parametrize("page", ["configuration.md", "policies.md"])
def test_policies_that_a_page_shows_are_accepted(page):
    blocks = re.findall(r"^ *```yaml\n(.*?)^ *```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    examples = [it for it in map(yaml.safe_load, blocks) if "policies" in it]

    assert examples
    for example in examples:
        assert parse_config(json.dumps({**example, **SYSTEMS}), {}).policies


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_are_named_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^\$ make (\w+)", page.read_text(), re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_the_readme_and_the_api_page_name_every_command():
    text = (ROOT / "docs" / "api.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    for name in names:
        assert f"versus {name}" in text
    for command in (it for group in (incidents_app, policy_app, servicenow_app) for it in group.registered_commands):
        assert command.callback
        assert (command.name or command.callback.__name__) in text
