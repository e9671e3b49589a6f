"""The chart and the pages at a real API server, in a namespace that refuses pods which are not "restricted"."""

import pytest
import yaml

from tests.support.charts import CHART, ROOT, blocks_of, manifests_of, template

pytestmark = pytest.mark.long

SETS = sorted((CHART / "ci").glob("*-values.yaml"))
PAGES = [ROOT / "docs" / "kubernetes.md", ROOT / "docs" / "openshift.md"]
KEPT = ("statefulset", "deployment", "service", "configmap", "secret", "serviceaccount", "servicemonitor")


@pytest.mark.parametrize("values", SETS, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_what_the_chart_renders_is_taken_without_a_warning(cluster, values):
    rendered = template("--values", str(values)).stdout

    done = cluster.would_take(rendered)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == len(manifests_of(rendered))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_taken_without_a_warning(cluster, page):
    shown = [it for text in blocks_of(page) for it in manifests_of(text) if "apiVersion" in it]
    made = [it for it in shown if it["kind"] != "Namespace"]
    for namespace in {it["metadata"].get("namespace", "alerts") for it in made}:
        there = [it for it in made if it["metadata"].get("namespace", "alerts") == namespace]
        text = yaml.safe_dump_all(there)

        done = cluster.kubectl("apply", f"--namespace={namespace}", "--dry-run=server", "--filename=-", given=text)

        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("replicas: 1", "replicaz: 1", 'unknown field "spec.replicaz"'),
        ("interval: 15s", "intervall: 15s", 'unknown field "spec.endpoints[0].intervall"'),
        ("runAsNonRoot: true", "runAsNonRoot: false", "violates PodSecurity"),
    ],
    ids=["of a kind of Kubernetes", "of one of ours", "of a pod that may be root"],
)
def test_what_is_wrong_is_refused(cluster, right, wrong, said):
    rendered = template("--values", str(CHART / "ci" / "openshift-values.yaml")).stdout
    assert right in rendered

    done = cluster.would_take(rendered.replace(right, wrong))

    assert done.returncode
    assert said in done.stderr


def test_it_is_installed_upgraded_rolled_back_and_uninstalled(cluster):
    def values(name: str) -> tuple[str, ...]:
        return ("versus", "versus-py", "--namespace=alerts", f"--values={CHART / 'ci' / f'{name}-values.yaml'}")

    def workloads() -> list[tuple[str, int]]:
        return [(it["kind"], it["spec"]["replicas"]) for it in cluster.objects("statefulset", "deployment")]

    before = {it["metadata"]["name"] for it in cluster.objects(*KEPT)}

    installed = cluster.helm("install", *values("embedded"))
    assert installed.returncode == 0, installed.stderr
    assert "kubectl -n alerts exec statefulset/versus -- versus doctor" in installed.stdout
    assert workloads() == [("StatefulSet", 1)]
    [stateful] = cluster.objects("statefulset")
    assert "runAsUser" not in stateful["spec"]["template"]["spec"]["securityContext"]  # it has Routes, as OpenShift has

    upgraded = cluster.helm("upgrade", *values("prometheus-stack"))
    assert upgraded.returncode == 0, upgraded.stderr
    assert workloads() == [("Deployment", 2)]
    assert [it["metadata"]["name"] for it in cluster.objects("servicemonitor")] == ["versus"]

    refused = cluster.helm("upgrade", *values("embedded"), "--set=replicaCount=2")
    assert "replicaCount: is 2, but without a Redis" in refused.stderr
    assert workloads() == [("Deployment", 2)]

    rolled_back = cluster.helm("rollback", "versus", "1", "--namespace=alerts")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert workloads() == [("StatefulSet", 1)]

    uninstalled = cluster.helm("uninstall", "versus", "--namespace=alerts")
    assert uninstalled.returncode == 0, uninstalled.stderr
    assert {it["metadata"]["name"] for it in cluster.objects(*KEPT)} == before
