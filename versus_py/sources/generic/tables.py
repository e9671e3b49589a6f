"""The names under which tools send what an alert is made of: data, and nothing else.

To read an unknown tool, add one name to one table. `versus explain PAYLOAD` says which. Case and separators do not
count: `alertName` is also `alert_name`, `ALERTNAME` and `Alert Name`. A name with a dot is the end of a path:
`heartbeat.status` is the field `status` of an object `heartbeat`, wherever that is. Of two names in one table the first
one wins.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADLINES = (
    *("title", "summary", "subject", "headline", "alert_title", "event_title", "problem_title", "incident_title"),
    *("event_definition_title", "description_title", "alert_subject", "short_description", "metric_alert.title"),
)
"""Titles that were written to be one."""

NAMES = (
    *("alertname", "rule_name", "alert_rule_name", "alert_rule", "rule", "search_name", "check_name", "condition_name"),
    *("monitor_name", "monitor_friendly_name", "alarm_name", "event_name", "incident_name", "problem_name"),
    *("trigger_name", "entity_display_name", "service_display_name", "service_description", "service_desc"),
    *("policy_name", "detail.alarm_name", "name", "exception_class", "error_class"),
    "sensor",
    "display_name",
)
"""Names of a rule, a check or a problem."""

MESSAGES = (
    "message",
    "msg",
    "text",
    "log",
    "short_message",
    "state_message",
    "summary_message",
    "human_readable",
    "latest_description",
    "brief_description",
)
"""The sentence about it. Beside the payload's own, a name deeper down is no title."""

NOUNS = ("alert", "alarm", "check", "monitor", "trigger")
"""Names too, where there is no sentence."""

TEXTS = (
    *("description", "error_message", "output", "service_output", "host_output", "details", "detail"),
    *("alert_details", "alert_message", "event_message", "problem_details_text", "incident_reason", "reason"),
    *("cause", "body", "content", "info", "error", "event", "logs", "detail_type"),
)
"""Further sentences. A line of a log has one of these or a message, and no title or name."""

TITLE_ENDINGS = ("title", "summary", "description", "message", "text", "reason")
"""Where a payload has none of these, what the name of a field ends in that is a title."""

CONCLUSIONS = (
    *("conclusion", "alert_transition", "transition", "event_action", "alert_action", "action", "action_group"),
    *(
        "notification_type",
        "trigger_type",
        "message_type",
        "monitor_condition",
        "alert_event",
        "event_type",
        "event_kind",
        "event",
    ),
)
"""What has just happened: triggered, acknowledged, resolved."""

STATUS = (
    *("current_state", "new_state", "new_state_value", "detail.state.value", "state.value", "status", "state"),
    *("alert_status", "alert_state", "event_status", "incident_status", "incident_state", "problem_status"),
    *("problem_state", "service_state", "host_state", "check_state", "check_state_name", "monitor_status"),
    *("alert_type_friendly_name", "event_state", "trigger_status", "status_text", "result", "health"),
    "status_code",
)
"""How it stands."""

KINDS = ("type", "alert_type", "event_name", "kind")
"""Fields that mostly say something else, and with some tools how it stands."""

FLAGS = {
    **dict.fromkeys(("resolved", "is_resolved", "recovered", "is_recovered", "closed", "is_closed", "cleared"), True),
    **dict.fromkeys(("reachable", "up", "is_up", "healthy", "is_healthy", "alive", "is_alive"), True),
    **dict.fromkeys(("alerting", "is_alerting", "triggered", "is_triggered", "is_down"), False),
    **dict.fromkeys(("firing", "is_firing", "active", "is_active", "is_open"), False),
}
"""Booleans, and whether true means that it is over."""

STATUS_CODES = {
    "alert_status": {"Reset": True},  # SolarWinds
    "heartbeat.status": {"0": False, "1": True},  # Uptime Kuma
    "check.status": {"0": True, "1": False, "2": False},  # Sensu: the exit code of a check
    "service_state_id": {"0": True, "1": False, "2": False, "3": False},  # Nagios
    "host_state_id": {"0": True, "1": False, "2": False},
    "event_value": {"0": True, "1": False},  # Zabbix
    "trigger_value": {"0": True, "1": False},
    "alert_type": {"1": False, "2": True},  # UptimeRobot
}
"""Numbers, and whether each means that it is over."""

