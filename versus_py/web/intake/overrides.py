"""What a request asks for in its query: that wins over the route of its labels, and over the configuration.

A mistake in a query parameter never loses the alert: it counts as not given, and a warning says so. So does what the
sender's token does not allow.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from multidict import MultiMapping

from versus_py.config import MAX_WAIT_MINUTES, Config, OncallConfig, OverrideLimits
from versus_py.config.parts import QUERY_PARAMETERS, SystemPart
from versus_py.config.versus_incident.overrides import UNREAD_OVERRIDES
from versus_py.engine.policies import in_ms
from versus_py.incidents.policies import Asked
from versus_py.incidents.severity import known_as, known_names, spelling
from versus_py.sources import SOURCES

_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_PER_ALERT = {"group": False, "alert": True}
_SHOWN_MAX = 80
_PARAMETERS_MAX = 20


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a request asked for, as far as it could be understood."""

    asked: Asked
    per_alert: bool
    source: str | None  # whose payload it is; None: by its shape
    warnings: tuple[str, ...]

    @property
    def severity(self) -> str | None:
        """Of all its alerts, whatever they say; None: their own."""
        return self.asked.severity or None


_UNLIMITED = OverrideLimits()


def read_overrides(
    query: MultiMapping[str], config: Config, limits: OverrideLimits = _UNLIMITED, *, policy: str = ""
) -> Overrides:
    """What a request with this query string asks for, as far as its sender's *limits* allow it.

    *policy* is the one of all that the sender sends; "" where it has none.
    """
    places = {part.OVERRIDE: part for part in config.systems.values() if part.OVERRIDE}
    values, warnings = _known(query, {*QUERY_PARAMETERS, *places})
    values = _allowed(values, limits, places, warnings, policy)
    wait_minutes = _clamped(_wait_minutes(values, warnings), limits, warnings)
    asked = Asked(
        policy=policy or _policy(values, config, warnings),
        severity=_severity(values, config, warnings) or "",
        wait_ms=None if wait_minutes is None else in_ms(wait_minutes),
        escalates=_escalates(values, config.oncall, warnings),
        destinations=_destinations(values, places, warnings),
    )
    escalates = config.oncall.by_default if asked.escalates is None else asked.escalates
    if not escalates and "oncall_wait_minutes" in values and "oncall_enable" not in values:
        when = "unless the request says oncall_enable=true" if config.oncall.is_prepared else "in the configuration"
        warnings.append(f"oncall_wait_minutes has no effect: on-call is off {when}")
    per_alert, source = _is_per_alert(values, config, warnings), _source(values, warnings)
    return Overrides(asked, per_alert, source, tuple(warnings))


def override_names(config: Config) -> list[str]:
    """The query parameters that there are."""
    return sorted([*QUERY_PARAMETERS, *(part.OVERRIDE for part in config.systems.values() if part.OVERRIDE)])


def _known(query: MultiMapping[str], names: Collection[str]) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    warnings: list[str] = []
    for index, (name, value) in enumerate(query.items()):
        if index >= _PARAMETERS_MAX:
            warnings.append(f"only the first {_PARAMETERS_MAX} query parameters were read")
            break
        if name not in names and name in UNREAD_OVERRIDES:
            warnings.append(f"query parameter {name} was ignored: {UNREAD_OVERRIDES[name]}")
        elif name not in names:
            close = get_close_matches(name.lower(), sorted(names), n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(names))}"
            warnings.append(f"query parameter {_shown(name)} is not known and was ignored; {hint}")
        elif name in values:
            warnings.append(
                f"query parameter {name} stands more than once: {_shown(values[name])} counts, the first one"
            )
        else:
            values[name] = value.strip()
    return values, warnings


def _allowed(
    values: Mapping[str, str],
    limits: OverrideLimits,
    places: Mapping[str, SystemPart],
    warnings: list[str],
    policy: str,
) -> dict[str, str]:
    """Without those that the sender may not set, or not to this."""
    lists = {name: getattr(limits, part.LIMITED_BY) for name, part in places.items()}
    allowed = {}
    for name, value in values.items():
        listed = lists.get(name)
        if name == "oncall_enable" and not limits.oncall:
            warnings.append("query parameter oncall_enable was ignored: this sender's token does not allow it")
        elif name == "policy" and policy:
            warnings.append(f"query parameter policy={_shown(value)} was ignored; this sender's token has {policy!r}")
        elif name == "policy" and limits.policies is not None and value not in limits.policies:
            which = ", ".join(limits.policies) or "none"
            warnings.append(f"query parameter policy={_shown(value)} was ignored; this sender's token allows: {which}")
        elif name == "severity" and not _is_listed(value, limits.severities):
            which = ", ".join(limits.severities or ()) or "none"
            warnings.append(f"query parameter {name}={_shown(value)} was ignored; this sender's token allows: {which}")
        elif listed is not None and value not in listed:
            which = ", ".join(listed) or "none"
            warnings.append(f"query parameter {name}={_shown(value)} was ignored; this sender's token allows: {which}")
        else:
            allowed[name] = value
    return allowed


