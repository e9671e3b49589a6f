"""The configuration: the model, and the file it comes from."""

from versus_py.config.heartbeats import ExpectedHeartbeat
from versus_py.config.intake import IntakeConfig, IntakeToken, OverrideLimits
from versus_py.config.loading import load_config, parse_config
from versus_py.config.model import (
    AlertmanagerAuth,
    AlertmanagerConfig,
    CloudWatchConfig,
    ClusterConfig,
    Config,
    HeartbeatConfig,
    JournalConfig,
    LogConfig,
    MetricsConfig,
    OncallConfig,
    OncallFallback,
    RedisConfig,
    SentinelConfig,
    SourcesConfig,
    config_model,
)
from versus_py.config.parts import MAX_WAIT_MINUTES
from versus_py.config.policies import PolicyConfig, StepConfig
from versus_py.config.servicenow import ServiceNowAuth, ServiceNowConfig, ServiceNowInstance, ServiceNowStates
from versus_py.config.slack import MessageProperties, SlackActions, SlackConfig, SlackSnooze, SlackStorm
from versus_py.config.ui import UiConfig, UiHeaders, UiRoles

__all__ = [
    "MAX_WAIT_MINUTES",
    "AlertmanagerAuth",
    "AlertmanagerConfig",
    "CloudWatchConfig",
    "ClusterConfig",
    "Config",
    "ExpectedHeartbeat",
    "HeartbeatConfig",
    "IntakeConfig",
    "IntakeToken",
    "JournalConfig",
    "LogConfig",
    "MessageProperties",
    "MetricsConfig",
    "OncallConfig",
    "OncallFallback",
    "OverrideLimits",
    "PolicyConfig",
    "RedisConfig",
    "SentinelConfig",
    "ServiceNowAuth",
    "ServiceNowConfig",
    "ServiceNowInstance",
    "ServiceNowStates",
    "SlackActions",
    "SlackConfig",
    "SlackSnooze",
    "SlackStorm",
    "SourcesConfig",
    "StepConfig",
    "UiConfig",
    "UiHeaders",
    "UiRoles",
    "config_model",
    "load_config",
    "parse_config",
]
