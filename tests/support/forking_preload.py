"""Imported by the process that others are forked from, and for that alone."""

from tests.support.forking import preload

preload()
