"""What Slack would be sent about an incident."""

from collections.abc import Iterator
from typing import Any

from versus_py.config import Config, SlackConfig
from versus_py.incidents.model import Incident
from versus_py.targets.slack.body import MessageBody, warning_of
from versus_py.targets.slack.message import Message, build
from versus_py.targets.system import Preview
from versus_py.targets.target import titles

ACK_URL = "https://versus.example/ack/…"


def preview(config: Config, incident: Incident) -> Iterator[Preview]:
    """The message as lines of mrkdwn, its buttons in brackets; links to acknowledge lead nowhere."""
    slack: SlackConfig = config.alert.slack
    body, failure = MessageBody(slack).render(incident, ACK_URL)
    called = titles({part.NAME: part.TITLE for part in config.systems_in_use()})
    warnings = (warning_of(failure),) if failure else ()
    message = build(incident, body, slack, called=called, ack_url=ACK_URL, warnings=warnings)
    yield Preview(
        place=SlackConfig.TITLE,
        destination=incident.policy.destinations.get(SlackConfig.NAME),
        shown={"message": "\n".join(_lines(message))},
        problems=(failure,) if failure else (),
    )


def _lines(message: Message) -> Iterator[str]:
    yield message.text
    for attachment in message.attachments:
        for block in attachment["blocks"]:
            if "text" in block:
                yield block["text"]["text"]
            elements = block.get("elements", [])
            if block["type"] == "context":
                yield from (element["text"] for element in elements)
            elif elements:
                yield " ".join(f"[{_label(element)}]" for element in elements)


def _label(element: dict[str, Any]) -> str:
    named = element.get("text") or element.get("placeholder")
    return str(named["text"]) if named else str(element["type"])
