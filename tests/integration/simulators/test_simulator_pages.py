"""How the pages of simulators look: as the web UI does, with nothing inline."""

import re
from urllib.parse import urljoin

import pytest


@pytest.fixture
def pages(slack_url, servicenow_url):
    slack = (f"{slack_url}{it}" for it in ("/", "/admin"))
    return [*slack, *(f"{servicenow_url}{it}" for it in ("/", "/rules", "/incident.do?sys_id=-1"))]


async def test_pages_are_made_with_the_files_of_the_web_ui(session, pages):
    for path in pages:
        page = await (await session.get(path)).text()
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)

        assert {"/static/ui.css", "/static/simulator.css", "/static/simulator.js"} <= {*files}
        assert [(await session.get(urljoin(path, it))).status for it in files] == [200] * len(files)
        assert not re.search(r"<style|<script>|\son\w+=", page)


async def test_there_are_no_other_files(session, slack_url):
    for name in ("base.html", "ui.js", "..%2fface.py"):
        assert (await session.get(f"{slack_url}/static/{name}")).status == 404
