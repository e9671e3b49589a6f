"""What ServiceNow would be sent about an incident."""

from collections.abc import Iterator

from versus_py.config import Config, ServiceNowConfig, ServiceNowInstance
from versus_py.incidents.model import Incident, Status
from versus_py.targets.servicenow.fields import RecordTemplates, Rendered, created_fields, values_for
from versus_py.targets.servicenow.key import Key
from versus_py.targets.system import Preview


def preview(config: Config, incident: Incident) -> Iterator[Preview]:
    """By instance: the columns of a new record and those of an update, or those that resolve the record.

    A reference is shown by the name that its template says: nobody is asked for the row.
    """
    for name, instance in config.oncall.servicenow.instances().items():
        place = ServiceNowConfig.TITLE if name is None else f"{ServiceNowConfig.TITLE} {name}"
        rendered = _rendered(instance, incident, service=config.name)
        yield Preview(
            place=place,
            destination=name,
            shown={f"{where}.{column}": text for where, it in rendered.items() for column, text in it.fields.items()},
            problems=tuple(f"{place}: {warning}" for it in rendered.values() for warning in it.warnings),
        )


def _rendered(instance: ServiceNowInstance, incident: Incident, *, service: str) -> dict[str, Rendered]:
    """By the setting that has the templates."""
    templates, values = RecordTemplates(instance), values_for(incident, instance, service=service)
    if incident.status is Status.RESOLVED:
        return {"resolve_fields": templates.resolve_fields.render(values)}
    created = templates.fields.render(values)
    fields = created_fields(incident, Key.of(instance), created.fields)
    rendered = {"fields": Rendered(fields, created.warnings)}
    if templates.watched(instance):
        rendered["update_fields"] = templates.update_fields.render(values)
    return rendered