ENDED = ("resolved_at", "closed_at", "recovered_at", "ended_at", "cleared_at", "resolved_date_time", "resolved_time")
"""Times that only what is over has; they count where nothing else says how it stands."""

OVER = _words(
    "resolved resolve ok okay closed close recovered recovery recover recovers cleared clear normal inactive up success"
    " succeeded successful operational healthy passed passing pass expired deactivated canceled cancelled completed"
    " complete ended end fixed solved green good online available restored remediated done"
    " finished dismissed untriggered"
)
"""Words for what is over; as the whole of a value, or as its last word."""

OVER_ANYWHERE = frozenset(("resolved", "recovered", "recovery", "cleared", "closed"))
"""Words that say so wherever they are in a value: `incident.resolved_by_user`."""

NOT_OVER = _words("not no non never un unable cannot failed fail failure error down pending partially partly waiting")
"""Words that take it back."""

TROUBLES = _words("failure error down")
OVER_OF_TROUBLE = frozenset((*OVER_ANYWHERE, "up", "ok"))
"""Of words that take it back, those for what may be over itself, and the last words that say so: `failure resolved`."""

DENIALS = ("no", "not", "no longer")
DENIED = _words("problem problems alarm alarms alert alerts alerting firing triggered error errors failure active")
"""Words that say together that it is over: `no alarm`, `not firing`, `no longer active`."""
FIRING = _words(
    "firing fire fired alarm alert alerting open opened reopened active activated triggered trigger retriggered problem"
    " down critical crit warning warn error err failed failing failure fail unhealthy degraded unresolved unreachable"
    " outage offline red yellow orange major minor high breached breach timeout acknowledged pending new unknown nodata"
    " ack investigating identified monitoring started start emergency fatal disaster severe bad missing late dead"
)
"""Words for what happens now. Any other word fires as well, with a warning."""

FINISHED = frozenset(("completed", "complete", "done", "ended", "end", "finished", "success", "succeeded"))
"""Words for what has run to its end; where another field says that it failed, it has failed."""

ONLY_FIRING = _words(
    "firing fire fired alarm alert alerting open opened reopened active activated triggered trigger retriggered problem"
    " new start started created create"
)
"""Words that say no more than that it fires; others, such as `DOWN` or `FAILURE`, are shown."""

ACKNOWLEDGED = frozenset(("acknowledge", "acknowledged", "acknowledgement", "acknowledgment", "ack", "acked"))
"""What has just happened, and is no news of an alert: somebody has taken it in that tool."""

SEVERITIES = (
    *(
        "severity",
        "level",
        "priority",
        "priority.summary",
        "urgency",
        "alert_severity",
        "event_severity",
        "incident_severity",
    ),
    *("problem_severity", "importance_level", "importance", "criticality", "log_level", "levelname"),
    *("alert_level", "alert_priority", "event_level", "trigger_severity", "event_nseverity", "impact", "risk_level"),
    *("syslog_severity", "finding.severity", "detail.severity", "priority.name"),
    *("severity.name", "severity.label", "severity.value", "level.name", "urgency.name"),
)
"""How bad it is."""

GRAVE_STATES = (*STATUS, "message_type", "trigger_type", "alert_type", "notification_type", "event_type")
"""Fields that say how it stands, and often how bad it is in the same word."""

SYSLOG_FIELDS = frozenset(("shortmessage", "facility", "syslogfacility", "syslogidentifier"))
"""A payload with one of these numbers its levels as syslog does."""

NODE_FIELDS = frozenset(("pid", "hostname"))
NODE_LEVELS = {"10": "debug", "20": "debug", "30": "info", "40": "warning", "50": "error", "60": "fatal"}
"""The levels of Node's pino and bunyan, whose records have these fields: github.com/pinojs/pino, docs/api.md."""

