"""Where the figures of BENCHMARKS.md come from."""
