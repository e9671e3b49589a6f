"""`versus lint-alertmanager`: what in an Alertmanager's configuration breaks the way from an alert to a record.

Whether the file is valid at all is `amtool check-config`'s to say; this looks at the webhooks that lead here, and at
the routes that lead to them. So do receivers of PagerDuty and Opsgenie whose address is not theirs. Pure: text in,
findings out.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from multidict import MultiDict

from versus_py.config import Config, ExpectedHeartbeat, IntakeToken, parts
from versus_py.engine.policies import Policies
from versus_py.errors import ConfigError
from versus_py.incidents.matchers import parse_matchers
from versus_py.incidents.policies import Asked, Policy
from versus_py.systems import model
from versus_py.tools.alertmanager_routes import Node, matchers_of, policies_of_routes
from versus_py.web.intake.overrides import Overrides, read_overrides

PATH = "/api/incidents"
EVENTS_PATH = "/v2/enqueue"
ALERTS_PATH = "/v2/alerts"
GROUP_BY_EVERYTHING = "..."
HIDDEN_URL = "<secret>"
"""In place of a webhook's URL, in the configuration that an Alertmanager newer than v0.25 shows of itself."""

_THEIR_HOSTS = ("pagerduty.com", "opsgenie.com", "atlassian.com")
_PAGERDUTY, _OPSGENIE = "pagerduty_configs", "opsgenie_configs"
_ADDRESSES = {_PAGERDUTY: ("url", "pagerduty_url"), _OPSGENIE: ("api_url", "opsgenie_api_url")}
"""Where such a receiver says where it sends to: in itself, or for all of them under `global`."""


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # no alert arrives
    WARNING = "warning"  # alerts arrive, and something expected does not happen
    NOTE = "note"  # nothing is wrong, but it is worth knowing


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: where it is, what it does, and what to do."""

    severity: Severity
    where: str
    what: str
    advice: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class _Route:
    """A route with what it inherits; the defaults are Alertmanager's."""

    path: str = ""
    line: int | None = None
    receiver: str = ""
    group_by: tuple[str, ...] = ()
    group_interval: str = "5m"
    repeat_interval: str = "4h"
    labels: Mapping[str, str] = field(default_factory=dict)  # those that its matchers ask for by value

    @property
    def mixes_clusters(self) -> bool:
        """Whether it groups, and by no label that is called after clusters."""
        splits = any(label == GROUP_BY_EVERYTHING or "cluster" in label for label in self.group_by)
        return bool(self.group_by) and not splits

    @property
    def where(self) -> str:
        return f"route {self.path} to receiver {self.receiver!r}"


@dataclass(frozen=True, slots=True)
class _Webhook:
    """One webhook, or one receiver of PagerDuty or Opsgenie, that leads here."""

    receiver: str
    url: str
    settings: Mapping[str, Any]
    line: int | None
    kind: str = "webhook_configs"

    @property
    def where(self) -> str:
        return f"receiver {self.receiver!r}"

    @property
    def is_drop_in(self) -> bool:
        """Whether it tells of a group without its alerts, in another service's words."""
        return self.kind in _ADDRESSES


def lint(text: str, config: Config | None = None) -> list[Finding]:
    """What the alertmanager.yml *text* has to say about its way here, from the top of the file down.

    *config* is versus_py's own; without one, on-call is taken to be on, and the other instances to be what the file
    calls them. Raises ConfigError when *text* is no mapping in YAML.
    """
    receivers, webhooks, routes = _read(text)
    findings = [*_unseen(receivers, webhooks), *_misspelt(receivers), *_undefined(receivers, routes)]
    findings += [finding for it in webhooks for finding in _about_drop_in(it)]
    root = _tree(_load(text).get("route"))
    for webhook in webhooks:
        leading = [route for route in routes if route.receiver == webhook.receiver]
        findings += _about_webhook(webhook, leading, root, config)
    findings += _about_clusters(webhooks, routes, config)
    findings += _about_heartbeats(webhooks, routes, config)
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.line or 0)


def lint_clusters(text: str, config: Config | None = None) -> Finding | None:
    """The one finding of `lint` on whether clusters are told apart; None when there is nothing to say."""
    _, webhooks, routes = _read(text)
    return next(_about_clusters(webhooks, routes, config), None)