def _clamped(minutes: float | None, limits: OverrideLimits, warnings: list[str]) -> float | None:
    """The nearest wait that the sender may ask for."""
    if minutes is None:
        return None
    nearest = min(max(minutes, limits.min_wait_minutes), limits.max_wait_minutes)
    if nearest != minutes:
        warnings.append(
            f"query parameter oncall_wait_minutes={minutes:g} became {nearest:g}; this sender's token allows: "
            f"{limits.min_wait_minutes:g} to {limits.max_wait_minutes:g}"
        )
    return nearest


def _is_per_alert(values: Mapping[str, str], config: Config, warnings: list[str]) -> bool:
    value = values.get("incident_per", config.incident_per)
    if value not in _PER_ALERT:
        _ignored(warnings, "incident_per", value, " and ".join(_PER_ALERT))
        return _PER_ALERT[config.incident_per]
    return _PER_ALERT[value]


def _source(values: Mapping[str, str], warnings: list[str]) -> str | None:
    value = values.get("source")
    if value is not None and value not in SOURCES:
        _ignored(warnings, "source", value, ", ".join(SOURCES))
        return None
    return value


def _severity(values: Mapping[str, str], config: Config, warnings: list[str]) -> str | None:
    """The known severity that the request asks for, by severity_map too."""
    value = values.get("severity")
    if value is None:
        return None
    severity = known_as(value, config.severity_map)
    if severity is None:
        _ignored(warnings, "severity", value, known_names(config.severity_map))
    return severity


def _policy(values: Mapping[str, str], config: Config, warnings: list[str]) -> str:
    """The name of a policy that there is; "" when the request does not say one."""
    value, names = values.get("policy", ""), [it.name for it in config.policies]
    if value and value not in names:
        _ignored(warnings, "policy", value, ", ".join(names) or "none, as the configuration has no policies")
        return ""
    return value


def _is_listed(severity: str, listed: Collection[str] | None) -> bool:
    return listed is None or spelling(severity) in map(spelling, listed)


def _escalates(values: Mapping[str, str], oncall: OncallConfig, warnings: list[str]) -> bool | None:
    """None when the request does not say, or not so that it can be understood."""
    value = values.get("oncall_enable")
    if value is None:
        return None
    wanted = _BOOLEANS.get(value.lower())
    if wanted is None:
        _ignored(warnings, "oncall_enable", value, "true and false")
        return None
    if wanted and not oncall.is_prepared:
        warnings.append("oncall_enable=true was ignored: on-call is off in the configuration (oncall.enable)")
        return False
    return wanted


def _wait_minutes(values: Mapping[str, str], warnings: list[str]) -> float | None:
    """None when the request does not say, or not so that it can be understood."""
    value = values.get("oncall_wait_minutes")
    if value is None:
        return None
    try:
        minutes = float(value)
    except ValueError:
        minutes = math.nan
    if not 0 <= minutes <= MAX_WAIT_MINUTES:
        _ignored(warnings, "oncall_wait_minutes", value, f"a number from 0 to {MAX_WAIT_MINUTES} (7 days)")
        return None
    return minutes


def _destinations(values: Mapping[str, str], places: Mapping[str, SystemPart], warnings: list[str]) -> dict[str, str]:
    destinations = {}
    for name, part in places.items():
        if name in values:
            allowed = part.problem_with(values[name])
            if allowed:
                _ignored(warnings, name, values[name], allowed)
            else:
                destinations[part.NAME] = values[name]
    return destinations


def _ignored(warnings: list[str], name: str, value: str, allowed: str) -> None:
    warnings.append(f"query parameter {name}={_shown(value)} was ignored; allowed: {allowed}")


def _shown(value: str) -> str:
    return value if len(value) <= _SHOWN_MAX else f"{value[:_SHOWN_MAX]}…"
