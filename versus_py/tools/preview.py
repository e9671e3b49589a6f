"""What would be posted about a payload: the templates of a configuration, rendered without asking anybody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import orjson
from multidict import MultiDict

from versus_py.config import Config
from versus_py.engine.policies import Policies
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, AlertStatus, Incident, Notification
from versus_py.incidents.payloads import pack, unpack
from versus_py.incidents.transitions import observe, trigger
from versus_py.systems import registered
from versus_py.targets.system import Preview
from versus_py.tools.samples import SAMPLES
from versus_py.web.intake.overrides import read_overrides
from versus_py.web.intake.reading import Reader, read_body


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """A template that fails, and with which samples."""

    what: str
    sources: tuple[str, ...]

    @property
    def is_always(self) -> bool:
        """Whether it fails whatever comes."""
        return len(self.sources) == len(SAMPLES)

    def __str__(self) -> str:
        return self.what if self.is_always else f"{self.what} (with the sample of {', '.join(self.sources)})"


def incidents_of(config: Config, body: bytes, query: str = "", *, now_ms: int) -> Iterator[Incident]:
    """An incident for each notification in *body*: open, or resolved where the notification says so.

    Raises BadPayload for what is none.
    """
    overrides = read_overrides(MultiDict(parse_qsl(query, keep_blank_values=True)), config)
    policies = Policies(config)
    _, payloads, _ = read_body(body)
    for notification in Reader(config).read(payloads, overrides).notifications:
        if notification is not None and (notification.alerts or notification.asks):
            policy = policies.of(notification, now_ms, overrides.asked)
            key = notification.dedup_key or "preview"
            incident = trigger(_firing(notification), policy, dedup_key=key, now_ms=now_ms).incident
            yield replace(_resolved(incident, notification, now_ms), payload=_kept(notification))


def previews(config: Config, incident: Incident, system: str | None = None) -> Iterator[Preview]:
    """What the system of that name, or each that the configuration uses, would be sent where *incident* leads."""
    for it in registered():
        if it.name == system or (system is None and it.name in {part.NAME for part in config.systems_in_use()}):
            wanted = incident.policy.destinations.get(it.name)
            yield from (shown for shown in it.preview(config, incident) if shown.destination == wanted)


def template_problems(config: Config) -> list[TemplateProblem]:
    """The templates of the systems in use that fail with a sample of a source, firing or resolved."""
    used = {part.NAME for part in config.systems_in_use()}
    systems = [it for it in registered() if it.name in used]
    now = datetime.now(UTC)
    found: dict[str, list[str]] = {}
    for source, sample in SAMPLES.items():
        bodies = [orjson.dumps(sample(starts_at=now, is_resolved=is_over)) for is_over in (False, True)]
        now_ms = round(now.timestamp() * 1000)
        incidents = [it for body in bodies for it in incidents_of(config, body, now_ms=now_ms)]
        shown = [preview for it in incidents for system in systems for preview in system.preview(config, it)]
        for problem in dict.fromkeys(text for it in shown for text in it.problems):
            found.setdefault(problem, []).append(source)
    return [TemplateProblem(what, tuple(sources)) for what, sources in found.items()]


def _kept(notification: Notification) -> Mapping[str, Any] | None:
    """The body as it comes back from the store."""
    return None if notification.payload is None else unpack(pack(notification.payload)[1])


def _firing(notification: Notification) -> Notification:
    return replace(notification, alerts=tuple(map(_as_firing, notification.alerts)))


def _as_firing(alert: Alert) -> Alert:
    return replace(alert, status=AlertStatus.FIRING, ends_at_ms=None)


def _resolved(incident: Incident, notification: Notification, now_ms: int) -> Incident:
    """*incident* as it is after *notification*: the same for one that fires."""
    if notification.is_firing:
        return incident
    change = observe(incident, notification, now_ms)
    return incident if change is None else change.incident
