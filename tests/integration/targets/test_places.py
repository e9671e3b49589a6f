"""The places that policies and the fallback name: each has a target, which posts there and nowhere else."""

import pytest
from fakeredis import FakeAsyncRedis

from tests.integration.conftest import CHANNEL, DAY_MS, around
from tests.support.factories import make_incident, make_policy
from versus_py.ack_links import AckLinks
from versus_py.store import Store
from versus_py.targets.servicenow.system import SERVICENOW
from versus_py.targets.slack.system import SLACK

STEPS = [
    {"notify": ["slack"]},
    {"after": "10m", "notify": ["slack:leads", "slack:C0OTHERS"]},
    {"after": "10m", "notify": ["servicenow", "servicenow:infra"]},
]

with_policies = pytest.mark.parametrize(
    ("settings", "slack_settings", "fallback"),
    [
        (
            {"policies": [{"name": "all", "steps": STEPS}]},
            {"channels": {"leads": "C0LEADS", "unused": "C0UNUSED"}},
            {"slack_channel_id": "C0FALLBACK", "mention": "<!subteam^S0ONCALL>"},
        )
    ],
    ids=["policies"],
)


@pytest.fixture
def surroundings(config, clock, session):
    store = Store(FakeAsyncRedis(decode_responses=True), retention_ms=7 * DAY_MS, reopen_ms=0, settle_ms=0)
    return around(config, clock, store, session, AckLinks(config.link_base, clock, "signing-key"))


@with_policies
async def test_each_place_has_a_target_that_posts_there(surroundings, slack, clock):
    targets = SLACK.build(surroundings).targets
    policy = make_policy(fallback="slack:C0FALLBACK", fallback_mention="<!subteam^S0ONCALL>")
    incident = make_incident(policy=policy, now_ms=clock.now_ms())

    for target in targets.values():
        await target.sync(incident, attempt=1)

    assert [*targets] == ["slack", "slack:C0FALLBACK", "slack:leads", "slack:C0OTHERS"]
    posted = {message.channel: message for message in slack.messages}
    assert [*posted] == [CHANNEL, "C0FALLBACK", "C0LEADS", "C0OTHERS"]
    mentioning = [channel for channel, message in posted.items() if "S0ONCALL" in message.text]
    assert mentioning == ["C0FALLBACK"]


@with_policies
async def test_each_instance_that_a_step_names_has_a_target_that_calls_it(surroundings, clock):
    targets = SERVICENOW.build(surroundings).targets
    incident = make_incident(now_ms=clock.now_ms())

    called = {name: target.system(incident) for name, target in targets.items()}

    assert called == {"servicenow": "servicenow", "servicenow:infra": "servicenow:infra"}
    assert {getattr(it, "sole_system", "") for it in targets.values()} == {None}


async def test_without_policies_and_fallback_a_system_has_one_target(surroundings):
    assert [*SLACK.build(surroundings).targets] == ["slack"]
    assert [*SERVICENOW.build(surroundings).targets] == ["servicenow"]


@pytest.mark.parametrize("servicenow_settings", [{"other_instance_urls": {}}], ids=["one instance"])
async def test_where_there_is_one_instance_no_incident_has_to_be_read_to_name_it(surroundings, clock):
    [target] = SERVICENOW.build(surroundings).targets.values()

    incident = make_incident(now_ms=clock.now_ms())
    assert getattr(target, "sole_system", "") == target.system(incident) == "servicenow"
