"""The configuration: what loads, and how everything that is wrong is told at once."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from versus_py.config import ServiceNowConfig
from versus_py.config.slack import SIMULATED_SIGNING_SECRET
from versus_py.errors import ConfigError
from versus_py.simulators import slack as simulators_slack
from versus_py.systems import load_config, model, parse_config

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data"

ENVIRON = {
    "SLACK_TOKEN": "xoxb-very-secret",
    "SLACK_CHANNEL_ID": "C0123456789",
    "SERVICENOW_INSTANCE_URL": "https://dev12345.service-now.com/",
    "SERVICENOW_USERNAME": "versus.integration",
    "SERVICENOW_PASSWORD": "servicenow-secret",
    "SERVICENOW_OTHER_INSTANCE_URL_INFRA": "https://infra.service-now.com",
    "REDIS_HOST": "redis",
    "REDIS_PORT": "6379",
    "REDIS_PASSWORD": "redis-secret",
}


def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, environ or {})
    return list(caught.value.problems)


def test_the_configuration_of_versus_incident_loads_verbatim(monkeypatch):
    monkeypatch.chdir(ROOT)

    config = load_config(DATA / "versus_incident_config.yaml", ENVIRON)

    assert config.alert.slack.token.get_secret_value() == "xoxb-very-secret"
    assert config.alert.slack.template_path == Path("config/slack_message.tmpl")
    assert config.oncall.servicenow.instance_url == "https://dev12345.service-now.com"
    urls = {name: it.instance_url for name, it in config.oncall.servicenow.instances().items() if name}
    assert urls == {"infra": "https://infra.service-now.com"}
    assert (config.redis.host, config.redis.port) == ("redis", 6379)
    assert config.link_base == "https://your-ack-host.example"


def test_the_shipped_configuration_loads_with_and_without_redis(monkeypatch):
    monkeypatch.chdir(ROOT)

    assert not load_config(ROOT / "config" / "config.yaml", ENVIRON).redis.is_embedded
    without = {name: value for name, value in ENVIRON.items() if not name.startswith("REDIS")}
    assert load_config(ROOT / "config" / "config.yaml", without).redis.is_embedded


def test_all_keys_of_the_message_properties_and_of_on_call_load():
    config = parse_config(
        """
        alert: {slack: {message_properties: {button_text: Take it, button_style: danger, disable_button: true}}}
        oncall: {initialized_only: "false"}
        """
    )

    assert config.alert.slack.message_properties.button_text == "Take it"
    assert config.alert.slack.message_properties.disable_button


def test_a_template_is_found_beside_the_folder_of_the_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "slack_message.tmpl").write_text("x")
    (folder / "config.yaml").write_text(
        "alert: {slack: {enable: true, token: t, channel_id: C1, template_path: config/slack_message.tmpl}}"
    )

    config = load_config(folder / "config.yaml", {})

    assert config.alert.slack.template_path == folder.parent / "config" / "slack_message.tmpl"


def test_a_template_that_does_not_exist_is_told_with_where_it_was_looked_for(tmp_path):
    [problem] = problems("alert: {slack: {enable: true, token: t, channel_id: C1, template_path: none.tmpl}}")

    assert problem.startswith("alert.slack.template_path: no file 'none.tmpl'; looked for /")


def test_references_to_the_environment():
    environ = {"A": "from A", "EMPTY": ""}
    text = """
    name: "${A} ${B:-default} ${EMPTY:-used} $${A}"
    """

    assert parse_config(text, environ).name == "from A default used ${A}"


def test_an_unset_variable_means_the_default():
    config = parse_config("port: ${PORT}\nredis: {port: '${REDIS_PORT}', host: '${REDIS_HOST}'}", {})

    assert config.port == 3000
    assert config.redis.port == 6379
    assert config.redis.is_embedded


def test_flags_and_numbers_may_come_as_text():
    text = "port: ${PORT}\nalert: {debug_body: '${DEBUG}'}\noncall: {wait_minutes: '${WAIT}'}"

    config = parse_config(text, {"PORT": "8080", "DEBUG": "true", "WAIT": "2.5"})

    assert (config.port, config.alert.debug_body, config.oncall.wait_minutes) == (8080, True, 2.5)


def test_a_password_that_looks_like_a_number_stays_as_it_is():
    config = parse_config("redis: {host: r, password: '${P}'}\ngateway_secret: '0123'", {"P": "0123"})

    assert config.redis.password.get_secret_value() == "0123"
    assert config.gateway_secret.get_secret_value() == "0123"


@pytest.mark.parametrize("written", ["0123", "1.10", "12345"])
def test_a_password_that_yaml_reads_as_a_number_is_refused_and_not_shown(written):
    [problem] = problems(f"gateway_secret: {written}")

    assert problem == "gateway_secret: must be text: put it in quotes"


@pytest.mark.parametrize("key", ["port", "retention_days", "max_body_bytes"])
def test_a_boolean_is_no_number(key):
    assert problems(f"{key}: yes") == [f"{key}: is True; must be a number"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("public_host: 'https://h:abc'", "public_host"),
        ("public_host: 'https://a b c'", "public_host"),
        ("redis: {url: 'redis://:pa/s3cret@host'}", "redis.url"),
        ("redis: {url: 'redis://host/x'}", "redis.url"),
        ("redis: {url: 'redis://host/0?password=s3cret'}", "redis.url"),
        ("redis: {url: 'redis://host', password: s3cret}", "redis.url"),
        (
            "oncall: {enable: true, servicenow: {instance_url: 'https://x', username: 'a:b', password: s3cret}}",
            "oncall.servicenow.username",
        ),
    ],
)
def test_what_would_only_fail_later_is_refused(text, key):
    [problem] = problems(text)

    assert problem.startswith(f"{key}: ")
    assert "s3cret" not in problem


@pytest.mark.parametrize("text", ['password: "s3cret\nx: y', "a: &a [*a]", "a: \0", "gateway_secret: {{ s3cret }}"])
def test_what_cannot_be_read_is_a_problem_that_shows_no_line_of_it(text):
    assert "s3cret" not in " ".join(problems(text))


def test_secrets_come_from_files(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("from file\n")

    config = parse_config(f"redis: {{host: r, password: '${{file:{secret}}}'}}", {})

    assert config.redis.password.get_secret_value() == "from file"


def test_a_file_that_cannot_be_read_is_a_problem():
    [problem] = problems("gateway_secret: ${file:/nowhere/secret}")

    assert problem == "gateway_secret: cannot read /nowhere/secret: No such file or directory"


def test_a_reference_that_is_none_is_a_problem():
    assert "is no reference" in problems("name: ${not a name}")[0]


def test_all_problems_are_told_at_once():
    found = problems(
        """
        prot: 3000
        port: 99999
        port: 1
        alert:
          slack: {enable: maybe, tokn: x, message_properties: {button_style: purple}}
        oncall:
          enable: true
          wait_minutes: -3
          servicenow: {instance_url: "http://dev.service-now.com", table: "no table", username: u}
        redis: {url: "http://x", host: y}
        log: {level: loud}
        gateway_secret: ${file:/nowhere}
        """
    )

    text = "\n".join(found)
    for said in (
        "port: stands twice in one mapping, the second time in line 4",
        "prot: is not a known key; did you mean 'port'?",
        "alert.slack.enable: is 'maybe'",
        "alert.slack.tokn: is not a known key; did you mean 'token'?",
        "alert.slack.message_properties.button_style: is 'purple'; input should be 'primary', 'danger' or 'default'",
        "oncall.wait_minutes: is -3; input should be greater than or equal to 0",
        "oncall.servicenow.table: is 'no table'",
        "oncall.servicenow.instance_url: is 'http://dev.service-now.com'; allowed is https://",
        "oncall.servicenow.password: is required when oncall.enable",
        "redis.url: must start with redis://",
        "log.level: is 'loud'; input should be 'debug', 'info', 'warning' or 'error'",
        "gateway_secret: cannot read /nowhere",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "alert: {slack: {routes: [{matchers: [a=b]}, {matchers: [a=b], chanel_id: C1}]}}",
            "alert.slack.routes.1.chanel_id: is not a known key; did you mean 'channel_id'?",
        ),
        (
            "alert: {slack: {routes: [{matchers: [a=b], whither: C1}]}}",
            (
                "alert.slack.routes.0.whither: is not a known key; "
                "known here are channel_id, matchers, mention, wait_minutes"
            ),
        ),
        (
            "oncall: {servicenow: {other_instance_urls: {db: {usrname: u}}}}",
            "oncall.servicenow.other_instance_urls.db.usrname: is not a known key; did you mean 'username'?",
        ),
        (
            "oncall: {servicenow: {other_instance_urls: {db: {auth: {tipe: basic}}}}}",
            "oncall.servicenow.other_instance_urls.db.auth.tipe: is not a known key; did you mean 'type'?",
        ),
    ],
)
def test_a_key_that_is_not_known_in_a_list_or_a_mapping_is_told_with_those_that_are(text, said):
    assert problems(text) == [said]


@pytest.mark.parametrize(
    "text",
    [
        "alert: {slack: {token: [s3cret]}}",
        "gateway_secret: {a: s3cret}",
        "redis: {password: [s3cret]}",
        "redis: {url: 'http://:s3cret@x'}",
        "oncall: {servicenow: {password: {x: s3cret}}}",
        "ack: {signing_key: [s3cret]}",
        "alert: {slack: {tokn: s3cret}}",
        "redis: s3cret",
        "redis: redis://:s3cret@host",
        "oncall: {servicenow: {instance_url: 'https://u:s3cret@x.example'}}",
    ],
)
def test_no_problem_shows_a_secret(text):
    assert "s3cret" not in " ".join(problems(text))


def test_no_representation_shows_a_secret():
    config = load_config(DATA / "versus_incident_config.yaml", ENVIRON | {"REDIS_HOST": ""})
    with_url = parse_config("redis: {url: 'redis://u:redis-secret@h/0'}")
    shown = f"{config!r} {config} {config.masked()} {with_url!r} {with_url.masked()}"

    for key in ("gateway_secret", "client_secret", "signing_secret"):
        shown = shown.replace(key, "")
    assert "secret" not in shown
    assert with_url.masked()["redis"]["url"] == "redis://u:**********@h/0"


def test_every_secret_is_known_to_the_log():
    config = parse_config(
        "gateway_secret: s1\nack: {signing_key: s2}\nredis: {url: 'redis://:s3@h'}\n"
        "alert: {slack: {token: s4}}\noncall: {servicenow: {password: s5}}"
    )

    assert set(config.secrets()) == {"s1", "s2", "s3", "s4", "s5"}


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        pytest.param("http://am:9093/", ("http://am:9093",), id="one"),
        pytest.param(
            "'http://am-0:9093, http://am-1:9093/prefix,'", ("http://am-0:9093", "http://am-1:9093/prefix"), id="commas"
        ),
        pytest.param("[http://am-0:9093, http://am-1:9093]", ("http://am-0:9093", "http://am-1:9093"), id="a list"),
        pytest.param("'http://am:9093,http://am:9093/'", ("http://am:9093",), id="one twice"),
        pytest.param("${BOTH}", ("http://am-0:9093", "http://am-1:9093"), id="a variable"),
        pytest.param("[http://am:9093, '${UNSET}']", ("http://am:9093",), id="a variable in a list that is not set"),
        pytest.param("${UNSET}", (), id="a variable that is not set"),
        pytest.param("[]", (), id="none"),
    ],
)
def test_alertmanagers_are_one_url_or_several(value, urls):
    text = f"alertmanager:\n  url: {value}"

    config = parse_config(text, {"BOTH": "http://am-0:9093,http://am-1:9093"})

    assert config.alertmanager.urls == urls
    assert config.masked()["alertmanager"]["url"] == list(urls)
    jsonschema.validate(yaml.safe_load(text), model().json_schema())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("'http://am-0:9093,am-1:9093'", "alertmanager.url.1: is 'am-1:9093'; must be a URL that starts with"),
        ("[http://am-0:9093, ftp://am-1]", "alertmanager.url.1: is 'ftp://am-1'; must be a URL that starts with"),
        ("[http://am-0:9093, 'http://u:s3cret@am-1']", "alertmanager.url.1: must not carry credentials"),
        ("[http://am-0:9093, 5]", "alertmanager.url.1: is 5; must be a URL that starts with"),
        ("5", "alertmanager.url: is 5; must be a URL, several with commas between them, or a list"),
        ("{a: b}", "alertmanager.url: is a mapping; must be a URL, several with commas between them, or a list"),
        ("'http://${UNSET}:9093'", "(${UNSET} is not set)"),
    ],
)
def test_of_several_alertmanagers_the_wrong_one_is_named(value, problem):
    [found] = problems(f"alertmanager: {{url: {value}}}")

    assert problem in found
    assert "s3cret" not in found


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_http_to_this_machine_is_allowed(host):
    text = f"oncall: {{enable: true, servicenow: {{instance_url: 'http://{host}:8080', username: u, password: p}}}}"

    assert parse_config(text).oncall.servicenow.instance_url == f"http://{host}:8080"


def test_http_elsewhere_takes_an_explicit_word():
    servicenow = "instance_url: 'http://sim:8080', username: u, password: p"

    assert "send the credentials in the clear" in problems(f"oncall: {{enable: true, servicenow: {{{servicenow}}}}}")[0]
    assert parse_config(f"oncall: {{enable: true, servicenow: {{{servicenow}, allow_insecure_http: true}}}}")


def test_what_is_not_enabled_need_not_be_complete():
    config = parse_config("alert: {slack: {enable: false}}\noncall: {enable: false}")

    assert list(config.warnings()) == [
        "alert.slack.enable is false: nobody is told about an incident before it escalates",
        "oncall.enable is false: no on-call provider is ever called",
        "intake.tokens is not set: whoever reaches this server's port may post alerts, and resolve them",
    ]


def test_whom_nobody_else_reaches_needs_no_tokens():
    assert not any("intake" in warning for warning in parse_config("host: 127.0.0.1").warnings())


def test_whom_a_proxy_on_this_machine_passes_on_to_is_reached_by_others_too():
    config = parse_config("host: 127.0.0.1\npublic_host: https://versus.example.com")

    assert any(warning.startswith("intake.tokens is not set") for warning in config.warnings())


SENDERS = """
intake:
  tokens:
    - {name: ops, token: "${OPS}", previous_tokens: ["${OLD_OPS}", "old-token-0123456789"]}
    - {name: apps, token: apps-token-0123456789, sources: [grafana], overrides: {oncall: false}}
