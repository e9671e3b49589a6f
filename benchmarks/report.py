"""BENCHMARKS.md and its plots, written from results.json."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import intake
from benchmarks.goals import GOALS
from benchmarks.plots import written
from benchmarks.results import Results
from benchmarks.tables import SECTIONS, Section, number, table

ROOT = Path(__file__).parent.parent
RESULTS = "results.json"
PLOTS = "docs/benchmarks"

HEAD = """\
# Benchmarks

Written by `make bench` from `benchmarks/results.json`; no figure is typed by hand.
[docs/benchmarks.md](docs/benchmarks.md) says how to run it, and what the figures do not say.

A ratio compares two things that ran right after each other, in the same round. It is the median of the rounds'
own ratios; the least and the most of them are in parentheses. Absolute figures are medians, of this machine.
"""


def write(results: Results, root: Path = ROOT) -> None:
    """The tables at the top of *root*, the plots and the results below it."""
    (root / "benchmarks").mkdir(parents=True, exist_ok=True)
    results.write(root / "benchmarks" / RESULTS)
    folder = root / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in written(results).items():
        (folder / f"{name}.svg").write_text(svg)
    (root / "BENCHMARKS.md").write_text(page(results))


def page(results: Results) -> str:
    parts = [HEAD]
    if results.void:
        parts.append(f"**This run is void:** {results.void}.\n")
    parts.append("".join(_about(results)))
    parts.append(_goals(results))
    parts += [_section(it, results) for it in SECTIONS if results.cases(it.name)]
    if results.missing:
        parts.append("## Not measured\n\n" + "".join(f"- {what}: {why}\n" for what, why in results.missing.items()))
    return "\n".join(parts)


def _about(results: Results) -> Iterator[str]:
    for name, it in results.about.items():
        yield f"- {name}: {', '.join(f'{key} {value}' for key, value in it.items()) if isinstance(it, dict) else it}\n"
    busiest = max((it.values.get("generator", 0.0) for it in results.samples), default=0.0)
    yield f"- the load generator was busy for at most {100 * busiest:.0f} % of its core's time\n"
    bare = results.spread(intake.SECTION, "5 alerts: bare", "rate")
    reached = f"{number(bare)} requests/s of five alerts"
    yield f"- the bare handler reached {reached}; below {intake.BASELINE_MIN:,}, a run is void\n"


def _goals(results: Results) -> str:
    """Those that were measured."""
    rows = []
    for it in GOALS:
        found = it.measured(results)
        if found is not None:
            value = found.median * it.factor
            rows.append([it.what, _figure(value), _figure(it.least), _figure(it.goal), it.verdict(value)])
    columns = ["what", "measured", "accepted", "goal", "verdict"]
    return f"## Goals\n\n{table(columns, rows)}" if rows else ""


def _figure(value: float) -> str:
    return f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"


def _section(section: Section, results: Results) -> str:
    pictures = "".join(f"\n![{section.title}]({PLOTS}/{name}.svg)\n" for name in section.pictures)
    return f"## {section.title}\n\n{section.text}\n\n{section.table(results)}{pictures}"
