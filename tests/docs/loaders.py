"""What reads a block of the documentation, by its kind and by what is in it."""

import ast
import configparser
import importlib
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import trustme
import yaml

from tests.support.blocks import ROOT, Block
from tests.support.servers import find_program
from versus_py.systems import model, parse_config
from versus_py.tools.lint import lint

Loader = Callable[[Block, Path], None]

ALERTMANAGER = frozenset({"global", "route", "receivers", "inhibit_rules", "time_intervals", "webhook_configs"})
PROMETHEUS = frozenset({"global", "scrape_configs", "alerting", "rule_files"})

AROUND: Mapping[str, Any] = {
    "public_host": "https://versus.example.com",
    "alert": {
        "slack": {
            "enable": True,
            "token": "xoxb-1",
            "channel_id": "C0ALERTS",
            "app_token": "xapp-1",
            "channels": {name: f"C01234567{number:02}" for number, name in enumerate(("leads", "dba", "storage"))},
        }
    },
    "oncall": {
        "enable": True,
        "servicenow": {
            "instance_url": "https://dev12345.service-now.com",
            "username": "versus.integration",
            "password": "p",
            "events": {"token": "t" * 16},
            "other_instance_urls": {"infra": "https://infra.example"},
        },
    },
    "policies": [
        {"name": name, "match": [f"example={name}"], "steps": [{"notify": ["slack"]}]}
        for name in ("network", "leads", "app", "low", "critical")
    ],
}
"""The configuration that examples are parts of: what they refer to and do not show."""


def merged(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
    return above


def variables(text: str) -> dict[str, str]:
    """Those that it refers to, each with a value; what is an address is one."""
    named = re.findall(r"\$\{([A-Za-z_]\w*)", text)
    return {it: "https://name.example" if it.endswith(("URL", "HOST")) else f"{it.lower()}-0123456789" for it in named}


def load_configuration(block: Block, folder: Path) -> None:
    for number, name in enumerate(re.findall(r"\$\{file:([^}]+)\}", block.text)):
        (folder / Path(name).name).write_text(f"secret-{number}-0123456789")
    text = re.sub(r"\$\{file:([^}]+)\}", lambda it: f"${{file:{folder / Path(it[1]).name}}}", block.text)
    parse_config(yaml.safe_dump(merged(AROUND, yaml.safe_load(text)), sort_keys=False), variables(text))


def load_alertmanager(block: Block, folder: Path) -> None:
    """By amtool, made whole where the page shows a part of it; and by our own lint, where it is whole."""
    shown = yaml.safe_load(block.text)
    if "webhook_configs" in shown:
        shown = {"receivers": [{"name": "versus", **shown}]}
    receivers = shown.setdefault("receivers", [{"name": "versus"}])
    whole = {"route": {"receiver": receivers[0]["name"]} | shown.get("route", {})}
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(shown | whole))

    _run(find_program("amtool", "prometheus-alertmanager"), "check-config", str(path))

    if shown.keys() >= {"route", "receivers"} and "\nroute:" in f"\n{block.text}" and "receiver:" in block.text:
        findings = [] if "\nreceivers:" not in f"\n{block.text}" else lint(block.text)
        assert findings == []


def load_prometheus(block: Block, folder: Path) -> None:
    path = folder / "prometheus.yml"
    path.write_text(block.text)
    _run(find_program("promtool", "prometheus"), "check", "config", "--syntax-only", str(path))


def load_rules(block: Block, folder: Path) -> None:
    path = folder / "rules.yml"
    path.write_text(block.text)
    _run(find_program("promtool", "prometheus"), "check", "rules", str(path))


def load_compose(block: Block, folder: Path) -> None:
    """An override is read together with the file that it overrides."""
    path = folder / "docker-compose.override.yml"
    path.write_text(block.text)
    program = find_program("docker-compose", "docker-compose")
    files = ("-f", str(ROOT / "docker-compose.yml"), "-f", str(path))
    _run(program, *files, "--project-directory", str(ROOT), "config", "-q")


def load_contact_point(block: Block, folder: Path) -> None:
    """As Grafana's documentation of file provisioning lists the keys; there is no Grafana here to ask."""
    shown = yaml.safe_load(block.text)
    assert shown.keys() <= {"apiVersion", "contactPoints", "policies"}
    for point in shown["contactPoints"]:
        assert point.keys() == {"orgId", "name", "receivers"}
        for receiver in point["receivers"]:
            assert receiver.keys() <= {"uid", "type", "settings", "secureSettings", "disableResolveMessage"}
            assert receiver["type"] == "webhook"
            assert receiver["settings"]["httpMethod"] == "POST"
    for policy in shown.get("policies", []):
        assert policy["receiver"] in {it["name"] for it in shown["contactPoints"]}


