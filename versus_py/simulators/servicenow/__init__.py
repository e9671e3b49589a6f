"""A ServiceNow instance: the Table API with its logins, its policies and its odd defaults."""

from versus_py.simulators.servicenow.answers import Refused
from versus_py.simulators.servicenow.api import ServiceNowSimulator
from versus_py.simulators.servicenow.business_rules import Posted
from versus_py.simulators.servicenow.login import CLIENT_ID, CLIENT_SECRET
from versus_py.simulators.servicenow.people import RecordOrder
from versus_py.simulators.servicenow.posting import Reply
from versus_py.simulators.servicenow.rule import BusinessRule, Passage

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "BusinessRule",
    "Passage",
    "Posted",
    "RecordOrder",
    "Refused",
    "Reply",
    "ServiceNowSimulator",
]
