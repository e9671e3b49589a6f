"""`versus simulate` says which settings lead to what it runs."""

import pytest
import yaml

from tests.acceptance.conftest import VERSUS
from tests.support.servers import run_program, wait_until
from versus_py.config import ServiceNowConfig


@pytest.mark.parametrize(
    ("options", "auth"),
    [
        ([], {}),
        (
            ["--client-id", "c-1", "--client-secret", "s-1"],
            {"type": "oauth_password", "client_id": "c-1", "client_secret": "s-1"},
        ),
        (["--api-key", "k-1"], {"type": "api_key", "api_key": "k-1"}),
    ],
)
def test_the_setting_that_is_printed_logs_in_as_the_simulator_was_told(tmp_path, options, auth):
    log = tmp_path / "log"
    with run_program([*VERSUS, "simulate", "servicenow", *options], log=log):
        wait_until(lambda: log.read_text().count("\n") == 2, what="the setting")

    url, setting = log.read_text().splitlines()
    [values] = yaml.safe_load(setting).values()
    config = ServiceNowConfig.model_validate(values)
    assert url == f"servicenow simulator: {str(config.instance_url).rstrip('/')}"
    assert values.get("auth", {}) == auth
