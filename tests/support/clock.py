"""A clock that stands still until it is moved."""

START_MS = 1_777_890_000_000


class FakeClock:
    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, *, ms: int = 0, seconds: float = 0, minutes: float = 0, hours: float = 0) -> int:
        self._now_ms += ms + round(1000 * (seconds + 60 * minutes + 3600 * hours))
        return self._now_ms
