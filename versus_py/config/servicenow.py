"""Where unacknowledged incidents become records: oncall.servicenow."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from versus_py.config.parts import HttpUrl, Number, Part, Secret, split_url
from versus_py.templating import TemplateFailed, TemplateText

CREDENTIALS = {"username", "password", "auth", "client_certificate", "client_key"}
"""The keys of an instance that are taken together: whoever sets one of them shares none."""


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = split_url(value.get_secret_value())
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be the URL of an HTTP proxy, http://host:port or http://user:password@host:port")
    return value


def _written_out(value: Any) -> Any:
    """YAML's true and false as ServiceNow writes them."""
    return str(value).lower() if isinstance(value, bool) else value


def _template(value: str) -> str:
    try:
        TemplateText(value, "template")
    except TemplateFailed as exc:
        raise ValueError(f"must be a Jinja2 template; {str(exc).removeprefix('template: ')}") from None
    return value


def _field_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError("must be the name of a column, such as short_description")
    if value in {"correlation_id", "number"} or value.startswith("sys_"):
        raise ValueError("must be another column: this one is not for templates to write")
    return value


Text = Annotated[str, BeforeValidator(_written_out)]
Template = Annotated[Text, AfterValidator(_template)]
Fields = dict[Annotated[str, AfterValidator(_field_name)], Template]
State = Annotated[str, Field(pattern=r"^-?[A-Za-z0-9_]{1,40}$")]


class ServiceNowAuth(Part):
    """How to log in."""

    type: Literal["basic", "oauth_password", "oauth_client_credentials", "api_key"] = "basic"
    """basic and oauth_password use username and password; the OAuth types fetch tokens from /oauth_token.do."""
    client_id: str = ""
    """The OAuth client."""
    client_secret: Secret = SecretStr("")
    """Its secret."""
    scope: str = ""
    """The OAuth scope, where the client asks for one."""
    api_key: Secret = SecretStr("")
    """The key for type api_key, sent as x-sn-apikey."""


class ServiceNowStates(Part):
    """The numbers of a record's states; what is none of these is over for good, as Closed and Canceled are."""

    new: State = "1"
    """A new record; only from here is it moved on when somebody acknowledges."""
    acknowledged: State = "2"
    """What it is moved to when somebody acknowledges after the escalation, and when it is reopened."""
    open: tuple[State, ...] = ("3",)
    """Further states in which people are still at work, such as On Hold."""
    resolved: State = "6"
    """What it is moved to when the incident is resolved."""


class ServiceNowInstance(Part):
    """One instance, and how records are written there."""

    instance_url: HttpUrl | None = None
    """The instance, such as https://dev12345.service-now.com."""
    username: str = ""
    """The integration user."""
    password: Secret = SecretStr("")
    """Its password."""
    auth: ServiceNowAuth = ServiceNowAuth()
    """How to log in."""
    table: str = Field("incident", pattern=r"^[a-z][a-z0-9_]*$")
    """The table that records are created in."""
    lifecycle: Literal["incident", "plain"] = "incident"
    """plain: for a table without state, work_notes and close_code; only what fields, … say is written."""
    states: ServiceNowStates = ServiceNowStates()
    """The numbers of a record's states."""
    fields: Fields = {}
    """Column -> template, for new records; without any, short_description is "Incident <id>"."""
    update_fields: Fields = {}
    """Column -> template, written again when the alerts change and on_update is fields."""
    resolve_fields: Fields = {}
    """Column -> template, written with the resolve; close_code and close_notes have defaults of their own."""
    severities: dict[str, dict[str, Text]] = {}
    """Severity -> values that templates see as by_severity; the row `default` is for every other severity."""
    references: dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]] = {
        "assigned_to": "sys_user.email",
        "assignment_group": "sys_user_group.name",
        "caller_id": "sys_user.email",
        "cmdb_ci": "cmdb_ci.name",
    }
    """Column that holds a reference -> table.column in which what a template says is looked up."""
    on_update: Literal["note", "fields", "nothing"] = "note"
    """When alerts join or leave: append a work note; write update_fields as well; or do nothing."""
    on_resolve: Literal["resolve", "note", "nothing"] = "resolve"
    """When the incident is resolved: resolve the record; only append a work note; or do nothing."""
    assign_on_ack: bool = False
    """Assign the record to who acknowledges, found by e-mail address, unless somebody else has it."""
    comments_every_minutes: Annotated[float, Number] = Field(5.0, ge=0, le=1440, allow_inf_nan=False)
    """How often an open record is asked for new comments, to be said in Slack; 0 never asks."""
    proxy: Annotated[SecretStr, AfterValidator(_proxy_url)] | None = None
    """The HTTP proxy on the way to the instance, http://host:port."""
    ca_file: Path | None = None
    """A file with the certificate authorities to trust (PEM), instead of the system's."""
    client_certificate: Path | None = None
    """A client certificate (PEM), where the instance asks for one."""
    client_key: Path | None = None
    """Its key, when that is not in the same file."""
    timeout_seconds: Annotated[float, Number] = Field(15, ge=1, le=40, allow_inf_nan=False)
    """How long one request may take."""


def _url_alone(value: Any) -> Any:
    return {"instance_url": value} if isinstance(value, str) else value


OtherInstance = Annotated[
    ServiceNowInstance, BeforeValidator(_url_alone, json_schema_input_type=str | ServiceNowInstance)
]


class ServiceNowConfig(ServiceNowInstance):
    """Where unacknowledged incidents become records."""

    other_instance_urls: dict[str, OtherInstance] = {}
    """Further instances by name, for the override servicenow_other_instance: a URL, or a mapping with keys as above."""
    allow_insecure_http: bool = False
    """Allow http:// to a host that is not this machine: the credentials travel in the clear."""

    def instances(self) -> Mapping[str | None, ServiceNowInstance]:
        """Every instance by name, the default one by None.

        What another instance does not say is as with the default one; but one that has credentials of its own gets
        none of the default's.
        """
        return {None: self} | {name: self._completed(other) for name, other in self.other_instance_urls.items()}

    def _completed(self, other: ServiceNowInstance) -> ServiceNowInstance:
        own = other.model_fields_set
        if own & CREDENTIALS:
            own = own | CREDENTIALS
        shared = {name: getattr(self, name) for name in ServiceNowInstance.model_fields if name not in own}
        own_states = {name: getattr(other.states, name) for name in other.states.model_fields_set}
        return other.model_copy(update=shared | {"states": self.states.model_copy(update=own_states)})
