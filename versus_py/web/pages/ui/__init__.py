"""The web UI: what every page of it has in common, and the pages."""
