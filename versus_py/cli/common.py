"""What the commands share: options, the terminal, and running to an end that is said in a sentence."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from versus_py.config import Config
from versus_py.errors import ConfigError, VersusError
from versus_py.incidents.partitions import use_partitions
from versus_py.systems import load_config

DEFAULT_CONFIG = Path("config/config.yaml")
LOCAL_SERVER = "http://127.0.0.1:3000"

TRY_OUT = {"alert": {"slack": {"enable": True}}, "oncall": {"enable": True}}
"""The defaults, for trying out what on-call does with them."""

T = TypeVar("T")

out = Console()
err = Console(stderr=True)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="VERSUS_CONFIG", help="The configuration file.", show_default=True)
]
OptionalConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="VERSUS_CONFIG", help="The configuration file; without one, the defaults."),
]
UrlOption = Annotated[str, typer.Option("--url", envvar="VERSUS_URL", help="The server.")]


def configured_path() -> Path:
    """The configuration of commands that work without one too."""
    return Path(os.environ.get("VERSUS_CONFIG") or DEFAULT_CONFIG)


async def until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run with an event that SIGTERM or Ctrl-C sets; the second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await work(stop)


def run_to_end(work: Coroutine[Any, Any, T], *, status: int = 1) -> T:
    """Run to the end. What goes wrong is said in a sentence, and ends the process with that exit *status*."""
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BaseExceptionGroup as group:
        expected, rest = group.split(VersusError)
        for exc in _leaves(expected):
            say(exc)
        if rest is not None:
            raise rest from None
    except VersusError as exc:
        say(exc)
    raise typer.Exit(status)


def _leaves(group: BaseExceptionGroup[Any] | None) -> list[BaseException]:
    if group is None:
        return []
    return [
        leaf for exc in group.exceptions for leaf in (_leaves(exc) if isinstance(exc, BaseExceptionGroup) else [exc])
    ]


def say(exc: BaseException) -> None:
    problems = exc.problems if isinstance(exc, ConfigError) else [str(exc)]
    for problem in problems:
        err.print(f"error: {problem}", style="red", markup=False, soft_wrap=True)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - it does not exist for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def load(path: Path, *, status: int = 1) -> Config:
    """The configuration, by which ids and keys are made from now on.

    What is wrong with it is said, and ends the process with that exit *status*.
    """
    try:
        found = load_config(path, os.environ)
    except ConfigError as exc:
        say(exc)
        if path == DEFAULT_CONFIG and not path.exists():
            err.print("Name the configuration with -c, or in VERSUS_CONFIG. `versus init` writes one.", markup=False)
        raise typer.Exit(status) from None
    use_partitions(found.redis.partitions)
    return found


def read(file: str) -> bytes:
    """The content of a file; - is standard input."""
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise typer.BadParameter(f"cannot read {file}: {exc.strerror}") from None
