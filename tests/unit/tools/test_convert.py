"""Go templates as Jinja2: what they render, and what cannot be converted."""

from datetime import UTC, datetime

import orjson
import pytest

from versus_py.systems import model
from versus_py.targets.slack.body import content_of
from versus_py.targets.slack.mrkdwn import date, escape, link
from versus_py.templating import TemplateFile
from versus_py.tools.convert import NotGo, convert
from versus_py.tools.preview import incidents_of, previews

ALERTS = {
    "receiver": "versus",
    "status": "firing",
    "commonLabels": {"team": "db", "alertname": "DiskFull"},
    "alerts": [
        {"status": "firing", "labels": {"instance": "db-1"}, "startsAt": "2026-11-29T10:00:00Z"},
        {"status": "resolved", "labels": {"instance": "db-2"}, "startsAt": "2026-11-29T11:00:00.123456789Z"},
    ],
}
LOG = {
    "Logs": "[ERROR] out of memory",
    "ServiceName": "prod-order-service",
    "UserID": "U12345",
    "Count": 5,
    "Ratio": 0.756,
    "Is": True,
    "Empty": "",
    "Tags": ["a", "b", "c"],
    "Query": "a b/c&d",
    "items": {"x": 1},
    "host-name": "db-1",
}


@pytest.fixture
def rendered(tmp_path):
    def render(text, content, ack_url=None):
        path = tmp_path / "template"
        path.write_text(text)
        template = TemplateFile(path, finalize=escape, functions={"link": link, "date": date})
        return template.render({"content": content, "ack_url": ack_url})

    return render


@pytest.mark.parametrize(
    ("go", "expected"),
    [
        ("*{{ .ServiceName }}*\n{{.Logs}}", "*prod-order-service*\n[ERROR] out of memory"),
        ('{{ $owner := "Team Alpha" }}\nOwner: {{ $owner }}', "Owner: Team Alpha"),
        ("{{ .ServiceName | upper }}", "PROD-ORDER-SERVICE"),
        ("{{ .ServiceName | upper | lower | title }}", "Prod-Order-Service"),
        ('{{ default .Empty "none" }} {{ default .ServiceName "none" }}', "none prod-order-service"),
        ('{{ .Missing | default "unknown" }} {{ .ServiceName | default "unknown" }}', "unknown prod-order-service"),
        ("{{ slice .Logs 1 6 }} {{ .Logs | slice 0 7 }}", "ERROR [ERROR]"),
        (
            '{{ replaceAll .ServiceName "-" "_" }} {{ .Logs | replace "out" "in" }}',
            "prod_order_service [ERROR] in of memory",
        ),
        (
            '{{ trimPrefix .ServiceName "prod-" }} {{ .ServiceName | trimSuffix "-service" }}',
            "order-service prod-order",
        ),
        ("{{ .Logs | len }} {{ len .Tags }} {{ len .Missing }}", "21 3 0"),
        ("q={{ .Query | urlquery }}", "q=a+b%2Fc%26d"),
        ('{{ $parts := split .ServiceName "-" }}{{ range $parts }}[{{ . }}]{{ end }}', "[prod][order][service]"),
        ('{{ join .Tags ", " }} {{ index .Tags 1 }} {{ index .Tags 9 }}', "a, b, c b"),
        ("{{ .Logs | lower | truncate 7 }}", "[error]"),
        ("{{ toString .Count }}/{{ toString .Is }}", "5/true"),
        ('{{ printf "%s: %d of %.2f (%v)" .ServiceName .Count .Ratio .Is }}', "prod-order-service: 5 of 0.76 (true)"),
        ("{{/* as in {{ .ServiceName }} */}}{{ `{{ .Logs }}` }} {{ 010 }}", "{{ .Logs }} 8"),
        ('{{ printf "%v" .Missing }}|{{ .Missing.deeper }}', "|"),
        ('{{ printf "%03d|%-5d|%+d|%07.2f" .Count .Count .Count .Ratio }}', "005|5    |+5|0000.76"),
        ('{{ printf "%d|%d|%.1f" "NaN" "inf" "none" }}', "NaN|inf|0.0"),
        ("{{ if .Is }}yes{{ else }}no{{ end }} {{ if not .Is }}yes{{ else }}no{{ end }}", "yes no"),
        (
            '{{ if eq .Count 4 }}4{{ else if eq .UserID "a" "U12345" }}user{{ else }}none{{ end }}',
            "user",
        ),
        ('{{ if ne .UserID "x" }}other{{ end }}', "other"),
        ("{{ if gt .Count 4 }}>{{ end }}{{ if lt .Count 4 }}<{{ end }}{{ if gt .Missing 1 }}?{{ end }}", ">"),
        ('{{ if and .Is .Logs }}{{ or .Empty .Missing "last" }}{{ end }}', "last"),
        ('{{ if contains .Logs "memory" }}oom{{ end }}', "oom"),
        ('{{ if .ServiceName | hasPrefix "prod-" }}production{{ end }}', "production"),
        (
            '{{ if contains (printf "%v" .source) "aws.glue" }}glue{{ else }}{{ .ServiceName }}{{ end }}',
            "prod-order-service",
        ),
        (
            "{{ with .ServiceName }}<{{ . }}>{{ else }}none{{ end }}{{ with .Missing }}x{{ else }}none{{ end }}",
            "<prod-order-service>none",
        ),
        ("{{ with $n := .Count }}{{ $n }}{{ . }}{{ $.UserID }}{{ end }}", "55U12345"),
        ("{{ range .Missing }}x{{ else }}nothing{{ end }}", "nothing"),
        ("{{ .items.x }}{{ .host-name }}{{ .items.a-b.c }}", "1db-1"),
        ('{{ $d := dict "a" 1 "b" (list 2 3) }}{{ $d.a }}{{ index $d.b 1 }}{{ len (append $d.b 4) }}', "133"),
        ('{{ regexMatch "(?i)error" .Logs }}', "True"),
        ("a{{/* nothing */}}b {{- /* nor this */ -}} c", "abc"),
        ("{{ `raw\\n` }}", "raw\\n"),
        ("100{% and {#", "100{% and {#"),
    ],
)
def test_what_a_template_renders(rendered, go, expected):
    found = convert(go)

    assert found.lost == ()
    assert rendered(found.text, LOG) == expected


