"""What the pages of Kubernetes and OpenShift show is what a cluster, Helm, Alertmanager and versus_py take."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.charts import (
    CHART,
    KINDS,
    NEWEST,
    ROOT,
    blocks_of,
    helm,
    kind_at,
    one,
    problems,
    render,
    strict,
    unrestricted,
)
from tests.support.charts import manifests_of as parsed
from tests.support.charts import pods as pods_of
from versus_py.cli import COMMANDS
from versus_py.systems import load_config
from versus_py.tools.lint import Finding, Severity, lint

PAGES = [ROOT / "docs" / "kubernetes.md", ROOT / "docs" / "openshift.md"]
VALUES = yaml.safe_load((CHART / "values.yaml").read_text()).keys()
SECRET = {
    "GATEWAY_SECRET": "a-long-random-text",
    "SLACK_TOKEN": "xoxb-of-a-secret",
    "SLACK_CHANNEL_ID": "C0123456789",
    "SERVICENOW_INSTANCE_URL": "https://dev12345.service-now.com",
    "SERVICENOW_USERNAME": "versus.integration",
    "SERVICENOW_PASSWORD": "of-a-secret",
    "REDIS_PASSWORD": "of-a-secret",
    "REDIS_URL": "redis://redis:6379/0",
    "INTAKE_TOKEN": "a-token-of-the-intake",
}

Block = list[dict[str, Any]]


def blocks(kind: str) -> list[Any]:
    """Those of one kind, each with its page and its place on it."""
    found = [(page, number, parsed(text)) for page in PAGES for number, text in enumerate(blocks_of(page))]
    return [pytest.param(it, id=f"{page.stem}-{number}") for page, number, it in found if kind_of(it) == kind]


def kind_of(block: Block) -> str:
    if all("apiVersion" in it for it in block):
        return "manifests"
    [only] = block
    if "receivers" in only:
        return "alertmanager"
    return "values" if only.keys() <= VALUES else "unknown"


def manifests(page: Path) -> Block:
    return [it for text in blocks_of(page) if kind_of(parsed(text)) == "manifests" for it in parsed(text)]


def test_every_block_is_of_a_kind_that_is_tested():
    assert blocks("unknown") == []
    assert all(blocks(kind) for kind in ("manifests", "values", "alertmanager"))


@pytest.mark.parametrize("block", blocks("manifests"))
def test_a_manifest_is_valid_and_its_pods_are_confined(block):
    assert [it for manifest in block for it in problems(manifest)] == []
    for spec in pods_of(block):
        assert unrestricted(spec) == []
        assert all(it["securityContext"]["readOnlyRootFilesystem"] for it in spec["containers"])


@pytest.mark.parametrize("block", blocks("values"))
def test_values_are_taken_by_the_chart_and_their_configuration_by_versus_py(block, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    least = {"image": {"repository": "registry.example.com/versus-py"}, "existingSecret": "versus-secrets"}
    [values] = block
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(least | values))

    found = render("--values", str(path), release="versus")

    assert [it for manifest in found for it in problems(manifest)] == []
    [text] = [it["data"]["config.yaml"] for it in found if it["kind"] == "ConfigMap" and "config.yaml" in it["data"]]
    (tmp_path / "config.yaml").write_text(text)
    load_config(tmp_path / "config.yaml", SECRET)


@pytest.mark.parametrize("block", blocks("alertmanager"))
def test_receivers_lead_to_versus_py_without_a_finding(block):
    assert mistakes_in(block[0]) == []


def mistakes_in(config: dict[str, Any]) -> list[Finding]:
    """Of a configuration of Alertmanager."""
    return [it for it in lint(yaml.safe_dump(config), None) if it.severity is not Severity.NOTE]


def commands(page: Path) -> list[list[str]]:
    shown = [line for text in blocks_of(page, "console") for line in text.splitlines()]
    return [shlex.split(line.removeprefix("$ ").partition(" > ")[0]) for line in shown if line.startswith("$ ")]


ALL_COMMANDS = [it for page in [*PAGES, ROOT / "deploy" / "kubernetes" / "README.md"] for it in commands(page)]


def test_commands_of_helm_name_the_chart_and_options_that_there_are(tmp_path):
    """`helm install` is run as `helm template`, which takes the same and needs no cluster."""
    (tmp_path / "values.yaml").write_text("image: {repository: registry.example.com/versus-py}\n")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    shown = {tuple(it) for it in ALL_COMMANDS if it[:2] in (["helm", "install"], ["helm", "template"])}

    for it in shown:
        command = [helm(), "template", *it[2:], "--kube-version", NEWEST]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

        assert done.returncode == 0, (it, done.stderr)
    assert len(shown) == 3


def test_commands_in_a_pod_are_commands_of_versus_py_in_what_the_chart_creates():
    created = {f"{it['kind'].lower()}/{it['metadata']['name']}" for it in render(*REDIS, release="versus")}
    inside = [it for it in ALL_COMMANDS if it[0] == "kubectl" and "exec" in it]

    assert inside
    for it in inside:
        assert it[it.index("exec") + 1] in created
        assert it[it.index("--") + 1] == "versus"
        assert it[it.index("--") + 2] in COMMANDS


REDIS = ("--set=image.repository=r", "--set=redis.url=redis://redis")


def test_the_configmap_that_is_written_by_hand_is_a_whole_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    text = one(manifests(PAGES[0]), "ConfigMap")["data"]["config.yaml"]
    (tmp_path / "config.yaml").write_text(text)

    config = load_config(tmp_path / "config.yaml", SECRET)

    assert not config.redis.is_embedded
    assert [it for it in config.warnings() if not it.startswith("intake.tokens is not set")] == []


def test_manifests_that_are_written_by_hand_name_each_other():
    found = manifests(PAGES[0])
    deployment = one(found, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    names = {(it["kind"], it["metadata"]["name"]) for it in found}

    assert spec["enableServiceLinks"] is False  # Redis' Service would set REDIS_PORT
    for volume in spec["volumes"]:
        assert "configMap" not in volume or ("ConfigMap", volume["configMap"]["name"]) in names
    for it in (it for it in found if it["kind"] == "Service"):
        labels = [pod["spec"]["template"]["metadata"]["labels"] for pod in found if "template" in pod.get("spec", {})]
        assert it["spec"]["selector"] in labels
    created = set(re.findall(r"create secret generic (\S+)", PAGES[0].read_text()))
    secrets = {it["secretRef"]["name"] for it in spec["containers"][0]["envFrom"]}
    assert secrets == {"versus-secrets", "redis"} == created | {one(found, "Secret")["metadata"]["name"]}


def test_a_route_of_an_alertmanager_config_is_one_at_every_depth_and_names_a_receiver():
    schema = strict(kind_at(KINDS / "AlertmanagerConfig.yaml")["spec"]["properties"]["route"])

    def routes(route: dict[str, Any]) -> list[dict[str, Any]]:
        return [route, *(found for it in route.get("routes", []) for found in routes(it))]

    configs = [it for it in manifests(PAGES[1]) if it["kind"] == "AlertmanagerConfig"]
    assert len(configs) == 2
    for it in configs:
        receivers = {receiver["name"] for receiver in it["spec"]["receivers"]}
        assert {route["receiver"] for route in routes(it["spec"]["route"])} == receivers
        for route in routes(it["spec"]["route"]):
            jsonschema.validate(route, schema)
    [shop] = [it["spec"] for it in configs if it["metadata"]["namespace"] == "shop"]
    assert mistakes_in(as_alertmanager_has_it(shop)) == []


def as_alertmanager_has_it(spec: dict[str, Any]) -> dict[str, Any]:
    """What the operator makes of an AlertmanagerConfig, as far as the linter looks."""

    def route(it: dict[str, Any]) -> dict[str, Any]:
        made = {
            "receiver": it["receiver"],
            "matchers": [f'{m["name"]}{m["matchType"]}"{m["value"]}"' for m in it.get("matchers", [])],
            "routes": [route(child) for child in it.get("routes", [])],
        }
        timing = {"groupBy": "group_by", "groupInterval": "group_interval", "repeatInterval": "repeat_interval"}
        return made | {name: it[key] for key, name in timing.items() if key in it}

    root = route(spec["route"])
    del root["matchers"]
    receivers = [
        {
            "name": it["name"],
            "webhook_configs": [{"url": w["url"], "send_resolved": w["sendResolved"]} for w in it["webhookConfigs"]],
        }
        for it in spec["receivers"]
    ]
    return {"route": root, "receivers": receivers}
