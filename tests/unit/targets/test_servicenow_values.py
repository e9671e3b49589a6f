"""What templates of a record see."""

import pytest

from tests.support.factories import make_incident
from versus_py.config import ServiceNowInstance
from versus_py.targets.servicenow.fields import values_for

INSTANCE = ServiceNowInstance(severities={"critical": {"impact": "1"}, "default": {"impact": "3"}})


@pytest.mark.parametrize(("severity", "impact"), [("Critical", "1"), ("P1", "1"), ("fatal", "1"), ("low", "3")])
def test_a_severity_has_the_row_of_its_level_and_else_the_default(severity, impact):
    values = values_for(make_incident(severity=severity), INSTANCE)

    assert values["by_severity"] == {"impact": impact}