SEVERITY_CODES = {
    "essentials.severity": {
        "Sev0": "critical",
        "Sev1": "error",
        "Sev2": "warning",
        "Sev3": "info",
        "Sev4": "debug",
    },  # Azure
    "check.status": {"1": "warning", "2": "critical"},  # Sensu
    "service_state_id": {"1": "warning", "2": "critical"},  # Nagios
    "priority": {str(number): f"P{number}" for number in range(1, 6)},
    "event.priority": {"1": "low", "2": "medium", "3": "high"},  # Graylog
    "event_nseverity": {
        "0": "info",
        "1": "info",
        "2": "warning",
        "3": "average",
        "4": "high",
        "5": "disaster",
    },  # Zabbix
    "item.level": {"10": "debug", "20": "info", "30": "warning", "40": "error", "50": "critical"},  # Rollbar
    "issue.severity": {"5": "warning", "10": "critical"},  # Instana
    "rule.level": {  # Wazuh
        **{str(level): "info" for level in range(7)},
        **{str(level): "warning" for level in range(7, 12)},
        **{str(level): "high" for level in range(12, 15)},
        "15": "critical",
        "16": "critical",
    },
    "detail.severity": {  # GuardDuty
        **{str(level): "low" for level in range(1, 4)},
        **{str(level): "medium" for level in range(4, 7)},
        "7": "high",
        "8": "high",
        "9": "critical",
        "10": "critical",
    },
}
"""Numbers and words that a tool has for severities. A number that is in no table stays unknown, with a warning."""

IDENTITIES = (
    *("dedup_key", "deduplication_key", "fingerprint", "alias", "incident_key", "alert_uid", "alert_cycle_key"),
    *("aggreg_key", "aggregation_key", "alert_correlation_id", "correlation_id", "correlation_key", "entity_id"),
    *("problem_key", "alert_key"),
)
"""Fields that are there to tell one incident from others."""

NUMBERS = (
    *(
        "detail.alarm_name",
        "check.metadata.name",
        "involved_object.uid",
        "event_arn",
    ),  # these tools number their events as well
    *("alert_id", "incident_id", "problem_id", "pid", "monitor_id", "check_id", "issue_id", "event_definition_id"),
    *("alert_group_id", "sensor_id", "original_event_id", "id", "uuid", "event_id", "message_id"),
    "site.id",
    "alarm_id",
)
"""Fields that number what a tool has: the numbers of another tool may be the same."""

PROCESSES = ("pid",)
"""Fields that number a process in the lines of a log, where they hold digits alone."""

NUMBERS_OF_LINES = ("id", "uuid", "event_id", "message_id", "correlation_id", "correlation_key", "entity_id")
"""Identities that the lines of a log have as well: of a request, an order, a process."""

LEVELS = ("level", "log_level", "levelname", "syslog_severity")
"""Fields that say how bad it is in the lines of a log."""

CHECKS = (
    *("alertname", "rule_name", "rule", "search_name", "check", "check_name", "condition_name"),
    *("monitor", "monitor_name", "monitor_friendly_name", "service_description", "service_desc"),
    *("alarm", "alarm_name", "alert", "event_definition_title", "check.metadata.name"),
    "endpoint_name",
)
"""What is checked; with what it is about, this tells incidents apart where nothing else does."""

RESOURCES = (
    "affected_resources.name",
    *(
        "payload.source",
        "hostname_and_port",
    ),
    *("instance", "pod", "pod_name", "host", "hostname", "node", "nodename", "server", "server_name"),
    *(
        "device",
        "device_name",
        "machine",
        "vm",
        "container",
        "container_name",
        "resource_display_name",
        "resource_name",
        "resource",
        "entity",
    ),
    *("entity.metadata.name", "entity_name", "entity_label", "impacted_entity", "host.name", "host.hostname"),
    *("agent.name", "device.name", "resource.name", "involved_object.name", "monitor.name"),
    *("configuration_items", "impacted_entities", "affected_entities", "affected_hosts", "source_host", "fqdn"),
    *(
        "service",
        "service.name",
        "service.summary",
        "client.name",
        "service_name",
        "component",
        "application",
        "app",
        "project.name",
    ),
    *(
        "check_params.hostname",
        "tags.host",
        "labels.host",
        "context.group",
        "instance_details.instance_id",
        "targets.name",
        "resource.labels.instance_id",
        "project.slug",
        "project_name",
        "sysname",
        "address",
        "ip",
    ),
    *("check_name", "monitor_name", "monitor_friendly_name", "test_name", "display"),
    "endpoint_name",
    "source_id",
    *("resource_id",),
)
"""What it is about, from the narrowest to the widest."""

