"""A real Prometheus with the shipped scrape configuration and rules."""

from urllib.parse import quote

from tests.acceptance.conftest import ROOT, answers, request
from tests.support.servers import find_program, free_port
from tests.support.waiting import wait_until

SHIPPED = ROOT / "deploy" / "prometheus"


def test_prometheus_scrapes_with_the_gateway_secret_and_evaluates_the_rules(world):
    server, _ = world.serve(gateway_secret="gateway-secret-1")
    prometheus = start_prometheus(world, server.removeprefix("http://"))

    wait_until(lambda: value(prometheus, 'up{job="versus"}') == "1", what="a scrape that is answered")
    wait_until(lambda: value(prometheus, "versus_escalations_overdue") == "0", what="the metrics")
    wait_until(lambda: health(prometheus) == {"ok"}, what="all rules to have been evaluated")
    assert value(prometheus, 'ALERTS{alertstate="firing", severity="critical"}') is None


def start_prometheus(world, target: str) -> str:
    text = (SHIPPED / "prometheus.yml").read_text()
    secret = world.folder / "gateway_secret"
    secret.write_text("gateway-secret-1\n")
    for old, new in (
        ('"versus:3000", "versus-worker:9464"', f'"{target}"'),
        ("/etc/prometheus/versus_gateway_secret", str(secret)),
        ("scrape_interval: 15s", "scrape_interval: 1s"),
        ("rule_files:", "global: {evaluation_interval: 1s}\nrule_files:"),
    ):
        assert old in text
        text = text.replace(old, new)
    (world.folder / "prometheus.yml").write_text(text)
    (world.folder / "versus.rules.yml").write_text((SHIPPED / "versus.rules.yml").read_text())
    port = free_port()
    command = [find_program("prometheus", "prometheus"), f"--config.file={world.folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={world.folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
    world.run(command, "prometheus")
    wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready"), what="Prometheus")
    return f"http://127.0.0.1:{port}"


def value(prometheus: str, query: str) -> str | None:
    """The value of the one series; None when there is none."""
    found = request(f"{prometheus}/api/v1/query?query={quote(query)}")["data"]["result"]
    return found[0]["value"][1] if found else None


def health(prometheus: str) -> set[str]:
    groups = request(f"{prometheus}/api/v1/rules")["data"]["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}
