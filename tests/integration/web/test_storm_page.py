"""Which ways to act the list of a storm's incidents offers."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

STORM = {"signing_secret": "s", "storm": {"threshold": 1}}


async def storm_page(engine) -> str:
    """The page of a storm of a few incidents."""
    for number in range(10):
        await engine.post({"title": f"Alert{number}", "id": f"d{number}"})
    await engine.settle()
    texts = [message.text for message in engine.slack.messages]
    [link] = [found[1] for text in texts if (found := re.search(r"<([^|>]+/api/storms/[^|]+)\|", text))]
    url = urlsplit(link.replace("&amp;", "&"))
    response = await engine.http.get(url.path, params=dict(parse_qsl(url.query)))
    assert response.status == 200
    page: str = await response.text()
    return page


@pytest.mark.parametrize(
    ("slack_settings", "has_links"),
    [
        pytest.param(STORM, True, id="everybody may"),
        pytest.param(STORM | {"allowed_users": ["U0ANA"]}, False, id="only some users"),
        pytest.param(STORM | {"allowed_groups": ["S0ONCALL"]}, False, id="only some groups"),
        pytest.param(STORM | {"actions": {"acknowledge": False}}, False, id="acknowledging is switched off"),
    ],
)
async def test_each_incident_has_a_link_where_the_buttons_would_let_everybody_acknowledge(engine, has_links):
    page = await storm_page(engine)

    assert re.search(r"Alert\d", page)
    assert ("/api/ack/" in page) is has_links
