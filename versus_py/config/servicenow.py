"""Where unacknowledged incidents become records: oncall.servicenow."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from versus_py.config.parts import (
    LOOPBACK,
    HttpUrl,
    Number,
    Part,
    ProviderPart,
    Secret,
    Template,
    Text,
    percent_encoded,
    split_url,
)
from versus_py.config.severities import counted_as, row_warnings
from versus_py.config.ticket_problems import naming_problems, ticket_problems, ticket_warnings, token_problems
from versus_py.config.tickets import (
    CHANNEL,
    RAISE,
    STEPS,
    PriorityLeads,
    PriorityMap,
    Routing,
    TicketEvents,
    TicketSource,
)

if TYPE_CHECKING:
    from versus_py.config.model import Config

_Leads = TypeVar("_Leads", PriorityLeads, TicketSource)

_WHEN = "is required when oncall.enable or oncall.initialized_only is true"

_COMPUTED = "is computed by ServiceNow: set impact and urgency instead"
_NEVER_WRITTEN_AGAIN = "is the column of key_field, which is never written again; leave it out"

CREDENTIALS = {"username", "password", "auth", "client_certificate", "client_key"}
"""The keys of an instance that are taken together: whoever sets one of them shares none."""


_TAKEN_NAMES = {"", "default"}

# Nobody's token is good for two instances.
_NO_SENDERS: Mapping[str, Any] = {"token": SecretStr(""), "previous_tokens": (), "sources": ()}


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = split_url(value.get_secret_value())
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be the URL of an HTTP proxy, http://host:port or http://user:password@host:port")
    return value


def _field_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError("must be the name of a column, such as short_description")
    if value in {"correlation_id", "number"} or value.startswith("sys_"):
        raise ValueError("must be another column: this one is not for templates to write")
    return value


def _key_field(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", value) or value == "number" or value.startswith("sys_"):
        raise ValueError(
            "must be a column that can be written, such as correlation_id, short_description or u_alert_key"
        )
    return value


def _routing_field(value: str) -> str:
    if value and not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        raise ValueError("must be the name of a column and not its label, such as assignment_group")
    return value


Fields = dict[Annotated[str, AfterValidator(_field_name)], Template]
State = Annotated[str, Field(pattern=r"^-?[A-Za-z0-9_]{1,40}$")]


RECOMMENDED_SEVERITIES: Mapping[str, Mapping[str, str]] = {
    "critical": {"impact": "1", "urgency": "1"},
    "error": {"impact": "2", "urgency": "1"},
    "warning": {"impact": "2", "urgency": "2"},
    "default": {"impact": "3", "urgency": "3"},
}
"""ServiceNow computes the priority from impact and urgency."""

RECOMMENDED_FIELDS: Mapping[str, str] = {
    "short_description": "{{ incident.subject }}",
    "description": "{{ description }}",
    "impact": "{{ by_severity.impact }}",
    "urgency": "{{ by_severity.urgency }}",
    "category": "software",
    "contact_type": "monitoring",
    "correlation_display": "{{ service }}",
}
"""A record that people can work with, as config/config.yaml and the demo have it. A file without fields has none."""


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
    """The numbers of a record's states. A record in another state is not written to, as if it were closed."""

    new: State = "1"
    """A new record; only from here is it moved on when somebody acknowledges."""
    acknowledged: State = "2"
    """What it is moved to when somebody acknowledges after the escalation, and when it is reopened."""
    open: tuple[State, ...] = ("3",)
    """Further states in which people are still at work, such as On Hold."""
    resolved: State = "6"
    """What it is moved to when the incident is resolved."""
    closed: tuple[State, ...] = ("7", "8")
    """The states in which it is over for good, such as Closed and Canceled."""


