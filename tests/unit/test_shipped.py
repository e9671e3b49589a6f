"""The files that an installed package brings."""

import pytest

from versus_py import shipped


@pytest.mark.parametrize("name", [shipped.CONFIG, shipped.SLACK_TEMPLATE])
def test_a_source_tree_has_one_of_each_file(request, name):
    path = shipped.shipped(name)

    assert path == request.config.rootpath / "config" / name
    assert path.is_file()
