"""What ServiceNow calls a row: 32 hexadecimal digits."""

import re

_SYS_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_sys_id(text: str) -> bool:
    """Whether *text* is a sys_id, as references hold it, and no name."""
    return _SYS_ID.fullmatch(text) is not None
