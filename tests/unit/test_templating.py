"""Templates in a sandbox: they see what they are given, are read again when saved, and fail in a sentence."""

import os

import pytest

from tests.support.factories import make_alert, make_incident
from versus_py.targets.slack.default_body import default_body
from versus_py.targets.slack.mrkdwn import date, escape, link
from versus_py.targets.values import incident_values
from versus_py.templating import TemplateFailed, TemplateFile, TemplateText


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "message.tmpl"

    def make(text: str) -> TemplateFile:
        path.write_text(text)
        return TemplateFile(path, finalize=escape, functions={"link": link, "date": date})

    return make


VALUES = incident_values(make_incident(make_alert(instance="<!channel>"))) | {"ack_url": "https://x.example/ack"}


def test_values_are_escaped_and_the_templates_own_text_is_not(template):
    assert template("*{{ alerts[0].labels.instance }}* <b>").render(VALUES) == "*&lt;!channel&gt;* <b>"


def test_functions_write_slacks_forms(template):
    assert template("{{ link(ack_url, 'go') }}").render(VALUES) == "<https://x.example/ack|go>"


def test_a_label_that_does_not_exist_is_nothing(template):
    assert template("[{{ alerts[0].labels.none.deeper }}{{ nothing.at.all }}]").render(VALUES) == "[]"


def test_a_saved_change_shows_in_the_next_rendering(template, tmp_path):
    found = template("one")
    assert found.render(VALUES) == "one"

    (tmp_path / "message.tmpl").write_text("other")
    os.utime(tmp_path / "message.tmpl", (1, 1))

    assert found.render(VALUES) == "other"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ link.__globals__ }}",
        "{{ link.__code__ }}",
        "{{ alerts.append(1) }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ''|attr('__class__') }}",
        "{{ self.__init__.__globals__ }}",
        "{% for i in range(10000000) %}x{% endfor %}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ joiner.__init__.__globals__ }}",
        "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
        "{{ ''['__cla' ~ 'ss__'] }}",
        "{{ [''] | map(attribute='__class__') | list }}",
        "{{ ['{0.__class__}'] | map('format', 1) | list }}",
        "{{ ('{0.__cl' ~ 'ass__}').format_map({'0': 1}) }}",
        "{{ ''.format.__self__.__class__ }}",
        "{% set x = ''.format %}{{ x.__self__ }}{{ x('{0.__class__}', 1) }}",
        "{{ (1,)|attr('__class__') }}",
        "{{ link|attr('__wrapped__')|attr('__class__') }}",
        "{% macro m() %}{% endmacro %}{{ m.__class__ }}{{ m._func.__globals__ }}",
        "{{ caller.__class__ }}{{ self._TemplateReference__context.__class__ }}",
        "{% import '/etc/passwd' as x %}{{ x }}",
        "{% include '/etc/passwd' %}",
        "{{ alerts[0].labels.__class__ }}",
        "{{ alerts[0].labels.update({'a': 'class'}) }}",
    ],
)
def test_the_sandbox_holds(template, attack):
    try:
        shown = template(attack).render(VALUES)
    except TemplateFailed:
        return
    assert "class" not in shown
    assert "module" not in shown
    assert "built" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% if %}", "line 1: TemplateSyntaxError"),
        ("a\n\n{% endfor %}", "line 3: TemplateSyntaxError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ undefined_function() }}", "UndefinedError"),
    ],
)
def test_a_failure_says_where_and_why(template, text, said):
    with pytest.raises(TemplateFailed, match=said):
        template(text).render(VALUES)


def test_a_file_that_is_gone_is_a_failure(template, tmp_path):
    found = template("x")
    (tmp_path / "message.tmpl").unlink()

    with pytest.raises(TemplateFailed, match="FileNotFoundError"):
        found.render(VALUES)


def test_the_shipped_template_is_the_default_body(template, request):
    text = (request.config.rootpath / "config" / "slack_message.tmpl").read_text()
    incident = make_incident(*(make_alert(f"A{number}", instance=f"db-{number}") for number in range(12)))
    body = default_body(incident)

    assert template(text).render(incident_values(incident) | {"ack_url": None, "message": body}) == body


def test_a_template_that_somebody_owns_still_shows_an_incident(template, request):
    text = (request.config.rootpath / "tests" / "data" / "slack_message_owned.tmpl").read_text()
    alerts = [make_alert(f"A{number}", instance="db-7") for number in range(12)]

    shown = template(text).render(incident_values(make_incident(*alerts)) | {"ack_url": None, "message": "x"})

    assert shown.startswith("*<http://prometheus/graph|A0>* on `db-7` since <!date^1777890000^")
    assert shown.endswith("A9 happened\n… 2 more alerts")


def test_a_template_can_say_what_tells_alerts_apart(template):
    incident = make_incident(*(make_alert("Disk", instance=f"db-{number}", fingerprint=str(number)) for number in "12"))
    text = (
        "{% for it in overview.lines %}{{ it.lead }}; {% endfor %}{{ overview.count }} since {{ date(overview.since) }}"
    )

    shown = template(text).render(incident_values(incident))

    assert shown.startswith("instance=db-1 fingerprint=1; instance=db-2 fingerprint=2; 2 alerts since <!date^")


def test_a_label_that_is_called_like_a_method_is_the_label():
    labels = {"values": "B=3", "keys": "4", "get": "5"}

    assert TemplateText("{{ l.values }} {{ l.keys }} {{ l.get }}", "x").render({"l": labels}) == "B=3 4 5"
    assert TemplateText("{% for k, v in l.items() %}{{ k }}{% endfor %}", "x").render({"l": labels}) == "valueskeysget"


@pytest.mark.parametrize(
    "text",
    [
        "{{ .CommonLabels.alertname }}",
        "{{- .Status | toUpper -}}",
        "{{ range .Alerts }}x{{ end }}",
        "{{range $i, $a := .Alerts}}x{{end}}",
        "{{ if eq .Status `firing` }}x{{ else }}y{{ end }}",
        '{{ template "slack.default.title" . }}',
        "{{ $title := .Title }}",
        '{{ define "body" }}x',
        "{{ end }}",
    ],
)
def test_a_go_template_is_called_one_with_its_line(template, text):
    for render in (
        template(f"*Alert*\n{text}").render,
        lambda values: TemplateText(f"*Alert*\n{text}", "message.tmpl").render(values),
    ):
        with pytest.raises(TemplateFailed, match=r"message\.tmpl: line 2: .* is of a Go template; .* takes Jinja2"):
            render(VALUES)


@pytest.mark.parametrize(
    "text", ["{{ range(3) | list | length }}", "{{ endpoint }}", "{{ iframe }}", "{{ with_ }}", "{{ 3 if 1 else 'b' }}"]
)
def test_what_only_looks_like_go_is_no_go_template(text):
    assert TemplateText(text, "x").render({}) in {"3", ""}