def hides_webhooks(text: str) -> bool:
    """Whether it cannot be seen where webhooks lead, since *text* is what an Alertmanager shows of itself."""
    receivers, _, _ = _read(text)
    return any(
        it.get("url") == HIDDEN_URL for receiver in receivers for it in _mappings(receiver.get("webhook_configs"))
    )


def duration_ms(value: str) -> int | None:
    """A duration as Prometheus writes it, such as 1h30m or 2w; None when it is none."""
    try:
        return parts.duration_ms(value)
    except ValueError:
        return None


class _Mapping(dict[Any, Any]):
    """A mapping that knows the line it begins on."""

    line: int


class _Loader(yaml.SafeLoader):
    """Reads mappings with their lines."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[_Mapping]:
    found = _Mapping()
    found.line = node.start_mark.line + 1
    yield found  # first empty and then filled, so that an alias in it may refer to it
    found.update(loader.construct_mapping(node))


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


def _load(text: str) -> _Mapping:
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as exc:
        where = f" in line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise ConfigError([f"this is not YAML{where}: {exc.problem or exc.context}"]) from None
    except (yaml.YAMLError, ValueError):
        raise ConfigError(["this is not YAML: it has characters or dates that must not be in it"]) from None
    except RecursionError:
        raise ConfigError(["this is nested too deeply"]) from None
    if not isinstance(data, _Mapping):
        raise ConfigError([f"the file holds {_kind(data)}, not an Alertmanager configuration"])
    return data


def _kind(value: Any) -> str:
    """What YAML calls it."""
    match value:
        case None:
            return "nothing"
        case str():
            return "a text"
        case list():
            return "a list"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
    return "a date"


def _read(text: str) -> tuple[list[_Mapping], list[_Webhook], list[_Route]]:
    """The receivers that have a name, their webhooks that lead here, and all routes."""
    data = _load(text)
    receivers = [it for it in _mappings(data.get("receivers")) if isinstance(it.get("name"), str)]
    webhooks = [webhook for receiver in receivers for webhook in _webhooks_to_us(receiver)]
    webhooks += [webhook for receiver in receivers for webhook in _drop_ins(receiver, data.get("global"))]
    return receivers, webhooks, list(_routes(data.get("route"), _Route()))


def _mappings(value: Any) -> list[_Mapping]:
    return [item for item in value if isinstance(item, _Mapping)] if isinstance(value, list) else []


def _routes(value: Any, parent: _Route, ancestors: tuple[int, ...] = ()) -> Iterator[_Route]:
    """The routes that an alert can end in.

    A route below that takes everything leaves nothing for its parent, nor, without `continue`, for those after it.
    """
    if not isinstance(value, _Mapping) or id(value) in ancestors:
        return
    route = _inherited(value, parent)
    takes_everything = False
    for below in _mappings(value.get("routes")):
        yield from _routes(below, route, (*ancestors, id(value)))
        if not _matchers(below):
            takes_everything = True
            if below.get("continue") is not True:
                break
    if not takes_everything:
        yield route


def _tree(value: Any, ancestors: tuple[int, ...] = ()) -> Node:
    """The routes as a tree, in which one that contains itself is left out."""
    if not isinstance(value, _Mapping):
        return Node(0, (), goes_on=False, below=())
    known = (*ancestors, id(value))
    below = tuple(_tree(it, known) for it in _mappings(value.get("routes")) if id(it) not in known)
    return Node(value.line, matchers_of(_matchers(value)), value.get("continue") is True, below)


def _inherited(value: _Mapping, parent: _Route) -> _Route:
    named = ("receiver", "group_interval", "repeat_interval")
    group_by = value.get("group_by")
    own: dict[str, Any] = {name: str(value[name]) for name in named if value.get(name) is not None}
    if isinstance(group_by, list) and group_by:  # an empty one inherits: dispatch/route.go
        own["group_by"] = tuple(str(label) for label in group_by)
    step = f"{{{','.join(_matchers(value))}}}"
    path = f"{parent.path}/{step}" if parent.path else step
    return replace(parent, path=path, line=value.line, labels={**parent.labels, **_labels(_matchers(value))}, **own)


def _labels(matchers: Iterable[str]) -> dict[str, str]:
    """The labels that *matchers* ask for by value; Alertmanager says itself what is wrong with one."""
    found: dict[str, str] = {}
    for text in matchers:
        with suppress(ValueError):
            found |= {it.name: it.value for it in parse_matchers(text) if it.operator == "="}
    return found


def _matchers(value: _Mapping) -> list[str]:
    """What a route matches, in the notation of `matchers`."""
    matchers = value.get("matchers")
    found = [str(matcher) for matcher in matchers] if isinstance(matchers, list) else []
    for name, operator in (("match", "="), ("match_re", "=~")):
        old = value.get(name)
        found += [f'{label}{operator}"{text}"' for label, text in old.items()] if isinstance(old, _Mapping) else []
    return found


def _webhooks_to_us(receiver: _Mapping) -> Iterator[_Webhook]:
    for settings in _mappings(receiver.get("webhook_configs")):
        url = settings.get("url")
        if isinstance(url, str) and _path_of(url).rstrip("/").endswith(PATH):
            yield _Webhook(receiver["name"], url, settings, settings.line)


def _drop_ins(receiver: _Mapping, everywhere: Any) -> Iterator[_Webhook]:
    """The receivers of PagerDuty and Opsgenie that send to another host than theirs."""
    defaults = everywhere if isinstance(everywhere, _Mapping) else {}
    for kind, (own, default) in _ADDRESSES.items():
        for settings in _mappings(receiver.get(kind)):
            url = settings.get(own) or defaults.get(default)
            if isinstance(url, str) and not _is_theirs(url) and (kind == _OPSGENIE or _is_for_events(url)):
                yield _Webhook(receiver["name"], url, settings, settings.line, kind)


def _is_theirs(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return any(f".{host}".endswith(f".{it}") for it in _THEIR_HOSTS)


def _is_for_events(url: str) -> bool:
    return _path_of(url).rstrip("/").endswith(EVENTS_PATH)


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _about_drop_in(webhook: _Webhook) -> Iterator[Finding]:
    """What keeps alerts from arriving from a receiver of PagerDuty or Opsgenie."""
    path = _path_of(webhook.url).rstrip("/")
    if webhook.kind == _OPSGENIE and path.endswith((ALERTS_PATH, ALERTS_PATH.rpartition("/")[0])):
        what = (
            f"its api_url ends in {path}: Alertmanager adds {ALERTS_PATH} itself, so that its alerts are answered 404"
        )
        yield Finding(Severity.ERROR, webhook.where, what, "end it before /v2", webhook.line)
    if webhook.kind == _PAGERDUTY and any(name in webhook.settings for name in ("service_key", "service_key_file")):
        what = "service_key is for version 1 of PagerDuty's events, which is not understood here"
        yield Finding(Severity.ERROR, webhook.where, what, "set routing_key in its place", webhook.line)


def _misspelt(receivers: Iterable[_Mapping]) -> Iterator[Finding]:
    """Webhooks that hardly lead where they should."""
    for receiver in receivers:
        for settings in _mappings(receiver.get("webhook_configs")):
            path = _path_of(str(settings.get("url", ""))).rstrip("/")
            if not path.endswith(PATH) and get_close_matches(path, [PATH], cutoff=0.8):
                yield Finding(
                    Severity.WARNING,
                    f"receiver {receiver['name']!r}",
                    f"its url ends in {path}, which is nearly {PATH}",
                    f"write {PATH}, if it is meant to lead here",
                    settings.line,
                )


def _undefined(receivers: Iterable[_Mapping], routes: Iterable[_Route]) -> Iterator[Finding]:
    known = {receiver["name"] for receiver in receivers}
    for route in routes:
        if route.receiver not in known:
            yield Finding(
                Severity.ERROR,
                f"route {route.path}",
                f"its receiver {route.receiver!r} is not defined, so that Alertmanager refuses the file",
                f"name one of {', '.join(sorted(known)) or 'the receivers'}",
            )


def _unseen(receivers: Iterable[_Mapping], webhooks: list[_Webhook]) -> Iterator[Finding]:
    """What cannot be looked at, and that there is nothing to look at."""
    hidden = False
    for receiver in receivers:
        for settings in _mappings(receiver.get("webhook_configs")):
            if "url_file" in settings:
                hidden = True
                yield Finding(
                    Severity.NOTE,
                    f"receiver {receiver['name']!r}",
                    "url_file: where this webhook leads cannot be seen here",
                    "check the file it names by hand",
                    settings.line,
                )
    if not webhooks:
        yield Finding(
            Severity.WARNING if hidden else Severity.ERROR,
            "receivers",
            f"no webhook has a url that ends in {PATH}, so no alert arrives here",
            f"add a receiver with a webhook such as http://versus:3000{PATH}, or give one of PagerDuty or Opsgenie an "
            f"address here, such as http://versus:3000{EVENTS_PATH}",
        )


def _refused(webhook: _Webhook) -> Iterator[tuple[str, str]]:
    """Why requests to its url are refused, and what to do."""
    url = webhook.url
    if webhook.kind != _OPSGENIE and _path_of(url).endswith("/"):
        yield "its url has a slash at the end of the path, which is answered 404", "remove the slash"
    if not url.isascii():
        yield (
            "its url has characters that are not ASCII: its requests are refused, and Alertmanager drops the alerts",
            f"percent-encode them: {parts.percent_encoded(url)}",
        )


def _about_webhook(webhook: _Webhook, routes: list[_Route], root: Node, config: Config | None) -> Iterator[Finding]:
    def finding(severity: Severity, what: str, advice: str) -> Finding:
        return Finding(severity, webhook.where, what, advice, webhook.line)

    if not routes:
        yield finding(
            Severity.WARNING, "no route leads to this receiver, so it is never used", "name it in a route, or remove it"
        )
    for what, advice in _refused(webhook):
        yield finding(Severity.ERROR, what, advice)
    if webhook.settings.get("send_resolved") is False:
        yield finding(
            Severity.WARNING,
            "send_resolved is false: that an alert is over is never told, so its incident stays open, may "
            "escalate though it is over, and its record is not resolved",
            "set send_resolved: true, or remove the line",
        )
    if webhook.settings.get("max_alerts"):
        yield finding(
            Severity.WARNING,
            "max_alerts is set: from a list that was cut nothing can be told to be over, so its incident stays open",
            "remove max_alerts, and raise max_body_bytes of versus_py if payloads are larger than that",
        )
    known = config or _assumed(webhook)
    if "{{" in webhook.url and not webhook.is_drop_in:
        yield finding(
            Severity.WARNING,
            "its url is a template, which Alertmanager fills in since v0.31 and cannot before: what it asks for "
            "cannot be seen here",
            "write the query parameters out, with a receiver for each",
        )
        return
    overrides = _overrides(webhook, known)
    for warning in overrides.warnings:
        yield finding(Severity.WARNING, warning, "correct the url; until then the default stands")
    policies = _policies(webhook, [it.line or 0 for it in routes], root, known, overrides.asked)
    for route in routes:
        yield from _about_route(route, webhook, policies[route.line or 0], known, per_alert=overrides.per_alert)


def _about_route(
    route: _Route, webhook: _Webhook, policies: list[Policy], config: Config, *, per_alert: bool
) -> Iterator[Finding]:
    if heartbeat := _heartbeat_of(route, config):
        yield from _about_beats(route, heartbeat)
        return
    asks = bool(config.alertmanager.urls) and not webhook.is_drop_in
    yield from _about_timing(route, policies, asks=asks)
    if webhook.is_drop_in or not per_alert:
        yield from _about_grouping(route)


def _policies(
    webhook: _Webhook, lines: list[int], root: Node, config: Config, asked: Asked
) -> Mapping[int, list[Policy]]:
    """Those of the incidents that the routes in these *lines* send; a drop-in's are not told by its labels."""
    if webhook.is_drop_in:
        return {line: [Policies(config).for_labels({}, 0, asked)] for line in lines}
    return policies_of_routes(root, lines, config, asked)