class ServiceNowInstance(Part):
    """One instance, and how records are written there."""

    URLS_WITH_PASSWORD = ("proxy",)

    instance_url: HttpUrl | None = None
    """The instance, such as https://dev12345.service-now.com."""
    public_url: HttpUrl | None = None
    """Where browsers reach the instance, for links to records; without one, instance_url."""
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
    key_field: Annotated[str, AfterValidator(_key_field)] = "correlation_id"
    """The column with the incident's id: written when the record is created, looked for, and never written again."""
    states: ServiceNowStates = ServiceNowStates()
    """The numbers of a record's states."""
    fields: Fields = {}
    """Column -> template, for new records; without any, short_description is "Incident <id>"."""
    update_fields: Fields = {}
    """Column -> template, written again when the alerts change and on_update is fields."""
    resolve_fields: Fields = {}
    """Column -> template, written with the resolve; close_code and close_notes have defaults of their own."""
    severities: dict[str, dict[str, Text]] = {}
    """Severity -> values that templates see as by_severity; the row `default` is for those of no row's level."""
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
    events: TicketEvents = TicketEvents()
    """What a business rule of the instance sends here: its tickets become incidents, and changes there count here."""
    bidirectional: bool | None = None
    """Whether tickets that come from there are written to; without it, where events has a token."""
    map_caller: bool = True
    """Set caller_id once to the person who acts, found by e-mail, where fields leaves it empty and it is empty."""
    priority_map: PriorityMap = {}
    """The number of a ticket's priority -> what it means here: a severity, or {severity, wait, oncall}."""
    routing_field: Annotated[str, AfterValidator(_routing_field)] = ""
    """The column whose value, a name or a sys_id, is the routing key, such as assignment_group."""
    routing: Routing = {}
    """Routing key -> where it leads: a policy, or {policy, channel, wait, mention}."""
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

    @property
    def browser_url(self) -> str:
        """The start of links to its records; "" where no instance is configured."""
        return self.public_url or self.instance_url or ""

    @property
    def is_two_way(self) -> bool:
        """Whether what people do to its records counts here."""
        return self.events.is_on or bool(self.bidirectional)

    @property
    def writes_tickets(self) -> bool:
        """Whether tickets that come from there are written to."""
        return self.events.is_on if self.bidirectional is None else self.bidirectional

    @property
    def own_user(self) -> str:
        """The user_name of the integration user, in lower case; "" where nothing tells it."""
        by_login = self.username if self.auth.type in {"basic", "oauth_password"} else ""
        return (self.events.user or by_login).casefold()

    def with_severities(self, names: Mapping[str, str]) -> Self:
        """With what names of one's own for severities count as, in place of them."""
        update: dict[str, Any] = {}  # without what is not set, as a copy would take that for set
        if self.priority_map:
            update["priority_map"] = {number: _counted(it, names) for number, it in self.priority_map.items()}
        if self.events.sources:
            sources = tuple(_counted(it, names) for it in self.events.sources)
            update["events"] = self.events.model_copy(update={"sources": sources})
        return self.model_copy(update=update)


def _counted(it: _Leads, names: Mapping[str, str]) -> _Leads:
    return it.model_copy(update={"severity": counted_as(it.severity, names)})


def _url_alone(value: Any) -> Any:
    return {"instance_url": value} if isinstance(value, str) else value


OtherInstance = Annotated[
    ServiceNowInstance, BeforeValidator(_url_alone, json_schema_input_type=str | ServiceNowInstance)
]


def _without_unset(value: Any) -> Any:
    """Without the instances that say nothing, as their variables are not set."""
    if not isinstance(value, dict):
        return value
    return {name: it for name, it in value.items() if not (isinstance(it, dict) and it.keys() <= {"public_url"})}


OtherInstances = Annotated[
    dict[str, OtherInstance],
    BeforeValidator(_without_unset, json_schema_input_type=dict[str, str | ServiceNowInstance]),
]


def _incomplete_instance(instance: ServiceNowInstance) -> Iterator[tuple[str, str]]:
    """What one instance lacks: the key, and what to say of it."""
    if instance.instance_url is None:
        yield "instance_url", f"{_WHEN}, such as https://dev12345.service-now.com"
    yield from _incomplete_auth(instance)
    for setting in ("update_fields", "resolve_fields"):
        if instance.key_field in getattr(instance, setting):
            yield (
                f"{setting}.{instance.key_field}",
                _NEVER_WRITTEN_AGAIN,
            )
    for key in ("ca_file", "client_certificate", "client_key"):
        path = getattr(instance, key)
        if path is not None and not path.is_file():
            yield key, f"no file {str(path)!r}"
    if instance.client_key is not None and instance.client_certificate is None:
        yield "client_certificate", "is required together with client_key"


