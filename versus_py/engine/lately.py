"""What was met lately, so many of it: a hint, as other processes may have changed what is behind it."""

from collections import OrderedDict


class Lately:
    """The last *most* texts that were added."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._met: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, text: str) -> bool:
        return text in self._met

    def add(self, text: str) -> None:
        self._met[text] = None
        self._met.move_to_end(text)
        if len(self._met) > self._most:
            self._met.popitem(last=False)
