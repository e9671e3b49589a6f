"""versus audit."""

from pathlib import Path
from typing import Annotated

import typer

from versus_py.cli.common import DEFAULT_CONFIG, ConfigOption, err, load, out, run_to_end
from versus_py.cli.tables import print_pairs, print_rows
from versus_py.config import LogConfig
from versus_py.incidents.updates import counted
from versus_py.telemetry.logs import configure_logging
from versus_py.tools.audit import Finding, Report, What
from versus_py.tools.audit import audit as run_audit
from versus_py.tools.audit.report import STANDINGS, Covered

COULD_NOT_LOOK = 2


def audit(
    config: ConfigOption = DEFAULT_CONFIG,
    journal: Annotated[
        list[Path] | None,
        typer.Option(
            "--journal",
            help="A journal's file, with those beside it that were written before; once for each replica.",
            show_default="the configuration's",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Prove, by the journal and Redis, that every accepted payload had exactly one outcome, or list the exceptions.

    Exit status 0 when everything is accounted for, 1 when something is not, 2 when the data could not be read. The
    server may run or not.
    """
    loaded = load(config, status=COULD_NOT_LOOK)
    configure_logging(LogConfig(level="error"), loaded.secrets())
    report = run_to_end(run_audit(loaded, journal or ()), status=COULD_NOT_LOOK)
    if as_json:
        out.print_json(data=report.as_json())
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    print_pairs(_summary(report))
    for remark in report.remarks:
        err.print(f"note: {remark}", style="yellow", markup=False, soft_wrap=True)
    if report.findings:
        rows = [_row(it) for it in report.findings]
        print_rows(("what", "where", "incident", "detail"), rows, dict.fromkeys(What, "red"))
    if report.more_findings:
        err.print(f"and {counted(report.more_findings, 'further finding')}", style="red", markup=False)
    if not report.findings:
        err.print("Every accepted payload is accounted for.", style="green", markup=False)


def _row(finding: Finding) -> list[str]:
    return [finding.what, f"line {finding.line} of {finding.journal}", finding.incident or "", finding.detail]


def _lines(covered: Covered) -> str:
    if covered.first == covered.last:
        return f"line {covered.last}, which"
    return f"lines {covered.first} to {covered.last}; the last one"


def _summary(report: Report) -> list[tuple[str, str]]:
    covered = [(f"journal in {it.name}", f"{_lines(it)} has the {it.algorithm} {it.hash}") for it in report.journals]
    counts = {
        "lines": report.lines,
        "payloads": report.payloads,
        "incidents": report.incidents,
        **{it: report.standings[it] for it in STANDINGS},
    }
    return [*covered, *((name, str(number)) for name, number in counts.items())]