def _about_timing(route: _Route, policies: list[Policy], *, asks: bool) -> Iterator[Finding]:
    """How often Alertmanager speaks, against how long people have to acknowledge.

    Whether it *asks* Alertmanager, before a record is created, if the alerts still fire.
    """
    yield from _unreadable_intervals(route)
    group_ms, repeat_ms = duration_ms(route.group_interval), duration_ms(route.repeat_interval)
    if not group_ms or not repeat_ms:
        return
    waiting = [it for it in policies if it.wait_ms]
    # Whether to repeat is asked at every group_interval only: notify, dedup_stage.go.
    yield from _about_repeats(route, math.ceil(repeat_ms / group_ms) * group_ms, waiting)
    if not asks:
        yield from _about_late_ends(route, group_ms, waiting)


def _about_repeats(route: _Route, repeated_ms: int, policies: list[Policy]) -> Iterator[Finding]:
    waits = [(it.wait_ms or 0, it.name) for it in policies if repeated_ms < (it.wait_ms or 0)]
    if waits:
        yield Finding(
            Severity.WARNING,
            route.where,
            f"repeat_interval ({route.repeat_interval}) is shorter than {_wait(max(waits), waits)}: "
            "what is known is said again and again while people still have time to acknowledge",
            "make repeat_interval longer than the wait; the default is 4h",
            route.line,
        )


