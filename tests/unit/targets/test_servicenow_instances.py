"""Which of the configured instances a record is in."""

import pytest

from versus_py.config import ServiceNowConfig
from versus_py.targets.servicenow.instances import DEFAULT_KEY, Match, match

A, B, C = (f"https://{name}.service-now.com" for name in "abc")


def configured(default: str = A, table: str = "incident", **others: object):
    return ServiceNowConfig.model_validate(
        {"instance_url": default, "table": table, "other_instance_urls": others}
    ).instances()


def record(url: str = A, **more: str) -> dict[str, str]:
    return {"sys_id": "1", "instance": url, "table": "incident"} | more


@pytest.mark.parametrize(
    ("reference", "destination", "instances", "found"),
    [
        pytest.param(record(key=DEFAULT_KEY), None, configured(), Match(None, is_at_its_url=True), id="as it was"),
        pytest.param(
            record(key=DEFAULT_KEY), None, configured(B), Match(None, is_at_its_url=False), id="the default moved"
        ),
        pytest.param(
            record(B, key="infra"), "infra", configured(infra=C), Match("infra", is_at_its_url=False), id="infra moved"
        ),
        pytest.param(
            record(B, key="infra"), "infra", configured(net=B), Match("net", is_at_its_url=True), id="infra was renamed"
        ),
        pytest.param(
            record(key=DEFAULT_KEY),
            None,
            configured(B, old=A),
            Match("old", is_at_its_url=True),
            id="the default became a further one",
        ),
        pytest.param(
            record(key="two"),
            "two",
            configured(one=A, two=A),
            Match("two", is_at_its_url=True),
            id="several with one URL",
        ),
        pytest.param(record(B, key="infra"), "infra", configured(), None, id="infra is gone"),
        pytest.param(
            record(key=DEFAULT_KEY), None, configured(B, table="u_alert"), None, id="moved, and another table"
        ),
        pytest.param(record(key=DEFAULT_KEY), None, configured(table="u_alert"), None, id="another table"),
        pytest.param(record(B), "infra", configured(infra=B), Match("infra", is_at_its_url=True), id="old, as it was"),
        pytest.param(
            record(B), "infra", configured(infra=C), Match("infra", is_at_its_url=False), id="old, infra moved"
        ),
        pytest.param(record(), None, configured(B), Match(None, is_at_its_url=False), id="old, the default moved"),
        pytest.param(
            record(), "gone", configured(B), Match(None, is_at_its_url=False), id="old, its destination is gone"
        ),
        pytest.param(
            {"sys_id": "1", "instance": A},
            None,
            configured(table="u_alert"),
            Match(None, is_at_its_url=True),
            id="very old, without a table",
        ),
    ],
)
def test_a_record_is_matched_by_its_url_then_by_its_key_in_the_same_table(reference, destination, instances, found):
    assert match(reference, destination, instances) == found
