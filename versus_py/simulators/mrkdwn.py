"""Slack's markup as HTML, as far as messages of ours use it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup, escape

_TOKEN = re.compile(r"<([^<>]+)>|\*([^*\n]+)\*|`([^`\n]+)`|:([a-z_]+):|\n")
_EMOJI = {
    "red_circle": "🔴",
    "large_orange_circle": "🟠",
    "large_green_circle": "🟢",
    "heavy_plus_sign": "➕",
    "repeat": "🔁",
    "mute": "🔇",
    "warning": "⚠️",
    "zzz": "💤",
    "sleeping": "😴",
    "white_check_mark": "✅",
    "bell": "🔔",
    "speech_balloon": "💬",
    "fire": "🔥",
    "ocean": "🌊",
    "arrow_up": "⬆️",
    "rotating_light": "🚨",
    "leftwards_arrow_with_hook": "↩️",
    "hourglass_flowing_sand": "⏳",
    "link": "🔗",
    "arrow_right": "➡️",
    "small_red_triangle": "🔺",
    "small_red_triangle_down": "🔻",
    "bangbang": "‼️",
    "alarm_clock": "⏰",
}
_EMOJI_NAME = re.compile(r":([a-z_]+):")

# docs.slack.dev, "Formatting message text": the parts of a date, which Slack shows in the reader's time zone.
_DATE_PART = re.compile(r"\{(\w+)\}")
_DATE_FORMATS = {
    "date_num": "%Y-%m-%d",
    "date": "%d %B %Y",
    "date_short": "%d %b %Y",
    "date_long": "%A, %d %B %Y",
    "date_pretty": "%d %B",
    "date_short_pretty": "%d %b",
    "date_long_pretty": "%A, %d %B",
    "time": "%H:%M UTC",
    "time_secs": "%H:%M:%S UTC",
}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reader's client knows: the names of people by id, and the time."""

    names: Mapping[str, str]
    now_s: float


def to_html(text: str, reader: Reader) -> Markup:
    """*text* as Slack would show it. A mention stands out, so that one which should not be there is seen."""
    out: list[Markup] = []
    position = 0
    for match in _TOKEN.finditer(text):
        out.append(_plain(text[position : match.start()]))
        out.append(_token(match, reader))
        position = match.end()
    out.append(_plain(text[position:]))
    return Markup("").join(out)


def plain_to_html(text: str) -> Markup:
    """A plain_text object's text, in which emoji are all the markup that there is."""
    return escape(_EMOJI_NAME.sub(lambda match: _EMOJI.get(match[1], match[0]), text))


def _token(match: re.Match[str], reader: Reader) -> Markup:
    control, bold, code, emoji = match.groups()
    if control is not None:
        return _control(control, reader)
    if bold is not None:
        return Markup("<b>{}</b>").format(to_html(bold, reader))
    if code is not None:
        return Markup("<code>{}</code>").format(_plain(code))
    if emoji is not None:
        return escape(_EMOJI.get(emoji, match[0]))
    return Markup("<br>")


def _control(control: str, reader: Reader) -> Markup:
    target, _, label = control.partition("|")
    if target.startswith("!date^"):
        return Markup("<time>{}</time>").format(_plain(_date(target, reader) or label))
    if target.startswith(("!", "@", "#")):
        return Markup('<mark class="mention">{}</mark>').format(_plain(label or _mention(target, reader)))
    return Markup('<a href="{}" target="_blank" rel="noreferrer">{}</a>').format(
        _unescape(target), _plain(label or target)
    )


def _mention(target: str, reader: Reader) -> str:
    name = target[1:].removeprefix("subteam^")
    return f"{'#' if target.startswith('#') else '@'}{reader.names.get(name, name)}"


def _date(target: str, reader: Reader) -> str:
    """`!date^unix^format^link` as text, in UTC; empty when it is none."""
    _, _, rest = target.partition("^")
    seconds, _, rest = rest.partition("^")
    if not seconds.isdecimal():
        return ""
    moment = datetime.fromtimestamp(int(seconds), UTC)

    def part(match: re.Match[str]) -> str:
        if match[1] == "ago":
            return _ago(reader.now_s - int(seconds))
        return moment.strftime(_DATE_FORMATS.get(match[1], match[0]))

    return _DATE_PART.sub(part, rest.partition("^")[0])


def _ago(passed_s: float) -> str:
    """`5 minutes ago`, or `in 5 minutes` for what is still to come."""
    size = abs(round(passed_s))
    unit, length = next((it for it in _UNITS if size >= it[1]), _UNITS[-1])
    count = size // length
    said = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{said} ago" if passed_s >= 0 else f"in {said}"


def _plain(text: str) -> Markup:
    return escape(_unescape(text))


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
