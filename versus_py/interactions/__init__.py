"""What people do in Slack: presses of buttons, however they come in, are taken at one desk."""

from versus_py.interactions.desk import Desk
from versus_py.interactions.press import Press, read_presses
from versus_py.interactions.socket_mode import SocketMode

__all__ = ["Desk", "Press", "SocketMode", "read_presses"]
