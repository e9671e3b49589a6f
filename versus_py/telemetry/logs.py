"""The log: structured, on standard error, without secrets."""

import json
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from versus_py.config import LogConfig

_MASK = "**********"
OWN_NAMES = {"versus", "versus_py"}
"""What is said everywhere. A secret that is one of these is none: masked, it would make the log unreadable."""

_OWN_KEYS = {"level", "timestamp"}

_SECRET_MIN = 4
"""A shorter secret would mask half of every line, and protects nothing."""


def configure_logging(
    config: LogConfig, secrets: Iterable[str] = (), *, process: int | None = None, for_good: bool = False
) -> None:
    """Set up the log of this process. What libraries log, from WARNING on, goes the same way.

    *process* is its number among several, which is then in every line. *for_good*: it is not set up again, so that
    each logger is made once: to make it takes a fifth of the time of a line.
    """
    as_json = config.format == "json" or (config.format == "auto" and not sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        *([] if process is None else [_numbered(process)]),
        Redactor(secrets),
    ]
    renderer: Any = _json if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=for_good,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("aiohttp.server").addFilter(_is_no_mere_bad_request)


_ENCODER = json.JSONEncoder(default=repr)
"""In ASCII: what else ends a line, or moves a terminal's cursor, is escaped."""


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return _ENCODER.encode(event)


def _numbered(process: int) -> Any:
    """Adds the number of the process to a line."""

    def number(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    return number


def _is_no_mere_bad_request(record: logging.LogRecord) -> bool:
    """aiohttp logs with a traceback what is not even HTTP: with that, whoever reaches the port could fill the log."""
    exception = record.exc_info[1] if record.exc_info else None
    return not isinstance(exception, HttpProcessingError | web.RequestPayloadError)


class Redactor:
    """Masks the secrets of the configuration wherever they turn up: in a line of the log, or in other text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        told = {it for it in secrets if len(it) >= _SECRET_MIN and it.lower() not in OWN_NAMES}
        found = sorted(told, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_pattern, found))) if found else None

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Names of events, levels and times are our own: a secret that is a part of one stays readable there."""
        own = _OWN_KEYS if "_record" in event else {*_OWN_KEYS, "event"}  # a library's event may be any text
        return {key: value if key in own else self.masked(value) for key, value in event.items()}

    def masked(self, value: Any) -> Any:
        """*value*, text or lists and mappings of it, without the secrets."""
        if isinstance(value, str):
            return self._pattern.sub(_MASK, value) if self._pattern else value
        if isinstance(value, list | tuple):
            return [self.masked(item) for item in value]
        if isinstance(value, dict):
            return {key: self.masked(item) for key, item in value.items()}
        return value


def _pattern(secret: str) -> str:
    """Anywhere; but a word or a number, such as a simulator's "secret" or 1234, not within other ones."""
    found = re.escape(secret)
    is_word = secret.isalpha() or secret.isdecimal()
    return rf"(?<![A-Za-z0-9_]){found}(?![A-Za-z0-9_])" if is_word else found