def _about_late_ends(route: _Route, group_ms: int, policies: list[Policy]) -> Iterator[Finding]:
    called = [(it.oncall_after_ms or it.wait_ms or 0, it.name) for it in policies]
    waits = [it for it in called if group_ms >= it[0]]
    if waits:
        first = min(waits)
        has_record = any(it.oncall for it in policies if it.name == first[1])
        yield Finding(
            Severity.WARNING,
            route.where,
            f"group_interval ({route.group_interval}) is not shorter than {_wait(first, waits)}: that an alert is over "
            f"may be told only after {'its record was created' if has_record else 'others were told of it'}",
            f"make group_interval shorter than the wait, such as {_such_as(first[0] // 2)}",
            route.line,
        )


def _such_as(longest_ms: int) -> str:
    """An interval to advise: a minute, where it may last so long."""
    return f"{max(1, min(longest_ms, 60_000) // 1000)}s".replace("60s", "1m")


def _wait(worst: tuple[int, str], waits: Sequence[tuple[int, str]]) -> str:
    """The *worst* of these waits of policies, and whose it is."""
    wait_ms, name = worst
    others = {it for _, it in waits} - {name}
    minutes = wait_ms / 60_000
    said = f"the wait of {minutes:g} {'minute' if minutes == 1 else 'minutes'}"
    said += f" of policy {name!r}" if name else ""
    return f"{said}, and of {len(others)} more" if others else said


