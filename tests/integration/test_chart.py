"""The Helm chart: what it renders is valid, confined, and loaded by versus_py; wrong values are refused."""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.charts import (
    CHART,
    KINDS,
    ROOT,
    Manifest,
    of_kind,
    one,
    pods,
    problems,
    refusal,
    render,
    unrestricted,
)
from tests.support.servers import find_program
from tests.support.settings import secret_paths
from versus_py import __version__
from versus_py.config import Config
from versus_py.service import SHUTDOWN_TIMEOUT_S, STOP_TIMEOUT_S
from versus_py.store.embedded import START_TIMEOUT_S
from versus_py.store.embedded import STOP_TIMEOUT_S as EMBEDDED_STOP_TIMEOUT_S
from versus_py.supervisor import DRAIN_S
from versus_py.systems import load_config

SETS = sorted((CHART / "ci").glob("*-values.yaml"))
ENVIRON = {
    "SLACK_TOKEN": "xoxb-of-a-secret",
    "SLACK_CHANNEL_ID": "C0123456789",
    "SERVICENOW_INSTANCE_URL": "https://dev12345.service-now.com",
    "SERVICENOW_USERNAME": "versus.integration",
    "SERVICENOW_PASSWORD": "of-a-secret",
    "REDIS_URL": "redis://redis:6379/0",
    "REDIS_PASSWORD": "of-a-secret",
}
"""What a Secret of the reader's own has."""

every_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
with_a_configuration = pytest.mark.parametrize(
    "values", [it for it in SETS if it.name != "existing-configmap-values.yaml"], ids=lambda path: path.name
)


@cache
def rendered(values: Path) -> list[Manifest]:
    return render("--values", str(values))


def named(name: str) -> list[Manifest]:
    return rendered(CHART / "ci" / f"{name}-values.yaml")


def given(**values: Any) -> tuple[str, ...]:
    """Values of one's own, on top of the least that is needed."""
    least = {"image": {"repository": "registry.example.com/versus-py"}, "existingSecret": "versus-secrets"}
    return tuple(it for key, value in (least | values).items() for it in ("--set-json", f"{key}={json.dumps(value)}"))


def workload(manifests: list[Manifest]) -> Manifest:
    [found] = [it for it in manifests if it["kind"] in {"Deployment", "StatefulSet"}]
    return found


def container(manifests: list[Manifest]) -> dict[str, Any]:
    found: dict[str, Any]
    [found] = [it for it in workload(manifests)["spec"]["template"]["spec"]["containers"] if it["name"] == "versus"]
    return found


def config_of(manifests: list[Manifest], folder: Path) -> Config:
    """The configuration as a pod would load it. Raises ConfigError."""
    [data] = [it["data"] for it in of_kind(manifests, "ConfigMap") if "config.yaml" in it["data"]]
    for name, content in data.items():
        (folder / name).write_text(content)
    inline = {key: value for it in of_kind(manifests, "Secret") for key, value in it["stringData"].items()}
    plain = {it["name"]: it["value"] for it in container(manifests).get("env", []) if "value" in it}
    return load_config(folder / "config.yaml", ENVIRON | inline | plain)


@every_set
def test_what_is_rendered_is_valid(values):
    assert [it for manifest in rendered(values) for it in problems(manifest)] == []


@every_set
def test_pods_are_confined_as_restricted_asks_for(values):
    for spec in pods(rendered(values)):
        assert unrestricted(spec) == []
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False  # a Service called redis would set REDIS_PORT
        own = [it for it in spec["containers"] if it["name"] in {"versus", "doctor"}]
        assert all(it["securityContext"]["readOnlyRootFilesystem"] for it in own)


@with_a_configuration
def test_the_configuration_is_one_that_versus_py_loads(values, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)  # /app in the image, from which the template is found

    config = config_of(rendered(values), tmp_path)

    assert (config.port, str(config.data_dir)) == (3000, "/data")
    assert config.redis.is_embedded is (workload(rendered(values))["kind"] == "StatefulSet")


