"""What people write in Slack, as plain text: docs.slack.dev/messaging/formatting-message-text. Pure."""

import re
from collections.abc import Mapping

_MARKED = re.compile(r"<([^<>]*)>")
_PERSON = re.compile(r"@([UW][A-Z0-9]{1,40})")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))  # the last one last: &amp;lt; is &lt;


def mentioned(text: str) -> tuple[str, ...]:
    """The ids of the people that *text* mentions, in their order, each once."""
    found = (_PERSON.match(it.partition("|")[0]) for it in _MARKED.findall(text))
    return tuple(dict.fromkeys(it[1] for it in found if it))


def plain(text: str, names: Mapping[str, str]) -> str:
    """*text* without its markup, but for the signs of bold and the like, which people write anyway.

    A link is `label (URL)`, a person the one of *names* or the id, with an @ before it.
    """
    parts = _MARKED.split(text)  # what is between two marks, and what is in one, in turn
    shown = [_shown(part, names) if number % 2 else _unescaped(part) for number, part in enumerate(parts)]
    return "".join(shown).strip()


def _shown(marked: str, names: Mapping[str, str]) -> str:
    what, _, label = marked.partition("|")
    label = _unescaped(label)
    match what[:1]:
        case "@":
            return f"@{names.get(what[1:]) or label.removeprefix('@') or what[1:]}"
        case "#":
            return f"#{label or what[1:]}"
        case "!":
            return _special(what[1:], label)
        case _:
            return _link(_unescaped(what), label)


def _special(what: str, label: str) -> str:
    """A group of people, or a date, which shows its label where it cannot be read."""
    if what.startswith("date^"):
        return label
    return f"@{label.removeprefix('@') or what.removeprefix('subteam^')}"


def _link(url: str, label: str) -> str:
    address = url.removeprefix("mailto:").removeprefix("tel:")
    return f"{label} ({address})" if label and label not in {url, address} else address


def _unescaped(text: str) -> str:
    for entity, char in _ENTITIES:
        text = text.replace(entity, char)
    return text
