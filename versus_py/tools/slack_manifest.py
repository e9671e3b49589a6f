"""The manifest that a Slack app is created from: docs.slack.dev/reference/app-manifest. Pure."""

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from versus_py.config import Config
from versus_py.config.parts import HttpUrl
from versus_py.errors import ConfigError
from versus_py.targets.slack.requests import PATH
from versus_py.targets.slack.scopes import BOT_EVENTS, scopes_in_use

NAME = "Versus"
NAME_MAX = 35
"""Slack's limit; that of DESCRIPTION is 140."""

DESCRIPTION = "Posts alerts, takes acknowledgments, and escalates what nobody acknowledged in time."
COLOUR = "#1f2937"

_HOST = TypeAdapter(HttpUrl)


def slack_manifest(
    config: Config | None, *, name: str = NAME, public_host: str | None = None, socket_mode: bool = False
) -> dict[str, Any]:
    """The manifest as a mapping. *public_host* counts before the configuration's.

    Socket Mode is meant too by a configuration with an app_token, unless *public_host* is given. Raises ConfigError
    when Slack would not take the manifest: a name of more than NAME_MAX characters, or, without Socket Mode, no address
    over https that Slack could send to.
    """
    if not 0 < len(name.strip()) <= NAME_MAX:
        raise ConfigError([f"--name: Slack takes 1 to {NAME_MAX} characters, not {len(name.strip())}"])
    if not public_host and config is not None:
        socket_mode = socket_mode or config.alert.slack.uses_socket_mode
    to_us = {} if socket_mode else {"request_url": _request_url(public_host, config)}
    takes_replies = config is None or config.alert.slack.take_replies
    events = {"event_subscriptions": {**to_us, "bot_events": list(BOT_EVENTS)}} if takes_replies else {}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {"name": name.strip(), "description": DESCRIPTION, "background_color": COLOUR},
        "features": {"bot_user": {"display_name": _handle(name), "always_online": True}},
        "oauth_config": {"scopes": {"bot": list(scopes_in_use(None if config is None else config.alert.slack))}},
        "settings": {
            **events,
            "interactivity": {"is_enabled": True, **to_us},
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": False,
        },
    }


def _handle(name: str) -> str:
    """What people write after the @; Slack allows a-z, 0-9 and a few signs in it."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-") or NAME.lower()


_NO_HOST = (
    "public_host is not known, to which Slack sends what people press: give --public-host, or -c with a configuration "
    "that has it or an app_token, or --socket-mode, which needs no address"
)


def _request_url(public_host: str | None, config: Config | None) -> str:
    """Where Slack sends what people press and write."""
    host = public_host or (config.public_host if config is not None else None)
    if not host:
        raise ConfigError([_NO_HOST])
    try:
        host = _HOST.validate_python(host)
    except ValidationError as exc:
        raise ConfigError([f"public_host: {it['msg'].removeprefix('Value error, ')}" for it in exc.errors()]) from None
    if not host.startswith("https://"):
        raise ConfigError([f"public_host: Slack sends to https:// only, not to {host}; or use --socket-mode"])
    return f"{host}{PATH}"