def _incomplete_auth(instance: ServiceNowInstance) -> Iterator[tuple[str, str]]:
    auth = instance.auth
    if auth.type in {"basic", "oauth_password"}:
        if not instance.username:
            yield "username", _WHEN
        elif ":" in instance.username and auth.type == "basic":
            yield "username", "has a colon in it, which Basic authentication cannot send"
        if not instance.password.get_secret_value():
            yield "password", _WHEN
    if auth.type in {"oauth_password", "oauth_client_credentials"}:
        if not auth.client_id:
            yield "auth.client_id", f"is required for auth.type {auth.type}"
        if not auth.client_secret.get_secret_value():
            yield "auth.client_secret", f"is required for auth.type {auth.type}"
    if auth.type == "api_key" and not auth.api_key.get_secret_value():
        yield "auth.api_key", "is required for auth.type api_key"


def _public_url_warnings(path: str, instance: ServiceNowInstance) -> Iterator[str]:
    public, api = urlsplit(instance.public_url or ""), urlsplit(instance.instance_url or "")
    if public.hostname in LOOPBACK and api.scheme == "https" and api.hostname not in LOOPBACK:
        yield (
            f"{path}.public_url is {instance.public_url}, but instance_url is {instance.instance_url}: links to "
            "records lead to the machine of whoever opens them; leave public_url out"
        )


