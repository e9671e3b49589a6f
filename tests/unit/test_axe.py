"""Where axe-core comes from: another package than the one that is named here is refused."""

import pytest

from tests.support.axe import VERSION, axe_script


def test_a_package_with_another_sum_is_refused_and_not_kept(tmp_path):
    with pytest.raises(ValueError, match="SHA-512"):
        axe_script(tmp_path, lambda: b"another package")

    assert [*tmp_path.iterdir()] == []


def test_a_kept_package_that_somebody_changed_is_refused(tmp_path):
    (tmp_path / f"axe-core-{VERSION}.tgz").write_bytes(b"changed")

    with pytest.raises(ValueError, match=str(tmp_path)):
        axe_script(tmp_path, lambda: b"")


def test_without_a_network_there_is_an_error_that_a_test_can_tell(tmp_path):
    def fetch() -> bytes:
        raise OSError("no network")

    with pytest.raises(OSError, match="no network"):
        axe_script(tmp_path, fetch)
