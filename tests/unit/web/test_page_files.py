"""The files that pages load: how they are named and kept, how large they are, and that they are ours alone."""

import gzip
import re
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from versus_py.web.pages import files

NAMES = ("ui.css", "ui.js", "icon.svg")
STATIC = Path(files.__file__).parent / "static"


async def answer(name: str, encoding: str = "") -> web.Response:
    request = make_mocked_request(
        "GET", f"/static/{name}", headers={"Accept-Encoding": encoding}, match_info={"name": name}
    )
    return await files.static(request)


def body(response: web.Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_kept_for_ever_under_the_name_that_pages_have(name):
    response = await answer(files.file_name(name))

    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert body(response) == (STATIC / name).read_bytes()


def test_every_file_is_served():
    assert {it.name for it in STATIC.iterdir()} == {*NAMES}


@pytest.mark.parametrize("asked", ["ui.css", "ui.0123456789ab.css"])
async def test_a_page_of_another_version_gets_the_file_that_is_here_and_keeps_it_not(asked):
    response = await answer(asked)

    assert body(response) == (STATIC / "ui.css").read_bytes()
    assert "Cache-Control" not in response.headers  # so that it becomes no-store


@pytest.mark.parametrize("asked", ["", "x", "ack.html", "../app.py", "ui.0123456789ab", "ui.XXXXXXXXXXXX.css"])
async def test_there_are_no_other_files(asked):
    with pytest.raises(web.HTTPNotFound):
        await answer(asked)


async def test_a_file_is_packed_for_those_who_take_it():
    packed = await answer("ui.js", "br, gzip")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(body(packed)) == (STATIC / "ui.js").read_bytes()


def test_style_and_script_are_at_most_20_kb_packed():
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in ("ui.css", "ui.js")) <= 20 * 1024


def test_nothing_is_loaded_from_elsewhere_or_made_from_text():
    for name in ("ui.css", "ui.js"):
        text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(|\beval\b|new Function|innerHTML|document\.write|import\(", text)
