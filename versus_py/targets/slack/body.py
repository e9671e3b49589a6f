"""The body of an incident's message: the template's, or the default one."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from versus_py.config import SlackConfig
from versus_py.incidents.model import Incident, Status
from versus_py.targets.slack.default_body import default_body
from versus_py.targets.slack.mrkdwn import date, escape, link
from versus_py.targets.values import incident_values
from versus_py.templating import TemplateFailed, TemplateFile


def warning_of(failure: str) -> str:
    """What a message says of a template that failed."""
    return f"the template failed, so that this is the built-in body: {failure}"


def content_of(payload: Any) -> Mapping[str, Any]:
    """What a template of Versus Incident calls the dot: the body, the first of several, or what SNS carries in it."""
    if isinstance(payload, list | tuple):
        payload = payload[0] if payload else {}
    if not isinstance(payload, Mapping):
        return {}
    carried = payload.get("Message")
    if payload.get("Type") == "Notification" and isinstance(carried, str):
        with suppress(ValueError):
            found = orjson.loads(carried)
            return found if isinstance(found, dict) else payload
    return payload


class MessageBody:
    """Renders by the configuration's template, which is read again whenever its file changes."""

    def __init__(self, config: SlackConfig) -> None:
        self._template: TemplateFile | None = None
        if config.template_path is not None:
            functions = {"link": link, "date": date}
            self._template = TemplateFile(config.template_path, finalize=escape, functions=functions)

    def render(self, incident: Incident, ack_url: str | None) -> tuple[str, str]:
        """The body, and "" or why it is the default one although there is a template."""
        body = default_body(incident, more_url=ack_url or "")
        if self._template is None:
            return body, ""
        try:
            shown_url = ack_url if incident.status is Status.TRIGGERED else None  # templates call it "acknowledge"
            values = incident_values(incident)
            more = {"ack_url": shown_url, "message": body, "content": content_of(values["payload"])}
            return self._template.render(values | more), ""
        except TemplateFailed as exc:
            return body, str(exc)
