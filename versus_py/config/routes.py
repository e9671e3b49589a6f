"""Where incidents with certain labels go: routes, each with a destination for each channel that it names."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from versus_py.config.parts import Minutes, Part, RouteTo, some
from versus_py.incidents.matchers import Matcher, parse_matchers


def _matchers(value: str) -> str:
    """A matcher that is empty, such as a variable that is not set, would match everything."""
    if not parse_matchers(value):
        raise ValueError('must hold a matcher, such as severity="critical"')
    return value


Matchers = Annotated[
    tuple[Annotated[str, AfterValidator(_matchers)], ...],
    some("have at least one matcher in it"),
    Field(json_schema_extra={"minItems": 1}),
]


class Matching(Part):
    """What tells the incidents of a route, and their wait."""

    matchers: Matchers
    """Alertmanager's label matchers, such as severity="critical" or team=~"db|infra"; all of them have to match."""
    wait_minutes: Minutes | None = None
    """How long people have to acknowledge, instead of oncall.wait_minutes."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether incidents with these *labels* go here."""
        return all(matcher.matches(labels) for matcher in self.parsed)

    @cached_property
    def parsed(self) -> tuple[Matcher, ...]:
        """The matchers."""
        return tuple(matcher for text in self.matchers for matcher in parse_matchers(text))


class Route(Matching):
    """Where incidents with certain labels go. The keys of the channels are added when the model is built."""

    @property
    def leads_to(self) -> Mapping[str, RouteTo]:
        """What it says of channels, by their names."""
        named = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in named if isinstance(value, RouteTo)}

    def warnings(self, path: str) -> Iterator[str]:
        """What works, but is hardly what was meant, in the route at *path*."""
        for name, it in self.leads_to.items():
            yield from it.warnings(f"{path}.{name}")
        if not self.leads_to and self.wait_minutes is None:
            yield f"{path} changes nothing: it names no channel and has no wait_minutes"
