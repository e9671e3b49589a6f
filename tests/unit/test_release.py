"""What a release has to agree about."""

import re
from pathlib import Path

from versus_py import __version__

ROOT = Path(__file__).parent.parent.parent


def test_the_changelog_has_what_is_not_released_first_and_then_this_version_with_its_date():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_no_section_of_the_changelog_has_a_heading_twice():
    for section in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert len(set(headings)) == len(headings), section.partition("\n")[0]


def test_the_pages_name_images_of_this_version():
    named = {
        version
        for page in (ROOT / "docs").glob("*.md")
        for version in re.findall(r"versus-py:(\d+\.[\w.]*)", page.read_text())
    }

    assert named == {__version__}
