"""The errors of versus_py, split by what the caller does next.

VersusError
├── ConfigError        stop, and show every problem
├── BadPayload         tell the sender (4xx)
│   └── WrongAddress   the same, and which address is right: nothing of it may count here
├── NotAnAlert         take it, and do nothing: it is no news of an alert
├── StoreUnavailable   answer 503, or try again shortly: Redis did not take it
│   └── StoreFull      it is full: new alerts are refused, and what was accepted goes on
├── Unreadable         the same for one incident or storm: leave it alone, and go on with the others
├── Transient          a target may take it later: retry
│   ├── RateLimited    it is sent too much at once: retry, and send less
│   └── Unreachable    it is down, for everything that is sent to it
├── CredentialsRefused it does not accept our credentials: tell people, and try one request now and then
└── Permanent          a target never will: give up and report
"""

from collections.abc import Sequence


class VersusError(Exception):
    """The root of every error that versus_py raises on purpose.

    Its text can be written: what another system answered may hold half of a surrogate pair, which UTF-8 has not.
    """

    without_effect = False
    """Whether a target surely did nothing of what it was asked for, so that nobody has to look for it."""

    def __str__(self) -> str:
        return super().__str__().encode(errors="replace").decode()


class ConfigError(VersusError):
    """The configuration cannot be used; *problems* are sentences, one per mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class BadPayload(VersusError):
    """What was sent is no payload at all. The message is meant for the sender."""


class WrongAddress(BadPayload):
    """A payload that belongs to another address. The message is meant for the sender, and names it."""


class NotAnAlert(VersusError):
    """A payload that says neither that something fires nor that it is over. The message tells what it is about."""


class StoreUnavailable(VersusError):
    """Redis could not be read or written; nothing is known to have changed."""


class StoreFull(StoreUnavailable):
    """Redis has no memory left for what is new."""


class Unreadable(VersusError):
    """An incident or a storm is stored in a way that this version cannot read: a newer one may have written it."""


class Transient(VersusError):
    """A target failed in a way that time may heal.

    *retry_after_s* is the earliest a retry makes sense: the target's own word (`Retry-After`), or the time
    after which the effect of an unanswered request is certain. None leaves it to the backoff.
    *settles_s* is how long what was sent may still take effect, where it can be looked for before that: the target
    is called again in time to look, and must not send it again sooner (`Delivery.settles_at_ms`).
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        settles_s: float | None = None,
        without_effect: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.settles_s = settles_s
        self.without_effect = without_effect


class RateLimited(Transient):
    """A target asks to be left alone for *retry_after_s*."""


class Unreachable(Transient):
    """A target does not answer, or not as itself: no connection, no answer in time, a server error."""


class CredentialsRefused(VersusError):
    """A target does not accept our credentials, whatever is sent. Somebody has to correct them here or there.

    The same request succeeds once that is done. The message says what to do.
    """

    def __init__(self, message: str, *, without_effect: bool = False) -> None:
        super().__init__(message)
        self.without_effect = without_effect


class Permanent(VersusError):
    """A target refused, and will refuse the same thing again. The message says what to do about it."""