HOSTS = ("host", "hostname", "host.name", "host_alias", "host_display_name")
SERVICES = ("service", "service_name", "service_description", "service_desc", "service_display_name")
"""One of each names what a monitoring system checks."""

MONITORING = ("notification_type", "host_state", "service_state", "host_state_id", "service_state_id", "reachable")
"""Fields by which it says how that stands."""

ABOUT = (
    *RESOURCES,
    *(
        "namespace",
        "cluster",
        "environment",
        "env",
        "region",
        "job",
        "queue",
        "database",
        "topic",
        "interface",
        "chart",
    ),
    *("site", "location", "zone", "tenant", "customer", "account", "scope", "alert_scope", "target", "monitored_url"),
    "endpoint_group",
)
"""What tells apart two alerts of the same name."""

LINKS = (
    *(
        "monitor_dashboard_link",
        "link_sensor",
    ),
    "alert_response_url",
    *("url", "link", "web_url", "html_url", "permalink", "permalinks.web", "alert_url", "alarm_url", "incident_url"),
    *("issue_url", "problem_url", "event_url", "results_link", "result_url", "rule_url", "portal_link"),
    *("details_url", "details_link", "source_url", "generator_url", "shortlink", "check_url", "client_url"),
    *(
        "investigation_link",
        "result_link",
        "full_url",
        "service_url",
        "host_url",
        "display_url",
        "check_params.full_url",
        "check_params.url",
    ),
    *("build_url", "target_url", "title_link", "response_url", "dashboard_url"),
    "monitor_url",
    "deep_link",
    "monitor_target",
)
"""The page of the alert. Where it has none of these, any URL whose name says that it is one will do."""

NO_LINKS = ("image", "icon", "avatar", "logo", "webhook", "callback", "ack", "snooze", "silence", "unsubscribe", "api")
"""What the names of URLs begin with that are no page about the alert."""

PAGES = {
    "Runbook": ("runbook_url", "runbook", "playbook_url", "playbook"),
    "Dashboard": ("dashboard_url", "dashboard"),
}
"""Further pages: what to call each, and the fields that may hold it."""

STARTS = (
    *("starts_at", "started_at", "start_time", "fired_date_time", "fired_at", "triggered_at", "opened_at"),
    *("activated_at", "state_start_time", "problem_start_time"),
)
"""When it began. Not `timestamp` and the like, which are other ones in a repeat."""

BODIES = _words(
    "alert alert_group alarm incident event issue problem check monitor heartbeat data attributes payload"
    " essentials detail details body content context message msg log record object_attributes item fault error"
    " exception build execution job workflow workflow_run check_run pipeline rule trigger saved_search search"
    " result notification metric_alert condition activity_log metadata annotations common_annotations finding"
    " violation properties params alert_context state webhook_event_data activity entry status event_data"
    " alert_data info text subject description"
)
"""Objects that hold the alert itself. In others it is looked for only if these have nothing."""

OTHERS = _words(
    "webhook user users sender author actor agent assignee assignees creator owner account org organization"
    " organisation team teams repository project workspace integration installation source client contact"
    " contacts responders escalation_policy service entity host device page meta links app application region"
    " customer tenant schedule channel receiver manager node involved_object configuration history space"
    " owner_team recipient recipients first_probe second_probe conference_bridge last_notice labels tags"
    " dimensions extra environment server request headers query resource previous_state documentation"
    " check_params"
)
"""Objects about somebody or something else: they are labels, and nothing more."""

PAST = ("previous", "prev", "old", "last")
"""What an object's name begins with that is about before."""

LABELS = frozenset(("labels", "tags", "dimensions", "common_labels", "group_labels"))
"""Objects whose fields are labels by their own name."""

ANNOTATIONS = frozenset(("annotations", "common_annotations"))
"""Objects whose fields are texts for people."""

ENVELOPE = ("signature", "signature_version", "signing_cert_url", "unsubscribe_url")
"""What only serves the delivery of an SNS message; the last acts on a click."""
