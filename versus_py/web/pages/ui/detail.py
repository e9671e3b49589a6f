"""What the page of one incident shows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from versus_py.incidents.actions import Action, possible_actions
from versus_py.incidents.labels import names_of
from versus_py.incidents.model import Delivery, Entry, Incident
from versus_py.incidents.overview import Line as AlertLine
from versus_py.incidents.overview import Overview, alert_count, overview
from versus_py.incidents.progress import Next, Position, State, next_of, position_of, steps_of
from versus_py.incidents.updates import MAX_ALERTS
from versus_py.targets import Called
from versus_py.web.pages.ui.rows import Row, row_of, web_page
from versus_py.web.pages.ui.timeline import Timeline, timeline_of

ALERTS = 20
"""The alerts that a page begins with."""

COLUMNS_MAX = 4
COLUMN_ALERTS = 40
"""So many labels tell alerts apart in a table, by the first of them."""

RESOLVED_NAMED = 10


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of the round. *state* is done, failed, late, next, later, or skipped."""

    state: str
    targets: str
    at_ms: int | None  # when it was told, or is due; None: not known, or not to come


@dataclass(frozen=True, slots=True)
class DeliveryShown:
    """One target. *state* is ok, failed, failing, refused, behind, waiting, or spared."""

    target: str  # by its own name
    name: str  # what people call it
    state: str
    word: str
    label: str
    url: str
    version: int
    at_ms: int | None  # when it was synced, is due, or failed
    attempts: int
    error: str
    note: str
    retry_at_ms: int | None
    may_retry: bool


@dataclass(frozen=True, slots=True)
class AlertsShown:
    """The alerts: what they share, and a table of what differs."""

    count: str
    firing: int
    overview: Overview
    columns: tuple[str, ...]  # names of the labels of the table
    has_names: bool
    has_values: bool
    has_since: bool
    has_more: bool  # texts and pages of single alerts
    resolved: str  # names of those that are over while others fire
    left_out: int

    @property
    def lines(self) -> tuple[AlertLine, ...]:
        return self.overview.lines

    @property
    def is_table(self) -> bool:
        """Whether there is anything that differs."""
        return len(self.lines) > 1


@dataclass(frozen=True, slots=True)
class Detail:
    """What is said of an incident beside its row."""

    row: Row
    name: str
    count: int
    actions: frozenset[str]
    primary: str  # the one action at the thumb; "": none
    is_renewable: bool
    steps: tuple[StepShown, ...]
    position: Position | None
    coming: Next | None
    rounds_to_come: int
    policy: str
    policy_as_of_ms: int
    escalates_to: str  # by whom "escalate now" is heard
    alerts: AlertsShown
    timeline: Timeline
    deliveries: tuple[DeliveryShown, ...]
    links: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    status: str
    resolved_at_ms: int | None
    resolved_by: str
    resolve_comment: str


def detail_of(
    incident: Incident,
    entries: Sequence[Entry],
    called: Called,
    *,
    all_alerts: bool = False,
    all_entries: bool = False,
) -> Detail:
    """All of it; of alerts and the timeline, the first and the latest, unless *all* is asked for."""
    row, actions = row_of(incident, called), frozenset(map(str, _possible(incident)))
    coming, position = next_of(incident), position_of(incident)
    return Detail(
        row=row,
        name=_name(incident),
        count=len(incident.alerts),
        actions=actions,
        primary=_primary(incident, actions),
        is_renewable=incident.is_renewable,
        steps=_steps(incident, called),
        position=position,
        coming=coming,
        rounds_to_come=_rounds_to_come(incident),
        policy=incident.policy.name,
        policy_as_of_ms=incident.waiting_since_ms,
        escalates_to=_escalates_to(incident, called),
        alerts=_alerts(incident, MAX_ALERTS if all_alerts else ALERTS),
        timeline=timeline_of(incident, entries, limit=None) if all_entries else timeline_of(incident, entries),
        deliveries=tuple(_delivery(incident, it, called) for it in _targets(incident)),
        links=_links(incident, called),
        warnings=incident.warnings,
        status=row.status,
        resolved_at_ms=incident.resolved_at_ms,
        resolved_by="" if incident.resolved_by is None else incident.resolved_by.name,
        resolve_comment=incident.resolve_comment,
    )


def _possible(incident: Incident) -> tuple[Action, ...]:
    """An acknowledgment that ends can be made to last longer by a snooze too."""
    actions = possible_actions(incident)
    return (*actions, Action.SNOOZE) if incident.ack_ends_at_ms is not None else actions


def _primary(incident: Incident, actions: frozenset[str]) -> str:
    if Action.ACKNOWLEDGE in actions:
        return "renew" if incident.is_renewable else Action.ACKNOWLEDGE
    return Action.RESOLVE if Action.RESOLVE in actions else ""