def test_alerts_are_gone_through_with_their_own_fields(rendered):
    go = (
        "*{{ .commonLabels.alertname | upper }}*\n"
        "{{ range $i, $alert := .alerts }}\n"
        "{{- if $i }}, {{ end }}{{ $alert.labels.instance }} {{ .status }} {{ formatTime .startsAt }} "
        "{{ $.receiver }}\n"
        "{{- end }}"
    )

    text = rendered(convert(go).text, ALERTS)

    assert text == ("*DISKFULL*\ndb-1 firing 2026-11-29 10:00:00 versus, db-2 resolved 2026-11-29 11:00:00 versus")


def test_a_mapping_is_gone_through_in_the_order_of_its_keys(rendered):
    found = convert(
        "{{ range $k, $v := .commonLabels }}{{ $k }}={{ $v }} {{ end }}{{ range .commonLabels }}{{ . }}{{ end }}"
    )

    assert rendered(found.text, ALERTS) == "alertname=DiskFull team=db DiskFulldb"


def test_a_variable_keeps_what_a_loop_puts_in_it(rendered):
    found = convert(
        '{{ $all := "" }}{{ range .alerts }}{{ $all = printf "%s%s;" $all .labels.instance }}{{ end }}{{ $all }}'
    )

    assert rendered(found.text, ALERTS) == "db-1;db-2;"


def test_a_variable_of_a_block_does_not_change_the_one_outside(rendered):
    found = convert('{{ $x := "outer" }}{{ if .Is }}{{ $x := "inner" }}{{ $x }} {{ end }}{{ $x }}')

    assert rendered(found.text, LOG) == "inner outer"


def test_a_variable_may_have_the_name_of_what_templates_see(rendered):
    found = convert("{{ $alerts := .alerts }}{{ range $alerts }}{{ .labels.instance }}{{ end }}")

    assert rendered(found.text, ALERTS) == "db-1db-2"


def test_the_link_to_acknowledge_is_ours(rendered):
    found = convert('{{ if .AckURL }}<{{ .AckURL }}|go> {{ printf "<%s|%s>" .AckURL .Name }}{{ end }}')

    assert (
        rendered(found.text, {"Name": "a"}, "https://x.example/ack")
        == "<https://x.example/ack|go> <https://x.example/ack|a>"
    )
    assert rendered(found.text, {}) == ""


