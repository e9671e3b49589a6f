"""The counts in the navigation, for pages that say something else."""

from versus_py.errors import StoreUnavailable
from versus_py.web.pages.ui.board import Board
from versus_py.web.pages.ui.now import in_order


async def waiting(board: Board) -> int:
    """How many incidents wait for an acknowledgment; 0 while Redis cannot be asked, so that the page is there."""
    try:
        return len(in_order((await board.look()).rows)[0])
    except StoreUnavailable:
        return 0
