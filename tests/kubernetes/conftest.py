"""A real API server and its etcd, without nodes: what it takes, a cluster takes, but nothing is started."""

import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.charts import CHART, KINDS, helm, kind_at
from tests.support.go_tools import API_SERVER, ETCD, Tool
from tests.support.servers import find_program, free_port, missing, run_program
from tests.support.waiting import wait_until

TOKEN = "token-of-the-test"
NAMESPACES: dict[str, dict[str, str]] = {
    "alerts": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
    "shop": {},
    "openshift-monitoring": {},
    "openshift-user-workload-monitoring": {},
}


@dataclass(frozen=True)
class Cluster:
    """Where it is, by a configuration of kubectl and Helm."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return self._run(find_program("kubectl", "kubernetes-client"), *arguments, given=given)

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(helm(), *arguments)

    def would_take(self, manifests: str) -> subprocess.CompletedProcess[str]:
        """What it says to manifests, without keeping them: each object, warnings, and what it refuses."""
        return self.kubectl("apply", "--namespace=alerts", "--dry-run=server", "--filename=-", given=manifests)

    def objects(self, *kinds: str) -> list[dict[str, Any]]:
        """Those of these kinds in the namespace."""
        done = self.kubectl("get", ",".join(kinds), "--namespace=alerts", "--output=json")
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return found

    def _run(self, *command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            command, env=env, input=given, capture_output=True, text=True, timeout=100, check=False, cwd=CHART.parent
        )


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        stored = start_etcd(folder, stack)
        url = start_api_server(folder, stack, stored)
        found = Cluster(write_kubeconfig(folder, url))
        made = [namespace(name, labels) for name, labels in NAMESPACES.items()]
        made += [definition(path) for path in sorted(KINDS.glob("*.yaml"))]
        done = found.kubectl("apply", "--filename=-", given=yaml.safe_dump_all(made))
        assert done.returncode == 0, done.stderr
        crds = [f"crd/{it['metadata']['name']}" for it in made if it["kind"] == "CustomResourceDefinition"]
        done = found.kubectl("wait", "--for=condition=Established", "--timeout=60s", *crds)
        assert done.returncode == 0, done.stderr
        yield found


def namespace(name: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def program(tool: Tool) -> str:
    if not tool.path.exists():
        missing(f"{tool.name} is not built: make kubernetes")
    return str(tool.path)


def start_etcd(folder: Path, stack: ExitStack) -> str:
    """The address of its clients."""
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    options = [f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"]
    options += [f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}", "--log-level=error"]
    command = [program(ETCD), f"--data-dir={folder / 'etcd'}", *options]
    stack.enter_context(run_program(command, log=folder / "etcd.log"))
    return client


def start_api_server(folder: Path, stack: ExitStack, stored: str) -> str:
    """Its address, once it is ready."""
    key = folder / "sa.key"
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,1,system:masters\n")
    port = free_port()
    options = {
        "etcd-servers": stored,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": folder / "pki",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-cluster-ip-range": "10.0.0.0/24",
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "disable-admission-plugins": "ServiceAccount",  # nobody makes the default one
        "endpoint-reconciler-type": "none",
    }
    command = [program(API_SERVER), *(f"--{name}={value}" for name, value in options.items())]
    process = stack.enter_context(run_program(command, log=folder / "kube-apiserver.log"))
    url = f"https://127.0.0.1:{port}"
    wait_until(lambda: process.poll() is not None or is_ready(url), what="the API server", timeout_s=90)
    assert process.poll() is None, (folder / "kube-apiserver.log").read_text()[-2000:]
    return url


def is_ready(url: str) -> bool:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # it signs for itself
    asked = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
    try:
        with urllib.request.urlopen(asked, timeout=5, context=trusting) as answer:
            return bool(answer.read() == b"ok")
    except OSError:
        return False


def write_kubeconfig(folder: Path, url: str) -> Path:
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": "alerts"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config))
    return path


def definition(path: Path) -> dict[str, Any]:
    """Of one of our kinds. Unknown keys are refused by the API server itself."""
    kind = kind_at(path)
    name = f"{kind['plural']}.{kind['group']}"
    schema = {"type": "object", "properties": {"spec": kind["spec"]}}
    version = {"name": kind["version"], "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # asked for where the group is one of Kubernetes' own
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
        "spec": {
            "group": kind["group"],
            "scope": "Namespaced",
            "names": {"kind": path.stem, "plural": kind["plural"], "singular": path.stem.lower()},
            "versions": [version],
        },
    }
