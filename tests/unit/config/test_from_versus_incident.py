"""docs/from-versus-incident.md: each row of its tables is tried as it says."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import PurePath
from typing import Any

import pytest
import yaml
from multidict import MultiDict
from pydantic import SecretStr

from tests.support.versus_incident_page import ENVIRON, rows
from versus_py.config import Config
from versus_py.config.versus_incident import PAGE, template
from versus_py.config.versus_incident.overrides import UNREAD_OVERRIDES
from versus_py.config.versus_incident.variables import FILLING, UNREAD, WINNING
from versus_py.errors import ConfigError
from versus_py.shipped import SLACK_TEMPLATE, shipped
from versus_py.systems import model, parse_config
from versus_py.web.intake.overrides import read_overrides

KEYS = {row[0]: row[1:] for row in rows("Every key")}
VARIABLES = {row[0]: row[1:] for row in rows("Every environment variable")}
OVERRIDES = {row[0]: row[1] for row in rows("Every override")}


def loaded(data: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    return parse_config(yaml.safe_dump(data), environ)


def problems(data: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(data, environ)
    return list(caught.value.problems)


def value_at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part] if isinstance(config, Mapping) else getattr(config, part)
    if isinstance(config, SecretStr):
        return config.get_secret_value()
    return str(config) if isinstance(config, PurePath) else getattr(config, "instance_url", config)


def in_file(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data[part]
    return data


def quoted(here: str) -> str:
    return here.split("`")[1]


def unread_warnings(config: Config) -> list[str]:
    return [it for it in config.warnings() if it.startswith("these settings of Versus Incident are not read: ")]


def names_in(warning: str) -> list[str]:
    return warning.partition(": ")[2].partition(";")[0].split(", ")


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_versus_incident_does_what_the_page_says(key):
    text, here = KEYS[key]
    data = yaml.safe_load(text)

    if here.startswith("refused: "):
        assert quoted(here) in problems(data, ENVIRON)
        if "not read" in here:
            assert_not_read(key, {**data, key.partition(".")[0]: without_switch(data, key)})
        return
    config = loaded(data, ENVIRON)
    if here.startswith("not read"):
        assert_not_read(key, data)
        return
    if "warned: " in here:
        assert quoted(here.partition("warned: ")[2]) in config.warnings()
    elif not here.startswith("read as"):
        assert not unread_warnings(config)
    if here.startswith("read"):
        assert_read(key, in_file(data, key), here, config)


def without_switch(data: Any, key: str) -> Any:
    return {"provider": "pagerduty"} if key == "oncall.provider" else {key.rpartition(".")[2]: "/file.pem"}


def assert_not_read(key: str, data: Mapping[str, Any]) -> None:
    [warning] = unread_warnings(loaded(data, ENVIRON))
    assert any(key == it or key.startswith(f"{it}.") for it in names_in(warning))
    assert warning.endswith(f"; see {PAGE}")


def assert_read(key: str, value: Any, here: str, config: Config) -> None:
    if here.startswith("read as "):
        moved = value_at(config, quoted(here))
        assert moved == (f"{config.redis.host or 'redis.example.com'}:6379",) if value is True else moved == (value,)
    elif value == "":
        assert value_at(config, key) == quoted(here)
    elif key.startswith("queue."):
        assert config.sources.cloudwatch.topics
    elif key.endswith("template_path"):
        assert value_at(config, key).endswith("slack_message.tmpl")
    elif key.endswith("other_instance_urls"):
        assert {name: it.instance_url for name, it in value_at(config, key).items()} == value
    else:
        assert value_at(config, key) == value


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_of_versus_incident_does_what_the_page_says(variable):
    value, here = VARIABLES[variable]
    environ = {**ENVIRON, variable: value}

    if here.startswith("refused: "):
        assert quoted(here) in problems({}, environ)
        return
    data = file_for(variable, here)
    config = loaded(data, environ)
    if here == "not read":
        [warning] = unread_warnings(config)
        assert variable in names_in(warning)
        return
    key = quoted(here)
    if key.startswith("queue."):
        assert config.sources.cloudwatch.topics == ("arn:aws:sns:eu-west-1:123456789012:alarms",)
        return
    assert str(value_at(config, key)).lower().removesuffix(".0") == value.lower()
    assert config.origins[key].startswith(f"{variable}, ")
    if here.startswith("stands in for "):
        assert not config.origins[key].endswith("wins over the file")
        other = "7777" if variable == "REDIS_PORT" else f"{value}9"
        assert str(value_at(loaded(nested(key, other, data), environ), key)) == other
    else:
        assert config.origins[key].endswith("wins over the file")


def file_for(variable: str, here: str) -> Mapping[str, Any]:
    """What the variable needs around it: for one that wins, a file that says otherwise."""
    topic = {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:alarms"}
    if variable == "SNS_ENABLE":
        return {"queue": {"sns": {"enable": False, **topic}}}
    if variable.startswith("SNS_"):
        return {"queue": {"sns": {"enable": True, **({} if variable == "SNS_TOPIC_ARN" else topic)}}}
    if variable.startswith(("REDIS_P", "REDIS_TLS_")):
        return {"redis": {"host": "redis"}}
    key = quoted(here) if "wins over" in here else ""
    others: dict[str, Any] = {"oncall.wait_minutes": 9, "redis.db": 3}
    return nested(key, others.get(key, False), {}) if key and key != "oncall.provider" else {}


def nested(key: str, value: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    below = data.get(first) or {}
    return {**data, first: nested(rest, value, below) if rest else value}


@pytest.mark.parametrize("override", OVERRIDES)
def test_each_override_of_versus_incident_does_what_the_page_says(override):
    name, _, value = override.partition("=")
    config = model().model_validate(
        {
            "oncall": {
                "enable": True,
                "servicenow": {"other_instance_urls": {"infra": "https://infra.service-now.com"}},
            }
        }
    )

    found = read_overrides(MultiDict({name: value}), config)

    assert found.warnings == (() if OVERRIDES[override] == "read" else (quoted(OVERRIDES[override]),))


def test_the_page_has_every_name_that_the_program_knows():
    assert set(VARIABLES) == {*WINNING, *FILLING, *UNREAD}
    assert {it.partition("=")[0] for it in OVERRIDES} >= {*UNREAD_OVERRIDES}


def test_one_warning_lists_all_that_is_not_read():
    text = "{proxy: {url: x}, alert: {viber: {enable: false}}, agent: {mode: x}, redis: {read_timeout: 3}}"

    warnings = unread_warnings(parse_config(text, {"STORAGE_TYPE": "file"}))

    names = "alert.viber, agent, proxy, redis.read_timeout, STORAGE_TYPE"
    assert warnings == [f"these settings of Versus Incident are not read: {names}; see {PAGE}"]


def test_a_value_of_a_switch_that_is_neither_true_nor_false_is_said():
    assert problems({}, {"SLACK_ENABLE": "1"}) == ["alert.slack.enable: SLACK_ENABLE is '1'; must be true or false"]


def test_a_problem_with_a_value_names_the_variable_that_it_comes_from():
    [problem] = problems({}, {"ONCALL_WAIT_MINUTES": "soon"})

    assert problem.startswith("oncall.wait_minutes: is 'soon'; ")
    assert problem.endswith(" (by ONCALL_WAIT_MINUTES)")


@pytest.mark.parametrize("value", ["false", "FALSE", "0", "no", "off"])
def test_tls_to_redis_is_off_for_what_clearly_says_so_only(value):
    assert not parse_config("", {"REDIS_TLS": value}).redis.tls
    assert parse_config("", {"REDIS_TLS": f"{value}?"}).redis.tls


@pytest.mark.parametrize(
    "redis",
    [{"url": "redis://r"}, {"sentinel": {"hosts": ["s:26379"]}}, {"cluster": {"hosts": ["c:6379"]}}],
    ids=["url", "sentinel", "cluster"],
)
def test_variables_of_redis_do_not_join_another_way_to_it(redis):
    config = parse_config(
        yaml.safe_dump({"redis": redis}), {"REDIS_HOST": "r", "REDIS_PORT": "1", "REDIS_PASSWORD": "p"}
    )

    assert (config.redis.host, config.redis.port, config.redis.password.get_secret_value()) == (None, 6379, "")


@pytest.mark.parametrize("cluster", [False, "${REDIS_CLUSTER:-false}"], ids=["value", "reference"])
def test_variables_of_redis_count_where_there_is_no_cluster(cluster):
    config = parse_config(yaml.safe_dump({"redis": {"cluster": cluster}}), {"REDIS_HOST": "r", "REDIS_PASSWORD": "p"})

    assert (config.redis.host, config.redis.password.get_secret_value()) == ("r", "p")


def test_variables_of_servicenow_do_not_join_another_way_to_log_in():
    text = "oncall: {servicenow: {auth: {type: api_key, api_key: k}}}"

    assert parse_config(text, ENVIRON).oncall.servicenow.username == ""


def test_sns_needs_a_topic():
    [problem] = problems({"queue": {"sns": {"enable": True}}}, {})
    assert problem.startswith("queue.sns.topic_arn: is required with queue.sns.enable: true")

    named = {"queue": {"sns": {"enable": True}}, "sources": {"cloudwatch": {"topics": ["arn:aws:sns:eu-west-1:1:t"]}}}
    assert loaded(named, {}).sources.cloudwatch.topics == ("arn:aws:sns:eu-west-1:1:t",)


def test_a_topic_of_sns_joins_those_that_are_named_already():
    named = {
        "queue": {"sns": {"enable": True, "topic_arn": "arn:aws:sns:eu-west-1:1:theirs"}},
        "sources": {"cloudwatch": {"topics": ["arn:aws:sns:eu-west-1:1:ours"]}},
    }

    topics = loaded(named, {}).sources.cloudwatch.topics

    assert topics == ("arn:aws:sns:eu-west-1:1:ours", "arn:aws:sns:eu-west-1:1:theirs")


def test_a_dollar_without_braces_is_said_and_not_shown():
    config = parse_config("alert: {slack: {token: $SLACK_TOKEN}}", {})

    [warning] = [it for it in config.warnings() if "begins with $" in it]
    assert warning.startswith("alert.slack.token begins with $ and is taken as it is")
    assert "SLACK_TOKEN" not in warning


def test_a_lost_provider_is_the_only_problem():
    text = "oncall: {enable: true, provider: incident_io}"

    assert len(problems(yaml.safe_load(text), {})) == 1


def test_a_missing_template_of_the_usual_name_is_the_one_of_the_package(tmp_path):
    text = "alert: {slack: {enable: true, template_path: /app/config/slack_message.tmpl}}"

    config = parse_config(text, ENVIRON, folder=tmp_path)

    assert config.alert.slack.template_path == shipped(SLACK_TEMPLATE)
    assert (
        "alert.slack.template_path: no file '/app/config/slack_message.tmpl'; the template of the package is used"
        in config.warnings()
    )


def test_another_template_that_is_missing_stops_the_start(tmp_path):
    text = "alert: {slack: {enable: true, template_path: config/ours.tmpl}}"

    with pytest.raises(ConfigError, match=r"alert\.slack\.template_path: no file 'config/ours\.tmpl'"):
        parse_config(text, ENVIRON, folder=tmp_path)


def test_the_unchanged_template_of_versus_incident_is_replaced(tmp_path, monkeypatch):
    theirs = "{{- range .alerts -}}\n  *{{ .labels.alertname }}*\n{{- end -}}"
    file = tmp_path / "slack.tmpl"
    file.write_text(theirs.replace("\n", "\r\n\t"))
    digest = sha256(" ".join(theirs.split()).encode()).hexdigest()
    monkeypatch.setattr(template, "_DIGESTS", frozenset({digest}))

    config = parse_config("alert: {slack: {enable: true, template_path: slack.tmpl}}", ENVIRON, folder=tmp_path)

    assert config.alert.slack.template_path == shipped(SLACK_TEMPLATE)
    assert any("is the template of Versus Incident, unchanged" in it for it in config.warnings())


def test_files_of_tls_have_to_be_there(tmp_path):
    there = tmp_path / "key.pem"
    there.touch()
    redis = {"host": "r", "tls": True, "tls_ca_file": str(tmp_path / "ca.pem"), "tls_key_file": str(there)}

    assert problems({"redis": redis}, {}) == [
        f"redis.tls_ca_file: no file '{tmp_path / 'ca.pem'}'",
        "redis.tls_key_file: is set without redis.tls_cert_file, the certificate that it belongs to",
    ]
