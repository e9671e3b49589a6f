"""What the audit of our dependencies says: findings fail, and what could not be looked up is not passed over."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def audit():
    loader = SourceFileLoader("audit", str(ROOT / ".ci" / "audit"))
    spec = spec_from_loader("audit", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


GOOD = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}
UNKNOWN = {"name": "other", "skip_reason": "Dependency not found on PyPI"}


def test_a_known_vulnerability_fails_and_says_what_to_install(audit):
    lines, has_findings = audit.verdict({"dependencies": [GOOD, BAD]})

    assert has_findings
    assert lines == ["VULNERABLE: old 1.0: PYSEC-1, fixed in 1.1", "audited: 2 packages, 1 vulnerabilities"]


def test_what_could_not_be_looked_up_is_said(audit):
    lines, has_findings = audit.verdict({"dependencies": [GOOD, UNKNOWN]})

    assert not has_findings
    assert lines[0].startswith("NOT AUDITED: 1 packages")
    assert lines[1] == "audited: 1 packages, 0 vulnerabilities"


def test_without_the_service_nothing_is_claimed(audit):
    [line], has_findings = audit.verdict(None)

    assert not has_findings
    assert line.startswith("NOT AUDITED")


def test_nothing_is_ignored_without_a_reason(audit):
    assert all(len(reason) > 20 for reason in audit.IGNORED.values())


def test_every_check_audits():
    makefile = (ROOT / "Makefile").read_text()

    assert ".ci/audit" in makefile
    assert "audit" in makefile.partition("\ncheck:")[2].partition("\n\n")[0]
