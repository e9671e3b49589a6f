"""The configuration: the model, and the file it comes from."""

from versus_py.config.loading import load_config, parse_config
from versus_py.config.model import (
    MAX_WAIT_MINUTES,
    AlertmanagerAuth,
    AlertmanagerConfig,
    CloudWatchConfig,
    Config,
    LogConfig,
    MessageProperties,
    OncallConfig,
    RedisConfig,
    ServiceNowAuth,
    ServiceNowConfig,
    ServiceNowInstance,
    ServiceNowStates,
    SlackConfig,
    SourcesConfig,
)

__all__ = [
    "MAX_WAIT_MINUTES",
    "AlertmanagerAuth",
    "AlertmanagerConfig",
    "CloudWatchConfig",
    "Config",
    "LogConfig",
    "MessageProperties",
    "OncallConfig",
    "RedisConfig",
    "ServiceNowAuth",
    "ServiceNowConfig",
    "ServiceNowInstance",
    "ServiceNowStates",
    "SlackConfig",
    "SourcesConfig",
    "load_config",
    "parse_config",
]
