"""HTTP: what requests mean. The rules of incidents are elsewhere."""

from versus_py.web.app import create_app
from versus_py.web.inbound import InboundDoor
from versus_py.web.monitoring import create_monitoring_app
from versus_py.web.pages.ui.site import LIVE

__all__ = ["LIVE", "InboundDoor", "create_app", "create_monitoring_app"]
