"""Removing secrets from what senders post: by the names of fields, and in texts by what they look like. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import re2

REMOVED = "[removed]"
"""In place of a secret."""

LEVELS_MAX = 20
"""How deep lists, objects and JSON in texts may be nested; REMOVED stands for what is deeper."""

NAME_MAX = 200
"""The most characters of a name that is taken for one of a secret."""

KNOWN_MAX = 100
"""The most characters of a text that is worth being remembered."""

_SECRET = re.compile(
    r"(.*(token|password|passwd|passphrase|secret|authorization|cookie|credential|sessionid|connectionstring"
    r"|(routing|service|api|integration|access|secret|private|signing|encryption|auth)key)"
    r"|pwd|pass|auth|dsn|bearer|jwt|basicauth)s?(value)?"
)
_PASSWORD = re.compile(r".*(?:[^a-zA-Z](?i:pass|pwd)|[a-z](?:Pass|Pwd))[^a-zA-Z]*", re.DOTALL)
"""A name whose last word is short for a password, such as basic_auth_pass; not `bypass`."""

_WORDS = (
    "token",
    "pass",
    "pwd",
    "secret",
    "auth",
    "cookie",
    "credential",
    "session",
    "connection",
    "dsn",
    "bearer",
    "jwt",
)
"""Each name of a secret has one of them, or a key; in names, the letters may be apart."""

_WORD = rf"{'|'.join(_WORDS)}|key|sig|basic|slack|xox|xapp|glpat|gh[a-z]_|eyj"
"""What every text has that any of the expressions below finds something in."""

_WORD_IN_ANY_CASE = re.compile(_WORD, re.IGNORECASE)
_WORD_IN_LOWER_CASE = re.compile(_WORD)

_NESTED = frozenset([dict, list])

_NAMED = ("name", "key", "header", "field")
"""The members that hold the name, in an object that is a name and its value, as in lists of headers."""

_VALUE = r"(\"[^\"]*\"|'[^']*'|(?:(?:Bearer|Basic|Token) +)?[^\s&;,#\"'<>{}\[\]]+)"
_USERINFO = re.compile(r"(?<=://)[^\s/?#\"'<>]{1,1000}@")
_QUERY = re.compile(
    r"(?<=[?&;#])((?:key|sig|signature|auth|[\w.-]{0,80}-(?:signature|credential))=)[^\s&;#\"'<>]+", re.IGNORECASE
)
_ASSIGNED = re.compile(r"(?<![\w.-])([\w.-]{1,100})(=)" + _VALUE)
_QUOTED = re.compile(r"((?:\"[\w.-]{1,100}\"|'[\w.-]{1,100}'))(\s{0,5}:\s{0,5})" + _VALUE)
_LINE = re.compile(r"^([ \t]*(?:- )?[\w-]{1,100})(:[ \t]+)(\S[^\r\n]*)$", re.MULTILINE)
_HEADER = re.compile(
    r"(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|[\w-]{1,60}-(?:token|api-key|secret))(:[ \t]*)[^\r\n]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\b(Bearer|Basic)( +)(?=\w[a-z]*[A-Z0-9._~+/=-])[\w.~+/=-]{8,}")
_SHAPED = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
    r"|(?<=://hooks\.slack\.com/)[^\s\"'<>]+|\b(?:xox[a-z]|xapp|glpat)-[\w-]{10,}|\bgh[a-z]_\w{20,}"
    r"|\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"
)
"""What is a secret by its look: private keys, webhooks of Slack, tokens of Slack, GitHub and GitLab, JWTs."""


_APART = r'(?:[^a-z"]|\\[bfnrt"])*'
"""What may be between the letters of a name, as JSON writes it."""

_SUSPECT = re2.compile(
    "|".join(
        [
            "(?i:" + "|".join(_APART.join(word) for word in _WORDS) + ")",
            rf"(?i:(?:[^p]|[^u]p|[^o]up|[^r]oup|[^g]roup|[^\"]group){_APART.join('key')})",
            "(?i:sig|basic|slack|xox|xapp|glpat|gh[a-z]_|eyj)",
            r':\\*/\\*/[^"]*@',  # JSON in a text may have backslashes before its slashes
            r"\\u",  # within JSON in a text, that may be any letter
            r"[^\x00-\x7f]",  # some have more forms than two
        ]
    ).encode()
)
"""What all JSON has that `redacted` changes. `groupKey`, which every webhook of Alertmanager has, does not count."""


def may_change(value: Any, json: bytes) -> bool:
    """Whether `redacted` may change *value*, whose JSON is *json*. Takes a tenth of the time of `redacted`.

    *value* None: it is known to have few levels.
    """
    return _SUSPECT.search(json) is not None or (value is not None and _is_deep(value))


def _is_deep(value: Any, levels: int = LEVELS_MAX) -> bool:
    """Whether something in it is nested deeper."""
    if not levels:
        return True
    items = value.values() if isinstance(value, dict) else value
    if _NESTED.isdisjoint(map(type, items)):
        return False
    return any(_is_deep(it, levels - 1) for it in items if type(it) in _NESTED)


def redacted(value: Any, levels: int = LEVELS_MAX) -> Any:
    """*value*, of JSON, with REMOVED in place of each secret."""
    if isinstance(value, str):
        return _text(value, levels)
    if isinstance(value, list):
        return _list(value, levels) if levels else REMOVED
    if isinstance(value, dict | Mapping):
        return _mapping(value, levels) if levels else REMOVED
    return value


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether what is called so has to stay unknown: in any case, with any separators and numbers."""
    if len(name) > NAME_MAX:
        return False
    letters = re.sub(r"[^a-z]", "", name.lower())
    return _SECRET.fullmatch(letters) is not None or _PASSWORD.fullmatch(name) is not None


