"""The log: structured, and without secrets wherever they turn up."""

import json
import logging

import pytest
import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, ContentEncodingError

from versus_py.config import LogConfig
from versus_py.telemetry.logs import Redactor, configure_logging


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_fields(capsys):
    configure_logging(LogConfig(format="json"))

    structlog.get_logger().info("timer.claimed", incident="x-0")

    [line] = lines(capsys)
    assert (line["event"], line["incident"], line["level"]) == ("timer.claimed", "x-0", "info")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    "value", ["half a character: \ud83d", 2**70, {1: "a"}, {"a"}], ids=["text", "number", "key", "set"]
)
def test_what_is_not_quite_json_is_a_line_all_the_same(capsys, value):
    configure_logging(LogConfig(format="json"))

    structlog.get_logger().info("x", value=value)

    [line] = lines(capsys)
    assert line["value"]


@pytest.mark.parametrize("for_good", [True, False])
def test_loggers_are_made_once_where_the_log_is_set_up_for_good(capsys, for_good):
    log = structlog.get_logger()
    log.info("before")  # it is not made for good by what was set up then
    configure_logging(LogConfig(format="json"), for_good=for_good)
    log.info("first")
    structlog.reset_defaults()

    log.info("second")

    assert [it["event"] for it in lines(capsys)] == ["first", "second"][: 1 + for_good]


def test_a_line_is_one_whatever_is_in_it(capsys):
    configure_logging(LogConfig(format="json"))

    structlog.get_logger().info("x", value="a\x85b\u2028c\x9b2Jd\re\nf")

    written = capsys.readouterr().err
    assert written.isascii()
    assert len(written.splitlines()) == 1
    assert json.loads(written)["value"] == "a\x85b\u2028c\x9b2Jd\re\nf"


def test_secrets_are_masked_in_values_nested_values_and_tracebacks(capsys):
    configure_logging(LogConfig(format="json"), ["s3cret", "abc"])
    log = structlog.get_logger()

    log.info("x", value="a s3cret b", nested={"list": ["s3cret"]}, short="abc")
    try:
        int("s3cret")
    except ValueError:
        log.exception("y")

    first, second = lines(capsys)
    assert "s3cret" not in json.dumps([first, second])
    assert first["value"] == "a ********** b"
    assert first["short"] == "abc"
    assert "base 10: '**********'" in second["exception"]


def test_what_libraries_log_goes_the_same_way(capsys):
    configure_logging(LogConfig(format="json"), ["s3cret"])

    logging.getLogger("aiohttp.server").error("oops s3cret")
    logging.getLogger("slack_sdk").info("not this")

    [line] = lines(capsys)
    assert line["event"] == "oops **********"


@pytest.mark.parametrize("exception", [BadHttpMessage("no"), ContentEncodingError("no"), web.RequestPayloadError("no")])
def test_what_is_no_request_does_not_fill_the_log(capsys, exception):
    configure_logging(LogConfig(format="json"))

    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=exception)
    logging.getLogger("aiohttp.server").error("Unhandled exception", exc_info=OSError("ours"))

    assert [line["event"] for line in lines(capsys)] == ["Unhandled exception"]


def test_the_level_is_honoured(capsys):
    configure_logging(LogConfig(format="json", level="warning"))

    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_the_console_format_is_for_people(capsys):
    configure_logging(LogConfig(format="console"), ["s3cret"])

    structlog.get_logger().warning("redis.warning", warning="a s3cret")

    text = capsys.readouterr().err
    assert "redis.warning" in text
    assert "s3cret" not in text


def test_a_secret_that_is_a_word_is_masked_as_a_word_and_not_within_others():
    masked = Redactor(["secret", "s3cret"]).masked

    assert masked("the password is 'secret'") == "the password is '**********'"
    assert masked("u:secret@host") == "u:**********@host"
    assert masked("check auth.client_secret and secretary") == "check auth.client_secret and secretary"
    assert masked("xs3crety") == "x**********y"


@pytest.mark.parametrize("name", ["versus", "Versus", "versus_py"])
def test_what_the_program_says_everywhere_is_no_secret(name):
    assert Redactor([name, "s3cret-token"]).masked(f"{name} has s3cret-token") == f"{name} has **********"


def test_a_number_is_masked_as_a_number_and_not_within_others():
    assert Redactor(["1234"]).masked("1234, :1234@host, 512345 and x1234") == (
        "**********, :**********@host, 512345 and x1234"
    )


def test_a_secret_that_is_an_ordinary_word_leaves_names_levels_and_times_readable(capsys):
    configure_logging(LogConfig(format="json"), ["warning", "timer", "2026", "slack_sdk"])

    structlog.get_logger().warning("timer.claimed", said="a timer, and a warning of 2026")
    logging.getLogger("library").warning("the timer of slack_sdk")

    ours, theirs = lines(capsys)
    assert (ours["event"], ours["level"]) == ("timer.claimed", "warning")
    assert "*" not in ours["timestamp"]
    assert ours["said"] == "a **********, and a ********** of **********"
    assert (theirs["event"], theirs["level"]) == ("the ********** of **********", "warning")
