"""Where incidents are kept in sync: what a target is, and a package for each remote system."""

from versus_py.targets.target import Called, NotYet, Target, titles

__all__ = ["Called", "NotYet", "Target", "titles"]
