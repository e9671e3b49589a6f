"""Which severity alerts have: the one that the request asks for, else the payload's, else the source's default."""

from collections.abc import Mapping

from versus_py.config import Config, SourcesConfig
from versus_py.incidents.copies import replace
from versus_py.incidents.model import Alert, Notification
from versus_py.incidents.severity import UNKNOWN_SEVERITY, highest_severity, is_number, spelling


class Severities:
    """Severities by the configuration."""

    def __init__(self, config: Config) -> None:
        self._names: Mapping[str, str] = config.severity_map
        self._sources: SourcesConfig = config.sources

    def settle(self, notification: Notification, asked_for: str | None) -> Notification:
        """*notification* with the severity that the request *asked_for*; without one, with its own or its source's.

        A name in severity_map becomes the one that it counts as.
        """
        if asked_for is not None:
            return _with(notification, asked_for, {alert.severity: asked_for for alert in notification.alerts})
        known = self._filled(self._mapped(notification))
        return _warned(known) if is_number(known.severity) else known

    def _mapped(self, notification: Notification) -> Notification:
        said = {alert.severity for alert in notification.alerts} | {notification.severity}
        names = {it: name for it in said if (name := self._names.get(spelling(it)))}
        in_full = self._names.get(spelling(notification.severity_sent))
        if in_full:
            names[notification.severity] = in_full
        if not names:
            return notification
        own = names.get(notification.severity, notification.severity)
        return _with(notification, own, names)

    def _filled(self, notification: Notification) -> Notification:
        """Alerts without a severity get the source's, unless the payload as a whole says one for them."""
        default = self._sources.of(notification.source).severity
        are_said = any(alert.severity for alert in notification.alerts)
        if not default or (notification.severity != UNKNOWN_SEVERITY and not are_said):
            return notification
        if all(alert.severity for alert in notification.alerts):
            return notification
        return _with(notification, default, {"": default})


def _with(notification: Notification, severity: str, names: Mapping[str, str]) -> Notification:
    """Its alerts renamed by *names*, and the highest severity of those that fire; *severity*, where they have none."""
    alerts = tuple(_renamed(alert, names) for alert in notification.alerts)
    own = [alert.severity for alert in alerts if alert.is_firing and alert.severity]
    return replace(notification, alerts=alerts, severity=highest_severity(own) if own else severity)


def _renamed(alert: Alert, names: Mapping[str, str]) -> Alert:
    return replace(alert, severity=names[alert.severity]) if alert.severity in names else alert


def _warned(notification: Notification) -> Notification:
    number = notification.severity
    warning = (
        f"severity {number!r} is a number without a known scale and counts as unknown; "
        f'set severity_map: {{"{number}": …}}, or send ?severity=…'
    )
    return replace(notification, warnings=(*notification.warnings, warning))
