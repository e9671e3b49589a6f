"""What the parts of the configuration have in common: how they read values, and the kinds of values."""

import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

MAX_WAIT_MINUTES = 7 * 24 * 60
"""The longest wait before an escalation, for the configuration and for overrides."""

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def split_url(value: str) -> SplitResult:
    """Raises ValueError, without the value in it."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL; its host or port cannot be read") from None
    return parts


def _http_url(value: str) -> str:
    """A base URL without its trailing slash."""
    parts = split_url(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be a URL that starts with https:// or http://")
    if parts.username or parts.password:
        raise ValueError("must not carry credentials: they have keys of their own")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or a fragment")
    return value.rstrip("/")


def _no_boolean(value: Any) -> Any:
    """YAML reads yes and on as booleans, which pydantic would count as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _secret(value: Any) -> Any:
    """YAML reads 0123 as 83 and 1.10 as 1.1: what looks like a number is no secret as it was written."""
    if isinstance(value, int | float):
        raise ValueError("must be text: put it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    if isinstance(value, str) and value.isspace():
        raise ValueError("is blank")
    return value


def in_form(pattern: str, said: str) -> tuple[AfterValidator, FieldInfo]:
    """As Field(pattern=…), which would tell people a regular expression; *said* goes on after "must be"."""

    def checked(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {said}")
        return value

    return AfterValidator(checked), Field(json_schema_extra={"pattern": f"^({pattern})$"})


def _without_blanks(value: Any) -> Any:
    """A reference to a variable that is not set leaves a blank behind, which is no secret."""
    return [item for item in value if not isinstance(item, str) or item.strip()] if isinstance(value, list) else value


SECRET_MIN = 16
"""Secrets of our own, with fewer characters than this, can be guessed."""

Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_without_blanks)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Number = BeforeValidator(_no_boolean)
Minutes = Annotated[float, Number, Field(ge=0, le=MAX_WAIT_MINUTES, allow_inf_nan=False)]
Port = Annotated[int, Number, Field(ge=1, le=65535)]


class Part(BaseModel):
    """A part of the configuration: frozen, and strict about its keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )
