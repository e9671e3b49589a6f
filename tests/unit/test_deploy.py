"""What is shipped for Prometheus and Grafana: valid, tested, and about metrics that exist."""

import json
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.servers import find_program
from versus_py.telemetry.metrics import Metrics

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
RULES = DEPLOY / "prometheus" / "versus.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "versus.json"
_HISTOGRAM = ("_bucket", "_sum", "_count")


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """The names that a scrape may have."""
    names = {"up"}
    for family in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": _HISTOGRAM, "info": ("_info",)}.get(family.type, ("",))
        names |= {f"{family.name}{suffix}" for suffix in suffixes}
    return names


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def named_in(expression: str) -> set[str]:
    """The names of metrics in an expression of ours."""
    return set(re.findall(r"\b(?:versus|process)_\w+|\bup\b", expression))


def promtool(*arguments: str) -> tuple[int, str]:
    command = [find_program("promtool", "prometheus"), *arguments]
    done = subprocess.run(command, cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", RULES.name),
        ("test", "rules", "versus.rules.test.yml"),
        ("check", "config", "--syntax-only", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_is_content(arguments):
    status, said = promtool(*arguments)

    assert status == 0, said


def test_every_alert_is_seen_to_fire():
    tests = yaml.safe_load((RULES.parent / "versus.rules.test.yml").read_text())["tests"]
    fired = {it["alertname"] for test in tests for it in test["alert_rule_test"] if it["exp_alerts"]}

    assert fired == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_is_about_metrics_that_exist_and_says_how_grave_it_is(rule, exported):
    assert named_in(rule["expr"])
    assert named_in(rule["expr"]) <= exported
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_every_panel_shows_metrics_that_exist(panel, exported):
    assert panel["targets"]
    for target in panel["targets"]:
        assert named_in(target["expr"])
        assert named_in(target["expr"]) <= exported


def test_every_metric_of_ours_is_on_the_dashboard(exported):
    shown = {name for panel in panels() for it in panel["targets"] for name in named_in(it["expr"])}
    ours = {name for name in exported if name.startswith("versus_") and not name.endswith(("_sum", "_count"))}

    assert ours <= shown


def test_the_dashboard_can_be_imported_as_it_is():
    dashboard = json.loads(DASHBOARD.read_text())

    assert (dashboard["title"], dashboard["uid"]) == ("versus_py", "versus-py")
    assert {it["name"] for it in dashboard["templating"]["list"]} == {"datasource", "job"}
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for one, other in pairwise(sorted(panels(), key=lambda it: (it["gridPos"]["y"], it["gridPos"]["x"]))):
        below = other["gridPos"]["y"] >= one["gridPos"]["y"] + one["gridPos"]["h"]
        assert below or other["gridPos"]["x"] >= one["gridPos"]["x"] + one["gridPos"]["w"]


def test_expressions_of_the_dashboard_are_promql(tmp_path):
    """As recording rules, which is the way to have promtool read them."""
    recorded = [{"record": f"panel:{number}", "expr": it} for number, it in enumerate(expressions())]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    status, said = promtool("check", "rules", str(path))

    assert status == 0, said


def expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m")


def test_the_documentation_names_every_metric(exported):
    page = (DEPLOY.parent / "docs" / "monitoring.md").read_text()

    for name in exported:
        if name.startswith("versus_") and not name.endswith(_HISTOGRAM):
            assert name in page
