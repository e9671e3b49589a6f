"""What an instance allows and asks for, as its administrators would set it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def _nothing(_: Mapping[str, str]) -> bool:
    return False


@dataclass(kw_only=True)
class Switches:
    """Set at any time, they hold from the next request on.

    - requires_close_fields: the data policy that most instances have: resolving takes close_code and close_notes
    - requires_caller: a data policy: a new incident needs caller_id
    - abort_rule: the name of a business rule that aborts every write
    - closed_tables: the tables that the user has no access to at all
    - read_only_user: whether the user's writes are refused
    - refused_columns: what data policies refuse an update for, whatever else is in it
    - ignored_columns: what access control takes out of an update, without a word
    - absent_columns: what no table of records has a column for: ignored in writes, left out of what is read
    - readable: whether the user may read records; they are hidden otherwise, and can be created all the same
    - hides: which rows, of any table, the user may not read
    - journal_is_readable: whether the user may read sys_journal_field; all its rows are hidden otherwise
    - invalid_query_returns_no_rows: the property glide.invalid_query.returns_no_rows; otherwise the invalid part of a
      query is dropped
    - allows_basic: whether Basic authentication is allowed
    - grants: what /oauth_token.do gives tokens for
    """

    requires_close_fields: bool = True
    requires_caller: bool = False
    abort_rule: str | None = None
    closed_tables: set[str] = field(default_factory=set)
    read_only_user: bool = False
    refused_columns: set[str] = field(default_factory=set)
    ignored_columns: set[str] = field(default_factory=set)
    absent_columns: set[str] = field(default_factory=set)
    readable: bool = True
    hides: Callable[[Mapping[str, str]], bool] = _nothing
    journal_is_readable: bool = True
    invalid_query_returns_no_rows: bool = False
    allows_basic: bool = True
    grants: set[str] = field(default_factory=lambda: {"password", "client_credentials", "refresh_token"})
