"""The configuration: the model, and the file it comes from."""

from versus_py.config.loading import load_config, parse_config
from versus_py.config.model import (
    MAX_WAIT_MINUTES,
    Config,
    LogConfig,
    MessageProperties,
    OncallConfig,
    RedisConfig,
    ServiceNowConfig,
    SlackConfig,
)

__all__ = [
    "MAX_WAIT_MINUTES",
    "Config",
    "LogConfig",
    "MessageProperties",
    "OncallConfig",
    "RedisConfig",
    "ServiceNowConfig",
    "SlackConfig",
    "load_config",
    "parse_config",
]
