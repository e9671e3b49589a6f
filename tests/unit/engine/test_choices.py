"""What people name when they act on incidents: what it is, and what they are told where it does not exist."""

import pytest

from tests.support.toys import BoardConfig
from versus_py.config import SlackConfig
from versus_py.engine.choices import Choices, UnknownChoice
from versus_py.systems import called

SLACK = SlackConfig(enable=True, channel_id="C0ALERTS", channels={"leads": "C0LEADS"})
CHOICES = Choices({"sevurgent": "critical"}, ("databases", "night"), (SLACK, BoardConfig()), called())


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("critical", "critical"),
        (" P2 ", "P2"),
        ("SEV Urgent", "critical"),
        ("info", "info"),
        ("Critical", "critical"),
        ("1 - Critical", "critical"),
    ],
)
def test_a_severity_keeps_its_name_but_for_those_of_the_map_and_usual_ones_in_another_case(name, severity):
    assert CHOICES.severity(name) == severity


@pytest.mark.parametrize("name", ["", "7", "purple"])
def test_a_severity_that_nobody_knows_is_refused_with_those_that_are(name):
    with pytest.raises(UnknownChoice, match=f"severity is '{name}'; allowed: critical, error, .*, sevurgent and what"):
        CHOICES.severity(name)


@pytest.mark.parametrize(
    ("channel", "target", "place"),
    [
        ("leads", "slack", "C0LEADS"),
        ("C0LEADS", "slack", "C0LEADS"),
        ("C0ALERTS", "slack", "C0ALERTS"),
        ("C0OTHER", "slack", "C0OTHER"),
        ("slack:leads", "slack", "C0LEADS"),
        ("board:hall", "board", "hall"),
    ],
)
def test_a_channel_is_known_by_its_id_or_its_name_and_by_its_system(channel, target, place):
    to = CHOICES.route(channel=channel)

    assert (to.channel, to.place, to.policy) == (target, place, "")
    assert to.default_place == {"slack": "C0ALERTS", "board": "hall"}[target]


@pytest.mark.parametrize(
    ("policy", "channel", "said"),
    [
        ("night", "", "to policy night"),
        ("", "leads", "to Slack C0LEADS"),
        ("night", "leads", "to policy night and to Slack C0LEADS"),
    ],
)
def test_a_route_says_where_to(policy, channel, said):
    assert CHOICES.route(policy, channel).said == said


@pytest.mark.parametrize(
    ("choices", "policy", "channel", "said"),
    [
        (CHOICES, "", "", "say where to: policy, channel, or both"),
        (CHOICES, "nigth", "", "policy is 'nigth'; did you mean 'night'? allowed: databases, night"),
        (Choices(), "night", "", "policy is 'night'; no policies are configured"),
        (CHOICES, "", "#ops", "channel is '#ops'; allowed: a name of alert.slack.channels (leads), or a channel's id"),
        (CHOICES, "", "x" * 99, f"channel is '{'x' * 80}…'; allowed: "),
        (Choices(), "", "C0OTHER", "channel is 'C0OTHER'; no channel is enabled below alert"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(choices, policy, channel, said):
    with pytest.raises(UnknownChoice) as refused:
        choices.route(policy, channel)

    assert str(refused.value).startswith(said)
