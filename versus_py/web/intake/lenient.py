"""Bodies that are nearly JSON, or something else that holds it: the last tries before a body is refused."""

import re
from urllib.parse import parse_qsl

LENIENT_MAX = 1024 * 1024
"""Most characters of a body that is repaired; each takes a look of its own."""

FORM_FIELDS_MAX = 500
"""Most fields of a form."""

_QUOTES = "“”„‟″«»"
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?'  # a string
    rf'|[{_QUOTES}][^{_QUOTES}"\\]*(?:\\.[^{_QUOTES}"\\]*)*[{_QUOTES}"]?'  # one in quotation marks of a word processor
    r"|,(?=\s*[}\]])",  # a comma after the last element
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:([\"\\/bfnrt]|u[0-9a-fA-F]{4})|(.))?", re.DOTALL)
_FORM = re.compile(r"[\w.\-%+\[\]*]{1,200}=")
_CARRIERS = ("payload", "data", "json", "body", "alert", "event", "message")
"""Fields of forms that hold JSON, with tools that post such forms."""

_REMEDIES = (
    (b"\x28\xb5\x2f\xfd", "zstd", "send it unpacked, or packed with gzip and Content-Encoding: gzip"),
    (b"\x1f\x8b", "gzip", "say so with Content-Encoding: gzip"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy", "send it unpacked, or packed with gzip and Content-Encoding: gzip"),
)
_MSGPACK = frozenset((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))
"""First bytes of a map or an array in MessagePack; no text in UTF-8 begins with one."""


def repaired(text: str) -> str | None:
    """*text* with the usual faults of hand-made templates put right; None when it is too long for that.

    Commas after the last element are left out, quotation marks of word processors become plain ones, and a backslash
    that escapes nothing stands for itself. Raw line breaks and tabs in strings are left to the parser.
    """
    if len(text) > LENIENT_MAX:
        return None
    return _TOKEN.sub(lambda it: _put_right(it[0]), text)


def form(text: str) -> tuple[str | None, dict[str, str]]:
    """The JSON that a form carries in one of its fields, if any, and its fields; both empty when it is no form."""
    if not _FORM.match(text):
        return None, {}
    try:
        fields = dict(parse_qsl(text.strip(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX, errors="replace"))
    except ValueError:
        return None, {}
    carried = (fields[name] for name in _CARRIERS if name in fields)
    return next((value for value in carried if value.lstrip()[:1] in {"{", "["}), None), fields


def remedy(body: bytes) -> str:
    """What *body* is, and what to do so that it can be read; "" when that is not known."""
    for begins, kind, advice in _REMEDIES:
        if body.startswith(begins):
            return f"the body is packed with {kind}; {advice}"
    if body[0] in _MSGPACK and not _is_utf8(body):
        return "the body is MessagePack; send JSON (Fluent Bit: Format json)"
    if body.lstrip()[:2] == b"--" and b"form-data" in body[:2000]:
        return "the body is a form in parts; send JSON, or a form as application/x-www-form-urlencoded"
    if body.lstrip()[:1] == b"<":
        return "the body is XML or HTML; send JSON"
    return ""


def _put_right(piece: str) -> str:
    if piece == ",":
        return ""
    if piece[0] != '"':
        closes = len(piece) > 1 and piece[-1] in f'{_QUOTES}"'
        piece = f'"{piece[1:-1] if closes else piece[1:]}"'
    return _ESCAPE.sub(lambda it: it[0] if it[1] else f"\\\\{it[2] or ''}", piece) if "\\" in piece else piece


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
