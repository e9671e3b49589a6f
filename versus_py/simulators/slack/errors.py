"""Errors on order: what Slack answers instead of doing what a method is asked for."""

from collections.abc import Callable, Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from versus_py.simulators.slack.answers import Arguments, RateLimited, SlackError

# docs.slack.dev/reference/methods: the errors of the methods that are here.
_CREDENTIALS = """
    access_denied account_inactive app_access_restricted deprecated_endpoint ekm_access_denied enterprise_is_restricted
    invalid_auth method_deprecated missing_scope no_permission not_allowed_token_type not_authed org_login_required
    team_access_not_granted team_added_to_org team_not_found token_expired token_revoked two_factor_setup_required
"""
_CHANNEL = """
    channel_not_found channel_type_not_supported external_channel_migrating is_archived is_inactive
    messages_tab_disabled not_in_channel restricted_action restricted_action_non_threadable_channel
    restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel
    team_not_found user_not_in_channel
"""
_MESSAGE = """
    as_user_not_supported block_mismatch cannot_reply_to_message cant_update_message duplicate_message_not_found
    edit_window_closed message_not_found thread_not_found update_failed user_not_found users_not_found no_such_subteam
"""
_CONTENT = """
    attachment_payload_limit_exceeded invalid_arg_name invalid_arguments invalid_array_arg invalid_attachments
    invalid_blocks invalid_blocks_format invalid_charset invalid_cursor invalid_form_data invalid_json invalid_limit
    invalid_metadata_format invalid_metadata_schema invalid_post_type invalid_ts_latest invalid_ts_oldest
    markdown_text_conflict metadata_must_be_sent_from_app metadata_too_large missing_post_type msg_blocks_too_long
    msg_too_long no_text too_many_attachments
"""
_VIEW = "duplicate_external_id exchanged_trigger_id expired_trigger_id invalid_trigger_id view_too_large"
_SLACK = """
    fatal_error internal_error message_limit_exceeded rate_limited ratelimited request_timeout service_unavailable
"""
RATE_LIMITED = frozenset(["rate_limited", "ratelimited"])
ERRORS = tuple(
    sorted(
        {
            *_CREDENTIALS.split(),
            *_CHANNEL.split(),
            *_MESSAGE.split(),
            *_CONTENT.split(),
            *_VIEW.split(),
            *_SLACK.split(),
        }
    )
)

RETRY_AFTER_S = 30


class UnknownName(ValueError):
    """An order names what does not exist; the message says what does."""


class ErrorOrder(BaseModel):
    """Calls are answered with *error*: all, or those of a method, about a channel, about a message.

    The answer is `{"ok": false, "error": …}` with status 200. For `ratelimited` it is 429 with `Retry-After`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    error: str
    times: int | None = Field(1, ge=1)  # how many calls; None: all, until it is taken back
    method: str | None = None
    channel: str | None = None  # its id
    ts: str | None = None  # of a message: its edits, its link, its thread
    retry_after: int = Field(RETRY_AFTER_S, ge=0, le=24 * 3600)
    done: bool = False  # the method is carried out all the same, as may be after fatal_error and internal_error

    def refusal(self, **more: Any) -> RateLimited | SlackError:
        """To be raised; *more* is what else the answer says."""
        return RateLimited(self.retry_after) if self.error in RATE_LIMITED else SlackError(self.error, **more)

    def is_about(self, method: str, channel: str, arguments: Arguments) -> bool:
        """Whether it is for this call. *channel* is the id of what the arguments name."""
        stamps = {arguments.get(name) for name in ("ts", "message_ts", "thread_ts")}
        return self.method in {None, method} and self.channel in {None, channel} and self.ts in {None, *stamps}


class Errors:
    """The errors that are on order, the oldest first. *channel_id* turns a channel's name into its id."""

    def __init__(self, methods: Collection[str], channel_id: Callable[[str], str]) -> None:
        self.methods = tuple(sorted(methods))
        self._channel_id = channel_id
        self._ordered: list[tuple[ErrorOrder, int | None]] = []

    @property
    def ordered(self) -> list[tuple[ErrorOrder, int | None]]:
        """Each with how many times are left; None for all."""
        return list(self._ordered)

    def order(self, wanted: ErrorOrder) -> None:
        """Raises UnknownName."""
        _check("error", wanted.error, ERRORS)
        if wanted.method is not None:
            _check("method", wanted.method, self.methods)
        self._ordered.append((wanted, wanted.times))

    def clear(self) -> None:
        self._ordered.clear()

    def take_back(self, index: int) -> None:
        """The order at that place of `ordered`; none where there is none."""
        del self._ordered[index : index + 1]

    def take(self, method: str, arguments: Arguments) -> ErrorOrder | None:
        """What this call is answered with; counted. None: with what the method does."""
        channel = self._channel_id(str(arguments.get("channel", "")))
        for index, (wanted, left) in enumerate(self._ordered):
            if wanted.is_about(method, channel, arguments):
                if left is not None and left <= 1:
                    del self._ordered[index]
                elif left is not None:
                    self._ordered[index] = (wanted, left - 1)
                return wanted
        return None


def _check(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UnknownName(f"{what}: {name!r} does not exist; allowed are {', '.join(known)}")
