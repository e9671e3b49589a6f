"""What an instance allows and asks for, as its administrators would set it."""

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Switches:
    """Set at any time, they hold from the next request on.

    - requires_close_fields: the data policy that most instances have: resolving takes close_code and close_notes
    - journal_is_readable: whether the user may read sys_journal_field; all its rows are hidden otherwise
    - allows_basic: whether Basic authentication is allowed
    - grants: what /oauth_token.do gives tokens for
    """

    requires_close_fields: bool = True
    journal_is_readable: bool = True
    allows_basic: bool = True
    grants: set[str] = field(default_factory=lambda: {"password", "client_credentials", "refresh_token"})
