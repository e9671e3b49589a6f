"""versus serve, versus worker, and the secret that they take."""

import asyncio
import gc
from contextlib import nullcontext
from functools import partial
from typing import Annotated

import structlog
import typer

from versus_py.cli.common import (
    DEFAULT_CONFIG,
    ConfigOption,
    load,
    run_to_end,
    say,
    until_signal,
)
from versus_py.config import Config, LogConfig, MetricsConfig
from versus_py.errors import ConfigError
from versus_py.service import serve as serve_until
from versus_py.store.shadow import raise_if_shadow
from versus_py.supervisor import Order, Supervised, read_order, serve_command, supervise
from versus_py.systems import registered
from versus_py.telemetry.logs import configure_logging
from versus_py.telemetry.shared import share_metrics
from versus_py.tools.doctor import diagnose
from versus_py.tools.gateway_secret import secret_in_use
from versus_py.tools.preview import template_problems

log = structlog.get_logger()

GC_THRESHOLDS = (50_000, 50, 50)
"""How many new objects begin a collection, and how many of one generation begin one of the next. Requests make few
cycles: with Python's own thresholds, a fifth of a busy server's time is spent looking for them."""


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, max=64, help="Processes on the port, started again when they die.", show_default="processes"
        ),
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Post and create nothing: for a trial beside a server that is in use.")
    ] = False,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where it listens.", show_default="the configuration's port")
    ] = None,
    member: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the API and a worker, until SIGTERM or Ctrl-C.

    With --shadow it takes alerts as ever, but neither posts nor creates anything. It keeps incidents in the folder
    shadow of data_dir, never in the configured Redis. `versus shadow report` says what it would have done.
    """
    loaded = load(config)
    if port is not None:
        loaded = loaded.model_copy(update={"port": port})
    if shadow:
        if processes not in {None, 1}:
            say(ConfigError(["--processes: a shadow is one process, as it keeps its incidents in an embedded server"]))
            raise typer.Exit(1)
        _serve(loaded.as_shadow(), with_api=True)
        return
    if member is not None:
        _serve(loaded, with_api=True, order=read_order(member))
        return
    if processes is not None:
        loaded = loaded.model_copy(update={"processes": processes})
    if loaded.processes == 1:
        _serve(loaded, with_api=True)
        return
    if problems := [*loaded.process_problems()]:
        say(ConfigError(problems))
        raise typer.Exit(1)
    try:
        raise_if_shadow(loaded.data_dir)
    except ConfigError as exc:
        say(exc)
        raise typer.Exit(1) from None
    configure_logging(loaded.log, loaded.secrets())
    run_to_end(until_signal(partial(supervise, loaded, serve_command(config, port=port))))


def worker(
    config: ConfigOption = DEFAULT_CONFIG,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Where it answers /metrics, /healthz and /readyz.", show_default="metrics.port"
        ),
    ] = None,
) -> None:
    """Run another worker on the same Redis, without the API."""
    loaded = load(config)
    if metrics_port is not None:
        loaded = loaded.model_copy(update={"metrics": MetricsConfig(port=metrics_port)})
    _serve(loaded, with_api=False)


def gateway_secret(
    config: ConfigOption = DEFAULT_CONFIG,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Create a new one. The old one is rejected within 30 seconds.")
    ] = False,
) -> None:
    """Print the secret of the API, for other programs; `versus incidents` finds it by itself."""
    loaded = load(config)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    print(run_to_end(secret_in_use(loaded, rotate=rotate)))


def _serve(config: Config, *, with_api: bool, order: Order | None = None) -> None:
    """*order* is that of the supervisor, for one of several processes."""
    member = None if order is None else order.member
    number = None if member is None else member.number
    configure_logging(config.log, config.secrets(), process=number, for_good=True)
    if member is not None:
        share_metrics(member.folder, member.number)
    if member is None or member.leads:
        log_template_problems(config)
    supervised = None if order is None else Supervised(order)

    def when_up() -> None:
        _spare_the_collector()
        if supervised is not None:
            supervised.say_up()

    async def run(stop: asyncio.Event) -> None:
        with nullcontext() if supervised is None else supervised.followed(stop):
            await serve_until(
                config if order is None else order.applied(config),
                stop,
                systems=registered(),
                with_api=with_api,
                diagnose=None if config.is_shadow else partial(diagnose, config),  # it asks Slack, ServiceNow
                when_up=when_up,
                member=member,
            )

    run_to_end(until_signal(run))


def _spare_the_collector() -> None:
    """Exempt what exists when the service is up from garbage collection, which would stop all requests.

    It is not collected before that: of 125,000 objects, a start leaves ten that nobody needs.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def log_template_problems(config: Config) -> None:
    """The templates that fail with samples of what may come. Nothing of it stops the start."""
    try:
        problems = template_problems(config)
    except Exception:  # alerts are served whatever the preview of a system does
        log.exception("template.check_crashed")
        return
    for problem in problems:
        if problem.is_always:
            log.error("template.always_fails", error=problem.what)
        else:
            log.warning("template.fails", error=problem.what, sources=problem.sources)
