"""Who asks, as a trusted proxy says in headers."""

from ipaddress import ip_address

from aiohttp import web

from versus_py.config.ui import Network, UiConfig
from versus_py.web.pages.ui.viewer import Role, Viewer, clean_name


class ProxyHeaders:
    """Reads who asks. Raises the answer for whoever did not come through the proxy, and whom no role lets in."""

    def __init__(self, config: UiConfig) -> None:
        self._networks = config.networks
        self._headers = config.headers
        self._roles = config.roles

    def viewer(self, request: web.Request) -> Viewer:
        if not _is_in(request.remote or "", self._networks):
            raise web.HTTPForbidden(
                text="This server takes requests of the web UI from its proxy only. Use its address."
            )
        user = self._said(request, self._headers.header("user"))
        if not user:
            raise web.HTTPForbidden(text="The proxy does not say who you are. Sign in there.")
        role = self._role(self._one(request, self._headers.header("groups")))
        if role is None:
            raise web.HTTPForbidden(text=f"None of the groups of {user} may look at this page.")
        name = self._said(request, self._headers.header("name")) or user
        return Viewer(name, self._said(request, self._headers.header("email")), role)

    def _role(self, said: str) -> Role | None:
        groups = {it.strip() for it in said.split(",")}
        if not self._roles.responder and not self._roles.viewer:
            return Role.RESPONDER
        if groups & {*self._roles.responder}:
            return Role.RESPONDER
        return Role.VIEWER if not self._roles.viewer or groups & {*self._roles.viewer} else None

    def _said(self, request: web.Request, header: str) -> str:
        return clean_name(self._one(request, header))

    @staticmethod
    def _one(request: web.Request, header: str) -> str:
        """Empty where it does not stand. Twice, one of them could be the browser's own."""
        found = request.headers.getall(header, []) if header else []
        if len(found) > 1:
            raise web.HTTPForbidden(text=f"The header {header} came more than once: the proxy has to replace it.")
        return found[0] if found else ""


def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any(it in network for network in networks for it in (found, mapped) if it is not None)
