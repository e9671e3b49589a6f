"""What is wrong with the journal in Redis: its chain is judged by what docs say of it, with no code of versus_py."""

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha1

Verdict = tuple[str, str]

BROKEN = "the journal's chain is broken"
_HASH = ',"hash":"'


def judge_journal(texts: Sequence[str], head: Mapping[str, str], accepted: Sequence[str]) -> Iterator[Verdict]:
    """*texts* are the lines, *head* tells the last one; *accepted* are the incidents that somebody was promised."""
    if not texts:
        if head or accepted:
            yield BROKEN, f"no line, head {dict(head)}"
        return
    anchor, *lines = texts
    before = json.loads(anchor)
    for text in lines:
        line = json.loads(text)
        yield from _judge_line(text, line, before)
        before = line
    if (str(before["n"]), before["hash"]) != (head.get("n"), head.get("hash")):
        yield BROKEN, f"it ends with line {before['n']}, not {head.get('n')}"
    known = {json.loads(text)["incident"] for text in lines}
    for incident in accepted:
        if incident not in known:
            yield "accepted, and not in the journal", incident


def _judge_line(text: str, line: Mapping[str, object], before: Mapping[str, object]) -> Iterator[Verdict]:
    if line["n"] != int(str(before["n"])) + 1 or line["previous"] != before["hash"]:
        yield BROKEN, f"line {line['n']} follows {before['n']}"
    if line["hash"] != sha1(text.rpartition(_HASH)[0].encode(), usedforsecurity=False).hexdigest():
        yield BROKEN, f"line {line['n']} was changed"
