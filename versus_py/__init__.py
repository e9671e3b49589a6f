"""versus_py: alerts to Slack, and to ServiceNow when nobody acknowledges them in time."""

__version__ = "1.0.0rc1"