def _unreadable_intervals(route: _Route) -> Iterator[Finding]:
    for name, value in (("group_interval", route.group_interval), ("repeat_interval", route.repeat_interval)):
        if not duration_ms(value):
            yield Finding(
                Severity.ERROR,
                route.where,
                f"{name} is {value!r}, which is no duration",
                "write one such as 30s, 5m, 1h30m, 4h or 1d",
                route.line,
            )


def _heartbeat_of(route: _Route, config: Config | None) -> ExpectedHeartbeat | None:
    """The heartbeat whose alerts the route is for."""
    expected = config.heartbeats if config is not None else ()
    return next((it for it in expected if it.matches(route.labels)), None)


def _about_beats(route: _Route, heartbeat: ExpectedHeartbeat) -> Iterator[Finding]:
    """How often Alertmanager sends a heartbeat, against how often it must come."""
    yield from _unreadable_intervals(route)
    gap_ms = (duration_ms(route.group_interval) or 0) + (duration_ms(route.repeat_interval) or 0)
    if gap_ms >= heartbeat.every_ms:
        yield Finding(
            Severity.WARNING,
            route.where,
            f"repeat_interval ({route.repeat_interval}) and group_interval ({route.group_interval}) together are not "
            f"shorter than the {heartbeat.every} in which the heartbeat {heartbeat.name!r} must come: it is silent "
            "though its alert fires",
            f"set both to {_such_as(heartbeat.every_ms // 4)} in this route, or raise every",
            route.line,
        )


