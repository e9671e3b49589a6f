"""The server in a world where nothing can be written but its data, as in the container and under systemd."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import VERSUS, answers, request
from tests.support.servers import find_program, free_port
from tests.support.waiting import wait_until

# Sees the files of the machine, none of which it can write but its data and what is temporary. Holds no capability.
CONFINED = """
mount --bind "$1" "$1" && mount -t tmpfs tmpfs /var/tmp && mount -o remount,ro,bind / || exit 77
if touch "$1/../probe" 2>/dev/null; then echo "the rest can be written" >&2; exit 78; fi
shift
exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""

# As MemoryDenyWriteExecute in deploy/systemd/versus.service: no memory is writable and executable. A Linux before 6.3
# does not know of it.
NO_NEW_CODE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"


def test_the_server_needs_no_more_than_a_folder_for_its_data(world):
    unshare = find_program("unshare", "util-linux")
    data = world.folder / "data"
    data.mkdir()
    confined = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", CONFINED, "sh", str(data)]
    tried = subprocess.run([*confined, "true"], capture_output=True, text=True, timeout=30, check=False)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody confine a process: {tried.stderr or tried.returncode}")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = world.write_config(port=port, data_dir=str(data), public_host=url)

    process = world.run([*confined, sys.executable, "-c", NO_NEW_CODE, *VERSUS, "serve", "-c", str(path)], "confined")

    wait_until(lambda: process.poll() is not None or answers(f"{url}/healthz"), what="the server to answer")
    assert process.poll() is None, world.logged()
    request(f"{url}/api/incidents?oncall_wait_minutes=0", {"title": "Confined", "severity": "critical"})
    wait_until(lambda: world.slack.messages("Confined"), what="the message")
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    assert "Read-only file system" not in world.logged()
    assert list(data.rglob("*aof*")), "the embedded server writes its data"


# OpenShift's: no entry in /etc/passwd, and group 0. Its one capability is to read, as the checkout may be root's alone.
USER = 1_000_680_000
AS_ANY_USER = [
    *("--reuid", str(USER), "--regid", "0", "--clear-groups", "--no-new-privs", "--bounding-set=-all,+dac_read_search"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
]


@pytest.fixture
def image() -> Iterator[Path]:
    """A folder that everybody may read, and in it `data` as the image has it."""
    if os.geteuid():
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        shutil.chown(data, 10001, 0)
        data.chmod(0o770)
        data.parent.chmod(0o755)
        yield data.parent


def test_any_user_of_group_0_may_run_it_with_the_embedded_server(world, image):
    data = image / "data"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    path = shutil.copy(world.write_config(port=port, data_dir=str(data), public_host=url), image)
    env = {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}

    command = [find_program("setpriv", "util-linux"), *AS_ANY_USER, "env", "-i", *(f"{k}={v}" for k, v in env.items())]
    process = world.run([*command, *VERSUS, "serve", "-c", str(path)], "any-user")

    wait_until(lambda: process.poll() is not None or answers(f"{url}/readyz"), what="the server to be ready")
    assert process.poll() is None, world.logged()
    request(f"{url}/api/incidents?oncall_wait_minutes=0", {"title": "Any user", "severity": "critical"})
    wait_until(lambda: len(world.servicenow.records) == 1, what="the record")
    written = [it for it in data.rglob("*") if not it.is_socket()]
    assert {(it.stat().st_uid, it.stat().st_gid) for it in written} == {(USER, 0)}
    assert any("aof" in it.name for it in written)
