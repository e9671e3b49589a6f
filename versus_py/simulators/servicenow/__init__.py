"""A ServiceNow instance: the Table API with its logins, its policies and its odd defaults."""

from versus_py.simulators.servicenow.api import ServiceNowSimulator

__all__ = ["ServiceNowSimulator"]
