"""What was met lately, so many of it: a hint, as other processes may have changed what is behind it."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Lately(Generic[Key, Value]):
    """The last *most* that were noted, each with what is known of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._met: OrderedDict[Key, Value] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._met

    def note(self, key: Key, value: Value) -> None:
        self._met[key] = value
        self._met.move_to_end(key)
        if len(self._met) > self._most:
            self._met.popitem(last=False)

    def take(self, key: Key) -> Value | None:
        """What is known of it, which is forgotten then."""
        return self._met.pop(key, None)
