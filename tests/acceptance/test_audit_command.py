"""The audit, as it is typed: beside a server that runs, after it has stopped, and when something is wrong."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from tests.acceptance.conftest import World, kill, request
from tests.support.forking import call_versus
from tests.support.waiting import wait_until


def audit(config: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return call_versus("audit", "-c", str(config), *arguments, env=os.environ | {"COLUMNS": "200"} | environ)


def post(url: str, name: str) -> str:
    answer: Any = request(f"{url}/api/incidents", {"title": name, "dedup_key": name})
    incident_id: str = answer["incidents"][0]["id"]
    return incident_id


def config_of(world: World) -> Path:
    [path] = world.folder.glob("config-*.yaml")
    return path


@pytest.mark.parametrize("keep", ["redis", "file"])
def test_what_a_server_accepted_is_accounted_for_while_it_runs_and_when_it_was_killed(world, keep):
    url, process = world.serve(journal={"keep": keep})
    acknowledged = post(url, "acknowledged")
    request(f"{url}/api/incidents/{acknowledged}/acknowledge", {"by": "ana"})
    post(url, "escalated")
    wait_until(lambda: world.servicenow.records, what="the record")
    wait_until(lambda: request(f"{url}/api/incidents?status=escalated")["incidents"], what="the escalation")

    running = audit(config_of(world))
    kill(process)
    killed = audit(config_of(world), "--json")

    assert (running.returncode, running.stderr) == (0, "Every accepted payload is accounted for.\n"), running.stdout
    assert "lines: 2\npayloads: 2\nincidents: 2\nacknowledged: 1\n" in running.stdout
    assert "escalated: 1\n" in running.stdout
    found = json.loads(killed.stdout)
    assert (killed.returncode, found["findings"], found["standings"]["escalated"]) == (0, [], 1)
    assert found["journals"][0]["last"] == 2


def test_what_is_not_accounted_for_is_listed_by_its_line(world, redis_settings):
    url, _ = world.serve(journal={"keep": "redis"}, **redis_settings)
    lost = post(url, "lost")
    alone = audit(config_of(world))
    post(url, "kept")
    with redis.Redis.from_url(redis_settings["redis"]["url"], decode_responses=True) as client:
        [key] = client.keys(f"*:incident:{lost}")
        client.delete(key)
        client.lset("versus:{0}:journal", 2, "nothing")

    told = audit(config_of(world))
    as_json = audit(config_of(world), "--json")
    in_a_terminal = audit(config_of(world), TERM="dumb", FORCE_COLOR="1")

    assert "journal in Redis: line 1, which has the sha1 " in alone.stdout
    assert "journal in Redis: lines 1 to 2; the last one has the sha1 " in told.stdout
    assert told.returncode == 1
    assert f"lost: line 1 of Redis: {lost}; accepted at" in told.stdout
    assert "chain broken: line 2 of Redis: it cannot be read" in told.stdout
    assert as_json.returncode == 1
    assert {(it["what"], it["line"], it["incident"]) for it in json.loads(as_json.stdout)["findings"]} == {
        ("lost", 1, lost),
        ("chain broken", 2, None),
    }
    assert in_a_terminal.returncode == 1
    assert re.search(rf"lost +line 1 of Redis +{lost} +accepted at", in_a_terminal.stdout)


def test_a_file_can_be_audited_by_its_name(world):
    url, _ = world.serve(journal={"keep": "file"})
    post(url, "one")
    path = world.folder / "data" / "journal.jsonl"
    settings = yaml.safe_load(config_of(world).read_text()) | {"journal": {"keep": "none"}}
    (world.folder / "other.yaml").write_text(yaml.safe_dump(settings))

    shown = audit(world.folder / "other.yaml", "--journal", str(path))

    assert shown.returncode == 0, shown.stderr
    assert f"journal in {path}: line 1, which has the sha256 " in shown.stdout


@pytest.mark.parametrize(
    ("settings", "arguments", "said"),
    [
        ({}, [], "no journal is kept here; set it to redis or file, or name a journal with --journal"),
        ({"journal": {"keep": "redis"}}, [], "nothing is kept in data_dir"),
        ({"journal": {"keep": "redis"}, "redis": {"host": "127.0.0.1", "port": 1}}, [], "Redis did not take it"),
        ({"journal": {"keep": "paper"}}, [], "journal.keep"),
    ],
    ids=["no journal", "no data", "no Redis", "no configuration"],
)
def test_what_could_not_be_looked_at_is_neither_right_nor_wrong(tmp_path, settings, arguments, said):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"data_dir": str(tmp_path / "data")} | settings))

    shown = audit(path, *arguments)

    assert shown.returncode == 2
    assert said in shown.stderr
    assert shown.stdout == ""


def test_a_server_whose_journal_cannot_be_opened_does_not_start(world):
    (world.folder / "somebody.txt").write_text("something else\n")
    config = world.write_config(journal={"keep": "file", "file": str(world.folder / "somebody.txt")})

    shown = call_versus("serve", "-c", str(config), env=os.environ)

    assert shown.returncode == 1
    assert "is no journal of versus_py: name another file, or move it away" in shown.stderr
