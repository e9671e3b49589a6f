"""The web UI: who may open it, and what they may do."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from versus_py.config.parts import LOOPBACK, Number, Part

if TYPE_CHECKING:
    from versus_py.config.model import Config

Network = IPv4Network | IPv6Network

_PRESETS = {
    "oauth2-proxy": {
        "user": "X-Forwarded-User",
        "name": "X-Forwarded-Preferred-Username",
        "email": "X-Forwarded-Email",
        "groups": "X-Forwarded-Groups",
    },
    "authelia": {
        "user": "Remote-User",
        "name": "Remote-Name",
        "email": "Remote-Email",
        "groups": "Remote-Groups",
    },
}
"""oauth2-proxy.github.io/oauth2-proxy: pass_user_headers; authelia.com: trusted header SSO."""


def _network(value: str) -> str:
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError("must be an address, or a network such as 10.0.0.0/8") from None
    if network.prefixlen == 0:
        raise ValueError("must not be every address: whoever reaches the port could say who they are")
    return value


def _header(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9-]+", value):
        raise ValueError("must be the name of a header, such as X-Forwarded-User")
    return value


Header = Annotated[str, AfterValidator(_header)]


class UiHeaders(Part):
    """The headers in which the proxy says who asks."""

    preset: Literal["", "oauth2-proxy", "authelia"] = ""
    """The headers of a known proxy; each key below replaces one of them."""
    user: Header = ""
    """The header with the user; a request without it is refused."""
    name: Header = ""
    """The header with the person's name; without one, the user is shown."""
    email: Header = ""
    """The header with the e-mail address."""
    groups: Header = ""
    """The header with the groups, separated by commas."""

    def header(self, what: Literal["user", "name", "email", "groups"]) -> str:
        """The header for it; "" when there is none."""
        return getattr(self, what) or _PRESETS.get(self.preset, {}).get(what, "")


class UiRoles(Part):
    """What the groups of a person allow. Without any group here, everybody whom the proxy lets in may act."""

    responder: tuple[str, ...] = ()
    """Groups that may look and act."""
    viewer: tuple[str, ...] = ()
    """Groups that may look; without any, everybody who is no responder."""


class UiConfig(Part):
    """The web UI: who may open it, and what they may do."""

    auth: Literal["gateway_secret", "proxy"] = "gateway_secret"
    """How people sign in: with the gateway secret, or at a proxy in front that says in headers who they are."""
    session_hours: Annotated[float, Number] = Field(12, gt=0, le=24 * 30, allow_inf_nan=False)
    """How long signing in with the gateway secret lasts."""
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    """The addresses or networks of the proxy: from anywhere else, its headers do not count."""
    headers: UiHeaders = UiHeaders()
    """The headers in which the proxy says who asks."""
    roles: UiRoles = UiRoles()
    """What the groups of a person allow."""

    @property
    def networks(self) -> tuple[Network, ...]:
        """Those of the proxy."""
        return tuple(map(ip_network, self.trusted_proxies))

    def problems(self) -> Iterator[str]:
        """What is missing or does not go together."""
        if self.auth != "proxy":
            return
        if not self.trusted_proxies:
            yield "ui.trusted_proxies: is required with ui.auth: proxy; set the addresses that the proxy asks from"
        if not self.headers.header("user"):
            yield (
                "ui.headers.preset: is required with ui.auth: proxy, unless ui.headers.user is set; "
                f"allowed: {', '.join(_PRESETS)}"
            )
        if (self.roles.responder or self.roles.viewer) and not self.headers.header("groups"):
            yield "ui.headers.groups: is required with ui.roles, unless ui.headers.preset is set"

    def warnings(self, config: "Config") -> Iterator[str]:
        """What works, but is hardly what was meant."""
        if self.auth == "gateway_secret":
            for key in ("trusted_proxies", "headers", "roles"):
                if key in self.model_fields_set:
                    yield f"ui.{key} has no effect without ui.auth: proxy"
            base = urlsplit(config.link_base)
            if base.scheme == "http" and base.hostname not in LOOPBACK:
                yield (
                    f"public_host is {config.link_base}: the web UI's sign-in and cookie travel unencrypted; "
                    "use https:// with a proxy in front"
                )
        elif "session_hours" in self.model_fields_set:
            yield "ui.session_hours has no effect with ui.auth: proxy, whose sessions are the proxy's"
