"""The registry, and what an installed system may not be called."""

from importlib.metadata import EntryPoint

import pytest
from pydantic import SecretStr

from tests.support import toys
from versus_py import systems
from versus_py.config.parts import ChannelPart, Secret
from versus_py.errors import ConfigError
from versus_py.systems import BUILT_IN, model
from versus_py.targets.system import System


def system_of(part):
    return System(config=part, build=toys.build_board, examine=toys.examine_board)


def part(**attributes):
    return type("HookConfig", (ChannelPart,), {"NAME": "hook", "TITLE": "Hook", "__annotations__": {}, **attributes})


@pytest.mark.parametrize("name", ["slack", "servicenow", "heartbeat", "provider", "debug_body", "parts", "matchers"])
def test_a_name_that_is_taken_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        model((*BUILT_IN, system_of(part(NAME=name))))


@pytest.mark.parametrize(
    "attributes",
    [
        {"OVERRIDE": "source"},
        {"OVERRIDE": "slack_channel_id"},
        {"OVERRIDE": "after_minutes"},
        {"OVERRIDE": "hook_room", "FALLBACK_KEYS": {"mention": (str, "")}},
    ],
    ids=str,
)
def test_a_key_that_is_taken_is_refused(attributes):
    with pytest.raises(ConfigError, match=r"oncall\.fallback\."):
        model((*BUILT_IN, system_of(part(**attributes))))


def test_a_secret_is_masked_whatever_it_is_called():
    hook = part(__annotations__={"url": Secret}, url=SecretStr(""))
    config = model((*BUILT_IN, system_of(hook))).model_validate(
        {
            "alert": {"hook": {"url": "https://hooks.example/T1/VERYSECRET"}},
            "redis": {"url": "redis://user:pass-word@redis/0"},
            "oncall": {"servicenow": {"proxy": "http://user:proxy-word@proxy:3128"}},
        }
    )

    assert set(config.secrets()) == {"https://hooks.example/T1/VERYSECRET", "pass-word", "proxy-word"}


def test_a_fallback_in_a_channel_that_is_off_is_a_problem():
    config = model((*BUILT_IN, toys.BOARD)).model_validate({"oncall": {"fallback": {"board_name": "hall"}}})

    assert list(config.oncall.fallback.problems(config)) == [
        "oncall.fallback.board_name: needs alert.board.enable: true"
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:HOOK", "cannot be loaded: ModuleNotFoundError"),
        ("tests.support.toys:NOTHING", "cannot be loaded: AttributeError"),
        ("tests.support.toys:plug_in", "is a function, no System"),
    ],
)
def test_a_package_that_is_broken_is_named(monkeypatch, value, said):
    found = EntryPoint("hook", value, systems.ENTRY_POINT)
    monkeypatch.setattr(systems, "entry_points", lambda **_: [found])

    with pytest.raises(ConfigError, match=f"'hook' {said}"):
        systems.registered.__wrapped__()