def _name(incident: Incident) -> str:
    """What its alerts are called, where the title does not say that."""
    name = overview(incident, lines=1).name
    return "" if name.casefold() in incident.title.casefold() else name


def _steps(incident: Incident, called: Called) -> tuple[StepShown, ...]:
    number = incident.next_step % max(1, len(incident.policy.timed))
    shown = []
    for at, it in enumerate(steps_of(incident)):
        names = ", ".join(map(called, it.step.targets)) or "nobody"
        states = set(it.states.values())
        if it.began_ms is not None or states & {State.TOLD, State.FAILED}:
            told = State.TOLD in states or not it.states
            state = "done" if told else "failed" if State.FAILED in states else "late"
        elif State.PENDING in states or (not it.states and incident.is_waiting):
            state = "next" if at == number else "later"
        else:
            state = "skipped"
        shown.append(StepShown(state, names, it.began_ms if it.began_ms is not None else it.due_ms))
    return tuple(shown)


def _rounds_to_come(incident: Incident) -> int:
    if not incident.is_waiting:
        return 0
    return incident.policy.repeat - incident.policy.round(max(incident.next_step - 1, 0))


def _escalates_to(incident: Incident, called: Called) -> str:
    is_in_a_round = incident.is_waiting and incident.next_step > 0
    return ", ".join(map(called, incident.next_targets if is_in_a_round else incident.later_targets[:1]))


def _alerts(incident: Incident, lines: int) -> AlertsShown:
    shown = overview(incident, lines=lines)
    columns = dict.fromkeys(name for it in shown.lines[:COLUMN_ALERTS] for name in it.labels)
    over = (
        ()
        if len(incident.firing) in {0, len(incident.alerts)}
        else tuple(it for it in incident.alerts if not it.is_firing)
    )
    return AlertsShown(
        count=alert_count(incident),
        firing=len(incident.firing),
        overview=shown,
        columns=tuple(columns)[:COLUMNS_MAX],
        has_names=any(it.name for it in shown.lines),
        has_values=any(it.values for it in shown.lines),
        has_since=any(it.since_ms is not None for it in shown.lines),
        has_more=any(it.texts or it.links or it.url for it in shown.lines),
        resolved=names_of(over, incident.alerts, limit=RESOLVED_NAMED) if over else "",
        left_out=shown.left_out,
    )


def _targets(incident: Incident) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*incident.policy.targets, *incident.deliveries)))


def _delivery(incident: Incident, target: str, called: Called) -> DeliveryShown:
    it, due_ms = incident.delivery(target), incident.due_ms(target)
    state, word, at_ms = _state(incident, target, it, due_ms)
    return DeliveryShown(
        target=target,
        name=called(target),
        state=state,
        word=word,
        label=it.label if target in incident.providers else "",
        url=web_page(it.url),
        version=it.version,
        at_ms=at_ms,
        attempts=it.attempts,
        error=it.error,
        note=" ".join(filter(None, (it.note, it.end_note))),
        retry_at_ms=it.retry_at_ms,
        may_retry=target in incident.given_up or target in incident.refused,
    )


def _state(incident: Incident, target: str, it: Delivery, due_ms: int | None) -> tuple[str, str, int | None]:
    if it.failed_at_ms is not None:
        return "failed", "Given up", it.failed_at_ms
    if it.is_refused:
        return "refused", "Credentials refused", it.failing_since_ms
    if it.error or it.failing_since_ms is not None:
        return "failing", "Failing", it.failing_since_ms
    if it.reference and (it.synced_at_ms or 0) >= incident.updated_at_ms:
        return "ok", "In sync", it.synced_at_ms
    if it.reference:
        return "behind", "Being updated", it.synced_at_ms
    if incident.wants(target):
        return "waiting", "Being notified", None
    if due_ms is not None:
        return "waiting", "Waiting", due_ms
    return "spared", "Not notified", None


def _links(incident: Incident, called: Called) -> tuple[tuple[str, str], ...]:
    """Where to look further: runbook, dashboard, the alerts' own page, its channels and its records; each page once."""
    shown = overview(incident, lines=1)
    found: Mapping[str, str] = {**shown.links, incident.source.capitalize(): incident.url, "Source": shown.url}
    sides = ((target, it) for target, it in incident.deliveries.items() if it.url)
    names = {
        f"{called(target)} {it.label if target in incident.providers else ''}".strip(): it.url for target, it in sides
    }
    return tuple((name, url) for name, url in {**_others(found, names), **names}.items() if web_page(url))


def _others(found: Mapping[str, str], names: Mapping[str, str]) -> Mapping[str, str]:
    """Those that *names* does not have: the page of a ticket is its record's."""
    return {name: url for name, url in found.items() if url not in names.values()}
