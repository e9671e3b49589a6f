"""What the OpenAPI document promises, asked of a running server with requests made from the document."""

import copy
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from tests.fuzz.conftest import SECRET, Server
from tests.support import fuzzing
from versus_py.web.api.openapi import document

ARRAY_MAX = 40
"""Thousands of alerts at once are tried elsewhere; here they would only take time."""


def _document() -> dict[str, Any]:
    found = copy.deepcopy(document())
    content = found["paths"]["/api/incidents"]["post"]["requestBody"]["content"]["application/json"]
    content["schema"]["oneOf"][1]["maxItems"] = ARRAY_MAX
    return found


schema = schemathesis.openapi.from_dict(_document())

# No 500 is described, so that one fails. That wrong input is refused is not asked: a mistake in a query parameter of
# the intake is a warning, on purpose.
CHECKS = (
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)


def _answers_as_described(operation_id: str) -> Any:
    """A test of one operation. All in one would have one node id, of which pytest-xdist runs a single one."""

    @schema.include(operation_id=operation_id).parametrize()
    @settings(
        max_examples=max(10, fuzzing.INPUTS // 400),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    def answers_as_described(case, server: Server):
        fuzzing.count("the operations")
        answer = case.call(base_url=server.url, headers={"X-Gateway-Secret": SECRET})
        case.validate_response(answer, checks=CHECKS)

    return answers_as_described


for _path in _document()["paths"].values():
    for _operation in (it for it in _path.values() if isinstance(it, dict) and "operationId" in it):
        _name = f"test_{_operation['operationId']}_answers_as_described"
        globals()[_name] = _answers_as_described(_operation["operationId"])
