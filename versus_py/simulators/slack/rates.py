"""How often something may be done: a burst, and then at a steady rate."""

import math
from collections.abc import Callable

from versus_py.simulators.slack.answers import RateLimited


class Allowances:
    """What is left to spend, by name."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, name: str, *, burst: int, per_s: float) -> None:
        """Spend one; raises RateLimited when nothing is left."""
        now_s = self._now_s()
        left, since_s = self._left.get(name, (float(burst), now_s))
        left = min(float(burst), left + max(0.0, now_s - since_s) * per_s)
        if left < 1:
            self._left[name] = (left, now_s)
            raise RateLimited(max(1, math.ceil((1 - left) / per_s)))
        self._left[name] = (left - 1, now_s)

    def clear(self) -> None:
        self._left.clear()
