"""What people press in channels, whatever the channel: who may, what it changes, and what they are told."""

from versus_py.interactions.desk import Desk

__all__ = ["Desk"]
