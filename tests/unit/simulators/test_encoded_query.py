"""The simulator's encoded queries behave like ServiceNow's, the dangerous default included."""

import pytest

from versus_py.simulators.encoded_query import Reference, ScriptInQuery, select

COLUMNS = {"number", "state", "correlation_id", "last_state", "caller_id"}
ROWS = [
    {"number": "INC3", "state": "6", "correlation_id": "b", "last_state": "6", "caller_id": "1"},
    {"number": "INC1", "state": "1", "correlation_id": "a", "last_state": "", "caller_id": ""},
    {"number": "INC2", "state": "2", "correlation_id": "", "last_state": "", "caller_id": "1"},
]
REFERENCES = {"caller_id": Reference({"1": {"sys_id": "1", "email": "ana@example.com"}}, {"sys_id", "email"})}


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
        ("stateNOT IN1,2", "INC3"),
        ("numberNOT LIKEC2", "INC3 INC1"),
        ("numberENDSWITH2", "INC2"),
        ("stateBETWEEN1@2", "INC1 INC2"),
        ("correlation_idEMPTYSTRING", "INC2"),
        ("correlation_idANYTHING", "INC3 INC1 INC2"),
        ("state<2", "INC1"),
        ("state<=2", "INC1 INC2"),
        ("state>2", "INC3"),
        ("stateSAMEASlast_state", "INC3"),
        ("stateNSAMEASlast_state", "INC1 INC2"),
        ("stateSAMEASu_missing^state=1", "INC1"),
        ("correlation_id=A", ""),
        ("correlation_id==a", ""),
        ("correlation_id=a^ORcorrelation_id=b^state=1", "INC1"),
        ("state=1^ORstate=2^number=INC1^ORnumber=INC3", "INC1"),
        ("u_missing=abc^ORstate=1", "INC1"),
        ("state=6^u_missing=abc^ORstate=1", ""),
        ("state=1^ORu_missing=abc", "INC1"),
        ("state=1^number=INC9^NQstate=2^number=INC2", "INC2"),
        ("state=1^NQu_missing=abc", "INC3 INC1 INC2"),
        ("ORDERBYlast_state^ORDERBYDESCnumber", "INC2 INC1 INC3"),
        ("ORDERBYu_missing^ORDERBYnumber", "INC1 INC2 INC3"),
        ("ORDERBYDESClast_state", "INC3 INC1 INC2"),
        ("state=1^ORDERBYnumber^NQstate=6", "INC1 INC3"),
        ("state=1^NQORDERBYnumber", "INC1 INC2 INC3"),
        ("caller_id.email=ana@example.com", "INC3 INC2"),
        ("caller_id.email=ana@example.com^state=2", "INC2"),
        ("caller_id.emailISEMPTY", "INC1"),
        ("caller_id.u_missing=x", "INC3 INC1 INC2"),
        ("state.name=x", "INC3 INC1 INC2"),
        ("caller_id.manager.email=x", "INC3 INC1 INC2"),
        ("ORDERBYcaller_id.email^ORDERBYnumber", "INC1 INC2 INC3"),
        ("no operator", "INC3 INC1 INC2"),
    ],
)
def test_queries(query, numbers):
    found = select(ROWS, query, COLUMNS, references=REFERENCES)

    assert [row["number"] for row in found] == numbers.split()


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("u_missing=abc", ""),
        ("state=1^u_missing=abc", ""),
        ("state=1^ORu_missing=abc", ""),
        ("state=1^NQu_missing=abc", ""),
        ("state=1^ORDERBYu_missing", ""),
        ("caller_id.u_missing=x", ""),
        ("stateSAMEASu_missing", ""),
        ("no operator", ""),
        ("state=1^ORDERBYnumber", "INC1"),
        ("", "INC3 INC1 INC2"),
    ],
)
def test_an_invalid_query_returns_no_rows_where_the_property_says_so(query, numbers):
    found = select(ROWS, query, COLUMNS, references=REFERENCES, invalid_returns_no_rows=True)

    assert [row["number"] for row in found] == numbers.split()


@pytest.mark.parametrize(
    "query",
    [
        "caller_id=javascript:gs.getUserID()",
        "state=1^ORcaller_idINx,javascript:gs.getUserID()",
        "stateBETWEENjavascript:1@2",
        "u_missing=javascript:x",
    ],
)
def test_a_script_is_refused_loudly(query):
    with pytest.raises(ScriptInQuery, match="javascript:"):
        select([], query, COLUMNS)