def _about_heartbeats(
    webhooks: Iterable[_Webhook], routes: Sequence[_Route], config: Config | None
) -> Iterator[Finding]:
    """Heartbeats without a route of their own, which are repeated as rarely as everything else."""
    ours = {it.receiver for it in webhooks}
    served = {_heartbeat_of(it, config) for it in routes if it.receiver in ours}
    for heartbeat in config.heartbeats if config is not None and ours else ():
        if heartbeat.match and heartbeat not in served:
            often = _such_as(heartbeat.every_ms // 4)
            yield Finding(
                Severity.NOTE,
                f"heartbeat {heartbeat.name!r}",
                f"no route to this server is for its alerts ({', '.join(heartbeat.match)}): if they come from this "
                "Alertmanager, they come as seldom as repeat_interval says",
                f"give them a route with group_interval: {often} and repeat_interval: {often}; nothing, if another one "
                "sends them",
            )


def _about_grouping(route: _Route) -> Iterator[Finding]:
    """What one incident for each group comes to."""
    if not route.group_by:
        yield Finding(
            Severity.WARNING,
            route.where,
            "no group_by on the way: whatever fires is one group and so one incident, and one acknowledgment is for "
            "all of it",
            "set group_by, such as [alertname, cluster, service]",
            route.line,
        )
    elif GROUP_BY_EVERYTHING in route.group_by:
        yield Finding(
            Severity.NOTE,
            route.where,
            "group_by is ['...']: every alert is a group and so an incident of its own, with a message, a wait and a "
            "record of its own",
            "nothing, if that is meant",
            route.line,
        )


def _about_clusters(webhooks: Iterable[_Webhook], routes: Iterable[_Route], config: Config | None) -> Iterator[Finding]:
    """Once for all routes: a group's key has the labels of group_by in it, and nothing of the Alertmanager."""
    grouping = {it.receiver for it in webhooks if "{{" not in it.url and not _overrides(it, config).per_alert}
    of_incidents = [it for it in routes if it.receiver in grouping and _heartbeat_of(it, config) is None]
    mixed = [it for it in of_incidents if it.mixes_clusters]
    if mixed:
        more = f" and {len(mixed) - 1} more" if len(mixed) > 1 else ""
        yield Finding(
            Severity.NOTE,
            f"{mixed[0].where}{more}",
            "group_by has no label that tells clusters apart, such as cluster: if Alertmanagers of two clusters send "
            "here, the same alerts of both are one incident",
            "add cluster to group_by, and to external_labels of every Prometheus, or give each Alertmanager an intake "
            "token of its own; nothing, if there is one cluster",
            mixed[0].line,
        )


def _overrides(webhook: _Webhook, config: Config | None) -> Overrides:
    known = config or _assumed(webhook)
    sender = _sender(webhook, known)
    if sender is None:
        return read_overrides(_query(webhook), known)
    return read_overrides(_query(webhook), known, sender.overrides, policy=sender.policy)


def _sender(webhook: _Webhook, config: Config) -> IntakeToken | None:
    """Whose token it sends, as far as that can be seen here."""
    settings = webhook.settings
    http = settings.get("http_config")
    places = (http.get("authorization"), http.get("basic_auth")) if isinstance(http, _Mapping) else ()
    held = [value for place in places if isinstance(place, _Mapping) for value in place.values()]
    sent = {*map(str, held), *(str(settings[key]) for key in ("routing_key", "api_key") if key in settings)}
    return next((it for it in config.intake.tokens if any(token in sent for _, token in it.accepted())), None)


def _query(webhook: _Webhook) -> MultiDict[str]:
    return MultiDict(parse_qsl(urlsplit(webhook.url).query, keep_blank_values=True))


def _assumed(webhook: _Webhook) -> Config:
    """A configuration that goes with *webhook*, where none is given: its instances and policies cannot be known."""
    query = _query(webhook)
    named = (name.strip() for name in query.getall("servicenow_other_instance", []))
    instances: dict[str, Any] = {name: {"table": "incident"} for name in named if name}
    # A step that waits for nothing: how long its steps take cannot be known either.
    policies = [{"name": name, "steps": [{"notify": ["slack"]}]} for name in query.getall("policy", []) if name.strip()]
    return model().model_validate(
        {"oncall": {"enable": True, "servicenow": {"other_instance_urls": instances}}, "policies": policies}
    )
