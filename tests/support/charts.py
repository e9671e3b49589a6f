"""The Helm chart as it renders, and whether what it renders is what a cluster takes."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate.utils
import yaml

from tests.support.go_tools import HELM
from tests.support.servers import missing

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "deploy" / "helm" / "versus-py"
KINDS = ROOT / "tests" / "data" / "kinds"
"""Schemas of our own, for what is no part of Kubernetes."""

OLDEST, NEWEST = VERSIONS = ("1.27", "1.37")
"""Of Kubernetes: the oldest that the chart is for, and the newest that is known."""

WORKLOADS = {"Deployment", "StatefulSet", "Job", "DaemonSet"}

Manifest = dict[str, Any]


@cache
def helm() -> str:
    """The path of Helm. Without it: a failure in CI, a skip elsewhere."""
    found = str(HELM.path) if HELM.path.exists() else shutil.which("helm")
    if found is None:
        missing("helm is not installed: python3 tests/support/go_tools.py helm")
    return found


def template(*arguments: str, release: str = "versus-py") -> subprocess.CompletedProcess[str]:
    """What `helm template` prints, and how it ended."""
    command = [helm(), "template", release, str(CHART), "--namespace", "alerts", "--kube-version", NEWEST, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def render(*arguments: str, release: str = "versus-py") -> list[Manifest]:
    done = template(*arguments, release=release)
    assert done.returncode == 0, done.stderr
    return manifests_of(done.stdout)


def refusal(*arguments: str) -> str:
    """Why these values are refused."""
    done = template(*arguments)
    assert done.returncode, "nothing is refused"
    return done.stderr


def manifests_of(text: str) -> list[Manifest]:
    return [it for it in yaml.safe_load_all(text) if it]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [it for it in manifests if it["kind"] == kind]


def one(manifests: list[Manifest], kind: str) -> Manifest:
    [found] = of_kind(manifests, kind)
    return found


def pods(manifests: list[Manifest]) -> Iterator[Manifest]:
    """The specs of all pods, also of those that a workload starts."""
    for it in manifests:
        if it["kind"] == "Pod":
            yield it["spec"]
        elif it["kind"] in WORKLOADS:
            yield it["spec"]["template"]["spec"]


def problems(manifest: Manifest) -> list[str]:
    """What the API server would refuse."""
    own = KINDS / f"{manifest['kind']}.yaml"
    return _problems_by_our_schema(manifest, own) if own.exists() else _problems_by_kubernetes(manifest)


def _problems_by_kubernetes(manifest: Manifest) -> list[str]:
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as exc:
            found.append(f"{_name(manifest)}: Kubernetes {version}: {exc.message}")
        except kubernetes_validate.SchemaNotFoundError as exc:
            found.append(f"{_name(manifest)}: {exc.message}")
    return found


kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)
"""It reads a megabyte of definitions for each manifest."""


def _problems_by_our_schema(manifest: Manifest, path: Path) -> list[str]:
    kind = kind_at(path)
    found = [] if manifest["apiVersion"] == f"{kind['group']}/{kind['version']}" else [manifest["apiVersion"]]
    schema = {
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {"apiVersion": {}, "kind": {}, "metadata": METADATA, "spec": kind["spec"]},
    }
    errors = jsonschema.Draft202012Validator(strict(schema)).iter_errors(manifest)
    return [f"{_name(manifest)}: {it}" for it in (*found, *(f"{error.json_path}: {error.message}" for error in errors))]


METADATA = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 253, "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@cache
def kind_at(path: Path) -> Mapping[str, Any]:
    """A kind: its group, version and plural, and the schema of its spec."""
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def strict(schema: Any) -> Any:
    """The schema with an error for each key that it does not name."""
    if isinstance(schema, list):
        return [strict(it) for it in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if isinstance(closed.get("properties"), dict) else closed


def _name(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def unrestricted(spec: Manifest) -> list[str]:
    """What the Pod Security Standard "restricted" refuses of a pod."""
    pod = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"volume {it['name']}" for it in spec.get("volumes", []) if not it.keys() - {"name"} <= _VOLUMES]
    for it in (*spec.get("initContainers", []), *spec["containers"]):
        own = it.get("securityContext", {})
        both = {**pod, **own}
        is_held = {
            "runAsNonRoot": both.get("runAsNonRoot") is True and both.get("runAsUser") != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"] and "add" not in own["capabilities"],
            "privileged": not own.get("privileged"),
            "hostPort": not any("hostPort" in port for port in it.get("ports", [])),
        }
        found += [f"{it['name']}: {name}" for name, holds in is_held.items() if not holds]
    return found


def blocks_of(page: Path, language: str = "yaml") -> list[str]:
    """The blocks of a page that are in *language*, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]
