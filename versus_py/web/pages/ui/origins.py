"""Whether a form was sent by a page of ours, and not by another site in the same browser (CSRF)."""

from urllib.parse import urlsplit

from aiohttp import web


def is_from_our_page(request: web.Request, public_host: str | None) -> bool:
    """Browsers say what sent it in Sec-Fetch-Site; over plain http to another machine they send Origin alone.

    Without *public_host*, the origin has to be the host that was asked.
    """
    site = request.headers.getall("Sec-Fetch-Site", [])
    if site:
        return site == ["same-origin"]
    origin = request.headers.getall("Origin", [])
    ours = _origin(public_host) if public_host else _origin(f"http://{request.host}")
    return len(origin) == 1 and ours is not None and _origin(origin[0]) == ours


_PORTS = {"http": 80, "https": 443}


def _origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port; None for what is no origin, such as `null`."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None
