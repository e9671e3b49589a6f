"""What people read of an entry of a journal. Pure.

Where people have an editor for formatted text, the entry is HTML between [code] and [/code].
"""

import re
from html import unescape

READ_MAX = 4000
"""Characters that are looked at: a quarter of that is kept. The time that markup takes may grow with its square."""

_CODE = re.compile(r"\[code\](.*?)(?:\[/code\]|\Z)", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_LINE = re.compile(r"</?(?:br|div|li|p|tr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.IGNORECASE)


def plain(text: str) -> str:
    """*text* without its markup. What is not between [code] and [/code] is as it was typed."""
    return _CODE.sub(lambda found: _text_of(found[1]), text[:READ_MAX]).strip()


def _text_of(html: str) -> str:
    """Each paragraph and list item in a line of its own."""
    html = " ".join(_HIDDEN.sub("", html).split())
    lines = unescape(_TAG.sub("", _LINE.sub("\n", html))).split("\n")
    return "\n".join(line for it in lines if (line := " ".join(it.split())))
