"""The files of the corpus: each is whole, and says where its shape is documented."""

import re

import pytest

from tests.support import corpus

RANKS = {"critical", "error", "warning", "info", "unknown"}
TOOLS_MIN = 45
OPTIONAL = {"query", "headers", "content_type", "sns"}


@pytest.fixture(params=corpus.FILES, ids=lambda path: path.stem)
def tool(request):
    return corpus.read(request.param)


def test_a_file_names_its_tool_and_the_public_page_of_the_shape_and_how_the_sender_is_set_up(tool):
    required = {"tool", "version", "shape_from", "setup", "requests", "expected"}

    assert required <= tool.about.keys() <= required | OPTIONAL
    assert re.fullmatch(r"https://[^\s]+\.[^\s]+/[^\s]*", tool.about["shape_from"])
    assert all(isinstance(tool.about[name], str) and tool.about[name] for name in ("tool", "version", "setup"))


def test_a_file_expects_all_that_a_person_has_to_find(tool):
    expected = tool.expected

    assert set(expected) == {"title", "severity", "resource", "link", "labels", "incidents", "ended"}
    assert expected["title"]
    assert expected["severity"] in RANKS
    assert expected["ended"] is True or isinstance(expected["ended"], str)


def test_a_file_has_requests_with_names_of_their_own_and_one_body_each(tool):
    names = [request["name"] for request in tool.about["requests"]]

    assert names[0] == "firing"
    assert len(set(names)) == len(names)
    for request in tool.about["requests"]:
        assert len({"body", "like", "text"} & request.keys()) == 1
    assert all(it.body for it in tool.requests)


def test_what_ends_an_incident_comes_last(tool):
    last = tool.about["requests"][-1]["name"]

    assert (tool.expected["ended"] is True) <= (last == "recovery")


def test_the_corpus_has_many_tools():
    assert len({corpus.read(path).about["tool"] for path in corpus.FILES}) >= TOOLS_MIN
