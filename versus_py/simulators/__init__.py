"""A Slack and a ServiceNow to try against and to test with: they keep state, check like the originals, and misbehave
when told to."""

from versus_py.simulators.faults import Fault
from versus_py.simulators.server import run_app
from versus_py.simulators.servicenow import ServiceNowSimulator
from versus_py.simulators.slack import SlackSimulator

__all__ = ["Fault", "ServiceNowSimulator", "SlackSimulator", "run_app"]
