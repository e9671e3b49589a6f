"""ServiceNow, as the registry knows it."""

from collections.abc import Mapping, Sequence
from functools import partial

from versus_py.config import Config, ServiceNowConfig
from versus_py.incidents.model import Incident
from versus_py.incidents.sides import Report
from versus_py.sources.records import EVENTS_PATH
from versus_py.targets.check import Examination
from versus_py.targets.servicenow.asked import destinations
from versus_py.targets.servicenow.checks import examine
from versus_py.targets.servicenow.connection import UNANSWERED_SETTLES_S
from versus_py.targets.servicenow.events import ServiceNowFeed
from versus_py.targets.servicenow.preview import preview
from versus_py.targets.servicenow.record_checks import NAME as RECORDS
from versus_py.targets.servicenow.record_checks import examine_records
from versus_py.targets.servicenow.target import ServiceNowTarget
from versus_py.targets.system import Abilities, Examined, Parts, Surroundings, System

NAME = ServiceNowConfig.NAME


def build(around: Surroundings) -> Parts:
    """The record of each incident that escalates, also in the instances that steps name; and tickets that come in."""
    config = around.config.oncall.servicenow.with_severities(around.config.severity_map)

    def target(name: str, default: str | None = None) -> ServiceNowTarget:
        return ServiceNowTarget(
            config,
            clock=around.clock,
            session=around.session,
            turns=around.turns,
            service=around.config.name,
            name=name,
            default=default,
            destinations_of=destinations(around.config),
        )

    places = around.config.places(NAME)
    targets = {NAME: target(NAME)} | {name: target(name, instance) for name, instance in places.items()}

    async def look(name: str, incidents: Sequence[Incident]) -> Mapping[str, Report | None]:
        return await targets[name].look(incidents)

    return Parts(targets=targets, feed=ServiceNowFeed(around.config, config, look))


def checks(examined: Examined) -> Mapping[str, Examination]:
    """Those of every instance, and one of the records that there are."""
    config = examined.config
    if NAME not in {part.NAME for part in config.systems_in_use()}:
        return {}
    found: dict[str, Examination] = {}
    for name, instance in config.oncall.servicenow.instances().items():
        shown = ServiceNowConfig.TITLE if name is None else f"{ServiceNowConfig.TITLE} {name}"
        found[shown] = partial(
            examine,
            instance,
            shown,
            clock=examined.clock,
            session=examined.session,
            service=config.name,
            create_test_record=examined.may_create,
            of_steps=_fields_of_steps(config, name),
        )
    found[RECORDS] = partial(examine_records, config.oncall.servicenow.instances(), examined.incidents)
    return found


def _fields_of_steps(config: Config, instance: str | None) -> tuple[Mapping[str, str], ...]:
    """What steps of policies write to that *instance*; where a request names another one, it is not known before."""
    target = NAME if instance is None else f"{NAME}:{instance}"
    steps = (step for policy in config.policies for step in policy.steps)
    return tuple(step.fields for step in steps if step.fields and target in step.notify)


SERVICENOW = System(
    config=ServiceNowConfig,
    build=build,
    examine=checks,
    preview=preview,
    abilities=Abilities(threads=True, settles_within_s=UNANSWERED_SETTLES_S),
    events_path=EVENTS_PATH,
)
