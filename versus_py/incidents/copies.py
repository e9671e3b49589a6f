"""Copies of values with some fields changed. Pure."""

import dataclasses
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - type checkers know what its arguments are
else:

    def replace(value: Any, /, **changes: Any) -> Any:
        """As `dataclasses.replace`, of structs too: these take a tenth of the time, and a new alert makes dozens."""
        return (structs if isinstance(value, Struct) else dataclasses).replace(value, **changes)
