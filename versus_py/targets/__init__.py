"""The places where an incident is kept in sync: channels and on-call providers, one module each."""

from versus_py.targets.target import NotYet, Target, display_name

__all__ = ["NotYet", "Target", "display_name"]
