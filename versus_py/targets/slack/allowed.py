"""Who may press buttons: alert.slack.allowed_users, and the members of allowed_groups."""

import asyncio

import structlog

from versus_py.config import SlackConfig
from versus_py.errors import Transient
from versus_py.targets.interactive import Permission
from versus_py.targets.slack.api import Refused, SlackApi
from versus_py.targets.slack.scopes import GROUPS

log = structlog.get_logger()

REFRESH_S = 300.0
RETRY_S = 15.0


class Allowed:
    """Knows the members of the groups from `run`; nobody waits for Slack to tell them."""

    def __init__(
        self, config: SlackConfig, api: SlackApi, *, refresh_s: float = REFRESH_S, retry_s: float = RETRY_S
    ) -> None:
        self._config = config
        self._api = api
        self._refresh_s = refresh_s
        self._retry_s = retry_s
        self._members: dict[str, frozenset[str]] = {}  # of the groups that were ever loaded
        self._troubles: dict[str, str] = {}  # group -> why it could not be loaded the last time

    def permission(self, user_id: str) -> Permission:
        """What is known now: of a group that cannot be loaded any more, the members it had."""
        if not self._config.is_restricted or user_id in self._config.allowed_users:
            return Permission.YES
        if any(user_id in members for members in self._members.values()):
            return Permission.YES
        is_complete = all(group in self._members for group in self._config.allowed_groups)
        return Permission.NO if is_complete else Permission.UNKNOWN

    async def run(self) -> None:
        """Load the groups now and then; sooner again when that fails. Ends at once when there are none."""
        while self._config.allowed_groups:
            await asyncio.sleep(await self.load())

    async def load(self) -> float:
        """Ask for the members of every group; in how many seconds to do that again."""
        pause_s = self._refresh_s
        for group in self._config.allowed_groups:
            try:
                await self._load(group)
            except Transient as exc:
                pause_s = min(pause_s, max(self._retry_s, exc.retry_after_s or 0))
                self._tell(group, "unreachable", str(exc))
            except Refused as exc:
                pause_s = min(pause_s, self._retry_s)
                self._refused(group, exc)
            except Exception:
                log.exception("slack.group_crashed", group=group)
                pause_s = min(pause_s, self._retry_s)
        return pause_s

    async def _load(self, group: str) -> None:
        reply = await self._api.get("usergroups.users.list", usergroup=group)
        users = reply.get("users")
        if not isinstance(users, list):
            raise Transient("Slack answered without a list of users")
        was_in_trouble = self._troubles.pop(group, None) is not None
        is_news = was_in_trouble or group not in self._members
        self._members[group] = frozenset(str(user) for user in users)
        if is_news:
            log.info("slack.group_loaded", group=group, members=len(users))

    def _refused(self, group: str, exc: Refused) -> None:
        if exc.code == "no_such_subteam":
            self._members[group] = frozenset()  # nobody is in what does not exist
        self._tell(group, exc.code, f"Slack says {exc.code}", _advice(exc))

    def _tell(self, group: str, trouble: str, error: str, advice: str = "") -> None:
        """Once for each change of what is wrong."""
        if self._troubles.get(group) == trouble:
            return
        self._troubles[group] = trouble
        if advice:
            log.error("slack.group_refused", group=group, error=error, advice=advice)
        else:
            log.warning("slack.group_unreachable", group=group, error=error)


def _advice(exc: Refused) -> str:
    if exc.code == "missing_scope":
        return f"give the app the scope {exc.needed or GROUPS} and install it again"
    if exc.code == "no_such_subteam":
        return "alert.slack.allowed_groups names a user group that does not exist; its id starts with S"
    return exc.advice or "check alert.slack.allowed_groups and alert.slack.token"
