"""A real server whose ServiceNow refuses: the second place has the incident."""

import pytest

from tests.acceptance.conftest import World, request
from tests.support.waiting import wait_until

CHANNEL = "C0FALLBACK"


def serve_refused(world: World, **fallback: str) -> str:
    """A server with that fallback, and an alert that nobody acknowledges and ServiceNow does not take; its URL."""
    request(f"{world.servicenow.url}/control/faults", {"kind": "400", "times": None})
    server, _ = world.serve(oncall=world.settings["oncall"] | {"fallback": fallback})
    request(f"{server}/api/incidents", {"title": "Backup failed", "dedup_key": "backup"})
    return server


def outcome(server: str) -> object:
    [incident] = request(f"{server}/api/incidents")["incidents"]
    return incident["outcome"]


def test_another_instance_has_the_record_and_ends_it(world):
    server = serve_refused(world, servicenow_other_instance="infra")
    wait_until(lambda: world.infra.records, what="the record in the other instance")
    wait_until(lambda: outcome(server) == "escalated", what="the outcome")

    request(f"{server}/api/incidents", {"title": "Backup failed", "dedup_key": "backup", "status": "resolved"})

    wait_until(lambda: world.infra.records[0]["state"] == "6", what="the record's end")
    assert world.servicenow.records == []


@pytest.mark.parametrize("mention", ["<!subteam^S0ONCALL>"])
def test_another_channel_has_a_message_with_a_mention_and_ends_it(world, mention):
    server = serve_refused(world, slack_channel_id=CHANNEL, mention=mention)
    wait_until(lambda: outcome(server) == "escalated", what="the outcome")

    def shown() -> str:
        return str([it for it in world.slack.messages("Backup failed") if it["channel"] == CHANNEL])

    assert "S0ONCALL" in shown()
    request(f"{server}/api/incidents", {"title": "Backup failed", "dedup_key": "backup", "status": "resolved"})
    wait_until(lambda: "*Resolved*" in shown(), what="the message's end")
