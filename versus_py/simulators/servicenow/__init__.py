"""A ServiceNow instance: the Table API with its logins, its policies and its odd defaults."""

from versus_py.simulators.servicenow.answers import Refused
from versus_py.simulators.servicenow.api import ServiceNowSimulator
from versus_py.simulators.servicenow.login import CLIENT_ID, CLIENT_SECRET
from versus_py.simulators.servicenow.people import RecordOrder

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "RecordOrder", "Refused", "ServiceNowSimulator"]