def load_nginx(block: Block, folder: Path) -> None:
    """That it publishes what it should, test_doc_proxies.py shows."""
    _run(*nginx_command(block.text, folder, {}), "-t")


def nginx_command(text: str, folder: Path, ports: Mapping[int, int]) -> list[str]:
    """What runs nginx with a `server`, or parts of one, on this machine, and with a certificate of our own."""
    if not text.startswith("server"):
        text = f"server {{\nlisten 127.0.0.1:1;\n{text}}}\n"
    authority = trustme.CA()
    certificate = authority.issue_cert("versus.example.com")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "versus.pem")
    text = re.sub(r"/etc/nginx/tls/versus\.(crt|key)", str(folder / "versus.pem"), text)
    for port, here in ports.items():
        text = re.sub(rf"(listen |127\.0\.0\.1:){port}\b", rf"\g<1>{here}", text)
    text = re.sub(r"listen (\d+) ", r"listen 127.0.0.1:\1 ", text)
    temporary = "".join(
        f"{it}_temp_path {folder / it};\n" for it in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder / 'pid'};\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
    program = find_program("nginx", "nginx-light")
    return [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def load_traefik(block: Block, folder: Path) -> None:
    """As Traefik's reference lists the keys. There is none here; test_doc_proxies.py reads its rules."""
    shown = yaml.safe_load(block.text)["http"]
    assert shown.keys() == {"routers", "services"}
    for router in shown["routers"].values():
        assert router.keys() == {"rule", "entryPoints", "tls", "service"}
        assert router["service"] in shown["services"]


def load_json(block: Block, folder: Path) -> None:
    json.loads(block.text)


def load_recording(block: Block, folder: Path) -> None:
    """Each line is one of `versus replay`; that the whole is played, the commands of its page show."""
    for line in block.text.splitlines():
        assert "at" in json.loads(line)


def load_request(block: Block, folder: Path) -> None:
    """A line with the method and the path, then a body in JSON."""
    first, _, body = block.text.partition("\n")
    assert re.fullmatch(r"(GET|POST|PATCH|PUT|DELETE) \S+", first)
    if body.strip():
        json.loads(body)


def load_toml(block: Block, folder: Path) -> None:
    tomllib.loads(block.text)


def load_python(block: Block, folder: Path) -> None:
    """It compiles, and what it imports from this program is there."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("versus_py"):
            module = importlib.import_module(node.module)
            assert [it.name for it in node.names if not hasattr(module, it.name)] == []


def load_fluent_bit(block: Block, folder: Path) -> None:
    """Sections of keys and values; there is no Fluent Bit here to ask."""
    section, *lines = block.text.splitlines()
    settings = dict(line.split(None, 1) for line in lines)
    assert section == "[OUTPUT]"
    assert settings["Name"] == "http"
    assert settings["URI"].startswith("/api/incidents")


def load_unit(block: Block, folder: Path) -> None:
    """A drop-in or a unit of systemd: sections of keys and values, of which keys may come twice."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(block.text)
    assert {*parser.sections()} <= {"Unit", "Service", "Install", "Timer"}


def nothing_to_load(block: Block, folder: Path) -> None:
    """Output and drawings: nobody types or loads them, so nothing in them may look as if."""
    assert not re.search(r"^\$ ", block.text, re.MULTILINE), "a command: make it a block of `console`"


def _of_yaml(block: Block) -> Iterator[Loader]:
    shown = yaml.safe_load(block.text)
    if not isinstance(shown, dict):
        return
    keys = shown.keys()
    if keys == {"http"}:
        yield load_traefik
    elif "contactPoints" in keys:
        yield load_contact_point
    elif keys <= ALERTMANAGER and keys & {"route", "receivers", "inhibit_rules", "webhook_configs"}:
        yield load_alertmanager
    elif keys <= PROMETHEUS:
        yield load_prometheus
    elif keys == {"groups"}:
        yield load_rules
    elif "services" in keys:
        yield load_compose
    elif keys <= model().model_fields.keys():
        yield load_configuration


def loaders_of(block: Block) -> list[Loader]:
    """Those that claim the block; exactly one should. Commands are run by test_doc_commands.py."""
    match block.kind:
        case "yaml":
            return [*_of_yaml(block)]
        case "ini":
            return [load_fluent_bit if block.text.startswith("[OUTPUT]") else load_unit]
        case _:
            found = _BY_KIND.get(block.kind)
            return [found] if found else []


_BY_KIND: Mapping[str, Loader] = {
    "http": load_request,
    "json": load_json,
    "jsonl": load_recording,
    "nginx": load_nginx,
    "python": load_python,
    "text": nothing_to_load,
    "toml": load_toml,
}


def _run(*command: str) -> None:
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
