"""The simulator's encoded queries behave like ServiceNow's, the dangerous default included."""

import pytest

from versus_py.simulators.encoded_query import select

COLUMNS = {"number", "state", "correlation_id"}
ROWS = [
    {"number": "INC3", "state": "6", "correlation_id": "b"},
    {"number": "INC1", "state": "1", "correlation_id": "a"},
    {"number": "INC2", "state": "2", "correlation_id": ""},
]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", "INC3 INC1 INC2"),
        ("correlation_id=a", "INC1"),
        ("correlation_id=none", ""),
        ("state!=6^ORDERBYnumber", "INC1 INC2"),
        ("ORDERBYDESCnumber", "INC3 INC2 INC1"),
        ("stateIN1,2", "INC1 INC2"),
        ("numberSTARTSWITHINC^state=2", "INC2"),
        ("state=1^ORstate=6", "INC3 INC1"),
        ("state=1^correlation_id=b^ORcorrelation_id=a", "INC1"),
        ("state=1^NQstate=6", "INC3 INC1"),
        ("correlation_idISEMPTY", "INC2"),
        ("correlation_idISNOTEMPTY", "INC3 INC1"),
        ("numberLIKEC2", "INC2"),
        ("state>=2", "INC3 INC2"),
        ("u_missing=abc", "INC3 INC1 INC2"),
        ("u_missing=abc^state=1", "INC1"),
    ],
)
def test_queries(query, numbers):
    assert [row["number"] for row in select(ROWS, query, COLUMNS)] == numbers.split()
