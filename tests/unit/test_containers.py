"""What the containers may do: write nowhere but where their data is, hold no capability, and never be root."""

import json
import re
import urllib.request
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROMETHEUS = yaml.safe_load((ROOT / "config" / "prometheus" / "prometheus.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "pid", "network_mode", "devices"} & service.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_is_root(name):
    service = SERVICES[name]

    if "build" in service:
        user = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1]
        assert user.isdecimal()  # by name, Kubernetes' runAsNonRoot cannot tell that it is not root
        assert f"--uid {user}" in DOCKERFILE
    assert service.get("user", "10001" if "build" in service else "root") not in {"root", "0"}


def test_any_user_of_group_0_may_write_the_data_as_openshift_needs_it():
    assert re.search(r"^RUN useradd .*--gid 0 ", DOCKERFILE, re.MULTILINE)
    assert "install -d -o versus -g 0 -m 0770 /data\n" in DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_from_the_machine_can_only_be_read(name):
    for volume in SERVICES[name].get("volumes", []):
        if volume.startswith((".", "/")):
            assert volume.endswith(":ro"), volume
        assert "docker.sock" not in volume


def test_the_secret_of_the_demo_ends_with_a_setting_of_ones_own_and_whoever_needs_it_has_it():
    """An empty one counts as set, as .env.example has it: then a secret is generated."""
    given = {name: it.get("environment", {}).get("GATEWAY_SECRET") for name, it in SERVICES.items()}
    needing = {name: it for name, it in given.items() if it is not None}

    assert needing == dict.fromkeys(("versus", "prometheus", "sign-in"), "${GATEWAY_SECRET-secret-of-the-demo}")
    assert "\nGATEWAY_SECRET=\n" in (ROOT / ".env.example").read_text()


def test_prometheus_reads_the_secret_where_its_container_writes_it():
    [job] = [it for it in PROMETHEUS["scrape_configs"] if it["job_name"] == "versus"]

    assert f"> {job['authorization']['credentials_file']} &&" in SERVICES["prometheus"]["entrypoint"][-1]
    assert job["authorization"]["credentials_file"].startswith("/tmp/")  # which is in memory
    assert job["static_configs"] == [{"targets": ["versus:3000"]}]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_published_to_the_network_by_default(name):
    """Who sets PUBLISH_ADDRESS for the server is told to set a token of the intake with it."""
    published = [it.replace("${PUBLISH_ADDRESS:-127.0.0.1}", "127.0.0.1") for it in SERVICES[name].get("ports", [])]

    assert all(it.startswith("127.0.0.1:") for it in published)
    assert name != "redis" or published == []
    assert "\nPUBLISH_ADDRESS=127.0.0.1\n" in (ROOT / ".env.example").read_text()


def test_grafana_finds_prometheus_and_the_dashboard():
    """There is no Grafana to run it with here."""
    grafana, folder = SERVICES["grafana"], ROOT / "config" / "grafana"
    mounted = {target: ROOT / source for source, target, _ in (it.split(":") for it in grafana["volumes"])}
    [datasource] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((folder / "dashboards" / "versus.yml").read_text())["providers"]

    assert grafana["profiles"] == ["demo"]
    assert (datasource["type"], datasource["url"]) == ("prometheus", "http://prometheus:9090")
    assert (provider["type"], mounted[provider["options"]["path"]]) == ("file", ROOT / "deploy" / "grafana")
    assert mounted["/etc/grafana/provisioning/datasources"] == folder / "datasources"
    assert mounted["/etc/grafana/provisioning/dashboards"] == folder / "dashboards"
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounted[str(home.parent)] / home.name).is_file()


def test_prometheus_loads_the_rules_about_the_product():
    mounted = [it.split(":")[:2] for it in SERVICES["prometheus"]["volumes"]]

    assert ["./deploy/prometheus", "/etc/versus"] in mounted
    assert "/etc/versus/versus.rules.yml" in PROMETHEUS["rule_files"]


def test_the_image_holds_no_secret_and_leaves_root_before_it_starts():
    assert not re.search(r"^(ENV|ARG) .*(TOKEN|SECRET|PASSWORD)", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT")
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert not any(line.startswith("!.") for line in ignored)  # .env is not let in again


@pytest.mark.parametrize(("port", "asked"), [(None, 3000), ("", 3000), ("8080", 8080)])
def test_the_image_is_asked_at_the_port_of_the_shipped_configuration(port, asked, monkeypatch):
    [_, _, program] = json.loads(re.findall(r"^HEALTHCHECK .*\n  CMD (.+)$", DOCKERFILE, re.MULTILINE)[0])
    requests: list[str] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, **_: requests.append(url))
    monkeypatch.delenv("PORT", raising=False)
    if port is not None:
        monkeypatch.setenv("PORT", port)

    exec(program, {})

    assert requests == [f"http://127.0.0.1:{asked}/healthz"]


LABELS = ("title", "description", "licenses", "version", "revision", "created", "source")


def test_the_image_says_what_it_is_by_the_labels_that_registries_read():
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', DOCKERFILE))
    given = re.findall(r"--build-arg (\w+)=", (ROOT / "docs" / "release.md").read_text())

    assert labels.keys() == set(LABELS)
    arguments = {it.removeprefix("$") for it in labels.values() if it.startswith("$")}
    assert arguments == set(given) - {"SOURCE_DATE_EPOCH"}
    for name in arguments:
        assert f"\nARG {name}=" in DOCKERFILE.partition("AS build")[2]
