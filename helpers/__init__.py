"""The package that the notebooks import: its rooms stand in the order in which the data travel (CONTRIBUTING.md)."""
