"""Slack's markup as HTML, as far as messages of ours use it."""

import re
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
}


def to_html(text: str) -> Markup:
    """*text* as Slack would show it. A mention stands out, so that one which should not be there is seen."""
    out: list[Markup] = []
    position = 0
    for match in _TOKEN.finditer(text):
        out.append(_plain(text[position : match.start()]))
        out.append(_token(match))
        position = match.end()
    out.append(_plain(text[position:]))
    return Markup("").join(out)


def _token(match: re.Match[str]) -> Markup:
    control, bold, code, emoji = match.groups()
    if control is not None:
        return _control(control)
    if bold is not None:
        return Markup("<b>{}</b>").format(to_html(bold))
    if code is not None:
        return Markup("<code>{}</code>").format(_plain(code))
    if emoji is not None:
        return escape(_EMOJI.get(emoji, match[0]))
    return Markup("<br>")


def _control(control: str) -> Markup:
    target, _, label = control.partition("|")
    if target.startswith("!date^"):
        moment = datetime.fromtimestamp(int(target.split("^")[1]), UTC)
        return Markup("<time>{}</time>").format(moment.strftime("%d %b %H:%M:%S UTC"))
    if target.startswith(("!", "@", "#")):
        return Markup('<mark class="mention">@{}</mark>').format(_plain(target.lstrip("!@#")))
    return Markup('<a href="{}" target="_blank" rel="noreferrer">{}</a>').format(
        _unescape(target), _plain(label or target)
    )


def _plain(text: str) -> Markup:
    return escape(_unescape(text))


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
