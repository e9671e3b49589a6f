"""HTTP: what requests mean. The rules of incidents are elsewhere."""

from versus_py.web.app import create_app

__all__ = ["create_app"]
