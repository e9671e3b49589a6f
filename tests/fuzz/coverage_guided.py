"""Bad input that follows the branches of the parsers: `python tests/fuzz/coverage_guided.py -runs=N -seed=N CORPUS`.

A script and no test, as atheris takes over the process and ends it. It is not among what the tests install: it has
wheels for few versions of Python.
"""

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["versus_py"]):
    from versus_py import sources
    from versus_py.config import SourcesConfig
    from versus_py.errors import BadPayload, NotAnAlert
    from versus_py.targets.slack.press import read_presses
    from versus_py.web.intake.reading import read_body

SETTINGS = SourcesConfig()
NAMES = (None, *sources.SOURCES)


def read(data: bytes) -> None:
    """Each payload in *data* by the source that the first byte chooses, and as a press in Slack."""
    name = NAMES[data[0] % len(NAMES)] if data else None
    with suppress(BadPayload):
        for payload in read_body(data[1:])[1]:
            with suppress(NotAnAlert):
                sources.parse(payload, SETTINGS, name)
            with suppress(BadPayload):
                read_presses(payload)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
