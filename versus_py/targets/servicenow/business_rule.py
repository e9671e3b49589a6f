"""The script of a business rule, ready to paste: what it sends, `events` reads. Pure."""

import json
from collections.abc import Mapping
from importlib import resources
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from versus_py.config import Config, ServiceNowConfig, ServiceNowInstance
from versus_py.config.parts import HttpUrl
from versus_py.errors import ConfigError
from versus_py.sources.records import EVENTS_PATH
from versus_py.targets.servicenow.events import LABELS
from versus_py.targets.servicenow.sides import columns_of

PROPERTY = "versus.token"
"""The system property with the token; that of a source has the source's name behind it."""

_HOST = TypeAdapter(HttpUrl)

_ALWAYS = ("sys_id", "number", "description", "correlation_id")


def business_rule(config: Config, *, instance: str = "", source: str = "", public_host: str | None = None) -> str:
    """The script for *instance*, "" being the main one; *public_host* counts before the configuration's.

    *source* is the name of one of its `events.sources`, "" for the token of `events` itself. Raises ConfigError.
    """
    settings = _settings(config, instance)
    section = f"oncall.{ServiceNowConfig.NAME}"
    section += f".{ServiceNowConfig.PLACES}.{instance}" if instance else ""
    key = _token_setting(settings, section, source)
    place = f"/{quote(instance, safe='')}" if instance else ""
    options = (f" --instance {instance}" if instance else "") + (f" --source {source}" if source else "")
    named = f"{PROPERTY}.{source}" if source else PROPERTY
    columns = list(dict.fromkeys((*_ALWAYS, *columns_of(settings), *LABELS, settings.key_field)))
    return _filled(
        {
            "COMMAND": _one_line(f"versus servicenow business-rule{options}"),
            "PROPERTY": named,
            "SETTING": _one_line(key),
            "SECTION": _one_line(section),
            "TABLE": settings.table,
            "ENDPOINT": _literal(f"{_host(public_host, config)}{EVENTS_PATH}{place}"),
            "INSTANCE": _literal(instance),
            "TOKEN_PROPERTY": _literal(named),
            "COLUMNS": _literal(columns),
        }
    )


def _host(public_host: str | None, config: Config) -> str:
    """Where ServiceNow sends to."""
    host = public_host or config.public_host
    if not host:
        raise ConfigError(["public_host: is not set, to which ServiceNow sends: set it, or give --public-host"])
    try:
        return _HOST.validate_python(host)
    except ValidationError as exc:
        raise ConfigError([f"public_host: {it['msg'].removeprefix('Value error, ')}" for it in exc.errors()]) from None


def _settings(config: Config, instance: str) -> ServiceNowInstance:
    known: Mapping[str | None, ServiceNowInstance] = config.oncall.servicenow.instances()
    found = known.get(instance or None)
    if found is None:
        names = ", ".join(name for name in known if name) or "none"
        raise ConfigError([f"--instance: is {instance!r}; oncall.servicenow.other_instance_urls has {names}"])
    return found


def _token_setting(settings: ServiceNowInstance, section: str, source: str) -> str:
    """The key of the configuration that has the token."""
    names = [it.name for it in settings.events.sources]
    if source:
        if source not in names:
            known = ", ".join(names) or "none"
            raise ConfigError([f"--source: is {source!r}; {section}.events.sources has {known}"])
        return f"{section}.events.sources.{names.index(source)}.token"
    if not settings.events.token.get_secret_value():
        others = f", or give --source: {', '.join(names)}" if names else ""
        raise ConfigError([f"{section}.events.token: is not set, so that tickets are refused: set it{others}"])
    return f"{section}.events.token"


def _filled(values: dict[str, str]) -> str:
    text = resources.files(__package__).joinpath("business_rule.js").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _literal(value: object) -> str:
    """As JavaScript has it, in ASCII; JSON is that, but for what would end a script in HTML."""
    return json.dumps(value).replace("</", "<\\/")


def _one_line(text: str) -> str:
    """For a comment: no character of a name ends it."""
    return text if text.isprintable() and text.isascii() else json.dumps(text)