@every_set
def test_what_selects_pods_selects_those_that_serve_and_not_the_test(values):
    manifests = rendered(values)
    labels = workload(manifests)["spec"]["template"]["metadata"]["labels"].items()
    test = one(manifests, "Pod")["metadata"]["labels"].items()
    services = of_kind(manifests, "Service")

    selectors = [it["spec"]["selector"] for it in services]
    selectors += [it["spec"]["selector"]["matchLabels"] for it in of_kind(manifests, "PodDisruptionBudget")]
    selectors += [it["spec"]["podSelector"]["matchLabels"] for it in of_kind(manifests, "NetworkPolicy")]
    selectors.append(workload(manifests)["spec"]["selector"]["matchLabels"])

    assert all(it.items() <= labels and not it.items() <= test for it in selectors)
    for monitor in of_kind(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert len([it for it in services if wanted <= it["metadata"]["labels"].items()]) == 1  # or pods count twice


@every_set
def test_a_pod_has_the_time_to_stop_and_restarts_do_not_depend_on_redis(values):
    spec = workload(rendered(values))["spec"]["template"]["spec"]
    server = container(rendered(values))
    [_, seconds] = server["lifecycle"]["preStop"]["exec"]["command"]

    drain_s = max(STOP_TIMEOUT_S + SHUTDOWN_TIMEOUT_S, DRAIN_S) + EMBEDDED_STOP_TIMEOUT_S
    assert spec["terminationGracePeriodSeconds"] > int(seconds) + drain_s
    assert server["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert server["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"] > START_TIMEOUT_S
    assert server["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert server["readinessProbe"]["timeoutSeconds"] > 4  # what /readyz may take


def test_without_a_redis_there_is_one_replica_with_a_volume():
    spec = workload(named("embedded"))["spec"]

    assert spec["replicas"] == 1
    assert [it["metadata"]["name"] for it in spec["volumeClaimTemplates"]] == ["data"]
    assert {"name": "data", "mountPath": "/data"} in container(named("embedded"))["volumeMounts"]


def test_with_a_redis_there_are_two_and_never_fewer_while_they_are_replaced():
    spec = workload(named("redis"))["spec"]

    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert workload(named("existing-secrets"))["spec"]["replicas"] == 3


def test_the_configuration_of_the_values_is_laid_over_the_shipped_one(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    shipped = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    [data] = [it["data"] for it in of_kind(named("sentinel"), "ConfigMap")]
    laid = yaml.safe_load(data["config.yaml"])

    assert laid["alert"]["slack"] == shipped["alert"]["slack"] | {
        "storm": {"threshold": 40},
        "channels": {"leads": "C0123456780"},
    }
    assert laid["oncall"]["servicenow"].keys() == shipped["oncall"]["servicenow"].keys() - {"other_instance_urls"}
    assert laid["redis"].keys() == {"password", "durability", "sentinel"}
    assert not config_of(named("everything"), tmp_path).oncall.enable  # false is a value too


def test_a_secret_of_the_values_reaches_the_pod_as_it_was_written():
    secret = one(named("redis"), "Secret")

    assert secret["stringData"]["SERVICENOW_PASSWORD"] == 'with "quotes" and $dollars'
    assert secret["stringData"]["REDIS_URL"] == "redis://:p%40ss@redis:6379/0"
    assert {"secretRef": {"name": secret["metadata"]["name"]}} in container(named("redis"))["envFrom"]


def test_nothing_is_in_a_secret_of_the_chart_where_one_is_there_already():
    manifests = named("existing-secrets")

    assert of_kind(manifests, "Secret") == []
    assert {"secretRef": {"name": "versus-secrets"}} in container(manifests)["envFrom"]
    [url] = [it for it in container(manifests)["env"] if it["name"] == "REDIS_URL"]
    assert url["valueFrom"] == {"secretKeyRef": {"name": "redis-url", "key": "url"}}


def test_a_changed_configuration_or_secret_replaces_the_pods():
    def checksums(*arguments: str) -> tuple[str, str]:
        found = workload(render(*arguments))["spec"]["template"]["metadata"]["annotations"]
        return found["checksum/config"], found["checksum/secret"]

    config, secret = checksums(*given(secrets={"SLACK_TOKEN": "xoxb-1"}))
    other_config, same = checksums(*given(secrets={"SLACK_TOKEN": "xoxb-1"}, config={"oncall": {"wait_minutes": 4}}))
    _, other_secret = checksums(*given(secrets={"SLACK_TOKEN": "xoxb-2"}))

    assert config != other_config
    assert secret == same != other_secret


def test_on_openshift_the_namespace_says_who_a_pod_is():
    told = render(*given(), "--api-versions", "route.openshift.io/v1")

    for manifests in (named("openshift"), named("openshift-redis"), told):
        for spec in pods(manifests):
            assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for spec in pods(named("embedded")):
        assert (spec["securityContext"]["runAsUser"], spec["securityContext"]["fsGroup"]) == (10001, 10001)


def test_only_what_people_and_slack_need_is_published():
    published = ["/api/ack", "/api/storms", "/static", "/api/slack/interactions"]
    [rule] = one(named("ingress"), "Ingress")["spec"]["rules"]
    routes = of_kind(named("openshift"), "Route")
    [everything] = one(named("gateway"), "HTTPRoute")["spec"]["rules"]

    assert rule["host"] == "versus.example.com"
    assert [it["path"] for it in rule["http"]["paths"]] == published
    assert [it["spec"]["path"] for it in routes] == published
    assert {it["spec"]["host"] for it in routes} == {"versus.apps.example.com"}
    assert [it["path"]["value"] for it in everything["matches"]] == ["/"]


def test_prometheus_gets_the_gateway_secret_and_the_job_that_the_rules_name():
    [own] = one(named("prometheus-stack"), "ServiceMonitor")["spec"]["endpoints"]
    [default] = one(named("openshift"), "ServiceMonitor")["spec"]["endpoints"]

    assert own["authorization"]["credentials"] == {"name": "versus-gateway-secret", "key": "secret"}
    assert default["authorization"]["credentials"] == {"name": "versus-secrets", "key": "GATEWAY_SECRET"}
    assert default["relabelings"] == [{"action": "replace", "targetLabel": "job", "replacement": "versus"}]
    assert one(named("prometheus-stack"), "ServiceMonitor")["metadata"]["labels"]["release"] == "monitoring"


def test_the_rules_are_those_of_deploy_and_promtool_is_content_with_them(tmp_path):
    spec = one(named("openshift"), "PrometheusRule")["spec"]
    (tmp_path / "versus.rules.yml").write_text(yaml.safe_dump(spec))
    command = [find_program("promtool", "prometheus"), "check", "rules", str(tmp_path / "versus.rules.yml")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert spec == yaml.safe_load((ROOT / "deploy" / "prometheus" / "versus.rules.yml").read_text())
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_that_of_deploy_for_the_sidecar_of_grafana():
    [board] = [it for it in of_kind(named("prometheus-stack"), "ConfigMap") if "versus.json" in it["data"]]

    assert json.loads(board["data"]["versus.json"]) == json.loads((ROOT / "deploy/grafana/versus.json").read_text())
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_helm_test_asks_the_service_and_the_doctor():
    test = one(named("embedded"), "Pod")
    [ready], [doctor] = test["spec"]["initContainers"], test["spec"]["containers"]

    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert "http://versus-py:3000/readyz" in ready["args"][0]
    compile(ready["args"][0], "ready", "exec")
    assert doctor["args"] == ["doctor"]
    assert doctor["env"] == container(named("embedded"))["env"]
    assert doctor["envFrom"] == container(named("embedded"))["envFrom"]


def test_a_name_comes_from_the_release_and_everything_bears_it():
    for it in render(*given(), release="alerts"):
        assert it["metadata"]["name"].startswith("alerts-versus-py")
    for it in named("openshift-redis"):
        assert re.match("versus($|-)", it["metadata"]["name"])


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"replicaCount": 2}, ["replicaCount: is 2, but without a Redis incidents are in the pod's own Valkey"]),
    ({"persistence": {"enabled": False}}, ["persistence.enabled: is false, but without a Redis"]),
    (
        {
            "image": {},
            "secrets": {"REDIS_URL": "redis://redis"},
            "config": {"port": 80, "data_dir": "/x"},
            "existingConfigMap": "versus",
            "terminationGracePeriodSeconds": 30,
            "ingress": {"enabled": True},
            "httpRoute": {"enabled": True},
            "route": {"enabled": True},
            "serviceMonitor": {"enabled": True},
            "existingSecret": "",
        },
        [
            "image.repository: is required, such as registry.example.com/versus-py",
            "secrets.REDIS_URL: says nothing to the chart about a Redis; set redis.url",
            "config.port: is prescribed in the pod; leave it out, and set service.port for others",
            "config.data_dir: is prescribed in the pod; leave it out\n",
            "existingConfigMap: is set together with config or templates",
            "terminationGracePeriodSeconds: is 30; at least 55",
            "ingress.host: is required where publicHost does not say it",
            "httpRoute.hostnames: is required where publicHost does not say it",
            "httpRoute.parentRefs: is required, the Gateways that take the route",
            "route.host: is required where publicHost does not say it",
            "serviceMonitor: Prometheus needs the gateway secret",
        ],
    ),
    (
        {"redis": {"url": "redis://r", "existingSecret": "r"}, "config": {"redis": {"host": "redis"}}},
        ["redis.url: is set together with redis.existingSecret", "config.redis: names a Redis, and so does redis.url"],
    ),
    (
        {"replicaCount": 2, "config": {"redis": {"sentinel": {"master_name": "m", "hosts": []}, "cluster": False}}},
        ["replicaCount: is 2, but without a Redis incidents are in the pod's own Valkey"],
    ),
    (
        {
            "commonLabels": {"app.kubernetes.io/name": "other", "team": "a"},
            "podLabels": {"app.kubernetes.io/component": "x"},
        },
        [
            "commonLabels.app.kubernetes.io/name: is what pods are found by; leave it out",
            "podLabels.app.kubernetes.io/component: is what pods are found by; leave it out",
        ],
    ),
]


@pytest.mark.parametrize(
    ("values", "sentences"), REFUSED, ids=["replicas", "volume", "many", "redis", "no sentinel", "labels"]
)
def test_what_does_not_go_together_is_refused_in_a_sentence(values, sentences):
    said = refusal(*given(**values))

    assert [it for it in sentences if it not in said] == []


def test_a_secret_in_the_configuration_is_refused_and_not_shown():
    """Every setting that is secret, as the model has it."""
    config: dict[str, Any] = {}
    paths = [*secret_paths(), ("oncall", "servicenow", "other_instance_urls", "infra", "password")]
    for path in paths:
        part = config
        for key in path[:-1]:
            part = part.setdefault(key, {})
        is_url = path[-1] in {"url", "proxy"}
        part[path[-1]] = "https://user:s3cret@host.example/s3cret" if is_url else "s3cret"
    config |= {"intake": {"tokens": [{"name": "am", "token": "s3cret"}]}, "previous_gateway_secrets": ["s3cret"]}

    said = refusal(*given(config=config, redis={"existingSecret": "", "url": ""}))

    paths += [("intake", "tokens", "0", "token"), ("previous_gateway_secrets", "0")]
    assert [it for it in paths if f"config.{'.'.join(it)}: is a secret" not in said] == []
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["${SLACK_TOKEN:-s3cret}", "$${s3cret}", "s3cret"])
def test_a_secret_beside_a_reference_is_one_too(text):
    said = refusal(*given(config={"alert": {"slack": {"token": text}}}))

    assert "config.alert.slack.token: is a secret" in said
    assert "s3cret" not in said


@pytest.mark.parametrize("text", ["${SLACK_TOKEN}", "${SLACK_TOKEN:-}", "${file:/run/secrets/slack}"])
def test_a_reference_is_no_secret(text):
    [data] = [it["data"] for it in of_kind(render(*given(config={"alert": {"slack": {"token": text}}})), "ConfigMap")]

    assert text in data["config.yaml"]


TYPOS: dict[str, Any] = {
    "replicas": 2,
    "image": {"repository": "r", "tagg": "1"},
    "ingress": {"enabled": "true", "hosts": []},
    "redis": {"url": "http://redis"},
    "serviceMonitor": {"intervall": "30s", "labels": {"release": 1}},
    "publicHost": "versus.example.com",
    "publicPaths": ["api"],
    "secrets": {"SLACK-TOKEN": "x", "SLACK_TOKEN": 1},
    "podDisruptionBudget": {"maxUnavailabel": 1},
    "extraEnv": [{"name": "A", "valu": "1"}],
}


def test_a_typo_is_refused_where_it_stands():
    said = refusal(*given(**TYPOS))

    for place, what in (
        ("''", "replicas"),
        ("'/image'", "tagg"),
        ("'/ingress'", "hosts"),
        ("'/ingress/enabled'", "want boolean"),
        ("'/redis/url'", "pattern"),
        ("'/serviceMonitor'", "intervall"),
        ("'/serviceMonitor/labels/release'", "want string"),
        ("'/publicHost'", "pattern"),
        ("'/publicPaths/0'", "pattern"),
        ("'/secrets'", "SLACK-TOKEN"),
        ("'/secrets/SLACK_TOKEN'", "want string"),
        ("'/podDisruptionBudget'", "maxUnavailabel"),
        ("'/extraEnv/0'", "valu"),
    ):
        assert re.search(rf"at {place}: .*{what}", said), (place, what)


def test_a_key_without_a_value_is_as_if_it_were_left_out_or_refused_by_its_name():
    """As it is when everything below it is commented out."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    needed = json.loads((CHART / "values.schema.json").read_text())["required"]

    said = refusal(*given(**dict.fromkeys(needed)))
    bare = render(*given(**{key: None for key in values if key not in {*needed, "existingSecret"}}))

    assert [it for it in needed if f"'{it}'" not in said] == []
    assert bare == render(*given(resources=None))  # which are then none, as it says


FREE = {"config", "object", "global", "limits", "requests", "valueFrom"}
"""What is handed on as it is."""


def objects(schema: Any, name: str = "values") -> list[tuple[str, dict[str, Any]]]:
    """All schemas of mappings, each with the key that it is the schema of."""
    if isinstance(schema, list):
        return [found for it in schema for found in objects(it, name)]
    if not isinstance(schema, dict):
        return []
    kinds = schema.get("type", [])
    own = [(name, schema)] if kinds == "object" or "object" in kinds else []
    parts = {**schema.get("properties", {}), **schema.get("definitions", {}), "items": schema.get("items")}
    return own + [found for key, it in parts.items() for found in objects(it, name if key == "items" else key)]


def test_the_schema_knows_every_value_and_no_mapping_of_it_takes_a_key_that_it_does_not_know():
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    open_ones = {name for name, it in objects(schema) if "additionalProperties" not in it}

    assert schema["properties"].keys() - {"global"} == values.keys()
    for key, value in values.items():
        known = schema["properties"][key].get("properties")
        if isinstance(value, dict) and value and known:
            assert value.keys() <= known.keys(), key
    assert open_ones <= FREE | {"objects", "claims"}


def test_the_chart_is_of_the_version_that_it_installs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert str(chart["appVersion"]) == __version__
    assert str(chart["version"]) == re.sub(r"(\d)(a|b|rc)(\d+)$", r"\1-\2.\3", __version__)  # as Helm writes it


def test_every_kind_of_ours_is_rendered_or_shown_on_a_page():
    found = {it["kind"] for values in SETS for it in rendered(values)}

    assert {it.stem for it in KINDS.glob("*.yaml")} - found == {"AlertmanagerConfig"}
