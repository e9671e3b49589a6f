"""Instants as people write and read them: by the clock of a time zone. Pure. A zone of None is that of this machine."""

from datetime import UTC, datetime, tzinfo

YEARS = range(1971, 2100)
"""Beyond them, clocks of some systems fail, and no zone's rules are known."""


def instant_ms(text: str, zone: tzinfo | None) -> tuple[int, str]:
    """The instant that *text* names in *zone*, and a warning where the clock shows that twice.

    Raises ValueError with a sentence for what is no time, or one that the clock skips.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write one such as 2027-03-28T01:30 or 2027-03-28T01:30+01:00") from None
    if moment.year not in YEARS:
        raise ValueError(f"{text!r} is too far away: write a year from {YEARS[0]} to {YEARS[-1]}")
    if moment.tzinfo is not None:
        return _ms(moment), ""
    first, second = (_ms(moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if wall(first, zone).replace(tzinfo=None, fold=0) != moment:
        raise ValueError(f"{text!r} does not exist: the clock is put forward over it, to {_time(first, zone)} or later")
    if first == second:
        return first, ""
    both = " and ".join(_time(it, zone) for it in (first, second))
    return first, f"{text} comes twice, as the clock is put back: {both}; this is the first"


def wall(at_ms: int, zone: tzinfo | None) -> datetime:
    """What the clock shows then."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)


def shown(at_ms: int, zone: tzinfo | None) -> str:
    """With its distance from UTC, such as 2027-03-28 01:30:00 +01:00."""
    return f"{wall(at_ms, zone):%Y-%m-%d %H:%M:%S} {_offset(wall(at_ms, zone))}"


def _time(at_ms: int, zone: tzinfo | None) -> str:
    return f"{wall(at_ms, zone):%H:%M} {_offset(wall(at_ms, zone))}"


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
