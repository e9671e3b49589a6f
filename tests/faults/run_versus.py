"""The command `versus`, in the tempo of the fault tests, and sabotaged if asked: run_versus.py [--sabotage NAME] …"""

import sys

from tests.faults.sabotage import SABOTAGES
from tests.faults.tempo import QUICK, QUICK_SLACK, settle_soon, shorten
from versus_py.cli import app, serving, trying  # noqa: F401 - all that is shortened has to be there


def main() -> None:
    arguments = sys.argv[1:]
    shorten(QUICK)
    settle_soon()
    shorten(QUICK_SLACK)
    if arguments[:1] == ["--sabotage"]:
        SABOTAGES[arguments[1]]()
        arguments = arguments[2:]
    app(arguments)


if __name__ == "__main__":
    main()
