"""The Slack template that Versus Incident v1.4 ships, which is written for Go."""

from hashlib import sha256

_DIGESTS = frozenset({"52c0676a067e6bf4b150d389f7f161f51819b20f1c3fc9117c5a2ae52af26028"})
"""SHA-256 of its text with each run of white space as one blank, so that indentation and line ends do not count."""


def is_shipped_template(text: str) -> bool:
    """Whether *text* is that template, unchanged."""
    return sha256(" ".join(text.split()).encode()).hexdigest() in _DIGESTS