"""


def test_senders_come_from_the_environment_and_a_token_that_is_not_set_is_none():
    config = parse_config(SENDERS, {"OPS": "ops-token-0123456789"})

    assert [[token for _, token in it.accepted()] for it in config.intake.tokens] == [
        ["ops-token-0123456789", "old-token-0123456789"],
        ["apps-token-0123456789"],
    ]
    assert not any("intake" in warning for warning in config.warnings())


def test_tokens_are_kept_out_of_logs_and_out_of_what_is_printed():
    config = parse_config(SENDERS, {"OPS": "ops-token-0123456789"})

    assert {"ops-token-0123456789", "old-token-0123456789", "apps-token-0123456789"} <= set(config.secrets())
    assert "-token-" not in str(config.masked())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{name: a}", "intake.tokens.0.token: is required"),
        ("{name: a, token: '${UNSET}'}", "(${UNSET} is not set)"),
        ("{name: a, token: ' '}", "intake.tokens.0.token: is blank"),
        ("{name: a, token: 12345}", "intake.tokens.0.token: must be text"),
        ("{token: t-0123}", "intake.tokens.0.name: is required"),
        ("{name: 'a:b', token: t-0123}", "intake.tokens.0.name: is 'a:b'; must be a name without a colon"),
        ("{name: a, token: t-0123, sources: [nagios]}", "intake.tokens.0.sources.0: is 'nagios'"),
        ("{name: a, token: t-0123, sources: []}", "must name a source"),
        ("{name: a, token: t-0123}, {name: a, token: t-4567}", "intake.tokens.1.name: is 'a', as that of another"),
        ("{name: a, token: t-0123}, {name: b, token: t-0123}", "intake.tokens.1.token: is another sender's too"),
        (
            "{name: a, token: t-0123}, {name: b, token: t-4567, previous_tokens: [x, t-0123]}",
            "intake.tokens.1.previous_tokens.1: is another sender's too",
        ),
        ("{name: a, token: t-0123, overrides: {instances: [infra]}}", "'infra' is not known; allowed: none, as none"),
        (
            "{name: a, token: t-0123, overrides: {min_wait_minutes: 5, max_wait_minutes: 3}}",
            "intake.tokens.0.overrides.min_wait_minutes: is more than max_wait_minutes",
        ),
    ],
)
def test_what_is_wrong_with_a_sender_is_told_without_its_token(written, said):
    [problem] = problems(f"intake: {{tokens: [{written}]}}")

    assert said in problem
    assert "t-0123" not in problem


def test_secrets_that_are_being_replaced_are_kept_out_of_logs_too():
    old = "previous_gateway_secrets: ['${OLD}', old-secret]\nack: {previous_signing_keys: [old-key]}"

    config = parse_config(f"gateway_secret: new-secret\n{old}")

    assert set(config.secrets()) == {"new-secret", "old-secret", "old-key"}


def test_an_old_secret_without_a_new_one_is_a_problem():
    assert problems("previous_gateway_secrets: [old]") == [
        "previous_gateway_secrets: is set without gateway_secret, the one that counts from now on"
    ]


def test_a_token_that_can_be_guessed_is_a_warning():
    config = parse_config("intake: {tokens: [{name: a, token: short}]}")

    assert any("intake.tokens.0.token has fewer than 16 characters" in warning for warning in config.warnings())


@pytest.mark.parametrize(
    ("sources", "is_told"), [("sources: [grafana]", True), ("sources: [grafana, pagerduty]", False), ("", False)]
)
def test_a_token_that_may_acknowledge_and_cannot_is_a_warning(sources, is_told):
    token = f"{{name: a, token: 0123456789abcdef, acknowledge: true, {sources}}}"

    warnings = parse_config(f"intake: {{tokens: [{token}]}}").warnings()

    assert any("intake.tokens.0.acknowledge has no effect" in warning for warning in warnings) is is_told


@pytest.mark.parametrize("key", ["gateway_secret: {}", "ack: {{signing_key: {}}}"])
def test_a_secret_that_can_be_guessed_is_a_warning_and_a_blank_one_is_none(key):
    short, long, blank = (key.format(repr(secret)) for secret in ("abc", "a" * 16, "   "))

    assert any("fewer than 16 characters" in warning for warning in parse_config(short).warnings())
    assert not any("fewer than 16 characters" in warning for warning in parse_config(long).warnings())
    assert [problem.partition(": ")[2] for problem in problems(blank)] == ["is blank"]


@pytest.mark.parametrize("host", ["redis://:s3cret@a:1", "user:s3cret@a", "127.0.0.1:6379", "a b", "[::1]"])
def test_what_is_no_host_of_redis_is_told_without_what_may_be_secret_in_it(host):
    [problem] = problems(f"redis: {{host: '{host}'}}")

    assert "must be a host's name or address alone" in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize("host", ["redis", "redis-1.example.org", "10.0.0.1", "::1", "fe80::1%eth0"])
def test_hosts_of_redis(host):
    assert parse_config(f"redis: {{host: '{host}'}}").redis.host == host


def test_replicas_that_nobody_waits_for_are_a_warning():
    warnings = list(parse_config("redis: {host: r, replicas: 2}").warnings())

    assert "redis.replicas has no effect without redis.durability: replicated" in warnings


@pytest.mark.parametrize("text", ["oncall: true", "alert: {slack: 1}", "oncall: {servicenow: {fields: x}}"])
def test_what_is_no_mapping_is_told_so(text):
    assert [problem for problem in problems(text) if "must be a mapping" in problem]


def test_what_is_no_mapping_is_told_with_the_first_keys_of_one():
    assert problems("alert: {slack: xoxb-1}") == [
        "alert.slack: must be a mapping with keys such as enable, token, channel_id"
    ]


def test_retrying_longer_than_things_are_kept_is_a_problem():
    assert "longer than retention_days" in problems("retention_days: 1\noncall: {retry_for_hours: 25}")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "holds a list"),
        ("just text", "holds a str"),
        ("a: [", "this is not YAML"),
        ("a: b: c", "this is not YAML"),
        ("? [a]\n: b", "not YAML"),
    ],
)
def test_a_file_that_is_no_mapping_is_one_problem(text, said):
    [problem] = problems(text)

    assert said in problem


def test_an_empty_file_is_all_defaults():
    assert parse_config("") == model()()


def test_a_file_that_is_missing_is_one_problem(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(tmp_path / "none.yaml", {})


@pytest.mark.parametrize("word", ["redis", "Slack", "servicenow", "alertmanager", "password", "public_host"])
def test_a_secret_that_is_a_name_of_the_configuration_is_not_kept_out_of_what_is_said_about_it(word):
    config = parse_config(f"redis: {{host: r, password: {word}}}\ngateway_secret: 0123456789abcdeX")

    assert list(config.secrets()) == ["0123456789abcdeX"]


@pytest.mark.parametrize(
    ("text", "is_generated"),
    [
        ("public_host: https://versus.example.com", True),
        ("public_host: http://10.0.0.7:3000/versus", True),
        ("host: 10.0.0.7", True),
        ("host: fd00::7", True),
        ("public_host: https://versus.example.com\ngateway_secret: 0123456789abcdeX", False),
        ("public_host: http://localhost:3000", False),
        ("public_host: http://127.0.0.1", False),
        ("public_host: 'http://[::1]:3000'", False),
        ("host: 127.0.0.1", False),
        ("host: '::1'", False),
        ("host: 0.0.0.0", False),
    ],
)
def test_the_api_takes_a_generated_secret_where_people_come_from_elsewhere_and_none_is_set(text, is_generated):
    config = parse_config(text)

    assert config.generates_gateway_secret == is_generated
    assert any("`versus gateway-secret` shows" in warning for warning in config.warnings()) == is_generated


def test_warnings_name_what_is_hardly_meant():
    config = parse_config(
        "alert: {slack: {enable: true, token: t, channel_id: C1}}\n"
        "oncall: {enable: true, servicenow: {instance_url: 'https://x.example', username: u, password: p}}\n"
        "redis: {url: 'rediss://h', insecure_skip_verify: true}"
    )

    warnings = list(config.warnings())

    assert any("public_host" in warning and "http://localhost:3000" in warning for warning in warnings)
    assert any("insecure_skip_verify" in warning for warning in warnings)


def test_what_has_colons_is_text_as_it_is_written_and_a_number_is_no_time():
    """To YAML 1.1, 10:30 is 630, so that 9 looked like 00:09."""
    written = "snooze: {until: [10:30, 09:00]}, app_token: 12:34:56"

    found = parse_config(f"alert: {{slack: {{{written}}}}}").alert.slack

    assert found.snooze.until == ("10:30", "09:00")
    assert found.app_token.get_secret_value() == "12:34:56"
    [problem] = problems("alert: {slack: {snooze: {until: [9]}}}")
    assert problem.startswith("alert.slack.snooze.until.0: is 9; must be a time of day")


@pytest.mark.parametrize(
    ("slack", "said"),
    [
        (
            "allowed_users: [U0ANA, ana]",
            "allowed_users.1: is 'ana'; must be a user's id, such as U0123456789, and not a name",
        ),
        (
            "allowed_users: [U0123456789x]",
            "allowed_users.0: is 'U0123456789x'; must be a user's id, such as U0123456789, and not a name",
        ),
        (
            "allowed_groups: [oncall]",
            "allowed_groups.0: is 'oncall'; must be a user group's id, such as S0123456789, and not a name",
        ),
        (
            'snooze: {until: ["25:00"]}',
            "snooze.until.0: is '25:00'; must be a time of day from 00:00 to 23:59, such as \"09:00\"",
        ),
        (
            "snooze: {until: [25:00]}",
            "snooze.until.0: is '25:00'; must be a time of day from 00:00 to 23:59, such as \"09:00\"",
        ),
    ],
)
def test_what_is_no_id_and_no_time_of_day_is_told_in_words_with_an_example(slack, said):
    assert problems(f"alert: {{slack: {{{slack}}}}}") == [f"alert.slack.{said}"]


@pytest.mark.parametrize(
    "slack", [{"allowed_users": ["ana"]}, {"allowed_groups": ["U0ANA"]}, {"snooze": {"until": ["25:00"]}}]
)
def test_the_schema_refuses_what_is_no_id_and_no_time_of_day(slack):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"alert": {"slack": slack}}, model().json_schema())


SIGNING_SECRET = "0123456789abcdef" * 2
SIMULATED = SIMULATED_SIGNING_SECRET


def warned(public_host="https://versus.example.com", **slack):
    """The warnings of a configuration that has none but for what is under test."""
    complete = {"enable": True, "token": "xoxb-1", "channel_id": "C1"}
    config = model().model_validate(
        {
            "host": "127.0.0.1",
            "public_host": public_host,
            "gateway_secret": "0123456789abcdef",
            "intake": {"tokens": [{"name": "ops", "token": "ops-token-0123456789"}]},
            "alert": {"slack": complete | slack},
        }
    )
    beside = ("oncall.enable is false", f"public_host is {public_host}: the web UI's sign-in")
    return [warning for warning in config.warnings() if not warning.startswith(beside)]


@pytest.mark.parametrize(
    "settings",
    [
        {"signing_secret": SIGNING_SECRET},
        {"signing_secret": SIGNING_SECRET, "public_host": "http://localhost:3000"},
        {"signing_secret": SIGNING_SECRET, "public_host": "http://127.0.0.1:3000"},
        {"signing_secret": SIMULATED, "api_url": "http://127.0.0.1:8081/api", "public_host": None},
        {"signing_secret": SIMULATED, "api_url": "http://localhost:8081/api", "public_host": "http://127.0.0.1:3000"},
        {"app_token": "xapp-1", "public_host": None},
        {"app_token": "xapp-1", "public_host": "http://versus.example.com"},
        {"public_host": "http://versus.example.com"},
        {"mention": {"critical": "<!here>", "P1": "<!here>", "unknown": "<!here>"}},
    ],
)
def test_what_works_with_slack_is_not_warned_about(settings):
    assert warned(**settings) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"signing_secret": SIGNING_SECRET, "public_host": "http://versus.example.com"},
            (
                "public_host is http://versus.example.com, but alert.slack.signing_secret is set: "
                "Slack sends to https:// only"
            ),
        ),
        (
            {"signing_secret": SIGNING_SECRET, "public_host": None},
            "public_host is not set, but alert.slack.signing_secret is: Slack has to reach this server",
        ),
        (
            {"signing_secret": SIGNING_SECRET, "app_token": "xapp-1", "public_host": None},
            (
                "alert.slack.signing_secret and app_token are both set: "
                "Slack uses Socket Mode then, and sends no requests; set one of them"
            ),
        ),
        (
            {"mention": {"critical": "<!here>", "critcal": "<!here>"}},
            (
                "alert.slack.mention.critcal is no severity that is known here: "
                "it counts only for alerts that are sent with exactly that; severity_map can name one that it counts as"
            ),
        ),
    ],
    ids=["http", "no address", "both ways", "no severity"],
)
def test_settings_of_slack_that_hardly_work_are_warned_about(settings, said):
    assert warned(**settings) == [said]


def test_the_secret_of_the_simulator_is_warned_about_where_slack_is_no_simulator():
    warnings = warned(signing_secret=SIMULATED, public_host=None)

    assert [it.partition(":")[0] for it in warnings] == [
        "alert.slack.signing_secret does not look like one, which has 32 digits, 0 to 9 and a to f",
        "public_host is not set, but alert.slack.signing_secret is",
    ]
    assert warned(signing_secret="another", api_url="http://127.0.0.1:8081/api")
    assert SIMULATED == simulators_slack.SIGNING_SECRET


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("xapp-1-A1-2-3", "alert.slack.signing_secret starts with xapp-, as tokens do"),
        ("xoxb-1-2-3", "alert.slack.signing_secret starts with xoxb-, as tokens do"),
        ("s3cret", "alert.slack.signing_secret does not look like one"),
        (f"{SIGNING_SECRET} ", "alert.slack.signing_secret does not look like one"),
        (SIGNING_SECRET.upper(), "alert.slack.signing_secret does not look like one"),
    ],
)
def test_a_signing_secret_that_looks_like_something_else_is_warned_about_and_not_shown(secret, said):
    [warning] = warned(signing_secret=secret)

    assert warning.startswith(said)
    assert secret not in warning


ROUTES = """
alert:
  slack:
    enable: true
    token: xoxb-1
    channel_id: C1
    routes:
"""


def test_a_route_is_read_with_its_matchers():
    config = parse_config(
        ROUTES
        + """
    - matchers: [team = db, 'severity=~"critical|error"']
      channel_id: C0DB
    - matchers: ['{team="web", env!="test"}']
      wait_minutes: 0
    """
    )

    db, web = config.alert.slack.routes
    assert db.matches({"team": "db", "severity": "error"})
    assert not db.matches({"team": "db"})
    assert web.matches({"team": "web"})
    assert not web.matches({"team": "web", "env": "test"})
    assert list(config.alert.slack.warnings(config)) == []


@pytest.mark.parametrize(
    ("matchers", "said"),
    [
        ("['a=b', 'team~db']", "alert.slack.routes.0.matchers.1: is 'team~db'; 'team~db' is no matcher"),
        ("['{a=b, c}']", "alert.slack.routes.0.matchers.0: is '{a=b, c}'; 'c' is no matcher"),
        ("['']", "alert.slack.routes.0.matchers.0: is ''; must hold a matcher"),
        ("['{}']", "alert.slack.routes.0.matchers.0: is '{}'; must hold a matcher"),
        ("[]", "alert.slack.routes.0.matchers: is a list; must have at least one matcher in it"),
        ("a=b", "alert.slack.routes.0.matchers: is 'a=b'; must be a list"),
    ],
)
def test_a_matcher_that_cannot_be_read_is_the_only_problem(matchers, said):
    [problem] = problems(f"{ROUTES}    - {{channel_id: C0DB, matchers: {matchers}}}")

    assert problem.startswith(said)


@pytest.mark.parametrize("mention", ["ana", "[x]"])
def test_a_mistaken_mention_of_a_route_is_one_problem_that_names_the_key_alone(mention):
    [problem] = problems(f"{ROUTES}    - {{channel_id: C0DB, matchers: [a=b], mention: {mention}}}")

    assert problem.startswith("alert.slack.routes.0.mention: is ")


def test_an_empty_mention_of_a_route_is_none_of_its_own():
    route = {"matchers": ["a=b"], "mention": ""}

    assert model().model_validate({"alert": {"slack": {"routes": [route]}}}).alert.slack.routes[0].mention == ""


def test_routes_that_are_hardly_meant_are_warned_about():
    config = parse_config(
        ROUTES
        + """
    - {matchers: [a=b], channel_id: C0DB}
    - {matchers: [a=c], channel_id: '#db'}
    - {matchers: [a=d]}
    - {matchers: [a=e], wait_minutes: 0}
    """
    )

    assert list(config.alert.slack.warnings(config)) == [
        "alert.slack.routes.1.channel_id does not look like an id, such as C0123456789; a name may not work",
        "alert.slack.routes.2 changes nothing: it has no channel_id, no mention and no wait_minutes",
    ]


def test_the_schema_accepts_the_shipped_configuration_and_refuses_a_typo(monkeypatch):
    schema = model().json_schema()
    data = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())

    jsonschema.validate(data, schema)
    jsonschema.validate(yaml.safe_load((DATA / "versus_incident_config.yaml").read_text()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data | {"port": "many"}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data | {"prot": 1}, schema)


SERVICENOW_URL = "https://dev1.service-now.com"


def servicenow_config(**servicenow):
    """A configuration that is complete but for what is under test."""
    return yaml.safe_dump(
        {
            "alert": {"slack": {"enable": True, "token": "xoxb-1", "channel_id": "C1"}},
            "oncall": {"enable": True, "servicenow": {"instance_url": SERVICENOW_URL} | servicenow},
        }
    )


BASIC = {"username": "u", "password": "p"}


@pytest.mark.parametrize(
    ("servicenow", "missing"),
    [
        ({}, ["username", "password"]),
        ({"auth": {"type": "oauth_password"}}, ["username", "password", "auth.client_id", "auth.client_secret"]),
        ({"auth": {"type": "oauth_client_credentials"}}, ["auth.client_id", "auth.client_secret"]),
        ({"auth": {"type": "api_key"}}, ["auth.api_key"]),
        ({"auth": {"type": "api_key", "api_key": "k"}}, []),
        ({**BASIC, "ca_file": "/nowhere/ca.pem"}, ["ca_file"]),
        ({**BASIC, "client_key": str(ROOT / "README.md")}, ["client_certificate"]),
        (
            {**BASIC, "other_instance_urls": {"db": {"auth": {"type": "api_key"}}}},
            ["other_instance_urls.db.auth.api_key"],
        ),
        ({"other_instance_urls": {"db": "https://db.example"}}, ["username", "password"]),
    ],
)
def test_each_way_to_log_in_says_what_it_needs(servicenow, missing):
    try:
        parse_config(servicenow_config(**servicenow))
        problems = []
    except ConfigError as exc:
        problems = [problem.partition(":")[0].removeprefix("oncall.servicenow.") for problem in exc.problems]

    assert problems == missing


@pytest.mark.parametrize(
    ("servicenow", "said"),
    [
        ({"fields": {"short_description": "{{ incident.title"}}, "must be a Jinja2 template; line 1"),
        ({"fields": {"correlation_id": "x"}}, "must be another column"),
        ({"fields": {"sys_created_by": "x"}}, "must be another column"),
        ({"fields": {"Short Description": "x"}}, "must be the name of a column"),
        ({"references": {"caller_id": "sys_user"}}, "pattern"),
        ({"states": {"new": "1^ORstate=2"}}, "pattern"),
        ({"auth": {"type": "oauth"}}, "'basic', 'oauth_password'"),
        ({"proxy": "socks5://h:1"}, "HTTP proxy"),
        ({"timeout_seconds": 90}, "less than or equal to 40"),
    ],
)
def test_a_mistake_in_how_records_are_written_is_told_at_once(servicenow, said):
    with pytest.raises(ConfigError) as caught:
        parse_config(servicenow_config(**BASIC, **servicenow))

    assert said in str(caught.value)


def test_yamls_numbers_and_flags_are_taken_as_servicenow_writes_them():
    config = parse_config(servicenow_config(**BASIC, fields={"impact": 1, "u_auto": True}, states={"open": [3, 18]}))

    assert config.oncall.servicenow.fields == {"impact": "1", "u_auto": "true"}
    assert config.oncall.servicenow.states.open == ("3", "18")


def test_another_instance_is_like_the_default_one_where_it_says_nothing():
    config = parse_config(
        servicenow_config(
            **BASIC,
            fields={"category": "software"},
            other_instance_urls={
                "infra": "https://infra.example/",
                "db": {"instance_url": "https://db.example", "table": "u_alert", "fields": {"u_x": "y"}},
            },
        )
    )

    instances = config.oncall.servicenow.instances()
    urls = {name: it.instance_url for name, it in instances.items()}
    assert urls == {None: SERVICENOW_URL, "infra": "https://infra.example", "db": "https://db.example"}
    assert instances["infra"].fields == {"category": "software"}
    assert (instances["db"].table, instances["db"].fields) == ("u_alert", {"u_x": "y"})
    assert {it.username for it in instances.values()} == {"u"}


def test_browsers_reach_an_instance_at_its_public_url_if_it_has_one():
    config = parse_config(
        servicenow_config(
            **BASIC,
            public_url="https://tickets.example/",
            other_instance_urls={
                "infra": "https://infra.example",
                "db": {"instance_url": "https://db.example", "public_url": "https://tickets-db.example"},
                "alerts": {"table": "u_alert"},
            },
        )
    )

    assert {name: it.browser_url for name, it in config.oncall.servicenow.instances().items()} == {
        None: "https://tickets.example",
        "infra": "https://infra.example",
        "db": "https://tickets-db.example",
        "alerts": "https://tickets.example",
    }


def test_an_instance_that_says_nothing_but_a_public_url_is_none():
    text = servicenow_config(
        **BASIC, other_instance_urls={"infra": {"instance_url": "${INFRA}", "public_url": "${INFRA_PUBLIC:-http://x}"}}
    )

    assert parse_config(text).oncall.servicenow.other_instance_urls == {}
    assert parse_config(text, {"INFRA": "https://infra.example"}).oncall.servicenow.other_instance_urls.keys() == {
        "infra"
    }


def test_a_public_url_of_this_machine_for_an_instance_elsewhere_is_warned_about():
    config = parse_config(servicenow_config(**BASIC, public_url="http://localhost:8082"))

    assert (
        f"oncall.servicenow.public_url is http://localhost:8082, but instance_url is {SERVICENOW_URL}: links to "
        "records lead to the machine of whoever opens them; leave public_url out"
    ) in list(config.warnings())


@pytest.mark.parametrize(
    "own", [{"username": "o", "password": "q"}, {"auth": {"type": "api_key", "api_key": "k"}}], ids=["user", "key"]
)
def test_an_instance_with_credentials_of_its_own_gets_none_of_the_others(own):
    config = parse_config(
        servicenow_config(**BASIC, other_instance_urls={"db": {"instance_url": "https://db.example", **own}})
    )

    found = config.oncall.servicenow.instances()["db"]
    assert found.password.get_secret_value() != "p"
    assert found.username == own.get("username", "")


def test_secrets_are_found_wherever_they_stand():
    config = parse_config(
        servicenow_config(
            username="u",
            password="secret-one",
            auth={"client_secret": "secret-two", "api_key": "secret-three"},
            proxy="http://u:secret-four@proxy:8080",
            other_instance_urls={
                "db": {"instance_url": "https://db.example", "username": "u", "password": "secret-five"}
            },
        )
        + "alertmanager: {auth: {bearer_token: secret-six, password: secret-seven}}\n"
        + "sources: {sentry: {client_secret: secret-eight}}\n"
    )

    shown = f"{config!r} {config.masked()}"
    for number in ("one", "two", "three", "four", "five", "six", "seven", "eight"):
        assert f"secret-{number}" in set(config.secrets())
        assert f"secret-{number}" not in shown


def test_settings_that_hardly_go_together_are_warned_about():
    config = parse_config(servicenow_config(**BASIC, on_update="fields", fields={"priority": "1"}))

    warnings = " ".join(config.warnings())
    assert "update_fields is empty" in warnings
    assert "priority is computed" in warnings


@pytest.mark.parametrize("secret", ["abc://12345", "x://[y", "user:pass@host"])
def test_a_secret_that_looks_like_a_url_is_hidden_whole(secret):
    config = model().model_validate({"gateway_secret": secret})

    assert list(config.secrets()) == [secret]


def test_a_client_certificate_belongs_to_the_credentials():
    config = model().model_validate(
        {
            "oncall": {
                "servicenow": {
                    "client_certificate": "/x/cert.pem",
                    "client_key": "/x/key.pem",
                    "states": {"new": "10", "resolved": "60"},
                    "other_instance_urls": {
                        "b": {"username": "v", "password": "q", "states": {"resolved": "70"}},
                        "c": {"client_certificate": "/y/both.pem"},
                    },
                }
            }
        }
    )

    instances = config.oncall.servicenow.instances()
    assert (instances["b"].client_certificate, instances["c"].client_key) == (None, None)
    assert (instances["b"].states.new, instances["b"].states.resolved) == ("10", "70")


def test_a_value_that_is_missing_because_a_variable_is_not_set_names_it():
    with pytest.raises(ConfigError) as caught:
        parse_config("alert: {slack: {enable: true, token: '${SLACK_TOKEN}', channel_id: '${CHANNEL:-}'}}", {})

    token, channel = caught.value.problems
    assert token.endswith("it starts with xoxb- (${SLACK_TOKEN} is not set)")
    assert "is not set" not in channel


def test_the_whole_address_of_the_heartbeat_is_a_secret():
    config = model().model_validate({"heartbeat": {"url": "https://hc.example/ping/secret-id"}})

    assert "https://hc.example/ping/secret-id" in set(config.secrets())
    assert "secret-id" not in str(config.masked())


@pytest.mark.parametrize("url", ["ftp://hc.example/secret-id", "secret-id", "http://"])
def test_a_heartbeat_goes_to_a_web_address(url):
    [problem] = problems(f"heartbeat: {{url: '{url}'}}")

    assert problem == "heartbeat.url: must be a URL that starts with https:// or http://"


ONCALL_WITH_FALLBACK = """
alert: {slack: {enable: %s, token: xoxb-1, channel_id: C0ALERTS}}
oncall:
  enable: true
  fallback: %s
  servicenow:
    instance_url: https://a.example
    username: u
    password: p
    other_instance_urls: {infra: https://b.example}
"""


@pytest.mark.parametrize(
    ("fallback", "slack", "said"),
    [
        (
            "{servicenow_other_instance: app}",
            "true",
            "servicenow_other_instance: is 'app'; other_instance_urls has infra",
        ),
        ("{servicenow_other_instance: infra, slack_channel_id: C1}", "true", "slack_channel_id: is set together with"),
        ("{slack_channel_id: C1}", "false", "slack_channel_id: needs alert.slack.enable"),
        ("{slack_channel_id: C0ALERTS}", "true", "slack_channel_id: is alert.slack.channel_id"),
        ('{servicenow_other_instance: infra, mention: "<!here>"}', "true", "mention: needs oncall.fallback.slack"),
    ],
)
def test_a_fallback_that_would_be_none_is_a_problem(fallback, slack, said):
    [problem] = problems(ONCALL_WITH_FALLBACK % (slack, fallback))

    assert problem.startswith(f"oncall.fallback.{said}")


@pytest.mark.parametrize(
    ("fallback", "target"),
    [
        ("{}", None),
        ("{servicenow_other_instance: infra}", "servicenow:infra"),
        ('{slack_channel_id: C1, mention: "<!here>", after_minutes: 0}', "slack:C1"),
    ],
)
def test_a_fallback_is_a_target(fallback, target):
    assert parse_config(ONCALL_WITH_FALLBACK % ("true", fallback)).oncall.fallback.target == target


@pytest.mark.parametrize(
    ("redis", "problem"),
    [
        ("{sentinel: {hosts: [one:26379]}, host: redis}", "redis.host: is set together with redis.sentinel.hosts"),
        ("{cluster: {hosts: ['one:6379']}, url: 'redis://redis'}", "redis.url: is set together with redis.cluster"),
        ("{cluster: {hosts: ['one:6379']}, db: 3}", "redis.db: is 3, but a cluster has no other database than 0"),
        ("{durability: replicated}", "redis.durability: is replicated, but the embedded Valkey server has no replicas"),
        ("{sentinel: {hosts: [one]}}", "redis.sentinel.hosts.0: is 'one'; must be a host and its port"),
        ("{cluster: {hosts: ['redis://one:6379']}}", "redis.cluster.hosts.0: is 'redis://one:6379'; must be a host"),
    ],
)
def test_what_does_not_go_together_in_redis_is_told(redis, problem):
    [found] = problems(f"redis: {redis}")

    assert found.startswith(problem)


def test_hosts_of_sentinels_and_clusters_may_be_ipv6():
    config = parse_config("redis: {sentinel: {hosts: ['[fd00::1]:26379']}}", {})

    assert config.redis.sentinel.hosts == ("[fd00::1]:26379",)
    assert not config.redis.is_embedded


def test_a_fallback_channel_by_name_is_warned_about():
    config = parse_config(ONCALL_WITH_FALLBACK % ("true", "{slack_channel_id: '#oncall'}"))

    assert any(it.startswith("oncall.fallback.slack_channel_id does not look like an id") for it in config.warnings())


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("heartbeat: {every_seconds: 30}", "heartbeat.every_seconds has no effect"),
        ("oncall: {fallback: {after_minutes: 5}}", "oncall.fallback.after_minutes has no effect"),
        ("ack: {previous_signing_keys: [0123456789abcdef]}", "ack.previous_signing_keys is set without"),
    ],
)
def test_what_has_no_effect_alone_is_warned_about(text, start):
    assert any(warning.startswith(start) for warning in parse_config(text).warnings())


def test_text_where_a_list_is_wanted_is_told_in_words():
    [problem] = problems("previous_gateway_secrets: old")

    assert problem == "previous_gateway_secrets: must be a list"


TOP_ROUTES = """
alert: {slack: {enable: true, token: xoxb-1, channel_id: C1%s}}
routes:
  - matchers: [team=db]
    wait_minutes: 10
    slack: {channel_id: C0DB, mention: <!here>}
"""


def test_routes_at_the_top_have_a_destination_for_each_channel():
    config = parse_config(TOP_ROUTES % "")

    [route] = config.route_leads()
    assert (route.wait_minutes, route.matches({"team": "db"}), route.matches({})) == (10, True, False)
    assert (route.leads_to["slack"].destination, route.leads_to["slack"].mentions) == ("C0DB", "<!here>")


def test_older_routes_lead_to_the_same():
    older = parse_config(f"{ROUTES}    - {{matchers: [team=db], channel_id: C0DB, mention: <!here>, wait_minutes: 10}}")

    [route], [newer] = older.route_leads(), parse_config(TOP_ROUTES % "").route_leads()
    assert (route.wait_minutes, route.leads_to) == (newer.wait_minutes, newer.leads_to)


def test_older_routes_beside_newer_ones_are_a_problem():
    [problem] = problems(TOP_ROUTES % ", routes: [{matchers: [a=b], channel_id: C2}]")

    assert problem == "alert.slack.routes: is set together with routes; write them all below routes"


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("{matchers: [a=b], slakc: {channel_id: C1}}", "routes.0.slakc: is not a known key; did you mean 'slack'?"),
        (
            "{matchers: [a=b], slack: {chanel_id: C1}}",
            "routes.0.slack.chanel_id: is not a known key; did you mean 'channel_id'?",
        ),
        ("{matchers: [], slack: {channel_id: C1}}", "routes.0.matchers: is a list; must have at least one matcher"),
        ("{slack: {channel_id: C1}}", "routes.0.matchers: is required"),
    ],
)
def test_a_route_that_is_mistaken_is_told_by_its_place(route, said):
    assert any(problem.startswith(said) for problem in problems(f"routes: [{route}]"))


def test_routes_at_the_top_that_are_hardly_meant_are_warned_about():
    config = parse_config("routes: [{matchers: [a=b], slack: {channel_id: '#db'}}, {matchers: [a=c]}]")

    assert [warning for warning in config.warnings() if warning.startswith("routes.")] == [
        "routes.0.slack.channel_id does not look like an id, such as C0123456789; a name may not work",
        "routes.1 changes nothing: it names no channel and has no wait_minutes",
    ]


def test_a_journal_is_kept_only_where_it_is_asked_for():
    assert parse_config("", {}).journal.keep == "none"
    assert parse_config("journal: {keep: redis}", {}).journal.keep == "redis"


def test_a_journals_file_is_in_data_dir_unless_it_is_named():
    assert parse_config("data_dir: /var/lib/versus", {}).journal_file == Path("/var/lib/versus/journal.jsonl")
    assert parse_config("journal: {keep: file, file: /tmp/j.jsonl}", {}).journal_file == Path("/tmp/j.jsonl")


def test_a_journal_that_is_kept_nowhere_known_is_told_with_what_is_allowed():
    [problem] = problems("journal: {keep: paper}")

    assert problem.startswith("journal.keep: ")
    assert all(allowed in problem for allowed in ("none", "redis", "file"))


@pytest.mark.parametrize(("keep", "is_warned"), [("none", True), ("redis", True), ("file", False)])
def test_a_journals_file_that_is_not_used_is_warned_about(keep, is_warned):
    config = parse_config(f"journal: {{keep: {keep}, file: j.jsonl}}", {})

    assert ("journal.file has no effect without journal.keep: file" in [*config.warnings()]) == is_warned


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("severity_map: {blue: grave}", "severity_map.blue: is 'grave'; must be a known severity"),
        ("severity_map: {Blue: info, blue: error}", "severity_map: is "),
        ("sources: {generic: {severity: blue}}", "sources.generic.severity: is 'blue'; must be a known severity"),
    ],
)
def test_a_severity_that_is_not_known_is_a_problem_where_it_is_to_count_as_one(text, said):
    [problem] = problems(text)

    assert said in problem


def test_rows_for_severities_that_no_alert_has_are_warned_about():
    config = model().model_validate(
        {
            "severity_map": {"Blue": "critical"},
            "alert": {"slack": {"enable": True, "mention": {"blue": "<!here>", "critical": "<!here>"}}},
            "oncall": {
                "enable": True,
                "servicenow": {
                    "severities": {"P1": {}, "Blue": {}, "default": {}},
                    "other_instance_urls": {"infra": {"severities": {"crtical": {}}}},
                },
            },
        }
    )

    warned_rows = [it for it in config.warnings() if "severit" in it]

    assert [it.partition(":")[0] for it in warned_rows] == [
        "alert.slack.mention.blue has no effect",
        "oncall.servicenow.severities.Blue has no effect",
        "oncall.servicenow.other_instance_urls.infra.severities.crtical is no severity that is known here",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("key_field: number", "oncall.servicenow.key_field: is 'number'; must be a column that can be written"),
        ("key_field: sys_id", "oncall.servicenow.key_field: is 'sys_id'; must be a column that can be written"),
        (
            'key_field: short_description, update_fields: {short_description: "{{ incident.title }}"}',
            "oncall.servicenow.update_fields.short_description: is the column of key_field, which is never written",
        ),
        (
            "key_field: u_key, resolve_fields: {u_key: x}",
            "oncall.servicenow.resolve_fields.u_key: is the column of key_field, which is never written again",
        ),
    ],
)
def test_the_column_of_the_key_is_not_written_by_updates(settings, said):
    login = "instance_url: https://a.example, username: u, password: p"

    [problem] = problems(f"oncall: {{enable: true, servicenow: {{{login}, {settings}}}}}")

    assert problem.startswith(said)


def test_another_instance_takes_over_the_key_field():
    config = ServiceNowConfig.model_validate(
        {"key_field": "u_key", "other_instance_urls": {"a": "https://a.example", "b": {"key_field": "correlation_id"}}}
    )

    assert {name: it.key_field for name, it in config.instances().items()} == {
        None: "u_key",
        "a": "u_key",
        "b": "correlation_id",
    }


def test_an_instance_whose_name_is_not_ascii_is_named_as_urls_have_to_have_it():
    urls = "other_instance_urls: {münchen: {instance_url: https://b.example}, ulm: {instance_url: https://c.example}}"
    login = "instance_url: https://a.example, username: u, password: p"
    config = parse_config(f"oncall: {{enable: true, servicenow: {{{login}, {urls}}}}}", {})

    [warning] = [it for it in config.warnings() if "ASCII" in it]

    assert "servicenow_other_instance=m%C3%BCnchen" in warning
