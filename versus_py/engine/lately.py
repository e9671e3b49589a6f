"""What was met lately, so many of it: a hint, as other processes may have changed what is behind it."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Lately(Generic[Key, Value]):
    """Values by key, of the *most* keys that were noted last."""

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
        """The value of *key*, which is forgotten; None where there is none."""
        return self._met.pop(key, None)
