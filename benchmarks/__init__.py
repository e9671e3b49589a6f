"""How fast, how small and how punctual it is, beside limits and peers in one run: `python -m benchmarks`.

The package measures; it is no part of the service. `results.json` has what was measured, and everything that is shown
(`BENCHMARKS.md`, `docs/benchmarks/*.svg`) is written from it.
"""