def test_values_are_escaped_and_fixed_text_is_not(rendered):
    assert rendered(convert("<@{{ .UserID }}> {{ .Logs }}").text, {"UserID": "U1", "Logs": "<!channel>"}) == (
        "<@U1> &lt;!channel&gt;"
    )


def test_a_line_of_a_statement_alone_leaves_no_empty_line_and_others_keep_their_end(rendered):
    go = "a\n{{ if .Is }}\nb\n{{ end }}\nc {{ if .Is }}d{{ end }}\n  {{ if .Is }}e{{ end }}\nf"

    assert rendered(convert(go).text, LOG) == "a\nb\nc d\n  e\nf"


def test_white_space_goes_where_marks_say_so(rendered):
    go = 'a\n  {{- if .Is -}}\n  b\n  {{- end }}\nc{{- "\\n" -}}   d'

    assert rendered(convert(go).text, LOG) == "ab\nc\nd"


def test_now_has_the_form_that_is_asked_for(rendered):
    text = rendered(
        convert('{{ now | format "2006-01-02" }} {{ format "15:04" .at }}').text, {"at": "2026-11-29T10:07:00Z"}
    )

    assert text == f"{datetime.now(UTC):%Y-%m-%d} 10:07"


@pytest.mark.parametrize(
    ("go", "line", "said"),
    [
        ("a\n{{ wibble .x }}", 2, "the function wibble is not known"),
        ('{{ define "x" }}a{{ end }}', 1, "define has no counterpart"),
        ("{{ range .a }}{{ break }}{{ end }}", 1, "break has no counterpart"),
        ("{{ $x }}", 1, "the variable $x is not declared"),
        ("{{ .a.b - c }}", 1, "'-' is not expected there"),
        ("{{ end }}", 1, "an end without a beginning"),
        ("{{ if .a }}", 1, "if has no end"),
        ("{{ If .Error }}a", 1, "the function If is not known"),
        ("{{ replace .a }}", 1, "the function replace needs 3 values"),
        ("{{ .a | }}", 1, "a value is missing"),
    ],
)
def test_what_cannot_be_converted_is_said_with_its_line(rendered, go, line, said):
    [note] = convert(go).lost

    assert note.line == line
    assert said in str(note)
    rendered(convert(go).text, {})


def test_what_stands_around_it_is_converted_all_the_same(rendered):
    found = convert("{{ if wibble .x }}a{{ else }}b{{ end }} {{ wibble }}{{ .y }}")

    assert len(found.lost) == 2
    assert rendered(found.text, {"y": "c"}) == "b c"


@pytest.mark.parametrize(
    ("go", "said"),
    [
        ('{{ .x | default "y" }}', "default is used on the value before the pipe"),
        ('{{ contains "abc" .x }}', "contains searches the other value for the fixed text"),
        ('{{ env "HOME" }}', "templates do not see the environment"),
    ],
)
def test_what_reads_otherwise_than_in_go_is_noted(go, said):
    [note] = convert(go).notes

    assert said in note.what
    assert not note.is_lost


def test_an_action_without_an_end_is_refused():
    with pytest.raises(NotGo, match="line 2: an action"):
        convert("a\n{{ .x")


def test_a_template_sees_what_sns_carries():
    carried = {"AlarmName": "CPU"}

    assert content_of({"Type": "Notification", "Message": '{"AlarmName": "CPU"}'}) == carried
    assert content_of([carried, {}]) == carried
    assert content_of({"Type": "Notification", "Message": "no JSON"})["Message"] == "no JSON"
    assert content_of(None) == {}


def test_a_converted_template_is_shown_the_payload_of_samples(tmp_path):
    file = tmp_path / "converted.tmpl"
    file.write_text(convert("{{ range .alerts }}{{ .labels.instance }}{{ end }}").text)
    slack = {"enable": True, "token": "xoxb-1", "channel_id": "C0123456789", "template_path": str(file)}
    config = model().model_validate({"alert": {"slack": slack}, "keep_payload": True})

    [incident] = incidents_of(config, orjson.dumps({**ALERTS, "version": "4", "groupKey": "g"}), now_ms=1)
    [shown] = previews(config, incident)

    assert "db-1db-2" in shown.shown["message"]
    assert any("keep_payload is false" in it for it in config.model_copy(update={"keep_payload": False}).warnings())
