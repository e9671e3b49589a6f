"""The system properties of an instance, as scripts read them with gs.getProperty."""

from collections.abc import Mapping

SERVLET_URI = "glide.servlet.uri"
INSTANCE_NAME = "instance_name"
_SECRET = ("token", "password", "secret")
HIDDEN = "••••"


class Properties:
    """By name. The instance knows its own address, with a trailing slash, unless glide.servlet.uri is set."""

    def __init__(self, *, instance_name: str) -> None:
        self._at_first = {SERVLET_URI: "http://localhost/", INSTANCE_NAME: instance_name}
        self._set: dict[str, str] = {}

    def __getitem__(self, name: str) -> str | None:
        """None where there is no such property."""
        return (self._at_first | self._set).get(name)

    def __setitem__(self, name: str, value: str | None) -> None:
        """None takes it away, or back to what the instance has by itself."""
        if value is None:
            self._set.pop(name, None)
        else:
            self._set[name] = value

    def reached_at(self, origin: str) -> None:
        """A client has called at this address."""
        self._at_first[SERVLET_URI] = f"{origin}/"

    def shown(self) -> Mapping[str, str]:
        """All of them, secrets hidden."""
        every = self._at_first | self._set
        return {name: HIDDEN if _is_secret(name) and value else value for name, value in sorted(every.items())}


def _is_secret(name: str) -> bool:
    return any(word in name.casefold() for word in _SECRET)