def hides(name: str, value: Any) -> bool:
    """Whether *value* under that name is a secret. What is empty, a flag, or a number of many things is none."""
    if not value or not is_secret(name) or str(value).lower() in {"true", "false", "null", "none"}:
        return False
    is_number = isinstance(value, int | float) or (isinstance(value, str) and value.isdecimal())
    return not (is_number and name.lower().endswith("s"))


def hides_at(path: str, value: Any) -> bool:
    """The same of a path with dots: also what an object of a secret's name holds is a secret."""
    if not may_hide(path):
        return False
    return hides(path, value) or ("." in path and any(hides(name, value) for name in path.split(".")))


@lru_cache(maxsize=4096)
def may_hide(path: str) -> bool:
    """Whether there are values that are secrets under that path."""
    return is_secret(path) or ("." in path and any(map(is_secret, path.split("."))))


def _mapping(value: Mapping[Any, Any], levels: int) -> dict[str, Any]:
    found = {}
    names_a_secret = False
    for key, it in value.items():
        name = str(key)
        is_hidden = is_secret(name) and hides(name, it)
        found[_text(name, levels)] = REMOVED if is_hidden else redacted(it, levels - 1)
        if isinstance(it, str) and name.lower() in _NAMED:
            names_a_secret = names_a_secret or is_secret(it)
    if names_a_secret:
        found |= {name: REMOVED for name, it in found.items() if "val" in name.lower() and it}
    return found


def _list(value: Sequence[Any], levels: int) -> list[Any]:
    """Where names and values take turns, or are options of a command, what comes after the name of a secret is one."""
    found = [redacted(it, levels - 1) for it in value]
    for number, (name, it) in enumerate(pairwise(value)):
        if isinstance(name, str) and (number % 2 == 0 or name.startswith("-")) and hides(name, it):
            found[number + 1] = REMOVED
    return found


def _text(value: str, levels: int) -> str:
    return _known_text(value, levels) if len(value) <= KNOWN_MAX else _clean(value, levels)


@lru_cache(maxsize=4096)
def _known_text(value: str, levels: int) -> str:
    """Most names and values are short, and come again and again: within a body, and with the next one."""
    return _clean(value, levels)


def _clean(value: str, levels: int) -> str:
    if value.isalnum():  # what has only a word has no secret under it
        return value
    if levels and value.lstrip()[:1] in {"{", "["} and (clean := _json(value, levels - 1)):
        return clean
    if "://" in value and "@" in value:
        value = _USERINFO.sub(f"{REMOVED}@", value)
    if _has_no_word(value):  # as with most: it saves the time of the rest
        return value
    if "=" in value:
        value = _QUERY.sub(rf"\1{REMOVED}", value)
        value = _ASSIGNED.sub(_without_secret, value)
    if ":" in value:
        value = _HEADER.sub(rf"\1\2{REMOVED}", value)
        value = _QUOTED.sub(_without_secret, value)
        value = _LINE.sub(_without_secret, value)
    return _SHAPED.sub(REMOVED, _SCHEME.sub(rf"\1\2{REMOVED}", value))


def _has_no_word(value: str) -> bool:
    if value.isascii():  # ten times as fast; other letters have more forms than two
        return _WORD_IN_LOWER_CASE.search(value.lower()) is None
    return _WORD_IN_ANY_CASE.search(value) is None


def _without_secret(found: re.Match[str]) -> str:
    name, between, said = found.groups()
    quote = said[0] if said[0] in "\"'" else ""
    return f"{name}{between}{quote}{REMOVED}{quote}" if hides(name, said.strip("\"'")) else found[0]


def _json(value: str, levels: int) -> str:
    """JSON that was put into a text, without secrets; "" when it is none, or has none."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    clean = redacted(found, levels)
    return "" if clean == found else json.dumps(clean, ensure_ascii=False)