class ServiceNowConfig(ServiceNowInstance, ProviderPart):
    """Where unacknowledged incidents become records."""

    NAME = "servicenow"
    TITLE = "ServiceNow"
    OVERRIDE = "servicenow_other_instance"
    PLACES = "other_instance_urls"
    FALLBACK_PLACE = "A further instance of ServiceNow, by its name in oncall.servicenow.other_instance_urls."

    other_instance_urls: OtherInstances = {}
    """Further instances by name, for the override servicenow_other_instance: a URL, or a mapping with keys as above.

    One with nothing but public_url, as where the variables of the others are not set, is none.
    """
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
        if "instance_url" in own:  # browsers reach another instance at another address
            own = own | {"public_url"}
        shared = {name: getattr(self, name) for name in ServiceNowInstance.model_fields if name not in own}
        own_states = {name: getattr(other.states, name) for name in other.states.model_fields_set}
        own_events = {name: getattr(other.events, name) for name in other.events.model_fields_set}
        events = self.events.model_copy(update={**_NO_SENDERS, **own_events})
        states = self.states.model_copy(update=own_states)
        return other.model_copy(update=shared | {"states": states, "events": events})

    def with_severities(self, names: Mapping[str, str]) -> Self:
        others = {name: it.with_severities(names) for name, it in self.other_instance_urls.items()}
        return super().with_severities(names).model_copy(update={"other_instance_urls": others})

    @property
    def named_policies(self) -> frozenset[str]:
        own = [it for _, it in self._own_instances()]
        routes = {route.policy for it in own for route in it.routing.values()}
        return frozenset(routes | {source.policy for it in own for source in it.events.sources}) - {""}

    def naming_problems(self, config: "Config") -> Iterator[str]:
        targets = (self.NAME, *(f"{self.NAME}:{name}" for name in self.other_instance_urls))
        for (path, instance), target in zip(self._own_instances(), targets, strict=True):
            yield from naming_problems(path, instance, config, target)

    def problems_while_off(self, config: "Config") -> Iterator[str]:
        needed = self.needed_to_notify(config)
        for path, instance in self._own_instances():
            if needed and instance.events.is_on:
                yield f"{path}.events: needs {needed}, as tickets are kept in sync with their incidents"

    def problem_with(self, destination: str) -> str:
        names = self.other_instance_urls
        return "" if destination in names else ", ".join(names) or "none, as none is configured"

    @property
    def places(self) -> Mapping[str, str]:
        return {name: name for name in self.other_instance_urls}

    def ticket_escalation(self, place: str | None) -> tuple[str, ...]:
        instance = self.instances().get(place, self)
        asked = instance.events.escalate
        raises = instance.writes_tickets and bool({RAISE, STEPS} & {*asked})
        return (*(it for it in asked if it != RAISE), *((RAISE,) if raises else ()))

    @property
    def ticket_targets(self) -> tuple[str, ...]:
        found: list[str] = []
        for name, instance in self.instances().items():
            if instance.events.is_on:
                told = (it for it in instance.events.escalate if it not in {CHANNEL, RAISE, STEPS})
                found += [self.NAME if name is None else f"{self.NAME}:{name}", *told]
            if instance.is_two_way:
                found += [target for route in instance.routing.values() for target in route.notify]
        return tuple(dict.fromkeys(found))

    @property
    def ticket_channels(self) -> tuple[str, ...]:
        routes = (
            it for instance in self.instances().values() if instance.is_two_way for it in instance.routing.values()
        )
        return tuple(dict.fromkeys(it.channel for it in routes if it.channel))

    def field_problem(self, column: str, place: str | None) -> str:
        try:
            _field_name(column)
        except ValueError as exc:
            return str(exc)
        instance = self.instances().get(place, self)
        return _NEVER_WRITTEN_AGAIN if column == instance.key_field else ""

    def fallback_problems(self, config: "Config", destination: str) -> Iterator[str]:  # noqa: ARG002
        if destination not in self.other_instance_urls:
            known = ", ".join(self.other_instance_urls) or "none"
            yield f"oncall.fallback.servicenow_other_instance: is {destination!r}; other_instance_urls has {known}"

    def _own_instances(self) -> Iterator[tuple[str, ServiceNowInstance]]:
        """Each instance as it is written, after its path."""
        yield "oncall.servicenow", self
        for name, other in self.other_instance_urls.items():
            yield f"oncall.servicenow.other_instance_urls.{name}", other

    def problems(self, config: "Config") -> Iterator[str]:
        yield from token_problems(self._own_instances(), config)
        yield from self._naming_problems()
        said: set[str] = set()
        for name, instance in self.instances().items():
            path = "oncall.servicenow" if name is None else f"oncall.servicenow.other_instance_urls.{name}"
            own = instance.model_fields_set if name is None else self.other_instance_urls[name].model_fields_set
            for key, problem in (*_incomplete_instance(instance), *ticket_problems(instance, config)):
                is_shared = name is not None and key.partition(".")[0] not in own and not (own & CREDENTIALS)
                if not (is_shared and key in said):  # told once, where it is set
                    yield f"{path}.{key}: {problem}"
                    said.add(key)
            url = instance.instance_url or ""
            parts = urlsplit(url)
            if parts.scheme == "http" and parts.hostname not in LOOPBACK and not self.allow_insecure_http:
                yield (
                    f"{path}.instance_url: is {url!r}; allowed is https://, or http:// to this machine, or set "
                    "oncall.servicenow.allow_insecure_http: true to send the credentials in the clear"
                )

    def _naming_problems(self) -> Iterator[str]:
        """Where records come in, they are told apart by the names of their instances."""
        if any(it.is_two_way for _, it in self._own_instances()):
            for name in _TAKEN_NAMES & self.other_instance_urls.keys():
                yield (
                    f"oncall.servicenow.other_instance_urls.{name}: needs another name where tickets come in, as "
                    "the main instance is called that"
                )

    def warnings(self, config: "Config") -> Iterator[str]:
        if not config.oncall.is_prepared:
            return
        for name in self.other_instance_urls:
            if not name.isascii():
                yield (
                    f"oncall.servicenow.other_instance_urls.{name}: is not ASCII; in the URLs of senders it has to be "
                    f"written {self.OVERRIDE}={percent_encoded(name)}, else their requests are refused"
                )
        if self.on_update == "fields" and not self.update_fields:
            yield "oncall.servicenow.on_update is fields, but update_fields is empty: only work notes are written"
        for path, own in self._own_instances():
            yield from _public_url_warnings(path, own)
            yield from row_warnings(f"{path}.severities", own.severities.keys() - {"default"}, config)
        for (path, own), instance in zip(self._own_instances(), self.instances().values(), strict=True):
            yield from ticket_warnings(path, instance, own.model_fields_set)
        columns = {column for it in self.instances().values() for column in (*it.fields, *it.update_fields)}
        if "priority" in columns:
            yield f"oncall.servicenow.fields.priority {_COMPUTED}"
        for path, step in config.policy_steps():
            if "priority" in step.fields:
                yield f"{path}.fields.priority {_COMPUTED}"

    def templates(self) -> Iterator[str]:
        for instance in self.instances().values():
            for texts in (instance.fields, instance.update_fields, instance.resolve_fields):
                yield from texts.values()

    def masked(self) -> dict[str, Any]:
        """Other instances without what they share with the default one."""
        others = {name: it for name, it in self.instances().items() if name}
        shown = {name: it.model_dump(mode="json", exclude_defaults=True) for name, it in others.items()}
        return {"other_instance_urls": shown}
