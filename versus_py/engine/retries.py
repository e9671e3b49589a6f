"""When a sync that failed is tried again, and until when: the one policy, for every target. Pure.

- Transient: again after an exponential backoff with full jitter, or later if the target says so (`Retry-After`) or what
  was sent may still take effect until then.
- Failing for longer than `give_up_after_ms` since the first failure: given up.
- Permanent: given up at once. The same request would be refused again.
- Waiting for a turn, or because the other side is known to be down (see `breaker`): no attempt, but the time counts.
"""

from dataclasses import dataclass
from random import Random

FIRST_S = 1.0
LONGEST_S = 300.0

SPREAD = Random()  # noqa: S311 - keeps no secret
"""Spreads what would be tried again at the same time."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Times in seconds, but for those that say otherwise."""

    give_up_after_ms: int = 24 * 3600 * 1000
    first_s: float = FIRST_S
    longest_s: float = LONGEST_S
    random: Random = SPREAD

    def wait_s(self, attempt: int, retry_after_s: float | None = None) -> float:
        """How long to wait after that attempt: a random part of 2, 4, 8 … steps, never less than the first one."""
        most_s = min(self.longest_s, self.first_s * 2.0 ** min(attempt, 20))
        backoff_s = max(self.first_s, self.random.uniform(0, most_s))
        return max(backoff_s, retry_after_s or 0)

    def is_over(self, failing_since_ms: int, now_ms: int) -> bool:
        """Whether what has failed since then is given up."""
        return now_ms - failing_since_ms >= self.give_up_after_ms
