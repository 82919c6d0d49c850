"""See scheduler/pyproject.toml."""
