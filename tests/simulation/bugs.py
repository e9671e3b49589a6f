"""Bugs that are planted on purpose, each with the profile that is to find it.

The sabotages of tests/faults, and finer ones: each changes one place of a script or of a function as it is today, and
says so when that place is not there any more.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType, ModuleType
from typing import Any

from tests.faults.sabotage import SABOTAGES
from versus_py import store
from versus_py.engine.lifecycle import Lifecycle
from versus_py.engine.worker import Worker
from versus_py.incidents import rounds, tickets, transitions
from versus_py.store import calls
from versus_py.targets.servicenow import connection
from versus_py.targets.servicenow import target as servicenow
from versus_py.targets.slack.history import History
from versus_py.targets.slack.target import SlackTarget
from versus_py.targets.slack.thread import Told


class Gone(Exception):
    """What a bug is to be planted in is not there any more: the bug has to be written anew."""


@dataclass(frozen=True, slots=True)
class InScript:
    """One place of a script of the store."""

    name: str
    old: str
    new: str

    def check(self) -> None:
        self._planted(resources.files(store).joinpath("lua", f"{self.name}.lua").read_text())

    def plant(self) -> None:
        self.check()
        make = calls.Script

        def planted(redis: calls.RedisClient, texts: tuple[str, ...]) -> calls.Script:
            return make(redis, tuple(map(self._planted, texts)) if self._is_it(texts[-1]) else texts)

        calls.Script = planted  # type: ignore[assignment, misc]  # that is the bug

    def _is_it(self, text: str) -> bool:
        return text.startswith(f"-- {self.name}:")

    def _planted(self, text: str) -> str:
        return _replaced(text, self.old, self.new, f"{self.name}.lua")


@dataclass(frozen=True, slots=True)
class InFunction:
    """One place of a function or a method, which is compiled anew."""

    owner: type | ModuleType
    name: str
    old: str
    new: str

    def check(self) -> None:
        self._text()

    def plant(self) -> None:
        function = inspect.unwrap(getattr(self.owner, self.name))
        found: dict[str, Any] = {}
        exec(compile(self._text(), inspect.getfile(function), "exec"), function.__globals__, found)
        setattr(self.owner, self.name, found[self.name])

    def _text(self) -> str:
        text = textwrap.dedent(inspect.getsource(getattr(self.owner, self.name)))
        return _replaced(text, self.old, self.new, f"{self.owner.__name__}.{self.name}")


def _replaced(text: str, old: str, new: str, where: str) -> str:
    if text.count(old) != 1:
        raise Gone(f"{where} has {text.count(old)} places like {old!r}, not one")
    return text.replace(old, new)


Place = InScript | InFunction


@dataclass(frozen=True, slots=True)
class Bug:
    """*profile* is the one that is meant to find it."""

    profile: str
    places: tuple[Place, ...] = ()
    sabotage: Callable[[], None] | None = None

    def plant(self) -> None:
        """For good, in this process. Raises Gone when there is no such place."""
        for place in self.places:
            place.plant()
        if self.sabotage is not None:
            self.sabotage()


def _places(profile: str, *places: Place) -> Bug:
    return Bug(profile, places)


_FINER: Mapping[str, Bug] = MappingProxyType(
    {
        "ignore tokens": _places(
            "freeze",
            InScript(
                "complete",
                "if redis.call('ZSCORE', running, member) ~= token then",
                "if not redis.call('ZSCORE', running, member) then",
            ),
            InScript(
                "begin",
                "if redis.call('ZSCORE', running, member) ~= token then",
                "if not redis.call('ZSCORE', running, member) then",
            ),
        ),
        "do not compare versions": _places(
            "crowd",
            InScript(
                "save",
                "if not version or version - (repeats or 0) ~= tonumber(written_version) then",
                "if not version then",
            ),
        ),
        "ignore the hours": _places(
            "steps-only",
            InFunction(transitions, "with_round", "max(now_ms, policy.opens_at_ms or now_ms)", "now_ms"),
        ),
        "pass over a step": _places(
            "steps-only", InFunction(rounds, "begun", "following = number + 1", "following = number + 2 - number % 2")
        ),
        "tell the next step soon": _places(
            "steps-only",
            InFunction(transitions, "begun", "due_ms + policy.delay_ms(following)", "due_ms + 1000"),
        ),
        "disarm what backs off": _places(
            "stopped",
            InScript("save", "  elseif backs_off_until_ms then", "  elseif backs_off_until_ms and due_ms ~= '' then"),
            # Else the provider's timer is not disarmed in the first place once an escalation has begun.
            InFunction(
                transitions,
                "timers_after_the_wait",
                "timers = never | channel_timers(incident, now_ms) | record_timers(incident, at_ms)",
                "timers = channel_timers(incident, now_ms) | record_timers(incident, at_ms) | {\n"
                "        it: None for it in incident.providers if not incident.delivery(it).reference\n"
                "    }",
            ),
        ),
        "overwrite what is created": _places(
            "keyed", InScript("create", "if redis.call('EXISTS', incident) == 1 then", "if false then")
        ),
        "sync as long as the lease": _places(
            "frozen-for-a-lease",
            InFunction(
                Worker,
                "_left_s",
                "left_s = SYNC_MAX_S - (now_ms - self._claimed_at_ms(claim)) / 1000",
                "left_s = self.lease_ms / 1000",
            ),
        ),
        "stop as if nothing was sent": _places(
            "stopped", InFunction(Worker, "_cut_off", "if claim in self._begun:", "if False:")
        ),
        "count no attempt": _places(
            "stopped",
            InScript("claim", "local attempt = redis.call('HINCRBY', attempts, member, 1)", "local attempt = 1"),
        ),
        "keep expired leases": _places(
            "all", InScript("look", "running, '-inf', ended_by_ms, 'LIMIT'", "running, '-inf', '-inf', 'LIMIT'")
        ),
        "repeat at once what was not answered": _places(
            "late-effects",
            InFunction(
                connection.Effect,
                "unsettled",
                "return kind(message, retry_after_s=wait_s, settles_s=self.settles_s if self.can_be_found else None)",
                "return kind(message, retry_after_s=retry_after_s)",
            ),
        ),
        "do not write down that it escalates": _places(
            "all",
            InFunction(
                Lifecycle,
                "begin_step",
                "return await self._moved_on(read, transitions.begin_step)",
                "incident = await self._store.get(read.id)\n"
                "    change = incident and transitions.begin_step(incident, self._clock.now_ms(), self.policy_of)\n"
                "    return change.incident if change else incident",
            ),
        ),
        "forget news on completion": _places(
            "all", InScript("complete", "local again_ms = is_outdated and now_ms or at_ms", "local again_ms = at_ms")
        ),
        "take a record for that of the next wait": _places(
            "lost-answers",
            InFunction(
                servicenow,
                "_is_of_an_earlier_wait",
                "return bool(before.reference) and _wants_record(incident, name)",
                "return False",
            ),
        ),
        "do not edit again after a late edit": _places(
            "late-effects",
            InFunction(SlackTarget, "_edit", " and not is_unsure and not is_settling:", ":"),
            InFunction(SlackTarget, "sync", "if self._may_have_edited(incident, attempt) and", "if not attempt and"),
        ),
        "search by the wrong clock": _places(
            "offset",
            InFunction(
                History,
                "find",
                "if about.items() <= said.items():",
                "if about.items() <= said.items() and float(message['ts']) >= since_ms / 1000 - BEFORE_S:",
            ),
        ),
        "take for synced what others did": _places(
            "tickets-told", InFunction(Worker, "_heard", "is_only_that = was_news and heard", "is_only_that = heard")
        ),
        "forget whose record it is": _places(
            "tickets", InFunction(tickets, "begin", "deliveries={target: shown},", "deliveries={},")
        ),
        "take each event for a new ticket": _places(
            "tickets",
            InFunction(
                tickets,
                "begin",
                "dedup_key=ticket.dedup_key,\n        now_ms=now_ms,\n",
                "dedup_key=f'{ticket.dedup_key} {now_ms}',\n        now_ms=now_ms,\n",
            ),
        ),
        "take comments for shown by the message": _places(
            "tickets-unheard", InFunction(Told, "by_message", ", comments=0", "")
        ),
        "pass over severities": _places(
            "tickets", InFunction(tickets, "hear", "for names, step in _STEPS:", "for names, step in _STEPS[2:]:")
        ),
    }
)
"""What the finer bugs are about: claims, versions, attempts, leases, lost answers, late edits, clocks, tickets."""


_PROFILES: Mapping[str, str] = MappingProxyType(
    {
        "forget every third": "calm",
        "drop timers": "calm",
        "do not look at acknowledgments": "calm",
        "forget acknowledgments": "calm",
        "do not search": "lost-answers",
        "forget resolves": "calm",
        "do not edit": "calm",
        "do not look for messages": "lost-answers",
        "be early": "calm",
        "hurry": "calm",
        "forget snoozes": "calm",
        "keep what is given back": "calm",
        "lose journal lines": "journal",
        "forget who lists": "groups",
        "keep quiet about what joins": "groups",
        "forget older names": "groups",
        "acknowledge for ever": "ack-timeout",
        "probe with what fails": "poison-only",
        "share one queue": "slow-only",
        "refuse what finishes": "full-only",
        "say nothing of a loss": "empty-only",
        "keep quiet about refused edits": "no-edits",
        "believe every clock": "jump",
        "give up when refused": "refused",
    }
)

BUGS: Mapping[str, Bug] = MappingProxyType(
    {name: Bug(_PROFILES[name], sabotage=sabotage) for name, sabotage in SABOTAGES.items()} | dict(_FINER)
)


def check() -> None:
    """Raises Gone for the first bug that has no place any more."""
    for bug in BUGS.values():
        for place in bug.places:
            place.check()
